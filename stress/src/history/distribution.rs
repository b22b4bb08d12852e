//! Distributions of spans of time, as reports have them.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longer spans are counted as this: an hour, in nanoseconds.
const SPAN_NS_MAX: u64 = 3_600_000_000_000;

/// A distribution, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) count: u64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, max, count: _ } = self;
        write!(formatter, "p50 {p50:.0} µs, p90 {p90:.0}, p99 {p99:.0}, max {max:.0}")
    }
}

/// A histogram of nanoseconds, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, SPAN_NS_MAX, 3).expect("valid bounds")
}

/// Its percentiles; nothing where it is empty.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Option<Percentiles> {
    let at = |quantile| float(histogram.value_at_quantile(quantile)) / 1000.0;
    (!histogram.is_empty()).then(|| Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: float(histogram.max()) / 1000.0,
        count: histogram.len(),
    })
}

/// What it holds, as a report keeps it: spans, and how many took so long.
pub(crate) fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
}

/// One histogram of all that several reports kept.
pub(crate) fn joined<'a>(recorded: impl IntoIterator<Item = &'a Vec<(u64, u64)>>) -> Histogram<u64> {
    let mut all = histogram();
    for (span, count) in recorded.into_iter().flatten() {
        all.saturating_record_n((*span).max(1), *count);
    }
    all
}

/// One count as a part of another; 0 of none.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// A count, for rates and for people.
#[expect(clippy::cast_precision_loss, reason = "for people and rates, 52 bits are enough")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
