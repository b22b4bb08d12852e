//! What the lines of a round say, put together.

use std::collections::BTreeMap;

use super::super::findings::{Findings, Promise};
use super::super::format::{Begin, Line, What};
use super::Tenure;

/// A round whose lines are being read.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) round: u64,
    pub(crate) first_line: u64,
    pub(super) begin: Option<Begin>,
    /// When it began; nothing where it does not say so.
    pub(super) begun_ns: Option<u64>,
    pub(super) last_ns: u64,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) tenures: Vec<Held>,
    pub(super) events: BTreeMap<String, Event>,
    pub(super) elected: Vec<Elected>,
    /// When terms began anew.
    pub(super) anew_ns: Vec<u64>,
    pub(super) removed_ns: Option<u64>,
    pub(super) resumed_ns: Option<u64>,
    /// How often each kind of fault happened.
    pub(super) faults: BTreeMap<String, u64>,
    pub(super) unjudged: Option<String>,
    pub(super) wake_ups_ns: Vec<u64>,
    /// What is wrong with single lines.
    pub(super) findings: Findings,
    /// Whether a line was unreadable that may be one of it, or does not fit those before it.
    pub(crate) is_damaged: bool,
}

/// What is known of one instance.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "what it said and what became of it fall together in any way")]
pub(super) struct Instance {
    pub(super) started_ns: Option<u64>,
    /// When it first knew who is primary.
    pub(super) verdict_ns: Option<u64>,
    /// A tenure without its end.
    open: Option<Begun>,
    pub(super) claims: bool,
    /// The line at which it ended.
    gone: Option<u64>,
    pub(super) failed: Option<(u64, String)>,
    pub(super) left: bool,
    pub(super) died: bool,
    pub(super) retired: bool,
    /// The last moment at which each event reached it.
    pub(super) received: BTreeMap<String, u64>,
    /// The events that it must have written, and when that was known.
    pub(super) recorded: Vec<(String, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    term: u64,
    at_ns: u64,
    line: u64,
}

/// From when to when an instance believed that it was primary, and the line at which it began to.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) instance: String,
    pub(super) tenure: Tenure,
    pub(super) line: u64,
}

/// What became of an event.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    /// The line at which it was delivered first.
    pub(super) delivered: Option<u64>,
    /// The lines at which it was logged.
    pub(super) logged: Vec<u64>,
    /// How many entries the log held at the end, and the line that says so.
    pub(super) entries: Option<(u64, u64)>,
    pub(super) excused: bool,
}

/// What follows from the election's own records.
#[derive(Clone, Debug)]
pub(super) struct Elected {
    pub(super) term: u64,
    pub(super) primary: String,
    pub(super) candidates: Vec<String>,
    pub(super) line: u64,
}

impl Account {
    /// A round of that number, whose first line this is.
    pub(crate) fn new(round: u64, first_line: u64, is_damaged: bool) -> Self {
        Self { round, first_line, is_damaged, ..Self::default() }
    }

    /// Takes a line in. An error says how it does not fit those before it: something is missing, or was not written as it
    /// happened.
    pub(crate) fn take(&mut self, line: Line, number: u64) -> Result<(), String> {
        let Line { round: _, at_ns, what } = line;
        self.last_ns = self.last_ns.max(at_ns);
        match what {
            What::Begin(begin) => (self.begin, self.begun_ns) = (Some(begin), Some(at_ns)),
            What::Start { instance } => self.of(instance).started_ns = Some(at_ns),
            What::Believe { instance, term } => return self.believe(instance, Begun { term, at_ns, line: number }),
            What::Claim { instance } => {
                let instance = self.of(instance);
                instance.claims = true;
                instance.verdict_ns.get_or_insert(at_ns);
            }
            What::Cease { instance } => {
                if self.of(instance.clone()).open.is_none() {
                    self.is_damaged = true;
                    return Err(format!("{instance} ceases to be what no line before says that it is, primary"));
                }
                return self.close(&instance, at_ns);
            }
            What::Follow { instance } => {
                self.of(instance).verdict_ns.get_or_insert(at_ns);
            }
            What::Die { instance } => {
                self.end(&instance, number).died = true;
                return self.close(&instance, at_ns);
            }
            What::Leave { instance } => {
                self.end(&instance, number).left = true;
                return self.close(&instance, at_ns);
            }
            What::Fail { instance, why } => {
                self.end(&instance, number).failed.get_or_insert((number, why));
                return self.close(&instance, at_ns);
            }
            What::Retire { instance } => self.of(instance).retired = true,
            What::Deliver { instance, event } => {
                self.of(instance).received.insert(event.clone(), at_ns);
                self.events.entry(event).or_default().delivered.get_or_insert(number);
            }
            What::Record { instance, event } => self.of(instance).recorded.push((event, at_ns)),
            What::Log { event, .. } => self.events.entry(event).or_default().logged.push(number),
            What::Entries { event, count } => self.events.entry(event).or_default().entries = Some((count, number)),
            What::Excuse { event, why } if why.trim().is_empty() => {
                return Err(format!("{event} is excused without a reason"));
            }
            What::Excuse { event, .. } => self.events.entry(event).or_default().excused = true,
            What::Elect { term, primary, candidates } => {
                self.elected.push(Elected { term, primary, candidates, line: number });
            }
            What::Anew { .. } => self.anew_ns.push(at_ns),
            What::Remove => {
                self.anew_ns.push(at_ns);
                self.removed_ns.get_or_insert(at_ns);
            }
            What::Resume => self.resumed_ns = Some(at_ns),
            What::Fault { kind, .. } => *self.faults.entry(kind).or_default() += 1,
            What::Problem { why } => self.findings.find(Promise::GoodOrder, Some(number), why),
            What::Deviate { instance, why } => {
                let text = format!("not a path of the machine: {instance}: {why}");
                self.findings.find(Promise::PathOfMachine, Some(number), text);
            }
            What::Unjudged { why } => {
                self.unjudged.get_or_insert(why);
            }
            What::WakeUp { span_ns } => self.wake_ups_ns.push(span_ns),
            What::Call { .. } | What::End => {}
        }
        Ok(())
    }

    /// Ends the tenures that have no end. Where part of the round is missing, nobody knows how long they lasted, and they
    /// prove nothing.
    pub(super) fn close_all(&mut self, is_whole: bool) {
        for (name, instance) in &mut self.instances {
            if let Some(Begun { term, at_ns, line }) = instance.open.take() {
                let until_ns = if is_whole { self.last_ns.max(at_ns) } else { at_ns };
                let tenure = Tenure { term, from_ns: at_ns, until_ns };
                self.tenures.push(Held { instance: name.clone(), tenure, line });
            }
        }
    }

    fn of(&mut self, instance: String) -> &mut Instance {
        self.instances.entry(instance).or_default()
    }

    fn end(&mut self, instance: &str, number: u64) -> &mut Instance {
        let instance = self.of(instance.to_owned());
        instance.gone.get_or_insert(number);
        instance
    }

    fn believe(&mut self, name: String, begun: Begun) -> Result<(), String> {
        let instance = self.of(name.clone());
        instance.verdict_ns.get_or_insert(begun.at_ns);
        if instance.open.is_some_and(|open| open.term == begun.term) {
            return Ok(());
        }
        if let Some(line) = instance.gone {
            let text = format!("{name} believes that it is primary after its end (line {line})");
            self.findings.find(Promise::GoodOrder, Some(begun.line), text);
        }
        // Of another term, it has not ceased to believe.
        let closed = self.close(&name, begun.at_ns);
        self.of(name).open = Some(begun);
        closed
    }

    fn close(&mut self, name: &str, until_ns: u64) -> Result<(), String> {
        let open = self.instances.get_mut(name).and_then(|instance| instance.open.take());
        let Some(Begun { term, at_ns, line }) = open else { return Ok(()) };
        let tenure = Tenure { term, from_ns: at_ns, until_ns: until_ns.max(at_ns) };
        self.tenures.push(Held { instance: name.to_owned(), tenure, line });
        if until_ns < at_ns {
            self.is_damaged = true;
            return Err(format!(
                "the tenure of {name} (line {line}) ends {} ns before it begins: its clock went back",
                at_ns - until_ns
            ));
        }
        Ok(())
    }
}
