//! An election of copies of a program that speaks the protocol of `REGISTRANTS.md`, step by step.
//!
//! A copy gets its next input whenever it listens: an event is read when it is read, and until then in a pipe. `quit` comes
//! once every copy has been told of all events and listens again, has ended, or waits for another: then to any copy that
//! listens, at any time. What a copy prints belongs to the step before it: nobody else sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::execution::{Access, Agent, Choice, Execution, Fault, Footprint, Object, Step, Stop, System, Transition};
use super::outcome::{Broken, Outcome};
use crate::control::engine::{End, ProcessExecution, Processes};
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::history::format::{Begin, Line, What};
use crate::history::judge::judge;
use crate::round::program::ground::Log;

/// Copies of a program that elect among themselves, again and again.
#[derive(Debug)]
pub(crate) struct Elections {
    pub(crate) processes: Processes,
    /// The IDs of the copies.
    pub(crate) ids: Vec<String>,
    /// The events that each of them is told.
    pub(crate) events: Vec<String>,
    pub(crate) log: PathBuf,
}

/// One election.
#[derive(Debug)]
pub(crate) struct Election {
    execution: ProcessExecution,
    events: Vec<String>,
    log: PathBuf,
    copies: Vec<Copy>,
    history: History,
    /// How many entries each event has, and how long the log was when they were counted.
    entries: Vec<u64>,
    log_bytes: u64,
    log_too_long: bool,
    is_quitting: bool,
    faults: Vec<Fault>,
    resumes: bool,
}

/// What is known of a copy.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is another thing that it has said or that has happened to it")]
struct Copy {
    id: String,
    /// How many inputs it was given.
    given: usize,
    /// What it has printed of a line that has no end yet.
    line: Vec<u8>,
    is_primary: bool,
    has_verdict: bool,
    has_left: bool,
    was_killed: bool,
    end: Option<End>,
    /// Whether it needs nothing more before it may be told to quit.
    is_ready: bool,
}

/// What happened, with the number of steps for a clock.
#[derive(Debug, Default)]
struct History {
    step: u64,
    lines: Vec<Line>,
}

impl History {
    fn add(&mut self, what: What) {
        self.lines.push(Line { round: 0, at_ns: self.step, what });
    }
}

impl System for Elections {
    type Execution = Election;

    fn start(&mut self, seed: u64) -> Result<Election, Stop> {
        let execution = self.processes.start(seed)?;
        let copy = |id: &String| Copy {
            id: id.clone(),
            given: 0,
            line: Vec::new(),
            is_primary: false,
            has_verdict: false,
            has_left: false,
            was_killed: false,
            end: None,
            is_ready: false,
        };
        let mut election = Election {
            execution,
            events: self.events.clone(),
            log: self.log.clone(),
            copies: self.ids.iter().map(copy).collect(),
            history: History::default(),
            entries: vec![0; self.events.len()],
            log_bytes: 0,
            log_too_long: false,
            is_quitting: false,
            faults: Vec::new(),
            resumes: false,
        };
        election.observe(&mut Step::default())?;
        Ok(election)
    }
}

impl Execution for Election {
    type End = Outcome;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        let mut all = self.execution.pending()?;
        for copy in 0..self.count() {
            let Some(input) = self.next_input(copy).filter(|_| self.listens(copy)) else { continue };
            let is_event = input < self.events.len();
            all.push(Transition {
                agent: Agent { copy, thread: Agent::GIVER },
                choice: Choice::Run,
                is_enabled: is_event || self.is_quitting,
                may_wait: !is_event,
                footprint: if is_event { Footprint::default() } else { told_to_quit() },
                due_ns: None,
                label: if is_event { format!("is told of {}", self.events[input]) } else { "is told to quit".into() },
            });
        }
        all.sort_by_key(|transition| (transition.agent, transition.choice));
        Ok(all)
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        self.history.step += 1;
        let mut step = match agent.thread {
            Agent::GIVER => self.give(agent.copy)?,
            _ => self.execution.step(agent, choice)?,
        };
        if let Choice::Fault(fault) = choice {
            self.note_fault(agent.copy, fault);
        }
        self.observe(&mut step)?;
        Ok(step)
    }

    fn is_broken(&mut self) -> Result<bool, Stop> {
        let primaries = self.copies.iter().filter(|copy| copy.is_primary).count();
        Ok(primaries > 1 || self.entries.iter().any(|entries| *entries > 1))
    }

    fn finish(mut self, is_end: bool) -> Result<Outcome, Stop> {
        // Whatever is at this moment lasts.
        self.history.step += 1;
        let unjudged = self.unjudged().filter(|_| is_end);
        let end = self.end();
        for (event, count) in self.events.clone().into_iter().zip(self.entries.clone()) {
            self.history.add(What::Entries { event, count });
        }
        for copy in &mut self.copies {
            if copy.end == Some(End::Exited(0)) && !copy.has_left {
                self.history.lines.push(Line {
                    round: 0,
                    at_ns: self.history.step,
                    what: What::Leave { instance: copy.id.clone() },
                });
            }
        }
        if let Some(why) = unjudged.clone() {
            self.history.add(What::Unjudged { why });
        }
        self.history.add(What::End);
        let mut promises = vec![Promise::SinglePrimary, Promise::NoneDoubled];
        if is_end {
            promises.extend([Promise::NoneLost, Promise::SomePrimary]);
        }
        let is_other = |fault: &Fault| *fault != Fault::Crash;
        let begin = Begin {
            instances: self.copies.iter().map(|copy| copy.id.clone()).collect(),
            promises,
            may_refuse: self.faults.iter().any(is_other),
            may_lose: self.faults.iter().any(is_other),
            may_be_silent: true,
        };
        self.history.lines.insert(0, Line { round: 0, at_ns: 0, what: What::Begin(begin) });
        let judged = judge(&self.history.lines);
        let gravest = judged.findings.gravest();
        let broken = gravest.map(|promise| Broken { promise: Some(promise), text: judged.findings.to_string() });
        let doubts = self.execution.finish(is_end)?.doubts;
        Ok(Outcome { broken, unjudged, doubts, end })
    }
}

/// What being told to quit depends on: that all are done with the events.
fn told_to_quit() -> Footprint {
    Footprint::default().with(Object::Done, Access::Read)
}

impl Election {
    fn count(&self) -> u16 {
        u16::try_from(self.copies.len()).unwrap_or(u16::MAX)
    }

    fn copy(&mut self, copy: u16) -> &mut Copy {
        &mut self.copies[usize::from(copy)]
    }

    fn listens(&self, copy: u16) -> bool {
        self.execution.end_of(copy).is_none() && self.execution.waits_for_input(copy)
    }

    /// The number of a copy's next input, after the events that of quitting.
    fn next_input(&self, copy: u16) -> Option<usize> {
        let given = self.copies[usize::from(copy)].given;
        (given <= self.events.len()).then_some(given)
    }

    fn give(&mut self, copy: u16) -> Result<Step, Stop> {
        let input = self.copy(copy).given;
        self.copy(copy).given += 1;
        let id = self.copy(copy).id.clone();
        if let Some(event) = self.events.get(input).cloned() {
            self.history.add(What::Deliver { instance: id, event: event.clone() });
            let footprint = self.execution.give(copy, format!("event {event}\n").as_bytes())?;
            return Ok(Step { footprint, label: format!("is told of {event}"), effects: Vec::new() });
        }
        let mut footprint = self.execution.give(copy, b"quit\n")?;
        for (object, access) in self.execution.close_input(copy)?.uses().iter().chain(told_to_quit().uses()) {
            footprint.add(*object, *access);
        }
        Ok(Step { footprint, label: "is told to quit".into(), effects: Vec::new() })
    }

    fn note_fault(&mut self, copy: u16, fault: Fault) {
        self.faults.push(fault);
        let instance = self.copy(copy).id.clone();
        self.history.add(What::Fault { instance: Some(instance), kind: format!("{fault:?}"), how: None });
        if fault == Fault::Crash {
            self.copy(copy).was_killed = true;
            self.resumes = true;
        }
    }

    /// Notes what came of a step: words, entries, ends, and who is done with the events.
    fn observe(&mut self, step: &mut Step) -> Result<(), Stop> {
        for copy in 0..self.count() {
            let printed = self.execution.take_printed(copy);
            self.copy(copy).line.extend(printed);
            while let Some(end) = self.copy(copy).line.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.copy(copy).line.drain(..=end).collect();
                self.hear(copy, String::from_utf8_lossy(&line).trim(), step);
            }
            let end = self.execution.end_of(copy);
            if end.is_some() && self.copy(copy).end.is_none() {
                self.note_end(copy, end, step);
            }
        }
        self.look_at_log(step)?;
        self.look_who_is_done(step)?;
        self.look_whether_time_helps()
    }

    fn hear(&mut self, copy: u16, word: &str, step: &mut Step) {
        let instance = self.copy(copy).id.clone();
        let (is_primary, what) = match word {
            "primary" => (true, What::Believe { instance: instance.clone(), term: 0 }),
            "secondary" | "left" if self.copy(copy).is_primary => (false, What::Cease { instance: instance.clone() }),
            "secondary" => (false, What::Follow { instance: instance.clone() }),
            "left" => (false, What::Leave { instance: instance.clone() }),
            _ => return,
        };
        step.effects.push(format!("says {word}"));
        self.history.add(what);
        let copy = self.copy(copy);
        // Two that begin change places, and two that cease; not one that begins with another that ceases.
        match (copy.is_primary, is_primary) {
            (false, true) => step.footprint.add(Object::Role, Access::Read),
            (true, false) => step.footprint.add(Object::Role, Access::Add),
            _ => {}
        }
        copy.is_primary = is_primary;
        copy.has_verdict |= word != "left";
        copy.has_left |= word == "left";
    }

    fn note_end(&mut self, copy: u16, end: Option<End>, step: &mut Step) {
        let Copy { id, is_primary, was_killed, has_left, .. } = self.copy(copy);
        let (id, was_primary, was_killed, has_left) = (id.clone(), *is_primary, *was_killed, *has_left);
        self.copy(copy).is_primary = false;
        self.copy(copy).end = end;
        if was_primary {
            step.footprint.add(Object::Role, Access::Add);
        }
        if was_killed {
            self.history.add(What::Die { instance: id });
        } else {
            let how = match end {
                Some(End::Exited(0)) => "ends".to_owned(),
                Some(end) => format!("ends: {end:?}"),
                None => return,
            };
            step.effects.push(how.clone());
            if end != Some(End::Exited(0)) {
                self.history.add(What::Fail { instance: id, why: how });
            } else if was_primary && !has_left {
                self.history.add(What::Cease { instance: id });
            }
        }
    }

    /// Counts the entries, where the log is another one than before.
    fn look_at_log(&mut self, step: &mut Step) -> Result<(), Stop> {
        let bytes = fs::metadata(&self.log).map_or(0, |status| status.len());
        if bytes == self.log_bytes {
            return Ok(());
        }
        self.log_bytes = bytes;
        let remedy = "leave the directory of an exploration alone";
        let Log { entries, is_too_long, .. } =
            Log::read(&self.log, &self.events).map_err(Failure::environment(self.log.display(), "read", remedy))?;
        for (event, (before, after)) in self.events.iter().zip(self.entries.iter().zip(&entries)) {
            if after != before {
                let entries = if *after == 1 { "1 entry".to_owned() } else { format!("{after} entries") };
                step.effects.push(format!("{event} has {entries}"));
            }
        }
        (self.entries, self.log_too_long) = (entries, is_too_long);
        Ok(())
    }

    /// Notes who needs nothing more before it is told to quit. Once all do not, they are told, whatever comes.
    fn look_who_is_done(&mut self, step: &mut Step) -> Result<(), Stop> {
        if self.is_quitting {
            return Ok(());
        }
        let pending = self.execution.pending()?;
        for copy in 0..self.count() {
            let mut own = pending.iter().filter(|one| one.agent.copy == copy);
            let has_all = self.copies[usize::from(copy)].given >= self.events.len();
            let is_ready = self.execution.end_of(copy).is_some()
                || self.execution.waits_for_input(copy) && has_all
                || own.clone().any(|one| one.choice == Choice::Run)
                    && own.all(|one| !one.is_enabled || matches!(one.choice, Choice::Fault(_)));
            match (self.copies[usize::from(copy)].is_ready, is_ready) {
                (false, true) => step.footprint.add(Object::Done, Access::Add),
                (true, false) => step.footprint.add(Object::Done, Access::Write),
                _ => {}
            }
            self.copy(copy).is_ready = is_ready;
        }
        self.is_quitting = self.copies.iter().all(|copy| copy.is_ready);
        Ok(())
    }

    /// After a crash, an event is owed an entry from when a successor is primary, or no time can bring one.
    fn look_whether_time_helps(&mut self) -> Result<(), Stop> {
        if self.resumes {
            let goes_on = |one: &Transition| one.is_enabled && !matches!(one.choice, Choice::Fault(_));
            if self.copies.iter().any(|copy| copy.is_primary) || !self.execution.pending()?.iter().any(goes_on) {
                self.resumes = false;
                self.history.add(What::Resume);
            }
        }
        Ok(())
    }

    /// Why nothing follows from what is missing.
    fn unjudged(&self) -> Option<String> {
        let failed =
            self.copies.iter().find(|copy| !copy.was_killed && copy.end.is_some_and(|end| end != End::Exited(0)));
        let is_silent =
            self.entries.iter().all(|entries| *entries == 0) && !self.copies.iter().any(|copy| copy.has_verdict);
        let may_fail = self.faults.iter().any(|fault| *fault != Fault::Crash);
        match failed {
            Some(copy) if !may_fail => Some(format!("{} ended with {:?}", copy.id, copy.end)),
            _ if self.log_too_long => Some("the log grew beyond what is looked through".into()),
            _ if is_silent && self.faults.is_empty() => Some("no copy said or wrote anything".into()),
            _ => None,
        }
    }

    /// Who said what and how often each event was written.
    fn end(&self) -> String {
        let copies: BTreeSet<_> = self.copies.iter().map(|copy| format!("{} {:?}", copy.id, copy.end)).collect();
        format!("{copies:?} {:?}", self.entries)
    }
}
