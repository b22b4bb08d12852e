//! Values by the fingerprints of what they belong to, in one piece of memory.
//!
//! Open addressing with linear probing, and no table of controls beside it: a value is mostly found with one look into
//! memory that is far away, where a `HashMap` takes two.

use crate::states::fingerprint::Fingerprint;

/// A map from fingerprints.
#[derive(Debug)]
pub(super) struct Table<V> {
    places: Vec<Place<V>>,
    used: usize,
}

/// A fingerprint and its value; the fingerprint is zero where there is none.
type Place<V> = (Fingerprint, V);

const PLACES_MIN: usize = 64;

impl<V: Copy + Default> Table<V> {
    /// How many there are in it.
    pub(super) fn count(&self) -> usize {
        self.used
    }

    /// The value of a fingerprint.
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<V> {
        let (known, value) = self.places[self.find(fingerprint)];
        (known == fingerprint).then_some(value)
    }

    /// Adds a fingerprint with its value, unless it is there already, and says whether it was added.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, value: V) -> bool {
        self.make_room(1);
        self.insert_within(fingerprint, value)
    }

    /// Grows before three fifths are full.
    pub(super) fn make_room(&mut self, more: usize) {
        let needed = (self.used + more) * 5 / 3 + 1;
        if needed <= self.places.len() {
            return;
        }
        let length = needed.max(self.places.len() / 2 * 3);
        let places = std::mem::replace(&mut self.places, vec![Place::default(); length]);
        self.used = 0;
        for (fingerprint, value) in places.into_iter().filter(|(fingerprint, _)| !fingerprint.is_nothing()) {
            self.insert_within(fingerprint, value);
        }
    }

    /// Fetches the memory where a fingerprint is looked for first, which is worth it where many are looked for in a row.
    /// What is returned has no other use than to be kept from being optimized away.
    pub(super) fn touch(&self, fingerprint: Fingerprint) -> bool {
        self.places[self.first(fingerprint)].0.is_nothing()
    }

    fn insert_within(&mut self, fingerprint: Fingerprint, value: V) -> bool {
        let at = self.find(fingerprint);
        let new = self.places[at].0.is_nothing();
        if new {
            self.places[at] = (fingerprint, value);
            self.used += 1;
        }
        new
    }

    /// The place of a fingerprint, or the empty one that it would take.
    fn find(&self, fingerprint: Fingerprint) -> usize {
        let mut at = self.first(fingerprint);
        loop {
            let known = self.places[at].0;
            if known == fingerprint || known.is_nothing() {
                return at;
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }

    fn first(&self, fingerprint: Fingerprint) -> usize {
        fingerprint.place_among(self.places.len())
    }
}

impl<V: Copy + Default> Default for Table<V> {
    fn default() -> Self {
        Self { places: vec![Place::default(); PLACES_MIN], used: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_table_holds_what_a_map_holds_that_keeps_the_first() {
        let mut table = Table::default();
        let mut map = HashMap::new();
        // Each comes twice, the second time with another value.
        let numbers = (0..5000_u32).chain(0..5000).zip(0_u32..);
        for (number, value) in numbers {
            let is_new = table.insert(Fingerprint::of(&number.to_le_bytes()), value);
            assert_eq!(is_new, !map.contains_key(&number), "{number}");
            map.entry(number).or_insert(value);
        }
        assert_eq!(table.count(), map.len());
        for number in 0..10_000_u32 {
            assert_eq!(table.get(Fingerprint::of(&number.to_le_bytes())), map.get(&number).copied(), "{number}");
        }
    }
}
