//! What a log was found to hold, line by line: entries, and what else there is.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, content};
use super::key::Named;
use super::looks::Looks;
use super::tally::Tally;

/// How much of a line is shown, in bytes.
const SAMPLE_BYTES: usize = 120;

/// How much of the first entry without an event is kept to look for the key in it, in bytes.
const UNNAMED_BYTES: usize = 64 << 10;

/// Lines of one kind that were not understood.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct NotUnderstood {
    #[serde(flatten)]
    pub(crate) looks: Looks,
    pub(crate) count: u64,
    /// The line of the first one, from 1, counted on through all logs.
    pub(crate) first_line: u64,
    /// How the first one begins.
    pub(crate) sample: String,
}

/// What lines there were beside entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PassedOver {
    /// Lines with nothing in them.
    pub(crate) blank: u64,
    /// Entries that name no event.
    pub(crate) without_event: u64,
    /// What was not understood, but for what was given up.
    pub(crate) malformed: u64,
    /// Lines that are too long to be read.
    pub(crate) given_up: u64,
}

/// An entry without an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unnamed {
    pub(crate) line: u64,
    pub(crate) text: Vec<u8>,
    /// Whether it has the last name of the key elsewhere.
    pub(crate) has_name: bool,
}

/// Everything that was found so far.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) tally: Tally,
    pub(crate) passed_over: PassedOver,
    pub(crate) not_understood: BTreeMap<Looks, NotUnderstood>,
    /// The last name of the key, which an entry without an event may have elsewhere.
    wanted: Option<String>,
    /// The first entry without an event, or the beginning of it; better, the first that has the wanted name elsewhere.
    pub(crate) unnamed: Option<Unnamed>,
    /// How entries are laid out, where that is not one a line.
    pub(crate) notes: BTreeSet<&'static str>,
    /// How many lines the logs before this one have.
    lines_before: u64,
}

impl Ledger {
    /// An empty one; `wanted` is the last name of the key, if there is one.
    pub(crate) fn new(tally: Tally, wanted: Option<&str>) -> Self {
        Self {
            tally,
            wanted: wanted.map(str::to_lowercase),
            passed_over: PassedOver::default(),
            not_understood: BTreeMap::new(),
            unnamed: None,
            notes: BTreeSet::new(),
            lines_before: 0,
        }
    }

    /// Ends a log that has so many lines: those of the next one are counted on.
    pub(crate) fn end_log(&mut self, lines: u64) {
        self.lines_before += lines;
    }

    /// Ends the list of events: lines are counted from 1 again.
    pub(crate) fn end_list(&mut self) {
        self.lines_before = 0;
        self.passed_over = PassedOver::default();
    }

    /// How many lines there were in all logs that have ended.
    pub(crate) fn lines(&self) -> u64 {
        self.lines_before
    }

    /// Enters what a line, or a value that begins on it, says.
    pub(crate) fn enter(&mut self, line: u64, text: &[u8], named: Named<'_>) {
        let Named { events, trouble } = named;
        if events.is_empty() && trouble.is_none() {
            self.passed_over.without_event += 1;
            self.keep_unnamed(line, text);
        }
        let content = content(text);
        for event in &events {
            self.tally.enter(self.lines_before + line, content, event);
        }
        if let Some(trouble) = trouble {
            self.misunderstand(line, text, Looks::of_trouble(trouble));
        }
    }

    fn keep_unnamed(&mut self, line: u64, text: &[u8]) {
        let Some(wanted) = &self.wanted else { return };
        if self.unnamed.as_ref().is_some_and(|known| known.has_name) {
            return;
        }
        let text = &text[..text.len().min(UNNAMED_BYTES)];
        let has_name = memchr::memmem::find(&text.to_ascii_lowercase(), wanted.as_bytes()).is_some();
        if has_name || self.unnamed.is_none() {
            self.unnamed = Some(Unnamed { line: self.lines_before + line, text: text.to_vec(), has_name });
        }
    }

    /// Lists an event that must be there.
    pub(crate) fn list(&mut self, line: u64, name: &[u8]) {
        self.tally.list(line, &Event::text(name));
    }

    pub(crate) fn pass_blank(&mut self) {
        self.passed_over.blank += 1;
    }

    /// Counts what is not understood.
    pub(crate) fn misunderstand(&mut self, line: u64, text: &[u8], looks: Looks) {
        if looks == Looks::TOO_LONG {
            self.passed_over.given_up += 1;
        } else {
            self.passed_over.malformed += 1;
        }
        let first_line = self.lines_before + line;
        self.not_understood
            .entry(looks)
            .or_insert_with(|| NotUnderstood { looks, count: 0, first_line, sample: shown(text, SAMPLE_BYTES) })
            .count += 1;
    }

    /// Counts a line that is too long to be read.
    pub(crate) fn give_up(&mut self, line: u64, head: &[u8]) {
        self.misunderstand(line, head, Looks::TOO_LONG);
    }

    /// Notes how some entries are laid out.
    pub(crate) fn note(&mut self, layout: &'static str) {
        self.notes.insert(layout);
    }
}

/// The part of a text that is shown, with an ellipsis where it is cut; what is not text in it is escaped.
pub(crate) fn shown(text: &[u8], bytes_max: usize) -> String {
    let cut = text.len().min(bytes_max);
    let mut shown = String::new();
    for character in String::from_utf8_lossy(&text[..cut]).chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if cut < text.len() {
        shown.push('\u{2026}');
    }
    shown
}
