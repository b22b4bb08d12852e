//! What the numbers of entries mean, after the failures in which such numbers were seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::batch::Batch;

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
    pub(crate) fn of(histogram: &BTreeMap<u64, u64>, expect: u64) -> Self {
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

/// What the counts mean, after the failures in which such counts were seen.
pub(crate) fn reading(
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

/// So many of them, in words.
pub(crate) fn entries(number: u64) -> String {
    match number {
        0 => "no entry".into(),
        1 => "1 entry".into(),
        number => format!("{number} entries"),
    }
}
