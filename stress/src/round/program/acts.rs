//! What shows that a program acts which says nothing of it: lines that it prints, or a file that it writes.

use std::fs;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;
use rustix::process::{Pid, getpgid};
use serde::{Deserialize, Serialize};

use super::command::filled_in;
use super::registrant::{Place, Registrant};
use super::speech::Word;
use crate::failure::Failure;
use crate::process::clock;

/// What is looked at of a file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How it is known that a copy acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acts {
    /// By a line on standard output or error that this matches.
    pub(crate) when: Option<String>,
    /// By a write to this file.
    pub(crate) file: Option<String>,
}

impl Acts {
    /// Whether programs are judged by what they do alone.
    pub(crate) fn are_seen(&self) -> bool {
        self.when.is_some() || self.file.is_some()
    }

    /// The pattern of lines.
    pub(crate) fn pattern(&self) -> Result<Option<Regex>, Failure> {
        let pattern = |text: &String| {
            Regex::new(text)
                .map_err(|error| Failure::Usage(format!("--acts-when {text}: {error}; give a regular expression")))
        };
        self.when.as_ref().map(pattern).transpose()
    }
}

/// A file whose writes are acts: of one copy, or of whoever is named in what is written.
#[derive(Debug)]
pub(crate) struct ActsFile {
    path: PathBuf,
    /// The copy whose own file it is.
    owner: Option<String>,
    /// What was in it when it was last looked at.
    seen: Vec<u8>,
}

impl ActsFile {
    /// Those of a round. What is in them before it begins is nobody's act.
    pub(crate) fn of(template: &str, place: &Place<'_>, ids: &[String]) -> Vec<Self> {
        let file = |id: &str, owner| {
            let path = PathBuf::from(filled_in(template, place, id));
            Self { seen: read(&path), path, owner }
        };
        if template.contains("{id}") {
            ids.iter().map(|id| file(id, Some(id.clone()))).collect()
        } else {
            vec![file("", None)]
        }
    }

    /// Looks for writes, and has those who made them act. Whoever is named neither by its ID nor by the number of one of its
    /// processes is not known.
    pub(crate) fn look(&mut self, registrants: &mut [Registrant]) {
        let bytes = read(&self.path);
        if bytes == self.seen {
            return;
        }
        let now_ns = clock::now_ns();
        let news = bytes.strip_prefix(self.seen.as_slice()).unwrap_or(&bytes).to_vec();
        self.seen = bytes;
        for registrant in registrants.iter_mut().filter(|registrant| registrant.is_running()) {
            let is_its = match &self.owner {
                Some(owner) => *owner == registrant.id,
                None => names(&news, registrant),
            };
            if is_its && !news.is_empty() {
                registrant.speech.say(Word::Acts, now_ns);
            }
        }
    }
}

/// Whether a copy is named by what was written.
fn names(news: &[u8], registrant: &Registrant) -> bool {
    let group = registrant.process();
    let is_of_it = |word: &[u8]| {
        let number = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
        number.is_some() && (number == group || number.and_then(|pid| getpgid(Some(pid)).ok()) == group)
    };
    memchr::memmem::find(news, registrant.id.as_bytes()).is_some()
        || news.split(|byte| !byte.is_ascii_digit()).any(is_of_it)
}

fn read(path: &Path) -> Vec<u8> {
    let is_short = fs::metadata(path).is_ok_and(|status| status.is_file() && status.len() <= FILE_BYTES_MAX);
    if is_short { fs::read(path).unwrap_or_default() } else { Vec::new() }
}
