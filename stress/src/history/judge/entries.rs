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
pub(super) enum Fate {
    /// It reached nobody.
    NotDelivered,
    /// It reached nobody who had to see to its entry.
    NeedsNone,
    /// It must have one.
    NeedsOne,
}

impl Entries {
    /// Counts an event that has so many entries.
    pub(super) fn count(&mut self, number: u64, fate: Fate) {
        if number == 0 && fate == Fate::NotDelivered {
            return;
        }
        self.delivered += 1;
        *match (number, fate) {
            (0, Fate::NeedsNone) => &mut self.excused,
            (0, _) => &mut self.never,
            (1, _) => &mut self.once,
            _ => &mut self.many,
        } += 1;
        *self.by_number.entry(number).or_default() += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_what_they_are_due() {
        let mut entries = Entries::default();
        for (number, fate) in [
            (0, Fate::NotDelivered),
            (0, Fate::NeedsNone),
            (0, Fate::NeedsOne),
            (1, Fate::NeedsNone),
            (2, Fate::NotDelivered),
        ] {
            entries.count(number, fate);
        }
        assert_eq!((entries.delivered, entries.once, entries.never, entries.many, entries.excused), (4, 1, 1, 1, 1));
        assert_eq!(entries.by_number, [(0, 2), (1, 1), (2, 1)].into());
    }
}
