//! Protocols that elect one primary over files: broken ones, which every checker must refute, and correct ones beside them.
//!
//! Each is written once, as plain code over the kernel seam, and is the same text under every checker and on real files.

mod check_then_write;
mod exclusive_create;
mod fail_open;
mod fcntl;
mod file_per_instance;
mod fischer;
mod flock;
mod flock_unlink;
mod json_list;
mod mkdir_mtime;
mod pid_file;
mod shared_identity;

use std::time::Duration;

use single_primary::call::{Handle, Time};
use single_primary::{Event, InstanceId, LogOptions, Machine};

use crate::call::Reply;
use crate::participant::{Belief, Participant, Step};
use crate::script::{Script, Text};
use crate::verdict::Verdict;

/// Every protocol, the correct ones last.
pub const PROTOCOLS: &[Protocol] = &[
    check_then_write::PROTOCOL,
    json_list::PROTOCOL,
    file_per_instance::PROTOCOL,
    shared_identity::PROTOCOL,
    fail_open::PROTOCOL,
    pid_file::PROTOCOL,
    exclusive_create::PROTOCOL,
    mkdir_mtime::PROTOCOL,
    flock_unlink::PROTOCOL,
    fcntl::PROTOCOL,
    fischer::PROTOCOL,
    flock::PROTOCOL,
    Protocol {
        name: "journal",
        summary: "the election of this library: append order decides, seats tell who lives",
        broken_by: None,
        smallest: true,
        waits: true,
        needs: Needs::RACE,
        text: None,
    },
];

/// The protocol of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

/// A way to elect one primary.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// What the command lines call it.
    pub name: &'static str,
    /// How it elects, in one line.
    pub summary: &'static str,
    /// What breaks it; `None` for a correct one.
    pub broken_by: Option<&'static str>,
    /// Whether it promises that the smallest of those that took part is elected.
    pub smallest: bool,
    /// Whether it waits for others to register, as long as the window is.
    pub waits: bool,
    /// What a checker must bring about to see it fail.
    pub needs: Needs,
    /// Its code; `None` for the journal, whose machine is the library's.
    text: Option<Text>,
}

impl Protocol {
    /// What a check of it must come to.
    #[must_use]
    pub fn expected(&self) -> Verdict {
        if self.broken_by.is_some() { Verdict::Violated } else { Verdict::Holds }
    }

    /// An instance that has done nothing yet.
    #[must_use]
    pub fn start(&self, setup: Setup) -> AnyParticipant {
        if let Some(text) = self.text {
            return AnyParticipant::Script(Script::new(text, setup));
        }
        let Setup { id, window, expect, log } = setup;
        AnyParticipant::Journal(Box::new(Machine::new(single_primary::Setup {
            id,
            window,
            expect,
            allow_any_file_system: false,
            log,
        })))
    }
}

/// What must happen for a broken protocol to fail; beyond racing, nothing unless it is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// How many instances take part.
    pub instances: usize,
    /// How many of them live in one process.
    pub instances_per_process: usize,
    /// How many of them start only once another has its verdict.
    pub late: usize,
    /// How many leave once they have their verdict.
    pub leaves: usize,
    /// How many crash.
    pub crashes: usize,
    /// How many calls fail with an I/O error.
    pub io_errors: usize,
    /// By how much the clock jumps, once; zero: it only goes on from one wait's end to the next.
    pub clock_jump: Duration,
}

impl Needs {
    /// Two instances that race.
    pub const RACE: Self = Self {
        instances: 2,
        instances_per_process: 1,
        late: 0,
        leaves: 0,
        crashes: 0,
        io_errors: 0,
        clock_jump: Duration::ZERO,
    };
}

/// What one instance is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The ID of this join. A protocol that takes its identity from elsewhere does not heed it.
    pub id: InstanceId,
    /// How long a protocol waits that waits for others to register.
    pub window: Duration,
    /// So many registrations end the journal's wait at once. The broken protocols know no such thing.
    pub expect: Option<usize>,
    /// What the journal does with realtime.log. The others know no such thing.
    pub log: LogOptions,
}

/// Where the zoo's protocols open their lock file.
const LOCK: Handle = Handle(6);

/// One instance of any protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AnyParticipant {
    /// Of the journal.
    Journal(Box<Machine>),
    /// Of a protocol that is written as plain code.
    Script(Script),
}

impl Participant for AnyParticipant {
    fn next(&self) -> Step {
        match self {
            Self::Journal(machine) => Participant::next(&**machine),
            Self::Script(script) => script.next(),
        }
    }

    fn reply(&mut self, reply: Reply, now: Time) {
        match self {
            Self::Journal(machine) => Participant::reply(&mut **machine, reply, now),
            Self::Script(script) => script.reply(reply, now),
        }
    }

    fn wake(&mut self, now: Time) {
        match self {
            Self::Journal(machine) => Participant::wake(&mut **machine, now),
            Self::Script(script) => script.wake(now),
        }
    }

    fn deliver(&mut self, event: Event) {
        match self {
            Self::Journal(machine) => machine.deliver(&event),
            Self::Script(script) => script.deliver(event),
        }
    }

    fn leave(&mut self) {
        match self {
            Self::Journal(machine) => machine.leave(),
            Self::Script(script) => script.leave(),
        }
    }

    fn read_to(&self) -> Option<u64> {
        match self {
            Self::Journal(machine) => machine.read_to(),
            Self::Script(script) => script.read_to(),
        }
    }

    fn read_ahead(&mut self, journal: &[u8]) {
        match self {
            Self::Journal(machine) => machine.read_ahead(journal),
            Self::Script(script) => script.read_ahead(journal),
        }
    }

    fn belief(&self) -> Belief {
        match self {
            Self::Journal(machine) => machine.belief(),
            Self::Script(script) => script.belief(),
        }
    }
}
