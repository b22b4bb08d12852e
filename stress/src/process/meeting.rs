//! Where the processes of a round and their worker wait for one another, in shared memory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::clock;

/// A count that rises to a target, at which all who wait for it go on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meeting(&'static AtomicU32);

impl Meeting {
    /// Takes the word as the count.
    pub(crate) fn new(word: &'static AtomicU32) -> Self {
        Self(word)
    }

    /// Starts anew, while nobody waits.
    pub(crate) fn clear(self) {
        self.0.store(0, Ordering::Release);
    }

    /// Counts one more, and wakes all where that reaches the target.
    pub(crate) fn arrive(self, target: usize) {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        if before as usize + 1 >= target {
            wake(self.0);
        }
    }

    /// Whether just so many have arrived.
    pub(crate) fn is_at(self, count: u32) -> bool {
        self.0.load(Ordering::Acquire) == count
    }

    /// Waits until the target is reached; `false` where that took longer than the limit.
    pub(crate) fn wait(self, target: usize, limit: Duration) -> bool {
        let mut deadline_ns = None;
        loop {
            let count = self.0.load(Ordering::Acquire);
            if count as usize >= target {
                return true;
            }
            let now_ns = clock::now_ns();
            let deadline_ns = *deadline_ns.get_or_insert_with(|| clock::after_ns(now_ns, limit));
            if now_ns >= deadline_ns {
                return false;
            }
            sleep_while(self.0, count, Duration::from_nanos(deadline_ns - now_ns));
        }
    }
}

/// Sleeps while the word has the value, no longer than the limit; may end early.
#[cfg(target_os = "linux")]
pub(crate) fn sleep_while(word: &AtomicU32, value: u32, limit: Duration) {
    use rustix::thread::futex;
    let limit = futex::Timespec::try_from(limit).ok();
    // Every way in which this ends is a reason to look again.
    let _ = futex::wait(word, futex::Flags::empty(), value, limit.as_ref());
}

/// Wakes all who sleep while the word has a value.
#[cfg(target_os = "linux")]
pub(crate) fn wake(word: &AtomicU32) {
    use rustix::thread::futex;
    // It fails for a word that is not mapped, which a reference is.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

/// Elsewhere the count is looked at again and again.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sleep_while(_word: &AtomicU32, _value: u32, limit: Duration) {
    std::thread::sleep(limit.min(Duration::from_micros(100)));
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn wake(_word: &AtomicU32) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_go_on_once_all_have_come() {
        let word: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        let meeting = Meeting::new(word);
        assert!(!meeting.wait(3, Duration::from_millis(1)));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    meeting.arrive(3);
                    assert!(meeting.wait(3, Duration::from_mins(1)));
                });
            }
        });

        meeting.clear();
        assert!(!meeting.wait(1, Duration::ZERO));
    }
}
