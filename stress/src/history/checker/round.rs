//! What the lines of a round say, put together.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::history::format::{Line, What};

/// A round whose lines are being read.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub(crate) number: u64,
    pub(crate) first_line: u64,
    pub(crate) last_ns: u64,
    open: HashMap<String, Begun>,
    pub(crate) tenures: Vec<Tenure>,
    /// The lines at which each event was delivered first, and logged.
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) elected: Vec<Elected>,
    gone: HashMap<String, u64>,
    /// Whether a line was unreadable that may be one of it.
    pub(crate) is_damaged: bool,
    /// When each instance first knew that another is primary.
    pub(crate) follows: HashMap<String, u64>,
    pub(crate) died: HashSet<String>,
}

/// A tenure without its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) term: u64,
    pub(crate) at_ns: u64,
    pub(crate) line: u64,
}

/// From when to when an instance believed that it was primary.
#[derive(Clone, Debug)]
pub(crate) struct Tenure {
    pub(crate) instance: String,
    pub(crate) begun: Begun,
    pub(crate) until_ns: u64,
}

/// What became of an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    pub(crate) delivered: Option<u64>,
    pub(crate) logged: Vec<u64>,
    pub(crate) excused: bool,
}

/// What follows from the election's own records.
#[derive(Clone, Debug)]
pub(crate) struct Elected {
    pub(crate) term: u64,
    pub(crate) primary: String,
    pub(crate) candidates: Vec<String>,
    pub(crate) line: u64,
}

/// What is wrong with a line by itself.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    /// It breaks a promise.
    Promise(String),
    /// It does not fit those before it, so that something is missing or was not written as it happened.
    Order(String),
}

impl Round {
    /// A round of that number, whose first line this is.
    pub(crate) fn new(number: u64, first_line: u64, is_damaged: bool) -> Self {
        Self { number, first_line, is_damaged, ..Self::default() }
    }

    /// Takes a line in; what is wrong with it by itself.
    pub(crate) fn take(&mut self, line: Line, number: u64) -> Option<Wrong> {
        let Line { round, at_ns, what } = line;
        match what {
            What::Believe { instance, term } => {
                if let Some(line) = self.gone.get(&instance) {
                    return Some(Wrong::Promise(format!(
                        "line {number}: round {round}: {instance} believes that it is primary after its end (line {line})"
                    )));
                }
                if self.open.get(&instance).is_some_and(|begun| begun.term == term) {
                    return None;
                }
                // Of another term, it has not ceased to believe.
                let wrong = self.close(&instance, at_ns, number);
                self.open.insert(instance, Begun { term, at_ns, line: number });
                return wrong;
            }
            What::Cease { instance } => {
                if !self.open.contains_key(&instance) {
                    self.is_damaged = true;
                    return Some(Wrong::Order(format!(
                        "line {number}: round {round}: {instance} ceases to be what no line before says that it is, primary"
                    )));
                }
                return self.close(&instance, at_ns, number);
            }
            What::Follow { instance } => {
                self.follows.entry(instance).or_insert(at_ns);
            }
            What::Die { instance } => {
                let wrong = self.close(&instance, at_ns, number);
                self.gone.insert(instance.clone(), number);
                self.died.insert(instance);
                return wrong;
            }
            What::Leave { instance } | What::Fail { instance, .. } => {
                let wrong = self.close(&instance, at_ns, number);
                self.gone.insert(instance, number);
                return wrong;
            }
            What::Deliver { event, .. } => {
                self.events.entry(event).or_default().delivered.get_or_insert(number);
            }
            What::Log { event, .. } => self.events.entry(event).or_default().logged.push(number),
            What::Excuse { event, why } if why.trim().is_empty() => {
                return Some(Wrong::Order(format!(
                    "line {number}: round {round}: {event} is excused without a reason"
                )));
            }
            What::Excuse { event, .. } => self.events.entry(event).or_default().excused = true,
            What::Elect { term, primary, candidates } => {
                self.elected.push(Elected { term, primary, candidates, line: number });
            }
            What::WakeUp { .. } | What::End => {}
        }
        None
    }

    /// Ends the tenures that have no end. Where part of the round is missing, nobody knows how long they lasted, and they
    /// prove nothing.
    pub(crate) fn close_all(&mut self, is_whole: bool) {
        for (instance, begun) in std::mem::take(&mut self.open) {
            let until_ns = if is_whole { self.last_ns.max(begun.at_ns) } else { begun.at_ns };
            self.tenures.push(Tenure { instance, begun, until_ns });
        }
    }

    fn close(&mut self, instance: &str, until_ns: u64, number: u64) -> Option<Wrong> {
        let (instance, begun) = self.open.remove_entry(instance)?;
        let wrong = (until_ns < begun.at_ns).then(|| {
            self.is_damaged = true;
            Wrong::Order(format!(
                "line {number}: round {}: the tenure of {instance} (line {}) ends {} ns before it begins: its clock went back",
                self.number,
                begun.line,
                begun.at_ns - until_ns
            ))
        });
        self.tenures.push(Tenure { instance, begun, until_ns: until_ns.max(begun.at_ns) });
        wrong
    }
}
