//! How long a bare blocked lock takes to wake its waiter after its holder is killed: the floor of every failover.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Signal, kill_process};

use crate::process;
use crate::process::clock;
use crate::process::meeting::Meeting;
use crate::process::shared_memory;

/// Longer than this nothing here takes.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the waiter is given to block. One that has not by then is measured all the same: it wakes up no sooner.
const BLOCK: Duration = Duration::from_micros(200);

/// What the processes of a measurement share.
#[derive(Debug)]
pub(super) struct WakeUp {
    held: Meeting,
    waiting: Meeting,
    woken_ns: &'static AtomicU64,
}

impl WakeUp {
    pub(super) fn new() -> std::io::Result<Self> {
        let words = shared_memory::map::<AtomicU32>(2)?;
        Ok(Self {
            held: Meeting::new(&words[0]),
            waiting: Meeting::new(&words[1]),
            woken_ns: &shared_memory::map::<AtomicU64>(1)?[0],
        })
    }

    /// From SIGKILL to the waiter's first look at the clock, in nanoseconds; nothing where it did not come to that.
    pub(super) fn measure(&self, path: &Path) -> std::io::Result<Option<u64>> {
        self.held.clear();
        self.waiting.clear();
        self.woken_ns.store(0, Ordering::Release);
        let holder = process::fork(|| self.hold(path).map_or(1, |()| 0))?;
        let is_held = self.held.wait(1, LIMIT);
        let waiter = process::fork(|| self.wait(path).map_or(1, |()| 0))?;
        let is_waiting = self.waiting.wait(1, LIMIT);
        std::thread::sleep(BLOCK);
        let killed_ns = clock::now_ns();
        kill_process(holder, Signal::KILL)?;
        process::wait(holder)?;
        process::wait(waiter)?;
        let woken_ns = self.woken_ns.load(Ordering::Acquire);
        Ok((is_held && is_waiting).then_some(woken_ns).and_then(|woken_ns| woken_ns.checked_sub(killed_ns)))
    }

    fn hold(&self, path: &Path) -> std::io::Result<()> {
        let file = File::create(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        self.held.arrive(1);
        std::thread::sleep(2 * LIMIT);
        Ok(())
    }

    fn wait(&self, path: &Path) -> std::io::Result<()> {
        let file = File::open(path)?;
        self.waiting.arrive(1);
        flock(&file, FlockOperation::LockExclusive)?;
        self.woken_ns.store(clock::now_ns(), Ordering::Release);
        Ok(())
    }
}
