//! What is done with realtime.log.

/// What is done with realtime.log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogOptions {
    /// From this size on, in bytes, the log is renamed before the next entry and a new one begun.
    pub rotate_bytes: u64,
    /// How many rotated logs of ours are kept; at least one.
    pub rotate_keep: u8,
    /// Whether every entry is followed by fdatasync(2), to survive a power loss.
    pub durable: bool,
    /// A secondary with at least so many pending events looks for them in the log, to forget those that are there.
    pub trim_pending: usize,
    /// The same for how many bytes their entries take: less than the rotated logs hold, so that no entry is removed
    /// with one of them before it has been seen.
    pub trim_bytes: u64,
}

impl LogOptions {
    /// These, with another size of the log, and what follows from it.
    #[must_use]
    pub fn rotated_at(self, bytes: u64) -> Self {
        Self { rotate_bytes: bytes.max(1), trim_bytes: (bytes / 2).max(1), ..self }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { rotate_bytes: 0, rotate_keep: 3, durable: false, trim_pending: 256, trim_bytes: 0 }.rotated_at(16 << 20)
    }
}
