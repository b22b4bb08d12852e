//! The operating system's kernel with a role word that notes when its instance became primary.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use single_primary::call::{Call, Reply, Time};
use single_primary::kernel::{Kernel, Word};
use single_primary::{InstanceId, Os, StdMutex};

use crate::crew::now;

/// An instance's kernel.
#[derive(Debug)]
pub(crate) struct Timed(pub(crate) Os);

/// The word that tells threads whether an instance is primary.
pub(crate) struct TimedWord(AtomicU64);

/// When an instance of this process last became primary, in nanoseconds on the monotonic clock.
static PRIMARY_SINCE: AtomicU64 = AtomicU64::new(0);

/// When the one instance of this process became primary: the first moment at which any thread of it could find that out.
pub(crate) fn primary_since() -> Duration {
    Duration::from_nanos(PRIMARY_SINCE.load(Ordering::Acquire))
}

impl Word for TimedWord {
    fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    fn load(&self) -> u64 {
        Word::load(&self.0)
    }

    fn store(&self, value: u64) {
        if self.0.swap(value, Ordering::AcqRel) == 0 && value != 0 {
            let now = u64::try_from(now().as_nanos()).expect("this machine was started less than 500 years ago");
            PRIMARY_SINCE.store(now, Ordering::Release);
        }
    }
}

impl Kernel for Timed {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = TimedWord;

    fn perform(&self, call: &Call) -> Reply {
        self.0.perform(call)
    }

    fn now(&self) -> Time {
        self.0.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.0.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.0.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.0.end_waits();
    }

    fn is_original(&self) -> bool {
        self.0.is_original()
    }

    fn is_original_process(&self) -> bool {
        self.0.is_original_process()
    }
}
