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
    /// How long their lines are together.
    bytes: u64,
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

    /// What is lacking of the event's line behind a torn one, if that can be the beginning of it: of the line in that term,
    /// or else of one that names what the torn line names.
    fn rest(&self, torn: &TornLine<'_>, term: u64, instance: &InstanceId) -> Option<Arc<[u8]>> {
        // The beginning is the same in every term. Escaped, an ID is no shorter.
        let told = torn.text.len().min(entry::START.len() + self.id.text().len());
        if torn.text[..told] != self.line[..told] {
            return None;
        }
        let rest = |line: Arc<[u8]>| line.strip_prefix(torn.text).filter(|rest| !rest.is_empty()).map(Arc::from);
        rest(self.line(term, instance)).or_else(|| {
            let (term, instance) = (torn.term.unwrap_or(term), torn.primary.as_ref().unwrap_or(instance));
            rest(entry::encode(self.id.text(), self.payload(), term, instance))
        })
    }
}

/// A line without its end, and what it names.
struct TornLine<'text> {
    text: &'text [u8],
    term: Option<u64>,
    primary: Option<InstanceId>,
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

    /// How many bytes their entries take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn front(&self) -> Option<&PendingEvent> {
        self.events.front()
    }

    pub(crate) fn contains(&self, id: &EventId<&str>) -> bool {
        if self.index.is_empty() { self.events.iter().any(|event| event.id.is(id)) } else { self.index.contains(id) }
    }

    /// Puts an event that is not here behind all others.
    pub(crate) fn push(&mut self, event: PendingEvent) {
        self.admit(&event);
        self.events.push_back(event);
    }

    /// Puts an event that is not here before all others.
    pub(crate) fn push_front(&mut self, event: PendingEvent) {
        self.admit(&event);
        self.events.push_front(event);
    }

    /// Puts the first event before all others that a torn line can be the beginning of, and returns what its entry lacks.
    pub(crate) fn complete(&mut self, torn: &[u8], term: u64, instance: &InstanceId) -> Option<Arc<[u8]>> {
        let (torn_term, primary) = entry::attribution(torn);
        let torn = TornLine { text: torn, term: torn_term, primary };
        let found = |(at, event): (usize, &PendingEvent)| Some((at, event.rest(&torn, term, instance)?));
        let (at, rest) = self.events.iter().enumerate().find_map(found)?;
        let event = self.events.remove(at)?;
        self.events.push_front(event);
        Some(rest)
    }

    fn admit(&mut self, event: &PendingEvent) {
        self.bytes += event.line.len() as u64;
        if !self.index.is_empty() {
            self.index.insert_new(event.id.clone());
        } else if self.events.len() == UNINDEXED_MAX {
            for event in self.events.iter().chain([event]) {
                self.index.insert_new(event.id.clone());
            }
        }
    }

    pub(crate) fn pop(&mut self) -> Option<PendingEvent> {
        let event = self.events.pop_front()?;
        self.bytes -= event.line.len() as u64;
        if !self.index.is_empty() {
            self.index.remove(&event.id.as_ref());
        }
        Some(event)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&EventId) -> bool) {
        let Self { events, index, bytes } = self;
        events.retain(|event| {
            let is_kept = keep(event.id());
            if !is_kept {
                *bytes -= event.line.len() as u64;
                if !index.is_empty() {
                    index.remove(&event.id.as_ref());
                }
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

/// The rest follows from the events.
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

    #[test]
    fn a_torn_line_is_completed_as_it_was_begun() {
        let [own, other] = ["own", "other"].map(|id| InstanceId::new(id).expect("a valid ID"));
        let check = |id: &str, payload: &str, torn_term, torn_by: &InstanceId| {
            let line = entry::encode(id, payload.as_bytes(), torn_term, torn_by);
            for end in 1..line.len() {
                let mut pending = Pending::default();
                for (id, payload) in [("0 before", "1"), (id, payload), ("9 behind", "{}")] {
                    pending.push(PendingEvent::new(EventId::of(id), payload, 3, &own));
                }
                let rest = pending.complete(&line[..end], 7, &own).expect("it is pending");
                let whole = [&line[..end], &rest].concat();
                let completed = entry::event_of(&whole).expect("it is an entry");
                let front = pending.front().expect("it is pending until it is written");
                assert_eq!((pending.len(), front.id().text()), (3, completed.as_str()), "{end}");
                // Until its ID has begun, it may be any of them.
                if end > entry::START.len() {
                    assert_eq!(completed, id, "{end}");
                    assert!(whole.ends_with(format!("\"payload\":{payload}}}\n").as_bytes()), "{end}");
                }
            }
            assert_eq!(Pending::default().complete(&line[..20], 7, &own), None);
        };
        check("e1", "{\"a\":1}", 12, &other);
        check("e \"1\"\u{1f}", "[\"\\n\"]", 7, &own);
        check("e1", "1", 70, &own);

        let mut pending = Pending::default();
        pending.push(PendingEvent::new(EventId::of("e1"), "12", 3, &own));
        for torn in [
            "{\"event\":\"e2",
            "{\"event\":\"e1\",\"term\":3,\"primary\":\"own\",\"payload\":2",
            "{\"event\":\"e1\",\"term\":3,\"primary\":\"own\",\"payload\":123",
            "{\"event\":\"e1\",\"term\":x",
            "{\"e1\":",
            "someone else's",
        ] {
            assert_eq!(pending.complete(torn.as_bytes(), 3, &own), None, "{torn}");
        }
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
                    2 => {
                        pending.push_front(event(number, 1));
                        list.insert(0, number);
                    }
                    _ => {
                        pending.push(event(number, 1));
                        list.push(number);
                    }
                }
                prop_assert_eq!(pending.len(), list.len());
                prop_assert_eq!(pending.bytes(), pending.events.iter().map(|event| event.line.len() as u64).sum::<u64>());
                prop_assert_eq!(pending.front().cloned(), list.first().map(|&number| event(number, 1)));
                for number in 0..24 {
                    prop_assert_eq!(pending.contains(&EventId::of(&format!("e{number}"))), list.contains(&number));
                }
            }
        }
    }
}
