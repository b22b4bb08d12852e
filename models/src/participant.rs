//! What every driver drives: one instance of a protocol, as a machine that asks for one system call at a time.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use single_primary::call::Time;
use single_primary::{Event, Machine, Role, Step as ElectionStep, Wait as ElectionWait};

use crate::call::{Call, Reply};

/// What an instance believes of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Belief {
    /// No verdict yet.
    Undecided,
    /// Another is primary.
    Secondary,
    /// This one is primary, of a term where the protocol has terms.
    Primary {
        /// The term, or 0.
        term: u64,
    },
    /// It has left.
    Left,
    /// It has failed, and says why.
    Failed(Arc<str>),
}

/// What an instance wants next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// One system call.
    Call(Call),
    /// Nothing before it is woken.
    Wait(Wait),
    /// Nothing more: it has left or failed, and its files are closed.
    Ended,
}

/// What a waiting instance waits for. Waking it early does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Something that others change: look again soon, at the latest then where a time is given.
    Change(Option<Time>),
    /// This moment, whatever happens.
    Until(Time),
    /// An event, or the wish to leave.
    Event,
}

/// One instance of a protocol.
pub trait Participant: Clone + Debug + Eq + Hash + Send + Sync {
    /// What it wants next. Asking changes nothing.
    fn next(&self) -> Step;
    /// Takes the reply to the call that it asked for.
    fn reply(&mut self, reply: Reply, now: Time);
    /// Ends a wait.
    fn wake(&mut self, now: Time);
    /// Gives it an event.
    fn deliver(&mut self, event: Event);
    /// Asks it to leave.
    fn leave(&mut self);
    /// What it believes.
    fn belief(&self) -> Belief;
    /// Up to which byte it has read the journal, once it reads one that nobody may empty.
    fn read_to(&self) -> Option<u64>;
    /// Takes in what it has yet to read of the journal, as far as that makes no difference.
    fn read_ahead(&mut self, journal: &[u8]);
}

/// The election that ships, as it ships.
impl Participant for Machine {
    fn next(&self) -> Step {
        match self.next() {
            ElectionStep::Call(call) => Step::Call(Call::Election(call)),
            ElectionStep::Wait(wait) => Step::Wait(match wait {
                ElectionWait::Cleaning | ElectionWait::Vacancy(_) | ElectionWait::Retry => Wait::Change(None),
                ElectionWait::Registrations { until } => Wait::Change(Some(until)),
                ElectionWait::Nothing => Wait::Event,
            }),
            ElectionStep::Ended => Step::Ended,
        }
    }

    fn reply(&mut self, reply: Reply, now: Time) {
        match reply {
            Reply::Election(reply) => self.reply(reply, now),
            // No call of the election is answered so; any reply that it does not expect makes it fail.
            Reply::Time(_) | Reply::Process(_) | Reply::Files(_) => {
                self.reply(single_primary::call::Reply::Exists, now);
            }
        }
    }

    fn wake(&mut self, now: Time) {
        self.wake(now);
    }

    fn deliver(&mut self, event: Event) {
        self.deliver(&event);
    }

    fn leave(&mut self) {
        self.leave();
    }

    fn read_to(&self) -> Option<u64> {
        self.read_to()
    }

    fn read_ahead(&mut self, journal: &[u8]) {
        self.read_ahead(journal);
    }

    fn belief(&self) -> Belief {
        match self.role() {
            Role::Undecided => Belief::Undecided,
            Role::Secondary { .. } => Belief::Secondary,
            Role::Primary { term } => Belief::Primary { term: *term },
            Role::Left => Belief::Left,
            Role::Failed(fault) => Belief::Failed(format!("{}: {}: {}", fault.name, fault.call, fault.cause).into()),
        }
    }
}
