//! Who has ever registered, as a set that costs next to nothing where IDs come in their order.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::id::{self, InstanceId, ValidId};

/// IDs in their order, each either standing or gone. Two rosters are equal and hash alike where they hold the same, in
/// whatever order it came.
///
/// IDs that sort by birth come at the end, and who comes and goes is most often the last one: neither has anything
/// searched or moved. An ID that comes out of order moves eight bytes for each that sorts behind it.
#[derive(Clone, Default)]
pub(crate) struct Roster {
    /// All IDs in the order of their arrival, one behind the other, each after a byte that tells its length.
    text: Vec<u8>,
    /// In the order of their IDs.
    entries: Vec<Entry>,
    /// How many entries are gone before the first that stands.
    gone_first: usize,
}

/// Where in the text an ID begins, shifted by one bit, which tells whether it is gone.
#[derive(Clone, Copy)]
struct Entry(usize);

impl Entry {
    fn is_gone(self) -> bool {
        self.0 & 1 == 1
    }
}

impl Roster {
    fn id(&self, entry: Entry) -> &[u8] {
        let (length, id) = self.text[entry.0 >> 1..].split_first().expect("an ID stands after its length");
        &id[..usize::from(*length)]
    }

    fn find(&self, id: &[u8]) -> Result<usize, usize> {
        let Some((&last, before)) = self.entries.split_last() else { return Err(0) };
        match self.id(last).cmp(id) {
            Ordering::Less => Err(self.entries.len()),
            Ordering::Equal => Ok(before.len()),
            Ordering::Greater => before.binary_search_by(|&entry| self.id(entry).cmp(id)),
        }
    }

    /// Adds an ID, standing, unless it was ever added; whether it was not.
    pub(crate) fn add(&mut self, id: ValidId<'_>) -> bool {
        let id = id.as_bytes();
        let Err(place) = self.find(id) else { return false };
        let length = u8::try_from(id.len()).expect("an ID has at most 64 bytes");
        let entry = Entry(self.text.len() << 1);
        self.text.push(length);
        self.text.extend_from_slice(id);
        self.gone_first = self.gone_first.min(place);
        if place == self.entries.len() {
            self.entries.push(entry);
        } else {
            self.entries.insert(place, entry);
        }
        true
    }

    /// Lets an ID that stands be gone, for ever.
    pub(crate) fn remove(&mut self, id: ValidId<'_>) {
        let Ok(place) = self.find(id.as_bytes()) else { return };
        if self.entries[place].is_gone() {
            return;
        }
        self.entries[place].0 |= 1;
        if place == self.gone_first {
            let next = self.entries[place..].iter().position(|entry| !entry.is_gone());
            self.gone_first = next.map_or(self.entries.len(), |next| place + next);
        }
    }

    pub(crate) fn first(&self) -> Option<InstanceId> {
        self.entries.get(self.gone_first).map(|&entry| self.instance(entry))
    }

    /// Those that stand, in order.
    pub(crate) fn standing(&self) -> impl Iterator<Item = InstanceId> {
        self.entries[self.gone_first..].iter().filter(|entry| !entry.is_gone()).map(|&entry| self.instance(entry))
    }

    pub(crate) fn has_met(&self, id: ValidId<'_>) -> bool {
        self.find(id.as_bytes()).is_ok()
    }

    pub(crate) fn is_standing(&self, id: ValidId<'_>) -> bool {
        self.find(id.as_bytes()).is_ok_and(|place| !self.entries[place].is_gone())
    }

    /// How many were ever added.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn instance(&self, entry: Entry) -> InstanceId {
        let (id, _) = id::split(self.id(entry)).expect("what was added was an ID");
        id.into()
    }

    fn all(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.entries.iter().map(|&entry| (self.id(entry), entry.is_gone()))
    }
}

impl PartialEq for Roster {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.all().eq(other.all())
    }
}

impl Eq for Roster {}

impl Hash for Roster {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len());
        for one in self.all() {
            one.hash(state);
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |&entry: &Entry| (self.instance(entry), if entry.is_gone() { "gone" } else { "stands" });
        formatter.debug_map().entries(self.entries.iter().map(named)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn hash(roster: &Roster) -> u64 {
        let mut state = DefaultHasher::new();
        roster.hash(&mut state);
        state.finish()
    }

    fn valid(id: &str) -> ValidId<'_> {
        id::split(id.as_bytes()).expect("a valid ID").0
    }

    fn matches(roster: &Roster, map: &BTreeMap<String, bool>) -> Result<(), TestCaseError> {
        let standing: Vec<&str> = map.iter().filter(|(_, stands)| **stands).map(|(id, _)| id.as_str()).collect();
        prop_assert_eq!(roster.standing().map(|id| id.to_string()).collect::<Vec<_>>(), &standing[..]);
        prop_assert_eq!(roster.first().map(|id| id.to_string()), standing.first().map(ToString::to_string));
        prop_assert_eq!(roster.len(), map.len());
        Ok(())
    }

    proptest! {
        #[test]
        fn is_a_map_from_ids_to_whether_they_stand(steps in prop::collection::vec((any::<bool>(), "[a-c]{1,3}"), 0..60)) {
            let (mut roster, mut map) = (Roster::default(), BTreeMap::new());
            for (adds, id) in &steps {
                if *adds {
                    prop_assert_eq!(roster.add(valid(id)), !map.contains_key(id));
                    map.entry(id.clone()).or_insert(true);
                } else {
                    roster.remove(valid(id));
                    map.entry(id.clone()).and_modify(|stands| *stands = false);
                }
                matches(&roster, &map)?;
                for (_, id) in &steps {
                    prop_assert_eq!(roster.has_met(valid(id)), map.contains_key(id));
                    prop_assert_eq!(roster.is_standing(valid(id)), map.get(id) == Some(&true));
                }
            }

            // However it came to be.
            let mut sorted = Roster::default();
            for id in map.keys() {
                assert!(sorted.add(valid(id)));
            }
            let is_same = map.values().all(|stands| *stands);
            prop_assert_eq!(sorted == roster, is_same);
            for (id, _) in map.iter().filter(|(_, stands)| !**stands) {
                sorted.remove(valid(id));
            }
            prop_assert_eq!(&sorted, &roster);
            prop_assert_eq!(hash(&sorted), hash(&roster));
        }
    }
}
