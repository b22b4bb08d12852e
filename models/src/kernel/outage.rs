//! Failures that last: every call of a kind fails until the cause is gone.

use std::fmt;

use rustix::io::Errno;
use single_primary::call::{Call as ElectionCall, Failure, Handle, Name};

use crate::call::Call;

/// A failure that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outage {
    /// realtime.log cannot be opened.
    Log,
    /// None of its rotated files can be opened.
    RotatedLogs,
    /// realtime.log has no space left.
    LogSpace,
    /// The journal has no space left.
    JournalSpace,
}

impl Outage {
    /// How a call fails meanwhile, if it does.
    #[must_use]
    pub fn failure_of(self, call: &Call) -> Option<Failure> {
        let Call::Election(call) = call else { return None };
        let errno = match (self, call) {
            (Self::Log, ElectionCall::Open { name: Name::Log(0), .. }) => Errno::ACCESS,
            (Self::RotatedLogs, ElectionCall::Open { name: Name::Log(1..), .. }) => Errno::ACCESS,
            (Self::LogSpace, ElectionCall::Append { handle: Handle::LOG, .. }) => Errno::NOSPC,
            (Self::JournalSpace, ElectionCall::Append { handle: Handle::JOURNAL, .. }) => Errno::NOSPC,
            _ => return None,
        };
        Some(Failure(errno.raw_os_error()))
    }

    /// Whether nobody can be deposed or elected meanwhile.
    #[must_use]
    pub fn stops_elections(self) -> bool {
        self == Self::JournalSpace
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Log => "realtime.log unreadable",
            Self::RotatedLogs => "rotated logs unreadable",
            Self::LogSpace => "no space for realtime.log",
            Self::JournalSpace => "no space for the journal",
        })
    }
}
