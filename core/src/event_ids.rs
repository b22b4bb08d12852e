//! Event IDs, and sets of them that can be part of a machine's state.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use hashbrown::HashTable;

/// An event's ID with its hash, which is computed once in however many sets it is looked for.
#[derive(Clone, Debug)]
pub(crate) struct EventId<T = Arc<str>> {
    pub(crate) hash: u64,
    text: T,
}

impl<'text> EventId<&'text str> {
    pub(crate) fn of(text: &'text str) -> Self {
        // One key for all sets of this process: whoever chooses the IDs cannot know it, and so cannot choose them to collide.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self { hash: KEY.hash_one(text), text }
    }

    pub(crate) fn text(&self) -> &'text str {
        self.text
    }

    pub(crate) fn keep(self) -> EventId {
        EventId { hash: self.hash, text: self.text.into() }
    }
}

impl EventId {
    pub(crate) fn as_ref(&self) -> EventId<&str> {
        EventId { hash: self.hash, text: &self.text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is(&self, other: &EventId<&str>) -> bool {
        self.hash == other.hash && *self.text == *other.text
    }
}

/// Event IDs, in no order. Two sets with the same IDs are equal and hash alike, however they came to be.
///
/// There are as many as there are entries in a log, so that each takes little more than its text, and all are let go at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventIds {
    places: HashTable<Place>,
    /// All IDs, one behind the other, each after four bytes that tell its length.
    text: Vec<u8>,
}

/// Where in the text an ID begins, with its hash.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u64,
    start: usize,
}

impl Place {
    fn text(self, text: &[u8]) -> &[u8] {
        let (length, rest) = text[self.start..].split_first_chunk().expect("an ID stands after its length");
        &rest[..u32::from_le_bytes(*length) as usize]
    }

    fn is(self, id: &EventId<&str>, text: &[u8]) -> bool {
        self.hash == id.hash && self.text(text) == id.text.as_bytes()
    }
}

impl EventIds {
    pub(crate) fn contains(&self, id: &EventId<&str>) -> bool {
        self.places.find(id.hash, |place| place.is(id, &self.text)).is_some()
    }

    /// Takes it in, unless it is here.
    pub(crate) fn insert(&mut self, id: &EventId<&str>) {
        if !self.contains(id) {
            self.insert_new(id);
        }
    }

    /// Takes in what is known not to be here.
    pub(crate) fn insert_new(&mut self, id: &EventId<&str>) {
        debug_assert!(!self.contains(id), "{id:?} is here");
        let place = Place { hash: id.hash, start: self.text.len() };
        let length = u32::try_from(id.text.len()).expect("an ID stands in a chunk of a log, or is shorter");
        self.text.extend_from_slice(&length.to_le_bytes());
        self.text.extend_from_slice(id.text.as_bytes());
        self.places.insert_unique(id.hash, place, |one| one.hash);
    }

    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.text.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| place.text(&self.text))
    }
}

impl PartialEq for EventIds {
    fn eq(&self, other: &Self) -> bool {
        let is_there = |one: &Place| {
            let text = one.text(&self.text);
            other.places.find(one.hash, |place| place.text(&other.text) == text).is_some()
        };
        self.len() == other.len() && self.places.iter().all(is_there)
    }
}

impl Eq for EventIds {}

impl Hash for EventIds {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A sum knows no order, unlike the set's iteration. It is the same in every process, unlike the IDs' own hashes.
        let sum = self.texts().fold(0_u64, |sum, text| {
            let mut one = DefaultHasher::new();
            text.hash(&mut one);
            sum.wrapping_add(one.finish())
        });
        (self.len(), sum).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_hash_alike_and_different_ones_do_not() {
        let set = |ids: &[&str]| {
            let mut set = EventIds::default();
            for id in ids {
                set.insert(&EventId::of(id));
            }
            set
        };
        let hash = |ids: &[&str]| {
            let mut state = DefaultHasher::new();
            set(ids).hash(&mut state);
            state.finish()
        };
        assert_eq!(hash(&["a", "b", "c"]), hash(&["c", "a", "b", "a"]));
        assert_eq!(set(&["a", "b", "c"]), set(&["c", "a", "b", "a"]));
        let sets: [&[&str]; 5] = [&[], &["a"], &["b"], &["a", "b"], &["ab"]];
        for (index, left) in sets.iter().enumerate() {
            for id in ["a", "b", "ab", ""] {
                assert_eq!(set(left).contains(&EventId::of(id)), left.contains(&id), "{id} in {left:?}");
            }
            for right in &sets[index + 1..] {
                assert_ne!(hash(left), hash(right), "{left:?} {right:?}");
                assert_ne!(set(left), set(right));
            }
        }
    }
}
