//! A log in stretches: where the number of entries of an event stays the same over many events, and where it changes.
//!
//! A number that changes by chance from event to event makes short runs of equal numbers. A run counts as a stretch if so
//! long a one would come by chance in fewer than one of a hundred such logs: of `n` events, a share `f` of which has the
//! number, some `n (1 - f) f^l` runs of `l` are to be expected.

use std::collections::HashMap;
use std::ops::Range;

/// How rarely a run is as long by chance, if it counts as a stretch.
const CHANCE: f64 = 0.01;

/// How few events between two stretches are exceptions, and no stretch of their own.
const EXCEPTIONS_MAX: usize = 4;

/// How many events have a divisor that is no chance.
const EVENTS_WITH_DIVISOR_MIN: usize = 10;

/// How many times what lies between stretches is looked at on its own.
const DEPTH_MAX: u32 = 8;

/// Some events in a row, by their first entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Stretch {
    /// The line of the first event's first entry.
    pub(crate) first_line: u64,
    /// The line of the last event's first entry.
    pub(crate) last_line: u64,
    pub(crate) events: u64,
    /// How many entries most of these events have.
    pub(crate) entries: u64,
    pub(crate) least: u64,
    pub(crate) most: u64,
    /// How many events have another number.
    pub(crate) exceptions: u64,
}

impl Stretch {
    /// Whether the number of entries changes within it, and not only where it ends.
    pub(crate) fn is_varying(&self) -> bool {
        self.exceptions > EXCEPTIONS_MAX as u64 || self.exceptions * 10 > self.events
    }
}

/// What a log's course looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Course {
    pub(crate) stretches: Vec<Stretch>,
    /// How many events at the beginning and at the end have fewer entries than those beside them, and may be cut off.
    pub(crate) cut_off: (usize, usize),
}

impl Course {
    /// That of events, by the lines of their first entries, with their numbers of entries.
    pub(crate) fn of(events: &[(u64, u32)]) -> Self {
        let (odd_begin, odd_end) = odd_edges(events);
        let begin = cut_off(events.iter().map(|(_, entries)| *entries)).max(odd_begin);
        let end = cut_off(events[begin..].iter().rev().map(|(_, entries)| *entries)).max(odd_end);
        let whole = &events[begin..events.len() - end];
        let mut parts = Vec::new();
        split(whole, 0..whole.len(), 0, &mut parts);
        let stretches = joined(whole, parts).into_iter().map(|part| stretch(&whole[part])).collect();
        Self { stretches, cut_off: (begin, end) }
    }
}

/// How many events at the edge of a log have fewer entries than the two behind them, which agree: as many as can be
/// written at once.
fn cut_off(mut entries: impl Iterator<Item = u32>) -> usize {
    let mut fewest_behind = 0;
    let mut last = None;
    for (place, number) in entries.by_ref().take(64).enumerate() {
        if last == Some(number) {
            let cut = place - 1;
            return if fewest_behind < number && cut <= number as usize { cut } else { 0 };
        }
        fewest_behind = fewest_behind.max(last.unwrap_or(0));
        last = Some(number);
    }
    0
}

/// Whether the first and the last event have numbers that are no multiples of what all others are multiples of.
fn odd_edges(events: &[(u64, u32)]) -> (usize, usize) {
    let [(_, first), inner @ .., (_, last)] = events else { return (0, 0) };
    if inner.len() < EVENTS_WITH_DIVISOR_MIN {
        return (0, 0);
    }
    let divisor = inner.iter().fold(0, |divisor, (_, entries)| greatest_common_divisor(divisor, (*entries).into()));
    let is_odd = |entries: &u32| usize::from(u64::from(*entries) % divisor.max(1) != 0);
    (is_odd(first), is_odd(last))
}

/// The greatest number that divides both.
pub(crate) fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

/// Splits a part of the events at the runs that chance does not make.
fn split(events: &[(u64, u32)], part: Range<usize>, depth: u32, parts: &mut Vec<Range<usize>>) {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for (_, entries) in &events[part.clone()] {
        *counts.entry(*entries).or_default() += 1;
    }
    if depth == DEPTH_MAX || counts.len() < 2 {
        if !part.is_empty() {
            parts.push(part);
        }
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 events")]
    let float = |count: usize| count as f64;
    let is_long = |run: &[(u64, u32)]| {
        let share = float(counts[&run[0].1]) / float(part.len());
        let expected = (float(part.len()) * (1.0 - share)).ln() + float(run.len()) * share.ln();
        run.len() > 1 && expected < CHANCE.ln()
    };
    let (mut begin, mut rest) = (part.start, part.start);
    let mut found = false;
    for run in events[part.clone()].chunk_by(|(_, one), (_, other)| one == other) {
        let end = begin + run.len();
        if is_long(run) {
            split(events, rest..begin, depth + 1, parts);
            parts.push(begin..end);
            (rest, found) = (end, true);
        }
        begin = end;
    }
    if found {
        split(events, rest..part.end, depth + 1, parts);
    } else {
        parts.push(part);
    }
}

/// The parts, with those that are mere exceptions joined to the stretch before them, or behind them at the beginning, and
/// with stretches of the same number joined.
fn joined(events: &[(u64, u32)], parts: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut joined: Vec<(Option<u32>, Range<usize>)> = Vec::new();
    for part in parts {
        let number = constant(&events[part.clone()]);
        let is_small = part.len() <= EXCEPTIONS_MAX;
        match joined.last_mut() {
            Some((last, before)) if is_small || (number.is_some() && *last == number) => before.end = part.end,
            Some((last, before)) if before.len() <= EXCEPTIONS_MAX => {
                *last = number;
                before.end = part.end;
            }
            _ => joined.push((number, part)),
        }
    }
    joined.into_iter().map(|(_, part)| part).collect()
}

/// The number of entries that all of these events have, if it is one.
fn constant(events: &[(u64, u32)]) -> Option<u32> {
    let first = events.first()?.1;
    events.iter().all(|(_, entries)| *entries == first).then_some(first)
}

fn stretch(events: &[(u64, u32)]) -> Stretch {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for (_, entries) in events {
        *counts.entry(*entries).or_default() += 1;
    }
    let (entries, usual) = counts
        .iter()
        .max_by_key(|(entries, count)| (**count, **entries))
        .map_or((0, 0), |(entries, count)| (*entries, *count));
    Stretch {
        first_line: events.first().map_or(0, |(line, _)| *line),
        last_line: events.last().map_or(0, |(line, _)| *line),
        events: events.len() as u64,
        entries: entries.into(),
        least: counts.keys().min().copied().unwrap_or(0).into(),
        most: counts.keys().max().copied().unwrap_or(0).into(),
        exceptions: events.len() as u64 - usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events with these numbers of entries, each of which is written at once.
    fn log(entries: impl IntoIterator<Item = u32>) -> Vec<(u64, u32)> {
        let mut line = 1;
        entries
            .into_iter()
            .map(|entries| {
                let event = (line, entries);
                line += u64::from(entries);
                event
            })
            .collect()
    }

    fn repeated(parts: &[(usize, u32)]) -> Vec<u32> {
        parts.iter().flat_map(|(count, entries)| std::iter::repeat_n(*entries, *count)).collect()
    }

    fn check(entries: Vec<u32>, expected: &[(u64, u64, u64, u64)], cut_off: (usize, usize)) {
        let course = Course::of(&log(entries));
        let told = course
            .stretches
            .iter()
            .map(|stretch| (stretch.first_line, stretch.events, stretch.entries, stretch.exceptions));
        assert_eq!(told.collect::<Vec<_>>(), expected);
        assert_eq!(course.cut_off, cut_off);
    }

    #[test]
    fn stretches_are_told_from_chance() {
        check(
            repeated(&[(2795, 4), (882, 1), (307, 4), (545, 1)]),
            &[(1, 2795, 4, 0), (11_181, 882, 1, 0), (12_063, 307, 4, 0), (13_291, 545, 1, 0)],
            (0, 0),
        );
        // It begins and ends in the middle of an event.
        check(
            repeated(&[(1, 3), (90, 4), (70, 1), (60, 4), (1, 2)]),
            &[(4, 90, 4, 0), (364, 70, 1, 0), (434, 60, 4, 0)],
            (1, 1),
        );
        // An event during which the program was changed.
        check(repeated(&[(90, 4), (1, 3), (70, 1)]), &[(1, 91, 4, 1), (364, 70, 1, 0)], (0, 0));
        check(
            repeated(&[(5000, 1), (10, 2), (5000, 1)]),
            &[(1, 5000, 1, 0), (5001, 10, 2, 0), (5021, 5000, 1, 0)],
            (0, 0),
        );
        check(repeated(&[(50, 1)]), &[(1, 50, 1, 0)], (0, 0));
        check(Vec::new(), &[], (0, 0));
        let mut random = fastrand::Rng::with_seed(3);
        for share in [2, 3, 10, 100, 1000] {
            let entries: Vec<u32> = (0..20_000).map(|_| 1 + u32::from(random.u32(..share) == 0)).collect();
            let course = Course::of(&log(entries));
            assert_eq!(course.stretches.len(), 1, "one in {share}: {course:?}");
            assert!(course.stretches[0].exceptions > 0, "{course:?}");
        }
        // Constant, then by chance.
        let chance = (0..3000).map(|_| 1 + random.u32(..3));
        let course = Course::of(&log(repeated(&[(3000, 4)]).into_iter().chain(chance)));
        assert_eq!(course.stretches.len(), 2, "{course:?}");
        assert!(course.stretches[1].is_varying() && !course.stretches[0].is_varying(), "{course:?}");
    }
}
