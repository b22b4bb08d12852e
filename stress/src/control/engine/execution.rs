//! An execution of real processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::Pid;

use crate::explore::execution::{Access, Agent, Choice, Execution, Fault, Footprint, Object, Step, Stop, Transition};
use crate::failure::Failure;

use super::clock::Clocks;
use super::deeds::Deed;
use super::faults;
use super::files::Files;
use super::pending::within;
use super::sockets::Sockets;
use super::thread::{For, Process, State, Thread};
use super::timers::Timer;
use super::tracing::End;
use super::{Host, Setup};

/// One run of all copies.
#[derive(Debug)]
pub(crate) struct ProcessExecution {
    pub(super) host: Rc<RefCell<Host>>,
    pub(super) setup: Rc<Setup>,
    pub(super) seed: u64,
    /// In the order of their IDs, which is that of their births as long as IDs do not wrap.
    pub(super) threads: BTreeMap<Pid, Thread>,
    pub(super) processes: HashMap<Pid, Process>,
    pub(super) copies: Vec<Copy>,
    /// Threads that were seen before whoever made them told of it.
    pub(super) strays: BTreeSet<Pid>,
    /// The one that runs.
    pub(super) running: Option<Pid>,
    pub(super) files: Files,
    pub(super) sockets: Sockets,
    pub(super) clocks: Clocks,
    pub(super) timers: Vec<Timer>,
    /// What the step that is under way has used.
    pub(super) used: Footprint,
    /// The thread whose call is the step that is under way.
    pub(super) stepping: Option<Pid>,
    /// The call of the step that is under way, with its result.
    pub(super) told: String,
    /// What was seen that makes a verdict doubtful.
    pub(super) doubts: BTreeSet<String>,
    pub(super) outside: HashMap<std::path::PathBuf, Outside>,
    /// How many stops there were since the last rest, and threads since the start.
    pub(super) stops: u64,
    pub(super) born: u32,
    pub(super) idle: Idle,
    /// What was done to it, should that have to be done again.
    pub(super) deeds: Vec<Deed>,
    /// Whether a copy asks for another by its process ID, and begins here with a child of what bears that ID.
    pub(super) wants_own_ids: bool,
    pub(super) is_ended: bool,
}

/// What the copies do with a file that is not watched.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// A bit for each copy that has opened it.
    pub(super) opened_by: u64,
    pub(super) is_written: bool,
}

/// How the one that runs gets on, without a stop.
#[derive(Debug, Default)]
pub(super) struct Idle {
    pub(super) stops: u64,
    pub(super) computed: Duration,
    pub(super) asleep: u32,
}

/// One program.
#[derive(Debug, Default)]
pub(super) struct Copy {
    pub(super) threads: u16,
    pub(super) first: Option<Pid>,
    pub(super) end: Option<End>,
    /// How often something happened that may have woken one of its threads.
    pub(super) stirred: u64,
    pub(super) printed: Vec<u8>,
    /// How much of it was taken already.
    pub(super) taken_bytes: usize,
    pub(super) complaints: Vec<u8>,
    pub(super) printed_bytes: usize,
}

/// What is left of an execution.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// How each copy's first process ended, unless the end of the execution ended it.
    pub(crate) ends: Vec<Option<End>>,
    /// What was seen that could not be controlled: nothing is proved where there is any.
    pub(crate) doubts: BTreeSet<String>,
}

/// For errors of the kernel's.
pub(super) fn lost(call: &'static str) -> impl FnOnce(io::Error) -> Stop {
    let remedy = "see whether this user may follow programs by ptrace(2) here";
    move |error| Failure::environment("a copy under control", call, remedy)(error).into()
}

impl ProcessExecution {
    /// Writes to a copy's standard input, and waits for rest; what the copy has used since.
    pub(crate) fn give(&mut self, copy: u16, bytes: &[u8]) -> Result<Footprint, Stop> {
        Ok(self.act(Deed::Give(copy, bytes.to_vec()))?.footprint)
    }

    /// Ends a copy's standard input, and waits for rest; what the copy has used since.
    pub(crate) fn close_input(&mut self, copy: u16) -> Result<Footprint, Stop> {
        Ok(self.act(Deed::Close(copy))?.footprint)
    }

    /// All that giving a copy its input may use.
    pub(crate) fn input_footprint(copy: u16) -> Footprint {
        Footprint::default().with(within(copy), Access::Write).with(Object::Time, Access::Read)
    }

    /// What a copy has printed since this was asked last.
    pub(crate) fn take_printed(&mut self, copy: u16) -> Vec<u8> {
        let copy = &mut self.copies[usize::from(copy)];
        copy.taken_bytes += copy.printed.len();
        std::mem::take(&mut copy.printed)
    }

    /// What a copy has complained of on standard error since this was asked last.
    pub(crate) fn take_complaints(&mut self, copy: u16) -> Vec<u8> {
        std::mem::take(&mut self.copies[usize::from(copy)].complaints)
    }

    /// How a copy's first process has ended, if it has.
    pub(crate) fn end_of(&self, copy: u16) -> Option<End> {
        self.copies[usize::from(copy)].end
    }

    /// Whether a copy waits for something that is not pending: its input, a child, another of its threads.
    pub(crate) fn waits_for_input(&self, copy: u16) -> bool {
        let waits = |thread: &Thread| match &thread.state {
            State::Waiting(wait) => {
                matches!(wait.for_what, For::Own) && super::waiting::LISTENING.contains(&wait.call.name)
            }
            _ => false,
        };
        self.threads.values().any(|thread| thread.agent.copy == copy && waits(thread))
    }

    /// The virtual time since the start, as a copy has it.
    pub(crate) fn elapsed_ns(&self, copy: u16) -> u64 {
        self.clocks.elapsed_ns(copy)
    }

    /// What could not be controlled so far.
    pub(crate) fn doubts(&self) -> &BTreeSet<String> {
        &self.doubts
    }
}

impl Execution for ProcessExecution {
    type End = Remains;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        let mut transitions = Vec::new();
        let mut files = std::mem::replace(&mut self.files, Files::new(&self.setup.directory, &[], &[]));
        for thread in self.threads.values_mut() {
            let agent = thread.agent;
            let mut offer = |choice, is_enabled, may_wait, footprint: Footprint, due_ns, label: &str| {
                let footprint = match choice {
                    // What follows the call may look at the clock.
                    Choice::Run | Choice::Fire => footprint.with(Object::Time, Access::Read),
                    Choice::Fault(_) => footprint,
                };
                // The copy's other threads may share memory with it.
                let footprint = footprint.with(within(agent.copy), Access::Write);
                let label = label.into();
                transitions.push(Transition { agent, choice, is_enabled, may_wait, footprint, due_ns, label });
            };
            match &mut thread.state {
                State::Before(pending) => {
                    pending.look();
                    let footprint = pending.footprint(&mut files, None);
                    let may_wait = pending.may_wait() || pending.waits_for_lock();
                    offer(Choice::Run, !pending.is_blocked, may_wait, footprint, None, &pending.label);
                    for fault in faults::of(pending, self.setup.faults) {
                        offer(Choice::Fault(fault), true, may_wait, Footprint::default(), None, &pending.label);
                    }
                }
                State::After(pending, result) => {
                    let footprint = pending.footprint(&mut files, Some(*result));
                    offer(Choice::Run, true, true, footprint, None, &pending.label);
                }
                State::Sleeping(_, due_ns, label) => {
                    let firing = Footprint::default().with(Object::Time, Access::Write);
                    offer(Choice::Fire, true, false, firing, Some(*due_ns), label);
                }
                State::Waiting(wait) => {
                    if let For::Shared(pending) = &wait.for_what {
                        let footprint = pending.footprint(&mut files, None);
                        offer(Choice::Run, false, true, footprint, None, &pending.label);
                    }
                    if let Some(due_ns) = wait.due_ns {
                        let mut firing = Footprint::default().with(Object::Time, Access::Write);
                        // Whoever sends it something in time has it do something else.
                        let process = self.processes.get(&thread.process);
                        let reached = process.map(|process| process.descriptors.addresses(&self.sockets));
                        for address in reached.unwrap_or_default() {
                            firing.add(Object::Socket(address), Access::Read);
                        }
                        offer(Choice::Fire, true, true, firing, Some(due_ns), wait.call.name);
                    }
                }
                _ => {}
            }
        }
        self.files = files;
        for crash in transitions.iter_mut().filter(|one| one.choice == Choice::Fault(Fault::Crash)) {
            for (object, access) in self.held_by(crash.agent.copy).uses() {
                crash.footprint.add(*object, *access);
            }
        }
        transitions.extend(self.alarms());
        transitions.sort_by_key(|transition| (transition.agent, transition.choice));
        Ok(transitions)
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        self.act(Deed::Step(agent, choice))
    }

    fn finish(mut self, _is_end: bool) -> Result<Remains, Stop> {
        let ends = self.copies.iter().map(|copy| copy.end).collect();
        self.end_all().map_err(lost("kill"))?;
        Ok(Remains { ends, doubts: std::mem::take(&mut self.doubts) })
    }
}
