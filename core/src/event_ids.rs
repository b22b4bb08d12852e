//! A set of event IDs that can be part of a machine's state.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;

/// Event IDs, in no order. Two sets with the same IDs are equal and hash alike, however they came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventIds(HashSet<Arc<str>, RandomState>);

impl EventIds {
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// Whether it is new here.
    pub(crate) fn insert(&mut self, id: Arc<str>) -> bool {
        self.0.insert(id)
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|id| keep(id));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Hash for EventIds {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A sum knows no order, unlike the set's iteration.
        let sum = self.0.iter().fold(0_u64, |sum, id| {
            let mut one = DefaultHasher::new();
            id.hash(&mut one);
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
        let hash = |ids: &[&str]| {
            let mut set = EventIds::default();
            for id in ids {
                set.insert((*id).into());
            }
            let mut state = DefaultHasher::new();
            set.hash(&mut state);
            state.finish()
        };
        assert_eq!(hash(&["a", "b", "c"]), hash(&["c", "a", "b", "a"]));
        let sets: [&[&str]; 5] = [&[], &["a"], &["b"], &["a", "b"], &["ab"]];
        for (index, left) in sets.iter().enumerate() {
            for right in &sets[index + 1..] {
                assert_ne!(hash(left), hash(right), "{left:?} {right:?}");
            }
        }
    }
}
