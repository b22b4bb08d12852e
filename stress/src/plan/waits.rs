//! How much of a round's time goes by because its plan says so: the window, stops, stalls, and those who are to come late.

use super::fault::{Fault, When};
use super::{Moment, Plan};
use crate::history::judge::records;
use crate::round::native::instance::JOURNAL;

/// Spans of nanoseconds on the monotonic clock; they may overlap.
#[derive(Debug, Default)]
pub(crate) struct Waits(Vec<(u64, u64)>);

impl Waits {
    /// The spans that follow from the plan alone.
    pub(crate) fn planned(plan: &Plan, released_ns: u64) -> Self {
        let mut waits = Self::default();
        let mut until_us =
            |from_us: u64, until_us: u64| waits.add(released_ns + from_us * 1000, released_ns + until_us * 1000);
        if plan.faults.is_empty() {
            return waits;
        }
        for later_us in &plan.later_us {
            until_us(0, *later_us);
        }
        for moment in &plan.events {
            if let Moment::After(at_us) = moment {
                until_us(0, *at_us);
            }
        }
        for fault in &plan.faults {
            match fault {
                Fault::Kill { when: When::Released(at_us), .. }
                | Fault::Corrupt { when: When::Released(at_us), .. }
                | Fault::Restart { at_us, .. } => until_us(0, *at_us),
                Fault::Stop { when: When::Released(at_us), for_us, .. } => until_us(0, at_us + for_us),
                _ => {}
            }
        }
        // The other protocols wait for their windows one way or another.
        if plan.protocol != JOURNAL {
            until_us(0, plan.window_us);
        }
        waits
    }

    /// One more span.
    pub(crate) fn add(&mut self, from_ns: u64, until_ns: u64) {
        self.0.push((from_ns, until_ns));
    }

    /// The delay of an instance that began then.
    pub(crate) fn stalled(&mut self, plan: &Plan, index: usize, at_ns: u64) {
        for fault in &plan.faults {
            if let Fault::Stall { instance, for_us, .. } = fault
                && *instance == index
            {
                self.add(at_ns, at_ns + for_us * 1000);
            }
        }
    }

    /// The window, where the journal says that term 1 was open for so long.
    pub(crate) fn window(&mut self, plan: &Plan, released_ns: u64, journal: &[u8]) {
        let first = |kind: &str| records(journal).find(|record| record.kind == kind).map(|record| record.at_us);
        if let (Some(registered_us), Some(sealed_us)) = (first("register"), first("seal"))
            && sealed_us.saturating_sub(registered_us) >= plan.window_us
        {
            self.add(released_ns, released_ns + plan.window_us * 1000);
        }
    }

    /// How long they are together within these bounds, what they share counted once.
    pub(crate) fn total(mut self, from_ns: u64, until_ns: u64) -> u64 {
        self.0.sort_unstable();
        let mut counted_ns = from_ns;
        let mut total_ns = 0;
        for (from_ns, end_ns) in self.0 {
            let (from_ns, end_ns) = (from_ns.max(counted_ns), end_ns.min(until_ns));
            if from_ns < end_ns {
                total_ns += end_ns - from_ns;
                counted_ns = end_ns;
            }
        }
        total_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spans_share_is_counted_once_and_what_is_beyond_the_round_not_at_all() {
        let check = |spans: &[(u64, u64)], expected| {
            assert_eq!(Waits(spans.to_vec()).total(10, 100), expected, "{spans:?}");
        };
        check(&[], 0);
        check(&[(20, 30)], 10);
        check(&[(0, 20), (15, 25)], 15);
        check(&[(40, 50), (20, 30), (25, 28)], 20);
        check(&[(90, 200)], 10);
        check(&[(0, 5), (100, 200)], 0);
    }
}
