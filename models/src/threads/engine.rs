//! What a checker of threads offers: the only place that tells loom from shuttle.

use std::fmt::Debug;

use single_primary::kernel::Mutex;

/// A checker's threads and what they may share.
pub(crate) trait Engine: Debug + Send + Sync + Sized + 'static {
    /// Its mutex with a condition variable.
    type Monitor<T: Send + 'static>: Monitor<T>;
    /// Its atomic integer.
    type Atomic: Atomic;
    /// A thread that was started.
    type Thread;

    /// Starts a thread.
    fn spawn(run: impl FnOnce() + Send + 'static) -> Self::Thread;
    /// Waits for its end.
    fn join(thread: Self::Thread);
    /// Lets others run.
    fn yield_now();
    /// Takes one of so many ways; always the first where the checker has no choice to offer.
    fn choose(ways: u32) -> u32;
}

/// A mutex with a condition variable.
pub(crate) trait Monitor<T>: Mutex<T> {
    /// Waits for notifications while the value is as described.
    fn wait_while(&self, waiting: impl FnMut(&mut T) -> bool);
    /// Wakes those who wait.
    fn notify_all(&self);
}

/// What is rung to end a wait: counts how often it was.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: u64,
}

impl Bell {
    /// Rings: every thread that waits for it looks again.
    pub(crate) fn ring<M: Monitor<Self>>(monitor: &M) {
        monitor.with(|bell| bell.rings += 1);
        monitor.notify_all();
    }

    /// How often it was rung.
    pub(crate) fn rings(&self) -> u64 {
        self.rings
    }
}

/// An atomic integer with release and acquire ordering.
pub(crate) trait Atomic: Send + Sync {
    fn new(value: u64) -> Self;
    fn load(&self) -> u64;
    fn store(&self, value: u64);
}

macro_rules! engine_types {
    ($checker:ident) => {
        /// The checker's mutex with its condition variable.
        pub(crate) struct CheckedMonitor<T> {
            value: $checker::sync::Mutex<T>,
            changed: $checker::sync::Condvar,
        }

        impl<T: Send> single_primary::kernel::Mutex<T> for CheckedMonitor<T> {
            fn new(value: T) -> Self {
                Self { value: $checker::sync::Mutex::new(value), changed: $checker::sync::Condvar::new() }
            }

            fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R {
                run(&mut self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
            }
        }

        impl<T: Send> $crate::threads::engine::Monitor<T> for CheckedMonitor<T> {
            fn wait_while(&self, mut waiting: impl FnMut(&mut T) -> bool) {
                let mut value = self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                while waiting(&mut value) {
                    value = self.changed.wait(value).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }

            fn notify_all(&self) {
                self.changed.notify_all();
            }
        }

        impl $crate::threads::engine::Atomic for $checker::sync::atomic::AtomicU64 {
            fn new(value: u64) -> Self {
                Self::new(value)
            }

            fn load(&self) -> u64 {
                self.load(std::sync::atomic::Ordering::Acquire)
            }

            fn store(&self, value: u64) {
                self.store(value, std::sync::atomic::Ordering::Release);
            }
        }
    };
}

pub(crate) use engine_types;
