//! What carries the machine out: system calls, and what threads share.
//!
//! [`Election`](crate::Election) is written against these traits. The operating system is one implementation; a simulated
//! kernel whose mutexes belong to a model checker is another, so that the checker sees everything that threads share.

use std::sync::Arc;

use crate::call::{Call, Reply, Time};
use crate::id::InstanceId;

/// A kernel, as one instance sees it: the open files behind the handles are its own.
pub trait Kernel: Send + Sync + Sized + 'static {
    /// A mutex with a condition variable.
    type Monitor<T: Send + 'static>: Monitor<T>;
    /// A word that one thread writes and others read.
    type Word: Word;

    /// Carries out one system call. None of them waits.
    fn perform(&self, call: &Call) -> Reply;

    /// The clock.
    fn now(&self) -> Time;

    /// Gives the processor up between two looks at something that changes soon: for microseconds at the first attempt, for
    /// longer at each further one, never beyond `until`.
    fn pause(&self, attempt: u32, until: Option<Time>);

    /// Has the bell rung once the seat is free, from whatever thread, as soon as the kernel can tell. It may ring early.
    ///
    /// A kernel that finds the seat free on a thread of its own may go on with the election there, by `take_over`, before it
    /// rings: whoever waits for the bell need not be awake for this instance to be primary.
    ///
    /// # Errors
    /// Where the seat cannot be watched, by the reply that says why.
    fn watch(
        &self,
        seat: &InstanceId,
        bell: &Arc<Self::Monitor<Bell>>,
        take_over: impl FnOnce() + Send + 'static,
    ) -> Result<(), Reply>;

    /// Whether this is still the process that joined, and no forked copy of it. Costs a memory read.
    fn is_original(&self) -> bool;

    /// The same, also of copies made without fork(3)'s handlers, such as by a bare clone(2). Costs a system call.
    fn is_original_process(&self) -> bool {
        self.is_original()
    }
}

/// What is rung to end a wait: counts how often it was.
#[derive(Debug, Default)]
pub struct Bell {
    rings: u64,
}

impl Bell {
    /// Rings: every thread that waits for it looks again.
    pub fn ring<M: Monitor<Self>>(monitor: &M) {
        monitor.with(|bell| bell.rings += 1);
        monitor.notify_all();
    }

    /// How often it was rung.
    #[must_use]
    pub fn rings(&self) -> u64 {
        self.rings
    }
}

/// A mutex with a condition variable.
pub trait Monitor<T>: Send + Sync {
    /// Holds the value.
    fn new(value: T) -> Self;
    /// Runs alone with the value.
    fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R;
    /// Waits for notifications while the value is as described.
    fn wait_while(&self, waiting: impl FnMut(&mut T) -> bool);
    /// Wakes those who wait.
    fn notify_all(&self);
}

/// A word that one thread writes and others read, with release and acquire ordering.
pub trait Word: Send + Sync {
    /// Holds the value.
    fn new(value: u64) -> Self;
    /// Reads it.
    fn load(&self) -> u64;
    /// Writes it.
    fn store(&self, value: u64);
}
