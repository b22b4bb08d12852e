//! How processes begin, turn into other programs and end.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::Pid;

use crate::explore::execution::Agent;

use super::calls::Kind;
use super::descriptors::Descriptors;
use super::ending::{goes_with, lock};
use super::execution::ProcessExecution;
use super::pending::About;
use super::program;
use super::randomness::Stream;
use super::registers::Registers;
use super::thread::{Process, State};
use super::tracing::{self, Until};

/// The bits of a mode with which a program runs as its owner or group.
const SET_ID: u32 = 0o6000;

impl Process {
    /// That with which a copy begins.
    pub(super) fn first(copy: u16) -> Self {
        Self {
            copy,
            is_first: true,
            has_program: false,
            threads: 0,
            descriptors: Descriptors::default(),
            directory: None,
            locked: HashSet::new(),
        }
    }

    /// A child of it.
    pub(super) fn forked(&self) -> Self {
        Self {
            copy: self.copy,
            is_first: false,
            has_program: true,
            threads: 0,
            descriptors: self.descriptors.clone(),
            directory: self.directory.clone(),
            locked: HashSet::new(),
        }
    }
}

impl ProcessExecution {
    /// A process runs another program: its other threads are gone, and what differs from run to run is taken from it.
    pub(super) fn run_program(&mut self, id: Pid, former: Pid) -> io::Result<()> {
        // The kernel gives the one that runs it the number of its process.
        if former != id
            && let Some(mut thread) = self.threads.remove(&former)
        {
            thread.forget();
            self.leave(former);
            self.threads.insert(id, thread);
        }
        let gone: Vec<_> = (self.threads.iter())
            .filter(|(other, thread)| thread.process == id && **other != id)
            .map(|(other, _)| *other)
            .collect();
        for gone in gone {
            self.leave(gone);
            self.threads.remove(&gone);
        }
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        thread.state = State::Running;
        self.running = Some(id);
        let agent = thread.agent;
        if let Some(process) = self.processes.get_mut(&id) {
            process.threads = 1;
            process.has_program = true;
            process.descriptors.run_program(id);
        }
        self.fix(id, agent)?;
        if fs::metadata(format!("/proc/{id}/exe")).is_ok_and(|status| status.mode() & SET_ID != 0) {
            self.doubts.insert("a program that is set-uid runs as its caller here".into());
        }
        tracing::resume(id, Until::Filtered, 0)
    }

    /// Takes from a fresh program what would let it differ: the clocks that it reads without a call, and its random bytes.
    fn fix(&mut self, id: Pid, agent: Agent) -> io::Result<()> {
        let mut random = Stream::new(self.seed, agent);
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        let stack = Registers::of(id)?.stack();
        program::fix(id, stack, bytes)
    }

    /// The end of a thread's process, and what goes with it.
    pub(super) fn end_of_process(&mut self, id: Pid) -> About {
        let Some(process) = self.threads.get(&id).and_then(|thread| self.processes.get(&thread.process)) else {
            return About::End(None, Vec::new());
        };
        let mut objects = goes_with(&process.descriptors.last(|_| true), &mut self.files, &self.sockets);
        for identity in &process.locked {
            objects.push(lock(*identity, &mut self.files));
        }
        About::End(process.is_first.then_some(process.copy), objects)
    }

    /// Whether a thread's call to end ends its process.
    pub(super) fn ends_process(&self, id: Pid, kind: Kind) -> bool {
        let process = self.threads.get(&id).and_then(|thread| self.processes.get(&thread.process));
        matches!(kind, Kind::ExitAll) || process.is_some_and(|process| process.threads == 1)
    }
}

/// Whether a thread that was just made belongs to this process, or is one itself.
pub(super) fn is_thread_of(thread: Pid, process: Pid) -> io::Result<bool> {
    Path::new(&format!("/proc/{process}/task/{thread}")).try_exists()
}

/// Whether a signal ends the process of a thread: it is neither caught nor ignored, and does so of itself.
pub(super) fn ends_it(thread: Pid, signal: i32) -> bool {
    use nix::libc::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    if [SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH].contains(&signal) {
        return false;
    }
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let mask = |name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        u64::from_str_radix(line.trim(), 16).ok()
    };
    let bit = 1_u64.checked_shl(signal.unsigned_abs().saturating_sub(1)).unwrap_or_default();
    [mask("SigIgn:"), mask("SigCgt:")].into_iter().flatten().all(|mask| mask & bit == 0)
}
