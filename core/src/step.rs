//! What the machine says: which call it wants next, or what it waits for.

use crate::call::{Call, Time};
use crate::id::InstanceId;

/// What the machine wants next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// One system call, answered by [`Machine::reply`](crate::Machine::reply).
    Call(Call),
    /// Nothing to do before [`Machine::wake`](crate::Machine::wake).
    Wait(Wait),
    /// It has left or failed, and holds nothing.
    Ended,
}

/// What a waiting machine waits for. Waking it early does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Another instance begins the journal anew, or a cleaner of temporary files looks through the directory.
    Cleaning,
    /// More registrations, until the window closes.
    Registrations {
        /// When it closes.
        until: Time,
    },
    /// The primary's seat to become free.
    Vacancy(InstanceId),
    /// What kept it from going on to be over: see [`Machine::setback`](crate::Machine::setback).
    Retry,
    /// Nothing but an event or the caller's wish to leave.
    Nothing,
}
