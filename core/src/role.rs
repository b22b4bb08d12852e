//! What an instance brings to the election, and what it is in it.

use std::time::Duration;

use crate::error::Fault;
use crate::id::InstanceId;
use crate::logbook::LogOptions;

/// What an instance brings to the election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The ID of this join.
    pub id: InstanceId,
    /// How long the first term stays open for registration, from the first one: the first in a directory in which nobody
    /// lives.
    pub window: Duration,
    /// So many registrations close the first term at once.
    pub expect: Option<usize>,
    /// Whether the file system is taken as it is; else one on which the election is known not to hold is refused.
    pub allow_any_file_system: bool,
    /// What is done with realtime.log.
    pub log: LogOptions,
}

/// What an instance is, as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// No verdict yet, or none any more: the primary was found dead.
    Undecided,
    /// Another instance is primary.
    Secondary {
        /// The term of the verdict.
        term: u64,
        /// The primary.
        primary: InstanceId,
    },
    /// This instance is primary, until it leaves or dies.
    Primary {
        /// The term that it is primary of: a fencing token.
        term: u64,
    },
    /// It has left.
    Left,
    /// It has failed, and takes no part.
    Failed(Fault),
}
