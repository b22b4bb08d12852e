//! The program whose election is tried: how it is started, and that it does not outlive its round.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal as Interrupt;
use rustix::process::{Gid, Pid, Resource, Rlimit, Signal, Uid, setrlimit};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};
use serde::{Deserialize, Serialize};

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

    /// The program and its arguments.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// A command for one instance, with nothing to read and nobody who listens.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command
    }
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
}
