//! How soon a survivor is to be primary after the primary has died: within a multiple of what the kernel takes to wake up
//! a bare blocked lock, measured in the same run.
//!
//! Distributions are compared, not single spans: that half of the failovers are done within so many times the median of the
//! floor. A machine under load slows both down, and a survivor that is stopped or delayed by another fault is one of few.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// How many times the floor's median the median of failovers may be, for each instance that takes part: the more of them
/// there are, the more seldom each looks for the primary's lock, and they have an election to hold once it is free.
pub(crate) const FACTOR_EACH: f64 = 8.0;

/// Of fewer failovers or wake-ups a median says nothing.
pub(crate) const COUNT_MIN: u64 = 20;

/// Failovers beside their floor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bound {
    /// The median of the wake-ups, in microseconds.
    pub(crate) floor_p50_us: Option<f64>,
    pub(crate) floor_count: u64,
    pub(crate) factor: f64,
    /// What the median of failovers is to stay below, in microseconds.
    pub(crate) limit_us: Option<f64>,
    /// The median from a primary's death to the next primary, in microseconds.
    pub(crate) found_p50_us: Option<f64>,
    pub(crate) found_count: u64,
    /// Whether it stays below; nothing where there were too few to tell.
    pub(crate) is_kept: Option<bool>,
}

impl Bound {
    /// Compares the distributions, of nanoseconds.
    pub(crate) fn new(floor_ns: &Histogram<u64>, found_ns: &Histogram<u64>, factor: f64) -> Self {
        let floor_p50_us = median_us(floor_ns);
        let found_p50_us = median_us(found_ns);
        let limit_us = floor_p50_us.map(|floor| floor * factor);
        let are_enough = floor_ns.len() >= COUNT_MIN && found_ns.len() >= COUNT_MIN;
        let is_kept = limit_us.zip(found_p50_us).filter(|_| are_enough).map(|(bound, found)| found <= bound);
        Self {
            floor_p50_us,
            floor_count: floor_ns.len(),
            factor,
            limit_us,
            found_p50_us,
            found_count: found_ns.len(),
            is_kept,
        }
    }

    /// Whether the median of failovers is beyond the bound.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_kept == Some(false)
    }

    /// Whether there was anything to compare.
    pub(crate) fn is_empty(&self) -> bool {
        self.floor_count == 0 && self.found_count == 0
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { floor_p50_us, floor_count, factor, limit_us, found_p50_us, found_count, is_kept } = self;
        let shown = |span: &Option<f64>| span.map_or("unknown".to_owned(), |span| format!("{span:.0} µs"));
        let (found, floor, bound) = (shown(found_p50_us), shown(floor_p50_us), shown(limit_us));
        let verdict = match is_kept {
            Some(true) => "within",
            Some(false) => "BEYOND",
            None => {
                return write!(
                    formatter,
                    "too few to judge: {found_count} failovers and {floor_count} bare wake-ups; {COUNT_MIN} of each are needed"
                );
            }
        };
        write!(
            formatter,
            "p50 {found} of {found_count}, {verdict} {bound}: {factor} times the p50 {floor} of {floor_count} bare wake-ups"
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people, 52 bits are enough")]
fn median_us(histogram: &Histogram<u64>) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(0.5) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_failovers_are_to_be_within_the_bound() {
        let histogram = |spans: &[(u64, u64)]| {
            let mut histogram = crate::history::distribution::histogram();
            for (span_us, count) in spans {
                histogram.record_n(span_us * 1000, *count).expect("it grows");
            }
            histogram
        };
        let check = |floor: &[(u64, u64)], found: &[(u64, u64)], expected| {
            let bound = Bound::new(&histogram(floor), &histogram(found), 100.0);
            assert_eq!(bound.is_kept, expected, "{bound}");
            assert_eq!(bound.is_broken(), expected == Some(false));
        };
        check(&[], &[], None);
        check(&[(90, 19)], &[(500, 100)], None);
        check(&[(90, 100)], &[(500, 19)], None);
        check(&[(90, 100)], &[(500, 100)], Some(true));
        check(&[(90, 100)], &[(10_000, 100)], Some(false));
        check(&[(90, 100)], &[(500, 60), (10_000_000, 40)], Some(true));
        check(&[(90, 60), (100_000, 40)], &[(10_000, 60), (500, 40)], Some(false));
    }
}
