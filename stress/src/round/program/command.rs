//! The program whose election is tried: how it is started, and that it does not outlive its round.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal as Interrupt;
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid, setrlimit};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use serde::{Deserialize, Serialize};

use super::registrant::Place;
use crate::control::start_line;
use crate::failure::Failure;
use crate::process;

/// A command line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    text: String,
    words: Vec<String>,
}

impl Program {
    /// Takes a command line apart as a shell would, without running one; or leaves it to `sh -c`.
    pub(crate) fn new(text: &str, shell: bool) -> Result<Self, Failure> {
        let words = if shell {
            vec!["sh".into(), "-c".into(), text.into()]
        } else {
            shell_words::split(text)
                .map_err(|error| Failure::Usage(format!("--registrant {text}: {error}; quote it as for a shell")))?
        };
        if words.iter().all(String::is_empty) {
            return Err(Failure::Usage("--registrant: give the program to start".into()));
        }
        Ok(Self { text: text.into(), words })
    }

    /// As it was given.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the shell starts it.
    pub(crate) fn is_for_shell(&self) -> bool {
        self.words.len() == 3 && self.words[2] == self.text
    }

    /// The program alone, as it is looked for.
    pub(crate) fn name(&self) -> &str {
        &self.words[0]
    }

    /// The program and its arguments, for one copy.
    pub(crate) fn words_of(&self, place: &Place<'_>, id: &str) -> Vec<String> {
        self.words.iter().map(|word| filled_in(word, place, id)).collect()
    }

    /// A command for one instance, with nothing to read and nobody who listens.
    pub(crate) fn command(&self, place: &Place<'_>, id: &str) -> Command {
        let words = self.words_of(place, id);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command.env("ELECTION_DIR", place.directory).env("REALTIME_LOG", place.log).env("INSTANCE_ID", id);
        command
    }
}

/// A text with `{dir}`, `{id}` and `{log}` replaced by what they stand for. A variable of the shell, `${id}`, is none of them.
pub(crate) fn filled_in(text: &str, place: &Place<'_>, id: &str) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let known = [("{dir}", place.directory.display().to_string()), ("{log}", place.log.display().to_string())];
        let known = known.into_iter().chain([("{id}", id.to_owned())]);
        let found = known.into_iter().find(|(name, _)| from.starts_with(name) && !before.ends_with('$'));
        if let Some((name, value)) = found {
            filled.push_str(&value);
            rest = &from[name.len()..];
        } else {
            filled.push('{');
            rest = &from[1..];
        }
    }
    filled + rest
}

/// The user and the group that own nothing, by the number that kernels give to those whom they do not know.
const NOBODY: u32 = 65_534;

/// Gives a file to the user that unprivileged registrants run as.
pub(crate) fn give_to_nobody(path: &Path) -> io::Result<()> {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
}

/// What a registrant is kept from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// No file may grow beyond this.
    pub(crate) file_bytes_max: Option<u64>,
    /// It runs as a user whom permissions keep out.
    pub(crate) unprivileged: bool,
}

/// In a process that is to become the program: has it stop before its first instruction until [`start_line::release`], be
/// killed when the thread ends that starts it, and keep to its limits. Makes system calls and allocates nothing.
pub(crate) fn confine(parent: Pid, limits: Limits) -> io::Result<()> {
    let Limits { file_bytes_max, unprivileged } = limits;
    if unprivileged {
        // The user comes last, and before all that a change of it would undo.
        set_thread_groups(&[])?;
        set_thread_gid(Gid::from_raw(NOBODY))?;
        set_thread_uid(Uid::from_raw(NOBODY))?;
    }
    die_with(parent)?;
    // Where this is forbidden, it starts at once: a race is then seen less often, and nothing else changes.
    let _ = start_line::hold();
    if let Some(bytes) = file_bytes_max {
        // Else the kernel kills it, where a full disk would have given it an error.
        process::ignore(Interrupt::SIGXFSZ)?;
        setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
}

/// Elsewhere the end of standard input is all that tells it.
#[cfg(not(target_os = "linux"))]
fn die_with(_parent: Pid) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_taken_apart_without_a_shell() {
        let check = |text: &str, shell, expected: Option<&[&str]>| {
            let words = Program::new(text, shell).ok().map(|program| program.words);
            let expected = expected.map(|words| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
            assert_eq!(words, expected, "{text}");
        };
        check("node 'a b.mjs' --x=\"1 2\"", false, Some(&["node", "a b.mjs", "--x=1 2"]));
        check("a; b", false, Some(&["a;", "b"]));
        check("a; b", true, Some(&["sh", "-c", "a; b"]));
        check("'a", false, None);
        check("", false, None);
    }

    #[test]
    fn what_stands_in_braces_is_filled_in() {
        let place = Place { directory: Path::new("/d"), log: Path::new("/l") };
        let check = |text: &str, expected: &str| assert_eq!(filled_in(text, &place, "a-1"), expected);
        check("run {dir}/x --id={id} >>{log}", "run /d/x --id=a-1 >>/l");
        check("{{id}}", "{a-1}");
        check("awk '{print $1}' ${id} {ids} {", "awk '{print $1}' ${id} {ids} {");
    }
}
