//! A set of event IDs that can be part of a machine's state.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use hashbrown::HashTable;

/// An event's ID with its hash, which is computed once in however many sets it is looked for.
#[derive(Clone, Debug)]
pub(crate) struct EventId {
    hash: u64,
    text: Arc<str>,
}

impl EventId {
    pub(crate) fn new(text: Arc<str>) -> Self {
        Self { hash: hash(&text), text }
    }

    fn is(&self, hash: u64, text: &str) -> bool {
        self.hash == hash && *self.text == *text
    }
}

/// One key for all sets of this process: whoever chooses the IDs cannot know it, and so cannot choose them to collide.
fn hash(text: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(text)
}

/// Event IDs, in no order. Two sets with the same IDs are equal and hash alike, however they came to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventIds(HashTable<EventId>);

impl EventIds {
    pub(crate) fn has(&self, text: &str) -> bool {
        // An empty set is asked often.
        !self.0.is_empty() && {
            let hash = hash(text);
            self.0.find(hash, |one| one.is(hash, text)).is_some()
        }
    }

    pub(crate) fn contains(&self, id: &EventId) -> bool {
        self.0.find(id.hash, |one| one.is(id.hash, &id.text)).is_some()
    }

    /// Whether it is new here.
    pub(crate) fn insert(&mut self, id: EventId) -> bool {
        let entry = self.0.entry(id.hash, |one| one.is(id.hash, &id.text), |one| one.hash);
        let is_new = matches!(entry, hashbrown::hash_table::Entry::Vacant(_));
        entry.or_insert(id);
        is_new
    }

    pub(crate) fn remove(&mut self, id: &EventId) {
        if let Ok(found) = self.0.find_entry(id.hash, |one| one.is(id.hash, &id.text)) {
            found.remove();
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&EventId) -> bool) {
        self.0.retain(|id| keep(id));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl PartialEq for EventIds {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().all(|id| other.contains(id))
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
                set.insert(EventId::new((*id).into()));
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
