//! The entries of realtime.log, counted by event.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What became of the events of a round, or of many rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// How many events reached an instance.
    pub(crate) delivered: u64,
    /// How many of them have one entry.
    pub(crate) once: u64,
    /// How many have none.
    pub(crate) never: u64,
    /// How many have several.
    pub(crate) many: u64,
    /// How many have none, and need none: every instance that received them died.
    pub(crate) excused: u64,
    /// How many have so many.
    pub(crate) by_number: BTreeMap<u64, u64>,
}

/// What an event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It reached nobody.
    NotDelivered,
    /// It reached nobody who had to see to its entry, for this reason.
    NeedsNone(&'static str),
    /// It must have one.
    NeedsOne,
}

impl Entries {
    /// Counts the events in the log, by the number in their IDs. A line without its end is no entry.
    pub(crate) fn count(log: &[u8], events: usize, fate: impl Fn(u32) -> Fate) -> Self {
        let mut number = vec![0_u64; events];
        for line in log.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            if let Some(count) = event_of(line).and_then(|event| number.get_mut(event)) {
                *count += 1;
            }
        }
        let mut entries = Self::default();
        for (event, number) in (0..).zip(number) {
            let fate = if number == 0 { fate(event) } else { Fate::NeedsOne };
            if fate == Fate::NotDelivered {
                continue;
            }
            entries.delivered += 1;
            match number {
                0 if matches!(fate, Fate::NeedsNone(_)) => entries.excused += 1,
                0 => entries.never += 1,
                1 => entries.once += 1,
                _ => entries.many += 1,
            }
            *entries.by_number.entry(number).or_default() += 1;
        }
        entries
    }

    /// Adds those of another round.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { delivered, once, never, many, excused, by_number } = other;
        self.delivered += delivered;
        self.once += once;
        self.never += never;
        self.many += many;
        self.excused += excused;
        for (number, count) in by_number {
            *self.by_number.entry(*number).or_default() += count;
        }
    }
}

/// The event that a line is the entry of: `{"event":"event-N",…`.
fn event_of(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"{\"event\":\"event-")?;
    let digits = rest.split(|&byte| byte == b'"').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_their_whole_lines() {
        let log = b"{\"event\":\"event-0\",\"term\":1}\nnoise\n{\"event\":\"event-10\"}\n{\"event\":\"event-0\"}\n{\"event\":\"event-1\"";
        let entries = Entries::count(log, 3, |event| if event < 2 { Fate::NeedsOne } else { Fate::NotDelivered });
        assert_eq!((entries.delivered, entries.once, entries.never, entries.many), (2, 0, 1, 1));
        assert_eq!(entries.by_number, [(0, 1), (2, 1)].into());
        let entries = Entries::count(log, 3, |_| Fate::NeedsNone("all died"));
        assert_eq!((entries.delivered, entries.never, entries.excused, entries.many), (3, 0, 2, 1));
    }
}
