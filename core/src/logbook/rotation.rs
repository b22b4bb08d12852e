//! The logs that were rotated, and how the oldest of them go.

use crate::call::{Access, Call, FileKind, Handle, Name, Reply};
use crate::entry::START;
use crate::refusal::admit;

/// The numbers of the rotated logs, as far as they are known, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rotated(Vec<u32>);

/// What is done with the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Oldest {
    Open,
    Inspect,
    Read,
    Close { is_ours: bool },
    Remove,
}

impl Rotated {
    pub(super) fn new(names: Vec<Name>) -> Self {
        let number = |name| if let Name::Log(number) = name { Some(number) } else { None };
        let mut numbers: Vec<u32> = names.into_iter().filter_map(number).filter(|number| *number > 0).collect();
        numbers.sort_unstable();
        Self(numbers)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn number(&self, at: usize) -> u32 {
        self.0[at]
    }

    /// The number of the next one; none, where there are no more numbers: then the log just grows.
    pub(super) fn next_number(&self) -> Option<u32> {
        self.0.last().map_or(Some(1), |last| last.checked_add(1))
    }

    pub(super) fn push(&mut self, number: u32) {
        self.0.push(number);
    }

    pub(super) fn call(&self, step: Oldest) -> Call {
        let name = Name::Log(self.0[0]);
        match step {
            Oldest::Open => Call::Open { handle: Handle::LOG, name, access: Access::Read },
            Oldest::Inspect => Call::Inspect(Handle::LOG),
            Oldest::Read => Call::Read { handle: Handle::LOG, offset: 0, length: START.len() },
            Oldest::Close { .. } => Call::Close(Handle::LOG),
            Oldest::Remove => Call::Remove(name),
        }
    }

    /// What is done with it next; nothing more, where it is gone, or is somebody else's and stays. What is ours is a file
    /// that we would write to, and that begins like one of our lines.
    pub(super) fn reply(&mut self, step: Oldest, reply: Reply) -> Option<Oldest> {
        match (step, reply) {
            (Oldest::Open, Reply::Done) => Some(Oldest::Inspect),
            (Oldest::Inspect, Reply::Status(status)) => {
                let is_ours = admit(&Name::Log(self.0[0]), FileKind::Regular, &status).is_ok();
                Some(if is_ours { Oldest::Read } else { Oldest::Close { is_ours } })
            }
            (Oldest::Read, Reply::Bytes(bytes)) => Some(Oldest::Close { is_ours: bytes == START }),
            (Oldest::Inspect | Oldest::Read, _) => Some(Oldest::Close { is_ours: false }),
            (Oldest::Close { is_ours: true }, _) => Some(Oldest::Remove),
            (Oldest::Open | Oldest::Close { is_ours: false } | Oldest::Remove, _) => {
                self.0.remove(0);
                None
            }
        }
    }
}
