//! The clock of every record: `CLOCK_MONOTONIC`, the same for all processes of a machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the clock.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// That much later.
pub(crate) fn after_ns(moment_ns: u64, span: Duration) -> u64 {
    moment_ns.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}
