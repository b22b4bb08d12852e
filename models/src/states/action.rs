//! What can happen in one step of the model.

use crate::kernel::{Hand, Outage};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The instance goes on: one system call, or a look at what it waits for.
    Go(u8),
    /// The same, its wait being over by its deadline.
    Over(u8),
    /// Its next call fails with EIO.
    Fail(u8),
    /// Its next append writes only half.
    Short(u8),
    /// An event reaches it.
    Deliver(u8, u8),
    /// It is asked to leave.
    Leave(u8),
    /// Its process dies, with all instances in it.
    Crash(u8),
    /// An instance starts in a free slot.
    Start(u8, Identity),
    /// The clock moves to the next deadline.
    Tick,
    /// The clock jumps.
    Jump,
    /// Somebody else does something to a file.
    Meddle(Hand),
    /// A failure begins that lasts.
    Break(Outage),
    /// It ends.
    Mend(Outage),
}

/// As whom an instance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// As a new one in a new process.
    Fresh,
    /// Under the ID of an earlier one, in a new process.
    IdOf(u8),
    /// As a new one, whose process has the ID of the dead one of that slot.
    ProcessOf(u8),
}

impl Action {
    /// The instance that it happens to, if to one.
    #[must_use]
    pub fn slot(self) -> Option<u8> {
        match self {
            Self::Go(slot)
            | Self::Over(slot)
            | Self::Fail(slot)
            | Self::Short(slot)
            | Self::Deliver(slot, _)
            | Self::Leave(slot)
            | Self::Crash(slot)
            | Self::Start(slot, _) => Some(slot),
            Self::Tick | Self::Jump | Self::Meddle(_) | Self::Break(_) | Self::Mend(_) => None,
        }
    }

    /// Whether it happens sooner or later where nothing goes wrong.
    #[must_use]
    pub fn goes_on_by_itself(self) -> bool {
        matches!(self, Self::Go(_) | Self::Over(_) | Self::Tick)
    }
}
