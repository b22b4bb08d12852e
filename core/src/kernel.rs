//! What carries the machine out: system calls, and what threads share.
//!
//! [`Election`](crate::Election) is written against these traits. The operating system is one implementation; a simulated
//! kernel whose mutexes belong to a model checker is another, so that the checker sees everything that threads share.

use crate::call::{Call, Reply, Time};
use crate::id::InstanceId;

/// A kernel, as one instance sees it: the open files behind the handles are its own.
pub trait Kernel: Send + Sync + Sized + 'static {
    /// A mutex.
    type Mutex<T: Send + 'static>: Mutex<T>;
    /// A word that one thread writes and others read.
    type Word: Word;

    /// Carries out one system call. None of them waits.
    fn perform(&self, call: &Call) -> Reply;

    /// The clock.
    fn now(&self) -> Time;

    /// Gives the processor up between two looks at something that changes soon: for microseconds at the first attempt, for
    /// longer at each further one, never beyond `until`.
    fn pause(&self, attempt: u32, until: Option<Time>);

    /// Has `look` look at the primary's seat until it says that there is nothing more to wait for: at once, and again whenever
    /// the seat may be free. Blocks meanwhile. Looking too often does no harm.
    ///
    /// `look` goes on with the election, too, here on the thread that waits: whoever takes over need not wait for another to
    /// wake up.
    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool);

    /// Has everyone who waits look again, and nobody block any more: the instance takes no part from here on. What was kept
    /// for waiting is let go of.
    fn end_waits(&self);

    /// Whether this is still the process that joined, and no forked copy of it. Costs a memory read.
    fn is_original(&self) -> bool;

    /// The same, also of copies made without fork(3)'s handlers, such as by a bare clone(2). Costs a system call.
    fn is_original_process(&self) -> bool {
        self.is_original()
    }
}

/// A mutex.
pub trait Mutex<T>: Send + Sync {
    /// Holds the value.
    fn new(value: T) -> Self;
    /// Runs alone with the value.
    fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R;
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
