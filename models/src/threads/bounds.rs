//! What a check of threads is to bring about.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::zoo::Protocol;

/// How much a checker is to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How many instances take part, each on a thread of its own.
    pub registrants: usize,
    /// How many of them live in one process.
    pub instances_per_process: usize,
    /// How many events reach every instance.
    pub events: usize,
    /// How many instances may crash, before any call.
    pub crashes: usize,
    /// How many calls may fail with an I/O error.
    pub io_errors: usize,
    /// How far the clock of one instance may jump; zero: it does not.
    pub clock_jump: Duration,
    /// How many instances leave once they have a verdict.
    pub leaves: usize,
    /// Whether every instance waits until it is primary, and leaves then, so that all are primary in turn.
    pub succession: bool,
    /// Loom: so many times a thread may be interrupted where it could go on; `None`: any number of times.
    pub preemptions: Option<usize>,
    /// Shuttle: how many schedules each of its schedulers tries.
    pub schedules: usize,
    /// Shuttle: where its randomness starts.
    pub seed: u64,
    /// When to give up.
    pub time: Duration,
}

impl Bounds {
    /// What is needed to see a broken protocol fail; for a correct one, the same with one event and nothing that fails.
    #[must_use]
    pub fn of(protocol: &Protocol, registrants: usize) -> Self {
        let needs = protocol.needs;
        Self {
            registrants: registrants.max(needs.instances),
            instances_per_process: needs.instances_per_process,
            events: 1,
            crashes: needs.crashes,
            io_errors: needs.io_errors,
            clock_jump: needs.clock_jump,
            leaves: needs.leaves,
            succession: false,
            preemptions: Some(3),
            schedules: 20_000,
            seed: 1,
            time: Duration::from_mins(10),
        }
    }

    /// Which process hosts an instance.
    #[must_use]
    pub fn process(&self, instance: u8) -> u32 {
        100 + u32::from(instance) / u32::try_from(self.instances_per_process.max(1)).unwrap_or(1)
    }
}

/// Something that goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose call.
    pub instance: u8,
    /// Which of its calls, from 1.
    pub call: u32,
    /// What happens there.
    pub kind: FaultKind,
}

/// What can go wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// The instance dies before it, and the kernel closes its files.
    Crash,
    /// It fails with EIO.
    IoError,
    /// The instance's clock jumps before it.
    Jump,
}
