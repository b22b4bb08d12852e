//! What an audit found, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;

use models::verdict::Verdict;

use super::floor::Taken;
use super::reading::{Events, PassedOver, Pattern, entries, reading};
use super::tally::{Counts, Offender};

/// An audit's result.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) log: String,
    pub(crate) expect: u64,
    pub(crate) lines: u64,
    pub(crate) entries: u64,
    pub(crate) passed_over: PassedOver,
    /// Whether the last line has no newline.
    pub(crate) torn_tail: bool,
    pub(crate) events: Events,
    /// Number of entries to number of events.
    pub(crate) histogram: BTreeMap<u64, u64>,
    pub(crate) pattern: Pattern,
    pub(crate) reading: String,
    pub(crate) first_offenders: Vec<Offender>,
    pub(crate) worst_offenders: Vec<Offender>,
    pub(crate) fewer_offenders: Vec<Offender>,
    /// Their lines are those of the list.
    pub(crate) missing: Vec<Offender>,
    /// Whether the log was read to its end.
    pub(crate) interrupted: bool,
    #[serde(flatten)]
    pub(crate) speed: Speed,
}

/// How fast it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Speed {
    pub(crate) seconds: f64,
    /// By the clock of the processor.
    pub(crate) processor_seconds: f64,
    pub(crate) lines_per_second: f64,
    /// Lines per second that `serde_json` alone reads and parses to the same field, where that was measured.
    pub(crate) floor_lines_per_second: Option<f64>,
    /// What that took by the clock of the processor.
    pub(crate) floor_processor_seconds: Option<f64>,
}

impl Speed {
    /// What an audit took, and what its floor took of that.
    pub(crate) fn new(all: Taken, floor: Option<Taken>) -> Self {
        let part = floor.unwrap_or_default();
        let seconds = all.time.saturating_sub(part.time).as_secs_f64();
        Self {
            seconds,
            processor_seconds: all.processor.saturating_sub(part.processor).as_secs_f64(),
            lines_per_second: rate(all.lines, seconds),
            floor_lines_per_second: floor.map(|floor| rate(floor.lines, floor.time.as_secs_f64())),
            floor_processor_seconds: floor.map(|floor| floor.processor.as_secs_f64()),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds: _, processor_seconds, lines_per_second, floor_lines_per_second, floor_processor_seconds } =
            self;
        let (Some(floor), Some(floor_processor)) = (floor_lines_per_second, floor_processor_seconds) else {
            return Ok(());
        };
        writeln!(
            formatter,
            "Rate: {lines_per_second:.0} lines/s; serde_json alone: {floor:.0} lines/s; ratio {:.2}",
            lines_per_second / floor
        )?;
        writeln!(
            formatter,
            "Processor time: {processor_seconds:.3} s; serde_json alone: {floor_processor:.3} s; ratio {:.2}",
            floor_processor / processor_seconds.max(f64::EPSILON)
        )
    }
}

/// Lines per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is rounded")]
fn rate(lines: u64, seconds: f64) -> f64 {
    lines as f64 / seconds.max(f64::EPSILON)
}

impl Report {
    /// Judges what was counted. Of a log that was not read to its end, more entries than expected say what they always
    /// say, and too few say nothing.
    pub(crate) fn new(log: String, expect: u64, counts: Counts, read: Read) -> Self {
        let Read { passed_over, torn_tail, interrupted } = read;
        let Counts { lines, entries, listed, events: distinct, histogram, first, worst, fewer, missing } = counts;
        let number_of = |wanted: &dyn Fn(u64) -> bool| -> u64 {
            histogram.iter().filter(|(entries, _)| wanted(**entries)).map(|(_, events)| events).sum()
        };
        let has_list = listed > 0;
        let zero = histogram.get(&0).copied().unwrap_or(0);
        let events = Events {
            distinct,
            as_expected: number_of(&|entries| entries == expect && entries > 0),
            more: number_of(&|entries| entries > expect),
            fewer: number_of(&|entries| 0 < entries && entries < expect),
            missing: has_list.then_some(zero),
            unlisted: has_list.then_some(distinct - (listed - zero)),
        };
        let pattern = Pattern::of(&histogram, expect);
        let verdict = match pattern {
            _ if interrupted => {
                if events.more > 0 {
                    Verdict::Violated
                } else {
                    Verdict::Inconclusive
                }
            }
            _ if zero > 0 => Verdict::Violated,
            Pattern::Empty => Verdict::Inconclusive,
            Pattern::Expected if passed_over.given_up > 0 => Verdict::Inconclusive,
            Pattern::Expected => Verdict::Holds,
            Pattern::Constant | Pattern::Varying | Pattern::Single => Verdict::Violated,
        };
        Self {
            verdict,
            log,
            expect,
            lines,
            entries,
            passed_over,
            torn_tail,
            reading: reading(pattern, expect, &histogram, events, passed_over),
            events,
            histogram,
            pattern,
            first_offenders: first,
            worst_offenders: worst,
            fewer_offenders: if interrupted { Vec::new() } else { fewer },
            missing: if interrupted { Vec::new() } else { missing },
            interrupted,
            speed: Speed::default(),
        }
    }
}

/// What there was beside entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) passed_over: PassedOver,
    pub(crate) torn_tail: bool,
    pub(crate) interrupted: bool,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            log,
            expect,
            lines,
            entries: entry_count,
            passed_over: PassedOver { blank, without_event, malformed, given_up },
            torn_tail,
            events: Events { distinct, as_expected, more, fewer, missing: missing_count, unlisted },
            histogram,
            pattern: _,
            reading,
            first_offenders,
            worst_offenders,
            fewer_offenders,
            missing,
            interrupted,
            speed,
        } = self;
        writeln!(
            formatter,
            "{log}: {lines} lines, {entry_count} entries of {distinct} events, expected of each: {expect}"
        )?;
        writeln!(
            formatter,
            "passed over: {without_event} without an event, {malformed} not JSON, {blank} blank, {given_up} too long to search"
        )?;
        if *interrupted {
            writeln!(formatter, "interrupted: what follows is about the lines before that")?;
        }
        if *torn_tail {
            writeln!(formatter, "the last line has no newline: it is torn, or still being written")?;
        }
        writeln!(formatter, "\n{:>12}  {:>12}", "entries", "events")?;
        let most = histogram.values().copied().max().unwrap_or(0);
        for (entries, events) in histogram {
            writeln!(formatter, "{entries:>12}  {events:>12}  {}", bar(*events, most))?;
        }
        write!(formatter, "\nas expected {as_expected}, more {more}, fewer {fewer}")?;
        match (missing_count, unlisted) {
            (Some(missing), Some(unlisted)) => writeln!(formatter, ", missing {missing}, not in the list {unlisted}")?,
            _ => writeln!(formatter, ", missing unknown")?,
        }
        for (title, offenders, place) in [
            ("First with too many entries", first_offenders, "lines"),
            ("Worst", worst_offenders, "lines"),
            ("Too few entries", fewer_offenders, "first on line"),
            ("Missing", missing, "on line of the list"),
        ] {
            if offenders.is_empty() || (title == "Worst" && worst_offenders == first_offenders) {
                continue;
            }
            writeln!(formatter, "\n{title}:")?;
            for Offender { event, entries: number, lines, .. } in offenders {
                let lines: Vec<_> = lines.iter().map(u64::to_string).collect();
                let event = event.as_deref().unwrap_or("(not seen again)");
                writeln!(formatter, "  {event}: {}, {place} {}", entries(*number), lines.join(", "))?;
            }
        }
        writeln!(formatter, "\nReading: {reading}\nVerdict: {verdict}")?;
        write!(formatter, "{speed}")
    }
}

/// A line whose length shows a share of the longest; what is there at all is shown.
fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 40;
    let length = (u128::from(part) * u128::from(WIDTH)).div_ceil(u128::from(whole.max(1)));
    "#".repeat(usize::try_from(length).unwrap_or(0))
}
