//! Whether what an instance did is a path of the election's machine: its calls are those that the machine asks for when
//! it is told the same replies at the same times.

use single_primary::call::{Call, Reply, Time};
use single_primary::{Event, InstanceId, Machine, Role, Setup, Step};

use super::trace::Entry;
use crate::plan::Plan;
use crate::plan::boundary::Part;

/// A machine that follows a trace.
#[derive(Debug)]
pub(crate) struct Validator {
    machine: Machine,
    /// When the clock was last looked at.
    now: Time,
    called: bool,
    /// Whether the clock is looked at after the reply to the call under way.
    timed: bool,
    reply: Option<Reply>,
    leaving: Leaving,
    entries: u64,
    mismatch: Option<String>,
    /// Whether it has found a primary gone.
    succeeds: bool,
}

/// How far an orderly departure has come: a primary first writes what is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    AfterPending,
    WithNextWake,
}

impl Validator {
    /// A machine that has done nothing yet, set up as the instance was.
    pub(crate) fn new(plan: &Plan, index: usize) -> Self {
        let id = InstanceId::new(&plan.ids[index]).expect("planned IDs are valid");
        let setup = Setup {
            id,
            window: plan.window(),
            expect: plan.expect,
            allow_any_file_system: false,
            log: plan.log_options(),
        };
        Self {
            machine: Machine::new(setup),
            now: Time::default(),
            called: false,
            timed: false,
            reply: None,
            leaving: Leaving::No,
            entries: 0,
            mismatch: None,
            succeeds: false,
        }
    }

    /// What the instance is at the point that the trace has come to.
    pub(crate) fn part(&self) -> Part {
        match self.machine.role() {
            Role::Undecided | Role::Failed(_) if self.succeeds => Part::Successor,
            Role::Undecided | Role::Failed(_) => Part::Candidate,
            Role::Secondary { .. } => Part::Secondary,
            Role::Primary { term: 1 } => Part::Primary,
            Role::Primary { .. } => Part::Successor,
            Role::Left => Part::Leaver,
        }
    }

    /// Takes the next entry of the trace.
    pub(crate) fn follow(&mut self, entry: Entry) {
        self.entries += 1;
        if self.mismatch.is_some() {
            return;
        }
        self.succeeds |= matches!(self.machine.role(), Role::Secondary { .. });
        match entry {
            Entry::Clock(now) => self.clock(now),
            Entry::Call(call) => self.call(&call),
            Entry::Reply(_) if !self.called => self.differs("a reply without its call"),
            Entry::Reply(reply) if self.timed => self.reply = Some(reply),
            Entry::Reply(reply) => {
                self.called = false;
                self.machine.reply(reply, self.now);
            }
            Entry::Deliver(event) => {
                // An event at a primary is a drive without a look at the clock.
                self.machine.try_log_again();
                let id = Plan::event_id(event as usize);
                self.machine.deliver(&Event { id: id.into(), payload: "null".into() });
            }
            Entry::Leave => {
                self.leaving = match self.machine.role() {
                    Role::Primary { .. } => Leaving::AfterPending,
                    _ => Leaving::WithNextWake,
                };
            }
            Entry::Left
            | Entry::Recorded(_)
            | Entry::Verdict { .. }
            | Entry::Believe { .. }
            | Entry::Cease
            | Entry::Failed(_)
            | Entry::Fault(_)
            | Entry::Other(_)
            | Entry::Note(_) => {}
        }
    }

    /// At the end of the trace: what in it is no path of the machine. A trace that was cut by death may end anywhere, any
    /// other only where the machine has ended as well.
    pub(crate) fn finish(mut self, was_cut: bool) -> Result<(), String> {
        if !was_cut {
            if self.called {
                self.differs("the trace ends within a call");
            } else if self.machine.next() != Step::Ended {
                let next = self.machine.next();
                self.differs(&format!("the trace ends where the machine goes on with {next:?}"));
            }
        }
        self.mismatch.map_or(Ok(()), Err)
    }

    fn clock(&mut self, now: Time) {
        self.now = now;
        if let Some(reply) = self.reply.take() {
            self.called = false;
            self.machine.reply(reply, now);
        } else if self.called {
            self.differs("a look at the clock within a call");
        } else {
            // Each drive of the machine begins with a wake.
            match self.leaving {
                Leaving::No => {}
                Leaving::AfterPending => self.leaving = Leaving::WithNextWake,
                Leaving::WithNextWake => {
                    self.machine.leave();
                    self.leaving = Leaving::No;
                }
            }
            self.machine.wake(now);
        }
    }

    fn call(&mut self, call: &Call) {
        let next = self.machine.next();
        if self.called {
            self.differs("a call within a call");
        } else if !matches!(&next, Step::Call(expected) if expected == call) {
            self.differs(&format!("the instance called {call:?} where the machine goes on with {next:?}"));
        }
        self.called = true;
        self.timed = call.is_timed();
    }

    fn differs(&mut self, how: &str) {
        self.mismatch.get_or_insert_with(|| format!("entry {} of the trace: {how}", self.entries));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use single_primary::call::Handle;

    use super::*;
    use crate::plan::{Moment, Template};
    use crate::process::clock;
    use crate::process::shared_memory;
    use crate::round::native::instance::{Instance, Place};
    use crate::round::native::trace::{Region, Tracer};
    use crate::round::native::turns;

    /// The trace of a lone instance on real files, from its start to its orderly end.
    fn real_trace(plan: &Plan) -> Vec<Entry> {
        let base = tempfile::tempdir().expect("a directory");
        let (directory, past) = (base.path().join("election"), base.path().join("past"));
        let claimed = &shared_memory::map(1).expect("memory")[0];
        let turns = turns::Words::new(shared_memory::map(turns::Words::count(1)).expect("memory"));
        let place = Place { directory: &directory, past: &past, claimed, turns };
        let region = Region::new(shared_memory::map(4096).expect("memory"));
        region.clear(0);
        let mut instance = Instance::start(plan, 0, place, Arc::new(Tracer::new(region)));
        for (event, moment) in plan.events.iter().enumerate() {
            if *moment != Moment::Joining {
                instance.decide(clock::after_ns(clock::now_ns(), Duration::from_mins(1)));
            }
            instance.deliver(event);
        }
        instance.leave();
        region.entries().map(|stamped| stamped.entry).collect()
    }

    #[test]
    fn a_real_trace_is_a_path_of_the_machine_and_a_changed_one_is_not() {
        let template = Template {
            protocol: "journal".into(),
            seed: 1,
            registrants: 1,
            events: 3,
            early: 1,
            window: Duration::from_millis(10),
            expect: None,
            in_process: 1,
            threads: false,
            rotate_bytes: None,
            faults: Vec::new(),
        };
        let plan = template.draw(0);
        let trace = real_trace(&plan);
        let follow = |trace: &[Entry], was_cut| {
            let mut validator = Validator::new(&plan, 0);
            for entry in trace {
                validator.follow(entry.clone());
            }
            validator.finish(was_cut)
        };
        assert_eq!(follow(&trace, false), Ok(()));
        for end in 0..trace.len() {
            assert_eq!(follow(&trace[..end], true), Ok(()), "what died there had done nothing wrong");
        }
        let cut = follow(&trace[..trace.len() / 2], false).expect_err("it is not consumed to an end");
        assert!(cut.contains("the trace ends"), "{cut}");

        let call = |wanted: fn(&Call) -> bool| {
            trace.iter().position(|entry| matches!(entry, Entry::Call(call) if wanted(call))).expect("it was called")
        };
        let seal = call(|call| matches!(call, Call::Append { handle: Handle::JOURNAL, .. }));
        let mut without = trace.clone();
        without.drain(seal..seal + 3);
        let differs = follow(&without, false).expect_err("a call is missing");
        assert!(differs.contains("where the machine goes on with"), "{differs}");

        let lock = call(|call| matches!(call, Call::Lock(..)));
        let mut other = trace.clone();
        other[lock + 1] = Entry::Reply(Reply::Busy);
        assert!(follow(&other, false).is_err(), "another reply leads elsewhere");
        let mut twice = trace.clone();
        twice.insert(lock, trace[lock].clone());
        assert!(follow(&twice, false).is_err());
    }
}
