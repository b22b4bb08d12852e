//! What an audit is measured against: `serde_json` alone, on the same lines.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;

use super::processor_time;

/// What something took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub(crate) lines: u64,
    /// By the clock on the wall.
    pub(crate) time: Duration,
    /// By the clock of the processor, all threads together.
    pub(crate) processor: Duration,
}

impl Taken {
    /// Passes over a part of a log that was just read, as `serde_json` does when nothing of it is wanted: before the audit
    /// reads the same part, so that what else the machine does slows down both.
    pub(crate) fn measure(&mut self, chunk: &[u8]) {
        let (begun, processor) = (Instant::now(), processor_time());
        for line in chunk.split_inclusive(|byte| *byte == b'\n') {
            // A line that is no JSON, or a part of one, takes its time as well.
            let _ = black_box(serde_json::from_slice::<IgnoredAny>(black_box(line)));
            self.lines += u64::from(line.ends_with(b"\n"));
        }
        self.time += begun.elapsed();
        self.processor += processor_time().saturating_sub(processor);
    }
}
