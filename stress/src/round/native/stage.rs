//! Where the processes of a round and their worker meet, and what each knows of the others there.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use models::verdict::Verdict;
use models::zoo;

use super::heir::Heir;
use crate::plan::Plan;
use crate::process::clock;
use crate::process::meeting::{Meeting, sleep_while, wake};

/// How long an instance waits for a verdict, beyond the window, and for the others. A machine that shares its processors may
/// be without one of them for ten seconds, and with it all who wait for what that one was at: that is nobody's failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the processes of a round and their worker meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    /// Reached by the worker alone, when all processes are there: the start.
    pub(crate) start: Meeting,
    /// Reached by the worker alone: the round is to end.
    pub(crate) ending: Meeting,
    /// Reached by the worker alone: what happens to the primary is to happen now. For rounds with faults.
    pub(crate) strike: Meeting,
    /// When the start was, in nanoseconds on the monotonic clock.
    pub(crate) released_ns: &'static AtomicU64,
    /// Whether a primary has started a program before it died.
    pub(crate) has_heir: &'static AtomicU32,
    /// That program.
    pub(crate) heir: Heir,
    /// Which of the plan's faults have found whom they happen to, a bit each.
    pub(crate) claimed: &'static AtomicU32,
    /// What each instance is, as a [`Status`] and its term.
    pub(crate) statuses: &'static [AtomicU32],
    /// How often one of these has changed.
    pub(crate) changed: &'static AtomicU32,
}

impl Stage {
    /// Microseconds since the start.
    pub(crate) fn elapsed_us(self) -> u64 {
        clock::now_ns().saturating_sub(self.released_ns.load(Ordering::Acquire)) / 1000
    }

    /// What an instance is.
    pub(crate) fn status(self, instance: usize) -> Status {
        Status::of(self.statuses[instance].load(Ordering::Acquire))
    }

    /// Says what an instance is, and wakes its worker where that is news.
    pub(crate) fn say(self, instance: usize, status: Status, term: Option<u64>) {
        let word = status.word(term);
        if self.statuses[instance].swap(word, Ordering::AcqRel) != word {
            self.changed.fetch_add(1, Ordering::AcqRel);
            wake(self.changed);
        }
    }

    /// Sleeps until what an instance is has changed since that count, or for so long.
    pub(crate) fn wait_for_change(self, since: u32, limit: Duration) {
        sleep_while(self.changed, since, limit);
    }
}

/// What an instance is, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Its process may not run yet.
    Absent = 0,
    Undecided = 1,
    Secondary = 2,
    Primary = 3,
    /// Secondary for good: it will not look again.
    Resigned = 4,
    Over = 5,
    /// Its process runs, and its time has not come.
    Coming = 6,
}

impl Status {
    /// How many bits it takes. Above them stands the term of the verdict, where there is one.
    const BITS: u32 = 3;

    /// The status in such a word.
    pub(crate) fn of(word: u32) -> Self {
        let number = word & ((1 << Self::BITS) - 1);
        [Self::Absent, Self::Undecided, Self::Secondary, Self::Primary, Self::Resigned, Self::Coming]
            .into_iter()
            .find(|status| *status as u32 == number)
            .unwrap_or(Self::Over)
    }

    /// The word that says this of an instance.
    pub(crate) fn word(self, term: Option<u64>) -> u32 {
        let term = term.and_then(|term| u32::try_from(term).ok()).unwrap_or(0);
        self as u32 | term << Self::BITS
    }
}

/// How long an instance may take for anything, beside the windows of a plan, in time in which it could have gone on. A
/// protocol that is known to hang now and then is not waited for so long.
pub(crate) fn patience(plan: &Plan, windows: u32) -> Duration {
    let is_broken = zoo::find(&plan.protocol).is_some_and(|protocol| protocol.expected() == Verdict::Violated);
    let patience = if is_broken { PATIENCE / 30 } else { PATIENCE };
    // To take turns takes time.
    let turns = if plan.order.is_empty() { Duration::ZERO } else { PATIENCE };
    windows * plan.window() + patience + turns
}
