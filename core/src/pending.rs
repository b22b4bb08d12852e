//! The events that wait for their entry in realtime.log.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::entry;
use crate::event_ids::EventId;
use crate::id::InstanceId;

/// Up to so many are looked through one by one.
const UNINDEXED_MAX: usize = 8;

/// Events in the order of their arrival, each of them once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    events: VecDeque<PendingEvent>,
    /// The IDs of all of them; empty where none was needed since the last time that there were no events.
    index: Index,
}

/// An event that waits for its entry. It is kept as the line that it becomes if the election stays in the term in which it
/// came.
#[derive(Clone, Debug)]
pub(crate) struct PendingEvent {
    id: EventId,
    line: Arc<[u8]>,
    term: u64,
    payload_bytes: usize,
}

impl PendingEvent {
    pub(crate) fn new(id: EventId<&str>, payload: &str, term: u64, instance: &InstanceId) -> Self {
        let line = entry::encode(id.text(), payload.as_bytes(), term, instance);
        Self { id: id.keep(), line, term, payload_bytes: payload.len() }
    }

    /// The event's line in that term, its newline included.
    pub(crate) fn line(&self, term: u64, instance: &InstanceId) -> Arc<[u8]> {
        if self.term == term {
            self.line.clone()
        } else {
            entry::encode(self.id.text(), self.payload(), term, instance)
        }
    }

    fn payload(&self) -> &[u8] {
        entry::payload(&self.line, self.payload_bytes)
    }

    pub(crate) fn id(&self) -> &EventId {
        &self.id
    }
}

/// In whatever term an event came: its line is made for the term in which it is written.
impl PartialEq for PendingEvent {
    fn eq(&self, other: &Self) -> bool {
        self.id.text() == other.id.text() && self.payload() == other.payload()
    }
}

impl Eq for PendingEvent {}

impl Hash for PendingEvent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.text().hash(state);
        self.payload().hash(state);
    }
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn front(&self) -> Option<&PendingEvent> {
        self.events.front()
    }

    pub(crate) fn contains(&self, id: &EventId<&str>) -> bool {
        if self.index.is_empty() { self.events.iter().any(|event| event.id.is(id)) } else { self.index.contains(id) }
    }

    /// Puts an event that is not here behind all others.
    pub(crate) fn push(&mut self, event: PendingEvent) {
        if !self.index.is_empty() {
            self.index.insert_new(event.id.clone());
        } else if self.events.len() == UNINDEXED_MAX {
            for event in self.events.iter().chain([&event]) {
                self.index.insert_new(event.id.clone());
            }
        }
        self.events.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<PendingEvent> {
        let event = self.events.pop_front()?;
        if !self.index.is_empty() {
            self.index.remove(&event.id.as_ref());
        }
        Some(event)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&EventId) -> bool) {
        let Self { events, index } = self;
        events.retain(|event| {
            let is_kept = keep(event.id());
            if !is_kept && !index.is_empty() {
                index.remove(&event.id.as_ref());
            }
            is_kept
        });
    }
}

/// The IDs of events that wait.
#[derive(Clone, Debug, Default)]
struct Index(HashTable<EventId>);

impl Index {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn contains(&self, id: &EventId<&str>) -> bool {
        self.0.find(id.hash, |one| one.is(id)).is_some()
    }

    /// Takes in what is not here.
    fn insert_new(&mut self, id: EventId) {
        self.0.insert_unique(id.hash, id, |one| one.hash);
    }

    fn remove(&mut self, id: &EventId<&str>) {
        if let Ok(found) = self.0.find_entry(id.hash, |one| one.is(id)) {
            found.remove();
        }
    }
}

/// The index follows from the events.
impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.events == other.events
    }
}

impl Eq for Pending {}

impl Hash for Pending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.events.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(number: u8, term: u64) -> PendingEvent {
        let instance = InstanceId::new("i").expect("a valid ID");
        PendingEvent::new(EventId::of(&format!("e{number}")), &format!("[{number}]"), term, &instance)
    }

    #[test]
    fn a_line_is_that_of_the_term_it_is_written_in() {
        let (kept, instance) = (event(7, 1), InstanceId::new("i").expect("a valid ID"));
        for term in [1, 2, 10_000] {
            let line = format!("{{\"event\":\"e7\",\"term\":{term},\"primary\":\"i\",\"payload\":[7]}}\n");
            assert_eq!(*kept.line(term, &instance), *line.as_bytes());
        }
        assert_eq!(kept, event(7, 2));
        assert_ne!(kept, event(8, 1));
    }

    proptest! {
        #[test]
        fn is_a_list_in_which_each_event_is_once(steps in prop::collection::vec((0..8_u8, 0..24_u8), 0..200)) {
            let (mut pending, mut list) = (Pending::default(), Vec::new());
            for (step, number) in steps {
                match step {
                    0 => prop_assert_eq!(pending.pop(), (!list.is_empty()).then(|| event(list.remove(0), 1))),
                    1 => {
                        pending.retain(|id| !id.text().ends_with(&number.to_string()));
                        list.retain(|kept| !kept.to_string().ends_with(&number.to_string()));
                    }
                    _ if list.contains(&number) => {}
                    _ => {
                        pending.push(event(number, 1));
                        list.push(number);
                    }
                }
                prop_assert_eq!(pending.len(), list.len());
                prop_assert_eq!(pending.front().cloned(), list.first().map(|&number| event(number, 1)));
                for number in 0..24 {
                    prop_assert_eq!(pending.contains(&EventId::of(&format!("e{number}"))), list.contains(&number));
                }
            }
        }
    }
}
