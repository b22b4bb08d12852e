//! What is known of a followed thread, its process and its copy.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::rc::Rc;

use nix::unistd::Pid;

use crate::explore::execution::Agent;

use super::calls::Call;
use super::descriptors::{Description, Descriptors};
use super::files::Identity;
use super::pending::Pending;
use super::randomness::Stream;
use super::registers::Registers;

/// A thread of a copy.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) agent: Agent,
    pub(super) process: Pid,
    pub(super) state: State,
    pub(super) random: Stream,
    /// The call that it waited in last and until when, should that go on after a signal that it does not heed.
    pub(super) waited: Option<(Registers, &'static Call, Option<u64>)>,
    /// How much its copy had stirred when it was last seen asleep.
    pub(super) seen_asleep: Option<u64>,
    /// `/proc/PID/stat` and `/proc/PID/syscall`, once they were needed.
    status: Option<File>,
    call: Option<File>,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum State {
    /// It was made, and has not come to its first stop.
    Born,
    /// It is stopped between visible calls and goes on when it is its turn, with this signal.
    Ready(i32),
    /// It runs. Only one does.
    Running,
    /// It is in a call that does not wait, at whose end something is to be done.
    Passing(Registers, After),
    /// It is stopped before a visible call.
    Before(Pending),
    /// It is in a visible call that does not wait.
    Within(Pending),
    /// It is stopped after a visible call that had to wait; with the result.
    After(Pending, i64),
    /// It is stopped before a sleep that ends then.
    Sleeping(Registers, u64, String),
    /// It is in a call that may wait for somebody.
    Waiting(Wait),
    /// It waits until the process that it has made has memory of its own.
    Parent,
    /// Its job is stopped.
    Stopped,
}

/// A call that may wait.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) registers: Registers,
    pub(super) for_what: For,
    /// When its time is over.
    pub(super) due_ns: Option<u64>,
    /// Whether its time is being ended.
    pub(super) is_fired: bool,
    pub(super) call: &'static Call,
}

/// What a call waits for.
#[derive(Debug)]
pub(super) enum For {
    /// Something within its copy, or its input.
    Own,
    /// Something that copies share.
    Shared(Box<Pending>),
}

/// What is to be done at the end of a call that passes.
#[derive(Debug)]
pub(super) enum After {
    /// Its result is one more descriptor of this.
    Duplicate(Rc<Description>),
    /// Its result is a socket that others can reach.
    Socket,
}

/// A process of a copy.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) copy: u16,
    /// Whether the copy has begun with it.
    pub(super) is_first: bool,
    /// Whether it runs a program of its own and not the launcher's.
    pub(super) has_program: bool,
    pub(super) threads: usize,
    pub(super) descriptors: Descriptors,
    pub(super) directory: Option<PathBuf>,
    /// The files that it may have locked with fcntl(2).
    pub(super) locked: HashSet<Identity>,
}

impl Thread {
    pub(super) fn new(agent: Agent, process: Pid, seed: u64) -> Self {
        Self {
            agent,
            process,
            state: State::Born,
            random: Stream::new(seed, agent),
            waited: None,
            seen_asleep: None,
            status: None,
            call: None,
        }
    }

    /// Whether it sleeps: in a call that waits for something (`S`), or until its child has memory of its own (`D`). The letter
    /// alone says too little: a thread shows it already while it still looks whether there is something to wait for. Whether
    /// it has left the processor for good, the kernel only says who asks in which call it is, which waits for that.
    pub(super) fn is_asleep(&mut self, thread: Pid, letter: u8) -> bool {
        let mut bytes = [0; 64];
        let call = read_start(&mut self.call, || format!("/proc/{thread}/syscall"), &mut bytes);
        call.is_some_and(|call| !call.starts_with(b"running")) && self.letter(thread) == Some(letter)
    }

    /// What the kernel says that it does: `R` that it runs, `S` that it waits for something, `D` that it waits for a device.
    pub(super) fn letter(&mut self, thread: Pid) -> Option<u8> {
        let mut bytes = [0; 64];
        let status = read_start(&mut self.status, || format!("/proc/{thread}/stat"), &mut bytes)?;
        // The name before it may hold anything but is the only part in parentheses.
        let end = status.iter().rposition(|&byte| byte == b')')?;
        status.get(end + 2).copied()
    }

    /// It has another number from here on.
    pub(super) fn forget(&mut self) {
        (self.status, self.call) = (None, None);
    }

    /// Whether it is in a call and not to be stopped in it.
    pub(super) fn is_underway(&self) -> bool {
        matches!(self.state, State::Born | State::Running | State::Passing(..) | State::Within(_))
    }
}

/// The beginning of a file of the kernel's, which is kept open.
fn read_start<'a>(file: &mut Option<File>, path: impl Fn() -> String, bytes: &'a mut [u8]) -> Option<&'a [u8]> {
    if file.is_none() {
        *file = File::open(path()).ok();
    }
    let length = file.as_ref()?.read_at(bytes, 0).ok()?;
    Some(&bytes[..length])
}
