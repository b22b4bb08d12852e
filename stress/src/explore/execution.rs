//! What a search needs of that which it searches: a run that goes on one step at a time, and always the same way.
//!
//! An *execution* is one run of several *agents* from a fresh start. It rests until it is told who takes the next step. The
//! same steps from the same start come to the same rest, in every run: on that all search, every replay and each proof of
//! completeness stands. What cannot keep it says so with a [`Stop`].
//!
//! The engine of real processes (`control`) knows calls, and offers what the copies' own threads may do. Who gives a copy its
//! input, and what the words that it prints mean, is laid over it: at rest the engine lets others write to a copy's standard
//! input, close it, and take what the copy has written to its standard output so far.

use std::fmt;

use crate::failure::Failure;

/// Who takes a step. The same in all executions: copies are numbered as they are given, threads and children of a copy in the
/// order in which the copy made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Agent {
    /// The number of the copy that it belongs to.
    pub(crate) copy: u16,
    /// Its number within the copy: 0 for the thread that the copy begins with, [`Agent::GIVER`] for who gives it its
    /// input.
    pub(crate) thread: u16,
}

impl Agent {
    /// The thread number of that which gives a copy its input when it listens: a part of the environment and none of its threads.
    pub(crate) const GIVER: u16 = u16::MAX;
}

/// What may happen to an agent's pending call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Choice {
    /// The call takes place; for a [giver](Agent::GIVER), the copy gets its next input.
    Run,
    /// The call's time is over: a sleep ends, a wait returns with a time-out.
    Fire,
    /// Something else happens than what the agent wants. Each costs one of the budget for faults.
    Fault(Fault),
}

/// What goes wrong at a pending call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// The whole copy is killed before the call. That is also the crash after the call before it.
    Crash,
    /// The call does nothing and fails with this error number.
    Error(i32),
    /// The call reads or writes less than it is asked to, at least one byte.
    Short,
    /// The call does nothing and returns EINTR, as after a signal.
    Interrupt,
}

/// How a step uses an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Access {
    /// It depends on what is there and changes nothing.
    Read,
    /// It adds to what is there, and nobody can tell two such steps' order, unless by a read.
    Add,
    /// It changes it, or both depends on it and changes it.
    Write,
}

impl Access {
    /// Whether two uses of one object do different things in another order.
    pub(crate) fn conflicts_with(self, other: Self) -> bool {
        !matches!((self, other), (Self::Read, Self::Read) | (Self::Add, Self::Add))
    }
}

/// What steps share. The numbers are whatever tells two objects of one execution apart, and is the same in each execution that
/// began with the same steps: a hash of a path, a number given in order of appearance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Object {
    /// What a path names, if anything.
    Name(u64),
    /// The bytes of a file.
    Contents(u64),
    /// The set of names in a directory.
    Directory(u64),
    /// Mode, owner, times and the like of a file.
    Attributes(u64),
    /// A lock on a file.
    Lock(u64),
    /// A socket's address, and what waits in it.
    Socket(u64),
    /// A pipe or FIFO.
    Pipe(u64),
    /// Whether a copy's process exists.
    Process(u16),
    /// The time that clocks show.
    Time,
    /// Who is primary, as far as copies say it.
    Role,
    /// Whether copies are done with what they were told.
    Done,
    /// What an invariant that is asked at every rest can see.
    Observed,
}

/// All that a step uses: each object once, with the strongest access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Footprint {
    uses: Vec<(Object, Access)>,
}

impl Footprint {
    /// Adds an object. Two different uses of one object together count as a write.
    pub(crate) fn add(&mut self, object: Object, access: Access) {
        match self.uses.binary_search_by_key(&object, |(used, _)| *used) {
            Ok(found) if self.uses[found].1 != access => self.uses[found].1 = Access::Write,
            Ok(_) => {}
            Err(place) => self.uses.insert(place, (object, access)),
        }
    }

    /// The same with one object more.
    #[must_use]
    pub(crate) fn with(mut self, object: Object, access: Access) -> Self {
        self.add(object, access);
        self
    }

    /// The objects in their order, each with how it is used.
    pub(crate) fn uses(&self) -> &[(Object, Access)] {
        &self.uses
    }

    /// Whether anything is changed.
    pub(crate) fn changes(&self) -> bool {
        self.uses.iter().any(|(_, access)| *access != Access::Read)
    }

    /// Whether two steps of different agents with these footprints may do different things in another order.
    pub(crate) fn conflicts_with(&self, other: &Self) -> bool {
        let (mut mine, mut others) = (&self.uses[..], &other.uses[..]);
        while let (Some((my_object, my_access)), Some((object, access))) = (mine.first(), others.first()) {
            match my_object.cmp(object) {
                std::cmp::Ordering::Less => mine = &mine[1..],
                std::cmp::Ordering::Greater => others = &others[1..],
                std::cmp::Ordering::Equal if my_access.conflicts_with(*access) => return true,
                std::cmp::Ordering::Equal => (mine, others) = (&mine[1..], &others[1..]),
            }
        }
        false
    }
}

/// Something that may happen next, or that an agent waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) agent: Agent,
    pub(crate) choice: Choice,
    /// Whether it can happen: a blocking call whose lock another holds, or whose pipe is empty, cannot.
    pub(crate) is_enabled: bool,
    /// Whether it is a call of the kind that waits for others, be it enabled or not: for a lock, for something to read, for a
    /// child. Whatever its thread or another one of the copy does instead depends on the objects that it may wait for.
    pub(crate) may_wait: bool,
    /// All that it may use. Whether a fault can strike may depend on nothing else.
    pub(crate) footprint: Footprint,
    /// When a [`Choice::Fire`] is due, in nanoseconds of virtual time.
    pub(crate) due_ns: Option<u64>,
    /// The call, as a person would write it, without its result.
    pub(crate) label: String,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// What it did use: at most what its transition said.
    pub(crate) footprint: Footprint,
    /// The call with its result.
    pub(crate) label: String,
    /// What else came of it, in words: what a copy said, wrote or came to.
    pub(crate) effects: Vec<String>,
}

/// Why an execution ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It cannot be controlled, or goes on for ever without a visible call: nothing follows from it. Says what and why.
    Uncontrolled(String),
    /// The same steps did not come to the same rest: nothing follows from it. Says where.
    Diverged(String),
    /// It cannot be controlled in general, here: a program that is missing, a call that is forbidden.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One run, driven step by step.
pub(crate) trait Execution {
    /// What is left at its end.
    type End;

    /// All that may happen next and all that is waited for, at rest: for each agent that has a pending call its `Run`, enabled
    /// or not, its `Fire` if the call has a time, and the faults that may strike it. In the order of agents and choices. What
    /// another actor's step made impossible, as input to a copy that was killed, stays pending and is not enabled.
    ///
    /// # Errors
    /// Where there is no rest.
    fn pending(&mut self) -> Result<Vec<Transition>, Stop>;

    /// Lets one enabled transition of [`pending`](Self::pending) happen, known by its agent and choice, and waits for rest.
    ///
    /// # Errors
    /// Where there is no rest after it.
    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop>;

    /// Whether it is known by now that a promise is broken, whatever comes. Asked at each rest.
    ///
    /// # Errors
    /// Where what is to be asked cannot be asked.
    fn is_broken(&mut self) -> Result<bool, Stop> {
        Ok(false)
    }

    /// Ends it, whoever still runs, and tells what it left. `is_end` says whether nothing could happen any more: of one that
    /// was cut off before, nothing follows from what is missing.
    ///
    /// # Errors
    /// Where what is left cannot be looked at.
    fn finish(self, is_end: bool) -> Result<Self::End, Stop>;
}

/// What can be run again and again.
pub(crate) trait System {
    type Execution: Execution;

    /// A fresh start. All that is drawn at random in it follows from the seed.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn start(&mut self, seed: u64) -> Result<Self::Execution, Stop>;
}

impl fmt::Display for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.thread {
            0 => write!(formatter, "{}", self.copy),
            Self::GIVER => write!(formatter, "{}.input", self.copy),
            thread => write!(formatter, "{}.{thread}", self.copy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Access::{Add, Read, Write};
    use super::*;

    #[test]
    fn footprints_conflict_where_they_share_what_one_changes() {
        let check = |one: &[(u64, Access)], other: &[(u64, Access)], expected| {
            let footprint = |uses: &[(u64, Access)]| {
                uses.iter().fold(Footprint::default(), |all, (name, access)| all.with(Object::Name(*name), *access))
            };
            let (one, other) = (footprint(one), footprint(other));
            assert_eq!((one.conflicts_with(&other), other.conflicts_with(&one)), (expected, expected));
        };
        check(&[], &[(1, Write)], false);
        check(&[(1, Read)], &[(1, Read)], false);
        check(&[(1, Read)], &[(1, Write)], true);
        check(&[(1, Write)], &[(1, Write)], true);
        check(&[(1, Write)], &[(2, Write)], false);
        check(&[(1, Add)], &[(1, Add)], false);
        check(&[(1, Add)], &[(1, Read)], true);
        check(&[(1, Add), (1, Read)], &[(1, Add)], true);
        check(&[(3, Read), (1, Write)], &[(2, Write), (3, Write)], true);
        check(&[(3, Read), (1, Write)], &[(2, Write), (4, Write)], false);
    }
}
