//! A set of event IDs that can be part of a machine's state.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// An event's ID with its hash, which is computed once in however many sets it is looked for.
#[derive(Clone, Debug)]
pub(crate) struct EventId<T = Arc<str>> {
    hash: u64,
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
#[derive(Clone, Debug, Default)]
pub(crate) struct EventIds(HashTable<EventId>);

impl EventIds {
    pub(crate) fn contains(&self, id: &EventId<&str>) -> bool {
        self.0.find(id.hash, |one| one.is(id)).is_some()
    }

    /// Takes it in, unless it is here.
    pub(crate) fn insert(&mut self, id: EventId<&str>) {
        if let Entry::Vacant(place) = self.0.entry(id.hash, |one| one.is(&id), |one| one.hash) {
            place.insert(id.keep());
        }
    }

    /// Takes in what is known not to be here.
    pub(crate) fn insert_new(&mut self, id: EventId) {
        debug_assert!(!self.contains(&id.as_ref()), "{id:?} is here");
        self.0.insert_unique(id.hash, id, |one| one.hash);
    }

    pub(crate) fn remove(&mut self, id: &EventId<&str>) {
        if let Ok(found) = self.0.find_entry(id.hash, |one| one.is(id)) {
            found.remove();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for EventIds {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().all(|id| other.contains(&id.as_ref()))
    }
}

impl Eq for EventIds {}

impl Hash for EventIds {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A sum knows no order, unlike the set's iteration. It is the same in every process, unlike the IDs' own hashes.
        let sum = self.0.iter().fold(0_u64, |sum, id| {
            let mut one = DefaultHasher::new();
            id.text.hash(&mut one);
            sum.wrapping_add(one.finish())
        });
        (self.0.len(), sum).hash(state);
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
                set.insert(EventId::of(id));
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
            for right in &sets[index + 1..] {
                assert_ne!(hash(left), hash(right), "{left:?} {right:?}");
                assert_ne!(set(left), set(right));
            }
        }
    }
}
