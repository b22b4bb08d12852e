//! Events by their fingerprints, in a table whose size follows their number closely.

use super::batch::Fingerprint;

/// An event: 16 bytes, and 4 more for its tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    /// What the tag leaves of the fingerprint.
    rest: [u32; 2],
    /// The line of its first entry in the upper 40 bits, the number of its entries in the lower 24.
    place: u64,
}

impl Slot {
    const ENTRIES_BITS: u32 = 24;
    /// The greatest number that can be counted stands for all beyond it.
    const ENTRIES_MAX: u64 = (1 << Self::ENTRIES_BITS) - 1;
    const LINE_MAX: u64 = u64::MAX >> Self::ENTRIES_BITS;

    /// How many entries it has.
    pub(crate) fn entries(&self) -> u64 {
        self.place & Self::ENTRIES_MAX
    }

    /// The line of the first one, from 1; without any, the line of the list that names it.
    pub(crate) fn line(&self) -> u64 {
        self.place >> Self::ENTRIES_BITS
    }

    /// Counts an entry.
    pub(crate) fn enter(&mut self, line: u64) {
        match self.entries() {
            0 => self.set(line, 1),
            entries => self.set(self.line(), entries + 1),
        }
    }

    fn set(&mut self, line: u64, entries: u64) {
        self.place = line.min(Self::LINE_MAX) << Self::ENTRIES_BITS | entries.min(Self::ENTRIES_MAX);
    }
}

/// How many parts a table has. They double one at a time and each at another moment, so that the whole is always about as
/// full as the mean of one that was just doubled and one that is about to be: an event takes some 34 bytes.
const PARTS: usize = 64;
const PART_SLOTS_MIN: usize = 64;

/// How full a part may be.
const FULL: (usize, usize) = (17, 20);

/// A table of events.
#[derive(Debug)]
pub(crate) struct Table {
    parts: Vec<Part>,
}

impl Table {
    pub(crate) fn new() -> Self {
        // Even in the logarithm of its size would be best; along a straight line is close to it.
        let size = |number| PART_SLOTS_MIN + PART_SLOTS_MIN * number / PARTS;
        Self { parts: (0..PARTS).map(|number| Part::new(size(number))).collect() }
    }

    /// The slot of an event, which is made for this line where there is none yet. The second value tells whether it was.
    pub(crate) fn slot(&mut self, fingerprint: Fingerprint, line: u64) -> (&mut Slot, bool) {
        let part = &mut self.parts[fingerprint[2] as usize % PARTS];
        let mut place = part.place_of(fingerprint);
        let is_new = part.tags[place] == FREE;
        if is_new {
            if part.is_full() {
                part.grow();
                place = part.place_of(fingerprint);
            }
            part.used += 1;
            part.tags[place] = fingerprint[0];
            part.slots[place].rest = [fingerprint[1], fingerprint[2]];
            part.slots[place].set(line, 0);
        }
        (&mut part.slots[place], is_new)
    }

    /// Has the memory of these events fetched, all at once, so that looking for one after the other waits for none.
    pub(crate) fn fetch(&self, fingerprints: impl Iterator<Item = Fingerprint>) {
        let glances = fingerprints.map(|fingerprint| {
            let part = &self.parts[fingerprint[2] as usize % PARTS];
            part.tags[part.home_of(fingerprint[0])]
        });
        std::hint::black_box(glances.fold(0, std::ops::BitXor::bitxor));
    }

    /// All events, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Slot)> {
        self.parts.iter().flat_map(Part::iter).map(|(tag, slot)| ([tag, slot.rest[0], slot.rest[1]], slot))
    }
}

/// The tag of a free slot. That of an event is the first part of its fingerprint.
const FREE: u32 = 0;

/// Open addressing with linear probing. The tags lie close together, so that the next ones cost little to look at.
#[derive(Debug)]
struct Part {
    tags: Vec<u32>,
    slots: Vec<Slot>,
    used: usize,
}

impl Part {
    fn new(size: usize) -> Self {
        Self { tags: vec![FREE; size], slots: vec![Slot::default(); size], used: 0 }
    }

    /// Where an event is, or would be. Some slot is always free.
    fn place_of(&self, fingerprint: Fingerprint) -> usize {
        let [tag, rest @ ..] = fingerprint;
        self.probe(tag, |place| self.tags[place] == tag && self.slots[place].rest == rest)
    }

    /// Where a tag is looked for first: as a fraction of the size.
    fn home_of(&self, tag: u32) -> usize {
        ((u64::from(tag) * self.tags.len() as u64) >> u32::BITS) as usize
    }

    /// The first place for a tag that is free or wanted.
    fn probe(&self, tag: u32, is_wanted: impl Fn(usize) -> bool) -> usize {
        let mut place = self.home_of(tag);
        while self.tags[place] != FREE && !is_wanted(place) {
            place += 1;
            if place == self.tags.len() {
                place = 0;
            }
        }
        place
    }

    fn is_full(&self) -> bool {
        (self.used + 1) * FULL.1 > self.tags.len() * FULL.0
    }

    fn grow(&mut self) {
        let mut larger = Self { used: self.used, ..Self::new(2 * self.tags.len()) };
        for (tag, slot) in self.iter() {
            let place = larger.probe(tag, |_| false);
            larger.tags[place] = tag;
            larger.slots[place] = *slot;
        }
        *self = larger;
    }

    fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.tags.iter().copied().zip(&self.slots).filter(|(tag, _)| *tag != FREE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_counts_as_a_map_does_and_stays_small() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut table, mut naive) = (Table::new(), BTreeMap::<Fingerprint, (u64, u64)>::new());
        for line in 1..=200_000 {
            // Some come again; some differ in a single bit; some crowd the end of a part.
            let number = random.u32(..100_000);
            let fingerprint = match number % 3 {
                0 => [number.wrapping_mul(0x9e37_79b9).max(1), number, number],
                1 if number < 9_000 => [number.max(1), 0, 0],
                _ if number % 100 < 2 => [u32::MAX, u32::MAX - number, 7],
                _ => [number.wrapping_mul(0x85eb_ca6b).max(1), number, 7],
            };
            let (slot, is_new) = table.slot(fingerprint, line);
            assert_eq!(is_new, !naive.contains_key(&fingerprint));
            slot.enter(line);
            naive.entry(fingerprint).or_insert((line, 0)).1 += 1;
        }
        let counted: BTreeMap<_, _> =
            table.iter().map(|(fingerprint, slot)| (fingerprint, (slot.line(), slot.entries()))).collect();
        assert_eq!(counted, naive);
    }

    #[test]
    fn an_event_takes_a_few_tens_of_bytes() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut table = Table::new();
        for number in 1..=300_000_u64 {
            table.slot([random.u32(1..), random.u32(..), random.u32(..)], number);
            if number > 10_000 && number.is_multiple_of(1000) {
                let size = |part: &Part| size_of_val(&*part.slots) + size_of_val(&*part.tags);
                let bytes = table.parts.iter().map(size).sum::<usize>() as u64;
                assert!(bytes <= number * 37, "{bytes} bytes for {number} events");
            }
        }
    }

    #[test]
    fn numbers_end_where_they_cannot_be_counted_further() {
        let mut slot = Slot::default();
        slot.set(u64::MAX, u64::MAX);
        assert_eq!((slot.line(), slot.entries()), (Slot::LINE_MAX, Slot::ENTRIES_MAX));
        slot.enter(1);
        assert_eq!((slot.line(), slot.entries()), (Slot::LINE_MAX, Slot::ENTRIES_MAX));
    }
}
