//! What an audit found, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::batch::Batch;
use super::tally::{Counts, Offender};

/// The judgement of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Every event has as many entries as expected.
    Holds,
    /// Some event has not.
    Violated,
    /// Nothing was counted, or not everything could be.
    Inconclusive,
}

/// What lines there were beside entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct PassedOver {
    pub(crate) blank: u64,
    pub(crate) without_event: u64,
    pub(crate) malformed: u64,
    pub(crate) given_up: u64,
}

impl PassedOver {
    pub(crate) fn add(&mut self, batch: &Batch) {
        self.blank += batch.blank;
        self.without_event += batch.without_event;
        self.malformed += batch.malformed;
        self.given_up += batch.given_up;
    }
}

/// How many events have how many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Events {
    /// Different events in the log.
    pub(crate) distinct: u64,
    /// Those with as many entries as expected.
    pub(crate) as_expected: u64,
    /// Those with more.
    pub(crate) more: u64,
    /// Those with fewer, but some.
    pub(crate) fewer: u64,
    /// Those that must be there and have none; none is known where no list was given.
    pub(crate) missing: Option<u64>,
    /// Those that are there but not in the list.
    pub(crate) unlisted: Option<u64>,
}

/// What the counts point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pattern {
    /// As expected, every time.
    Expected,
    /// Always the same number, which is not the expected one.
    Constant,
    /// Now this, now that.
    Varying,
    /// One event alone shows no pattern.
    Single,
    /// There is nothing to be read from.
    Empty,
}

impl Pattern {
    /// The pattern of the numbers of entries. An event without any tells of delivery, and would hide that of the others.
    fn of(histogram: &BTreeMap<u64, u64>, expect: u64) -> Self {
        let mut written = histogram.iter().filter(|(entries, _)| **entries > 0);
        match (written.next(), written.next()) {
            (None, _) => Self::Empty,
            (Some((&entries, _)), None) if entries == expect => Self::Expected,
            (Some((_, 1)), None) => Self::Single,
            (Some(_), None) => Self::Constant,
            (Some(_), Some(_)) => Self::Varying,
        }
    }
}

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
    pub(crate) seconds: f64,
    pub(crate) lines_per_second: f64,
    /// Lines per second that `serde_json` alone parses to the same field, where that was measured.
    pub(crate) floor_lines_per_second: Option<f64>,
}

impl Report {
    pub(crate) fn new(log: String, expect: u64, counts: Counts, passed_over: PassedOver, torn_tail: bool) -> Self {
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
            fewer_offenders: fewer,
            missing,
            seconds: 0.0,
            lines_per_second: 0.0,
            floor_lines_per_second: None,
        }
    }
}

/// What the counts mean, after the failures in which such counts were seen.
fn reading(
    pattern: Pattern,
    expect: u64,
    histogram: &BTreeMap<u64, u64>,
    events: Events,
    passed_over: PassedOver,
) -> String {
    let mut text = String::new();
    let least = histogram.keys().find(|entries| **entries > 0).copied().unwrap_or(0);
    let most = histogram.keys().next_back().copied().unwrap_or(0);
    match pattern {
        Pattern::Empty if events.missing.is_some_and(|missing| missing > 0) => text.push_str("No event has an entry."),
        Pattern::Empty if passed_over.malformed + passed_over.without_event > 0 => {
            text.push_str("No line names an event: check the key or the pattern.");
        }
        Pattern::Empty => text.push_str("There is no entry, so nothing was judged."),
        Pattern::Expected => {
            let _ = write!(text, "Every event that was seen has {}.", entries(expect));
        }
        Pattern::Single => {
            let _ = write!(text, "The one event has {}; one alone shows no pattern.", entries(least));
        }
        Pattern::Constant => {
            let _ = write!(
                text,
                "Every event that was seen has {}, never more or fewer. A number that is always the same does not come from a race. ",
                entries(least)
            );
            if least > expect {
                let _ = write!(
                    text,
                    "It points at identity ({least} instances share one ID, so that each finds itself elected) or at \
                     failing open (missing or unreadable state, or an error, is taken for being primary)."
                );
            } else {
                text.push_str("Some of those who are expected to write never do.");
            }
        }
        Pattern::Varying => {
            let _ = write!(text, "The number of entries varies, from {least} to {most}. ");
            if events.more > 0 {
                text.push_str(
                    "That points at a race: the election lets several be primary when their steps fall together, or \
                     when one stalls for longer than it waits. An ID that all share, or failing open, would give the \
                     same number every time.",
                );
            } else {
                text.push_str("None has more than expected: nobody writes twice, but entries get lost.");
            }
        }
    }
    match events.missing {
        None if pattern != Pattern::Empty => {
            text.push_str(
                " Events without any entry cannot be seen without a list of those that must be there (--events).",
            );
        }
        Some(missing) if missing > 0 => {
            let _ = write!(
                text,
                " {missing} of the listed events have no entry: they were delivered while nobody was elected yet, or \
                 to instances that give way to a primary which does not receive them. An election must cover exactly \
                 the instances that receive the same events."
            );
        }
        _ => {}
    }
    if passed_over.given_up > 0 {
        let _ = write!(
            text,
            " In {} very long lines the search for an event was given up, so that entries may be uncounted.",
            passed_over.given_up
        );
    }
    text
}

fn entries(number: u64) -> String {
    match number {
        0 => "no entry".into(),
        1 => "1 entry".into(),
        number => format!("{number} entries"),
    }
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
            seconds: _,
            lines_per_second: _,
            floor_lines_per_second: _,
        } = self;
        writeln!(
            formatter,
            "{log}: {lines} lines, {entry_count} entries of {distinct} events, expected of each: {expect}"
        )?;
        writeln!(
            formatter,
            "passed over: {without_event} without an event, {malformed} not JSON, {blank} blank, {given_up} too long to search"
        )?;
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
        let verdict = match verdict {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::Inconclusive => "inconclusive",
        };
        writeln!(formatter, "\nReading: {reading}\nVerdict: {verdict}")
    }
}

/// A line whose length shows a share of the longest; what is there at all is shown.
fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 40;
    let length = (u128::from(part) * u128::from(WIDTH)).div_ceil(u128::from(whole.max(1)));
    "#".repeat(usize::try_from(length).unwrap_or(0))
}

/// What the numbers of entries of many events point at, where one entry is expected of each and some that have none are
/// excused.
pub(crate) fn reading_of(histogram: &BTreeMap<u64, u64>, excused: u64) -> String {
    let mut histogram = histogram.clone();
    if let Some(zero) = histogram.get_mut(&0) {
        *zero -= excused.min(*zero);
    }
    histogram.retain(|_, events| *events > 0);
    let number_of = |wanted: &dyn Fn(u64) -> bool| -> u64 {
        histogram.iter().filter(|(entries, _)| wanted(**entries)).map(|(_, events)| events).sum()
    };
    let events = Events {
        distinct: number_of(&|entries| entries > 0),
        as_expected: number_of(&|entries| entries == 1),
        more: number_of(&|entries| entries > 1),
        fewer: 0,
        missing: Some(number_of(&|entries| entries == 0)),
        unlisted: Some(0),
    };
    reading(Pattern::of(&histogram, 1), 1, &histogram, events, PassedOver::default())
}
