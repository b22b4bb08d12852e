//! The call boundaries of the machine: which call, in which role, before it or after it. All of them are killed at in turn.

use std::fmt;

use serde::{Deserialize, Serialize};
use single_primary::call::{Call, Handle, Mode, Name};

use super::fault::Fault;
use crate::history::judge::records;

/// What an instance is at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// It has no verdict yet.
    Candidate,
    /// Another is primary.
    Secondary,
    /// It is primary of the first term.
    Primary,
    /// It has found the primary gone, or is primary of a later term.
    Successor,
    /// It leaves.
    Leaver,
}

/// A place at which an instance can die.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Boundary {
    pub(crate) part: Part,
    /// The call, as [`name`] has it.
    pub(crate) call: String,
    /// Whether it has returned.
    pub(crate) after: bool,
}

/// What a round needs for an instance to come to a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// The journal and a seat of an election whose instances are all dead.
    Leftover,
    /// A first primary that dies before it has written an event.
    DeadPrimary,
}

/// Which elections come to which boundaries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    pub(crate) registrants: usize,
    pub(crate) in_process: usize,
    pub(crate) events: usize,
}

/// The calls of an election, by part; each with how many must take part in it. Beside them the machine has calls that only
/// another fault brings about: a journal replaced between two calls, a record cut short, a log grown to its limit.
const CANDIDATE: &[(&str, usize)] = &[
    ("open directory", 1),
    ("mkdir", 1),
    ("fstat directory", 1),
    ("fstatfs directory", 1),
    ("flock directory shared", 1),
    ("open journal", 1),
    ("fstat journal", 1),
    ("flock journal exclusive", 1),
    ("flock journal shared", 1),
    ("lstat journal by path", 1),
    ("open own seat", 1),
    ("fstat own seat", 1),
    ("flock own seat exclusive", 1),
    ("read journal", 1),
    ("write register", 1),
    ("write seal", 1),
    ("open primary's seat", 2),
    ("flock primary's seat shared", 2),
];
/// Who finds that nobody lives begins a journal anew.
const BEGINNER: &[&str] = &[
    "open next journal",
    "fstat next journal",
    "flock next journal exclusive",
    "write begin",
    "rename next journal",
    "readdir",
    "unlink old seat",
];
const WRITER: &[&str] = &["lstat journal by path", "lstat log", "readdir of logs", "open log", "fstat log", "read log"];
const WITH_ENTRY: &[&str] = &["write log"];
const SUCCESSOR: &[(&str, usize)] = &[
    ("close primary's seat", 2),
    ("write depose", 2),
    ("write seal", 2),
    ("read journal", 2),
    // Of several who find it gone, all but one find the next.
    ("open primary's seat", 3),
    ("flock primary's seat shared", 3),
];
const LEAVER: &[&str] = &["write leave", "close all"];

impl Sweep {
    /// Every boundary that such elections come to, and what they need for it.
    pub(crate) fn boundaries(self) -> Vec<(Boundary, Needs)> {
        let Self { registrants, in_process, events } = self;
        let mut calls: Vec<(Part, &str, Needs)> = Vec::new();
        let mut add = |part, call, needs| calls.push((part, call, needs));
        let enough = |(_, least): &&(&str, usize)| registrants >= *least;
        for (call, _) in CANDIDATE.iter().filter(enough) {
            add(Part::Candidate, call, Needs::Nothing);
        }
        for call in BEGINNER {
            add(Part::Candidate, call, Needs::Leftover);
        }
        if registrants > 1 {
            add(Part::Secondary, "flock primary's seat shared", Needs::Nothing);
        }
        for (call, _) in SUCCESSOR.iter().filter(enough) {
            add(Part::Successor, call, Needs::Nothing);
        }
        if events > 0 {
            for call in WRITER.iter().chain(WITH_ENTRY) {
                add(Part::Primary, call, Needs::Nothing);
            }
        }
        if events > 0 && registrants > 1 {
            for call in WRITER {
                add(Part::Successor, call, Needs::Nothing);
            }
        }
        // A primary that dies takes all of its process with it.
        if events > 0 && registrants > in_process {
            for call in WITH_ENTRY {
                add(Part::Successor, call, Needs::DeadPrimary);
            }
        }
        for call in LEAVER {
            add(Part::Leaver, call, Needs::Nothing);
        }
        let boundary = |(part, call, needs): &(Part, &str, Needs), after| {
            (Boundary { part: *part, call: (*call).to_owned(), after }, *needs)
        };
        let before = calls.iter().map(|call| boundary(call, false));
        before.chain(calls.iter().map(|call| boundary(call, true))).collect()
    }

    /// What is done to the round whose turn it is: the boundaries are taken one after the other, and then again.
    pub(crate) fn faults(self, turn: u64) -> Vec<Fault> {
        let boundaries = self.boundaries();
        let number = usize::try_from(turn % boundaries.len() as u64).unwrap_or(0);
        let (boundary, needs) = boundaries[number].clone();
        let mut faults = Vec::new();
        match needs {
            Needs::Nothing => {}
            Needs::Leftover => faults.push(Fault::Leftover),
            Needs::DeadPrimary => {
                let boundary = Boundary { part: Part::Primary, call: "write log".into(), after: false };
                faults.push(Fault::KillAtBoundary { boundary });
            }
        }
        faults.push(Fault::KillAtBoundary { boundary });
        faults
    }
}

impl fmt::Display for Boundary {
    /// `candidate before open journal`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, call, after } = self;
        write!(formatter, "{} {} {call}", part.name(), if *after { "after" } else { "before" })
    }
}

impl Boundary {
    /// What stands in the trace of who died there.
    pub(crate) fn note(&self) -> String {
        format!("dies as {self}")
    }
}

impl Part {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Secondary => "secondary",
            Self::Primary => "primary",
            Self::Successor => "successor",
            Self::Leaver => "leaver",
        }
    }
}

/// What a call is to the election: the system call and what it is about.
pub(crate) fn name(call: &Call) -> String {
    let of = |handle: &Handle| match *handle {
        Handle::DIRECTORY => "directory",
        Handle::JOURNAL => "journal",
        Handle::NEXT_JOURNAL => "next journal",
        Handle::SEAT => "own seat",
        Handle::RIVAL => "primary's seat",
        Handle::LOG => "log",
        _ => "another file",
    };
    let system_call = call.system_call();
    match call {
        Call::Open { handle: Handle::LOG, name: Name::Log(number), .. } if *number > 0 => "open older log".into(),
        Call::Open { handle, .. }
        | Call::Close(handle)
        | Call::Inspect(handle)
        | Call::FileSystem(handle)
        | Call::Read { handle, .. }
        | Call::Truncate { handle, .. }
        | Call::Sync(handle) => format!("{system_call} {}", of(handle)),
        Call::Append { handle: Handle::JOURNAL | Handle::NEXT_JOURNAL, bytes } => {
            format!("write {}", records(bytes).next().map_or("filler", |record| record.kind))
        }
        Call::Append { handle, .. } => format!("write {}", of(handle)),
        Call::Lock(handle, Mode::Shared) => format!("flock {} shared", of(handle)),
        Call::Lock(handle, Mode::Exclusive) => format!("flock {} exclusive", of(handle)),
        Call::Unlock(handle) => format!("unlock {}", of(handle)),
        Call::Look(Name::Journal) => "lstat journal".into(),
        Call::LookByPath(Name::Journal) => "lstat journal by path".into(),
        Call::Look(Name::Log(_)) => "lstat log".into(),
        Call::ListLogs => "readdir of logs".into(),
        Call::SyncLogDirectory => "fsync of logs".into(),
        Call::Remove(Name::Seat(_)) => "unlink old seat".into(),
        Call::Rename(Name::NextJournal, _) => "rename next journal".into(),
        Call::RenameNew(Name::Log(_), _) => "rename log".into(),
        Call::CloseAll => "close all".into(),
        Call::MakeDirectory
        | Call::List
        | Call::Look(_)
        | Call::LookByPath(_)
        | Call::Remove(_)
        | Call::Rename(..)
        | Call::RenameNew(..) => system_call.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_takes_every_boundary_once_and_only_those_that_there_are() {
        let check = |registrants, in_process, events, expected: usize| {
            let sweep = Sweep { registrants, in_process, events };
            let boundaries = sweep.boundaries();
            assert_eq!(boundaries.len(), expected, "{registrants} {in_process} {events}");
            let mut names: Vec<_> = boundaries.iter().map(|(boundary, _)| boundary.to_string()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), expected, "each is another");
            for (turn, (boundary, _)) in (0..).zip(&boundaries) {
                let aimed = Fault::KillAtBoundary { boundary: boundary.clone() };
                assert_eq!(sweep.faults(turn).last(), Some(&aimed));
                assert_eq!(sweep.faults(turn + 2 * expected as u64), sweep.faults(turn));
            }
        };
        check(4, 1, 3, 2 * (18 + 7 + 1 + 6 + 7 + 6 + 1 + 2));
        check(4, 4, 3, 2 * (18 + 7 + 1 + 6 + 7 + 6 + 2));
        check(4, 1, 0, 2 * (18 + 7 + 1 + 6 + 2));
        check(2, 1, 3, 2 * (18 + 7 + 1 + 4 + 7 + 6 + 1 + 2));
        check(1, 1, 3, 2 * (16 + 7 + 7 + 2));
    }
}
