//! One instance of any protocol, driven step by step, with what it does and believes written to its trace.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread::JoinHandle;

use models::call::{Call, Reply};
use models::participant::{Belief, Participant as _, Step, Wait};
use models::real::RealKernel;
use models::zoo::{self, AnyParticipant};
use single_primary::call::Time;
use single_primary::kernel::Kernel as _;
use single_primary::{Cause, Election, Error, Event, InstanceId, LogOptions, Options, Os, Paths, Role};

use super::interference::Interference;
use super::recorder::Recorder;
use super::trace::{Entry, Tracer};
use super::turns::{self, Turns};
use crate::history::describe;
use crate::plan::Plan;
use crate::plan::order;
use crate::process::clock;

/// The protocol that ships, under its name among the others.
pub(crate) const JOURNAL: &str = "journal";

/// Where the files of a round lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The election directory.
    pub(crate) directory: &'a Path,
    /// Where emptied journals are kept.
    pub(crate) past: &'a Path,
    /// Which of the plan's faults have found the instance that they happen to, a bit each.
    pub(crate) claimed: &'static AtomicU32,
    /// How far the order of the plan has come.
    pub(crate) turns: turns::Words,
}

/// An instance that takes part in an election.
#[derive(Debug)]
pub(crate) struct Instance {
    index: usize,
    tracer: Arc<Tracer>,
    turns: Option<Arc<Turns>>,
    part: Part,
    belief: Belief,
    /// When it was last known to believe what it did.
    known_ns: u64,
    leaving: bool,
    /// Whether what does not end it, as a full disk, will never be over: then it gives up.
    is_limited: bool,
    /// The thread that blocks until it is primary, if it has one.
    waiting: Option<JoinHandle<Result<u64, Error>>>,
}

#[derive(Debug)]
enum Part {
    /// The library, through the interface that programs use. It is missing where the join failed.
    Journal(Option<Arc<Election<Box<Recorder>>>>),
    /// One of the zoo.
    Zoo { participant: Box<AnyParticipant>, kernel: RealKernel, interference: Box<Interference> },
}

impl Instance {
    /// Begins to join, as far as that needs no waiting.
    pub(crate) fn start(plan: &Plan, index: usize, place: Place<'_>, tracer: Arc<Tracer>) -> Self {
        let id = InstanceId::new(&plan.ids[index]).expect("planned IDs are valid");
        let mut options = Options::new(place.directory).id(id.clone()).window(plan.window());
        if let Some(count) = plan.expect {
            options = options.expect(count);
        }
        let turns = Turns::new(plan, Some(index), place.turns).map(Arc::new);
        let interference = Interference::new(plan, index, place.claimed, turns.clone());
        let mut instance = Self {
            index,
            tracer,
            turns,
            part: Part::Journal(None),
            belief: Belief::Undecided,
            known_ns: clock::now_ns(),
            leaving: false,
            is_limited: plan.is_limited(index),
            waiting: None,
        };
        if plan.protocol == JOURNAL {
            let LogOptions { rotate_bytes, rotate_keep, .. } = plan.log_options();
            instance.start_journal(options.rotate(rotate_bytes, rotate_keep), interference, place.past);
            if plan.blocks(index) {
                instance.block();
            }
        } else {
            let setup = zoo::Setup { id, window: plan.window(), expect: plan.expect, log: LogOptions::default() };
            instance.start_zoo(&plan.protocol, setup, options.paths(), interference);
        }
        instance
    }

    fn start_journal(&mut self, options: Options, interference: Interference, past: &Path) {
        let os = Os::new(options.paths());
        let recorder = Recorder::new(os, self.tracer.clone(), interference, past.to_owned());
        match options.start_on(Box::new(recorder)) {
            Ok(election) => {
                self.part = Part::Journal(Some(Arc::new(election)));
                self.observe_election(None);
            }
            Err(error) => self.observe(Belief::Failed(error.to_string().into())),
        }
    }

    /// Has a thread block until it is primary, in place of being polled.
    fn block(&mut self) {
        if let Part::Journal(Some(election)) = &self.part {
            let election = election.clone();
            self.waiting = Some(std::thread::spawn(move || election.wait()));
        }
    }

    fn start_zoo(&mut self, protocol: &str, setup: zoo::Setup, paths: Paths, interference: Interference) {
        let protocol = zoo::find(protocol).expect("the protocol was looked up when the options were read");
        let participant = Box::new(protocol.start(setup));
        self.part = Part::Zoo { participant, kernel: RealKernel::new(paths), interference: Box::new(interference) };
        self.advance_zoo();
    }

    /// Goes on as far as that needs no waiting, and says until when it then waits, where that is known.
    pub(crate) fn poll(&mut self) -> Option<Time> {
        match &self.part {
            Part::Journal(Some(election)) => {
                let error = match &self.waiting {
                    None => election.poll().err(),
                    Some(waiting) if waiting.is_finished() => self.end_wait(),
                    Some(_) => None,
                };
                self.observe_election(error.as_ref());
                None
            }
            Part::Journal(None) => None,
            Part::Zoo { .. } => {
                if let Part::Zoo { participant, kernel, .. } = &mut self.part {
                    participant.wake(kernel.now());
                }
                self.advance_zoo()
            }
        }
    }

    /// Goes on until there is a verdict, or none by the deadline.
    pub(crate) fn decide(&mut self, deadline_ns: u64) {
        if let Part::Journal(Some(election)) = &self.part
            && self.waiting.is_none()
            && !self.is_decided()
        {
            let error = election.decided().err();
            self.observe_election(error.as_ref());
        }
        for attempt in 0.. {
            if self.is_decided() || clock::now_ns() > deadline_ns {
                return;
            }
            let until = self.poll();
            if !self.is_decided() {
                self.pause(attempt, until);
            }
        }
    }

    /// Gives the processor up between two looks.
    pub(crate) fn pause(&self, attempt: u32, until: Option<Time>) {
        self.rest();
        match &self.part {
            Part::Journal(Some(election)) => election.kernel().pause(attempt, until),
            Part::Journal(None) => {}
            Part::Zoo { kernel, .. } => kernel.pause(attempt, until),
        }
    }

    /// Gives it an event, if it still takes part.
    pub(crate) fn deliver(&mut self, event: usize) {
        if self.is_over() {
            return;
        }
        let id = Plan::event_id(event);
        self.take_turn(&id);
        self.tracer.write(&Entry::Deliver(u32::try_from(event).unwrap_or(u32::MAX)));
        match &mut self.part {
            Part::Journal(Some(election)) => {
                let error = election.record(&id, "null").err();
                self.observe_election(error.as_ref());
            }
            Part::Journal(None) => {}
            Part::Zoo { participant, .. } => {
                participant.deliver(Event { id: id.into(), payload: "null".into() });
                self.advance_zoo();
            }
        }
    }

    /// Has it leave in good order.
    pub(crate) fn leave(&mut self) {
        if self.is_over() {
            return;
        }
        self.take_turn(order::LEAVE);
        // It stops believing within the call: what is surely its own ends before it.
        if matches!(self.belief, Belief::Primary { .. }) {
            self.tracer.write(&Entry::Cease);
        }
        self.leaving = true;
        self.tracer.write(&Entry::Leave);
        match &mut self.part {
            Part::Journal(Some(election)) => {
                let left = election.leave();
                for error in left.err().into_iter().chain(self.end_wait()) {
                    if *error.cause() != Cause::Left {
                        self.tracer.write(&Entry::Note(error.to_string()));
                    }
                }
            }
            Part::Journal(None) => {}
            Part::Zoo { participant, .. } => {
                participant.leave();
                self.advance_zoo();
            }
        }
        self.belief = Belief::Left;
        self.tracer.write(&Entry::Left);
    }

    /// What the wait that is over, or about to be, came to, if not to being primary.
    fn end_wait(&mut self) -> Option<Error> {
        self.waiting.take()?.join().expect("a wait does not panic").err()
    }

    /// Has nothing to do for now: others may take their turns.
    pub(crate) fn rest(&self) {
        if let Some(turns) = &self.turns {
            turns.give_up();
        }
    }

    fn take_turn(&self, does: &str) {
        if let Some(turns) = &self.turns {
            turns.take(Some(self.index), does);
        }
    }

    /// Whether it knows who is primary, or takes no part any more.
    pub(crate) fn is_decided(&self) -> bool {
        self.belief != Belief::Undecided
    }

    /// Whether it takes no part any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.belief, Belief::Left | Belief::Failed(_))
    }

    /// Whether it believes that it is primary.
    pub(crate) fn is_primary(&self) -> bool {
        matches!(self.belief, Belief::Primary { .. })
    }

    /// The term of its verdict, where the protocol has terms and there is one.
    pub(crate) fn term(&self) -> Option<u64> {
        let Part::Journal(Some(election)) = &self.part else { return None };
        match election.role() {
            Role::Secondary { term, .. } | Role::Primary { term } => Some(term),
            Role::Undecided | Role::Left | Role::Failed(_) => None,
        }
    }

    /// Whether it will be primary sooner or later, once those before it have left.
    pub(crate) fn is_in_line(&self) -> bool {
        let keeps_trying = match &self.part {
            Part::Journal(election) => election.is_some(),
            Part::Zoo { participant, .. } => matches!(participant.next(), Step::Wait(Wait::Change(_) | Wait::Until(_))),
        };
        keeps_trying && !self.is_primary() && !self.is_over()
    }

    /// In a forked copy of the process: whether the instance refuses to act there.
    pub(crate) fn refuses_copy(&self) -> bool {
        match &self.part {
            Part::Journal(Some(election)) => {
                let refused = |error: Error| *error.cause() == Cause::Forked;
                !election.is_primary()
                    && matches!(election.role(), Role::Failed(fault) if fault.cause == Cause::Forked)
                    && !format!("{election:?}").contains("Primary")
                    && election.fold().registered_count() == 0
                    && election.pending() == 0
                    && election.record("event-0", "null").is_err_and(refused)
                    && election.poll().is_err_and(refused)
                    && election.decided().is_err_and(refused)
                    && election.wait().is_err_and(refused)
                    && election.leave().is_err_and(refused)
            }
            Part::Journal(None) | Part::Zoo { .. } => true,
        }
    }

    /// Notes in its trace that it has come back to its caller as primary since it received an event.
    pub(crate) fn note_recorded(&self, event: usize) {
        self.tracer.write(&Entry::Recorded(u32::try_from(event).unwrap_or(u32::MAX)));
    }

    /// Notes a fault in its trace.
    pub(crate) fn note_fault(&self, kind: &str) {
        self.tracer.write(&Entry::Fault(kind.into()));
    }

    fn observe_election(&mut self, error: Option<&Error>) {
        let Part::Journal(Some(election)) = &self.part else { return };
        let belief = match (election.role(), error) {
            (Role::Failed(_), Some(error)) => Belief::Failed(error.to_string().into()),
            (Role::Failed(fault), None) => Belief::Failed(fault.cause.to_string().into()),
            (Role::Undecided, _) => Belief::Undecided,
            (Role::Secondary { .. }, _) => Belief::Secondary,
            (Role::Primary { term }, _) => Belief::Primary { term },
            (Role::Left, _) => Belief::Left,
        };
        if let Some(error) = error.filter(|_| self.is_limited)
            && matches!(belief, Belief::Undecided | Belief::Secondary)
        {
            self.tracer.write(&Entry::Leave);
            // It cannot be written either, and is told by the failure.
            let _ = election.leave();
            return self.observe(Belief::Failed(error.to_string().into()));
        }
        if let Some(error) = error
            && !matches!(belief, Belief::Failed(_))
            && *error.cause() != Cause::Left
        {
            self.tracer.write(&Entry::Note(error.to_string()));
        }
        self.observe(belief);
    }

    /// Carries out what a protocol of the zoo asks for until it waits.
    fn advance_zoo(&mut self) -> Option<Time> {
        loop {
            let Part::Zoo { participant, .. } = &self.part else { return None };
            let (belief, next) = (participant.belief(), participant.next());
            self.observe(belief);
            let Part::Zoo { participant, kernel, interference } = &mut self.part else { return None };
            match next {
                Step::Call(call) => {
                    let calling = interference.before(None, || order::name(&call), &self.tracer);
                    match &call {
                        Call::Election(call) => self.tracer.write_call(call),
                        call => drop(self.tracer.write(&Entry::Other(describe::other_call(call)))),
                    }
                    let reply = kernel.perform(&call);
                    match &reply {
                        Reply::Election(reply) => self.tracer.write_reply(reply),
                        reply => drop(self.tracer.write(&Entry::Note(describe::other_reply(reply)))),
                    }
                    interference.after(calling, &self.tracer);
                    participant.reply(reply, kernel.now());
                }
                Step::Wait(Wait::Change(until)) => return until,
                Step::Wait(Wait::Until(until)) if until <= kernel.now() => participant.wake(kernel.now()),
                Step::Wait(Wait::Until(until)) => return Some(until),
                Step::Wait(Wait::Event) | Step::Ended => return None,
            }
        }
    }

    fn observe(&mut self, belief: Belief) {
        let now_ns = clock::now_ns();
        if belief != self.belief && !self.leaving {
            let primary = matches!(belief, Belief::Primary { .. });
            if matches!(self.belief, Belief::Primary { .. }) {
                self.tracer.write_at(&Entry::Cease, self.known_ns);
            }
            if self.belief == Belief::Undecided && matches!(belief, Belief::Primary { .. } | Belief::Secondary) {
                self.tracer.write_at(&Entry::Verdict { primary }, now_ns);
            }
            match &belief {
                Belief::Primary { term } => self.tracer.write_at(&Entry::Believe { term: *term }, now_ns),
                Belief::Failed(why) => self.tracer.write_at(&Entry::Failed(why.to_string()), now_ns),
                Belief::Undecided | Belief::Secondary | Belief::Left => {}
            }
            self.belief = belief;
        }
        self.known_ns = now_ns;
    }
}
