//! Faults that happen to an instance at its system calls.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use single_primary::call::Call;

use super::trace::{Entry, Tracer};
use super::turns::Turns;
use super::validation::Validator;
use crate::plan::Plan;
use crate::plan::boundary::{self, Boundary, Part};
use crate::plan::fault::{Fault, Kind};
use crate::plan::order;

/// What is to happen to one instance at its calls.
#[derive(Debug)]
pub(crate) struct Interference {
    index: usize,
    turns: Option<Arc<Turns>>,
    calls: AtomicU32,
    kill: Option<(u32, bool)>,
    stall: Option<(u32, Duration)>,
    boundaries: Vec<Aim>,
    /// Only where there are boundaries; on the heap, since an instance is moved about while it is made.
    shadow: Option<Box<Mutex<Shadow>>>,
    claimed: &'static AtomicU32,
}

/// A boundary, and the bit of the fault that happens there.
#[derive(Debug)]
struct Aim {
    boundary: Boundary,
    bit: u32,
}

/// A call that is being made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calling<'a> {
    number: u32,
    /// The boundary to die at once it has returned.
    aim: Option<&'a Aim>,
}

impl Interference {
    /// What the plan has for an instance; `claimed` tells all of them which faults have found theirs.
    pub(crate) fn new(plan: &Plan, index: usize, claimed: &'static AtomicU32, turns: Option<Arc<Turns>>) -> Self {
        let mut interference = Self {
            index,
            turns,
            calls: AtomicU32::new(0),
            kill: None,
            stall: None,
            boundaries: Vec::new(),
            shadow: None,
            claimed,
        };
        for (number, fault) in (0..u32::BITS).zip(&plan.faults) {
            match fault {
                Fault::KillAtCall { instance, call, after } if *instance == index => {
                    interference.kill = Some((*call, *after));
                }
                Fault::KillAtBoundary { boundary } => {
                    interference.boundaries.push(Aim { boundary: boundary.clone(), bit: 1 << number });
                }
                Fault::Stall { instance, call, for_us } if *instance == index => {
                    interference.stall = Some((*call, Duration::from_micros(*for_us)));
                }
                _ => {}
            }
        }
        if !interference.boundaries.is_empty() {
            interference.shadow = Some(Box::new(Mutex::new(Shadow::new(plan, index))));
        }
        interference
    }

    /// Before a call, which has a name; of the election's own calls it is told which.
    pub(crate) fn before(&self, call: Option<&Call>, name: impl FnOnce() -> String, tracer: &Tracer) -> Calling<'_> {
        self.rest();
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((call, span)) = self.stall
            && call == number
        {
            tracer.write(&Entry::Fault(Kind::Stall.name()));
            std::thread::sleep(span);
        }
        if self.kill == Some((number, false)) {
            self.die(tracer, None);
        }
        let aim = call.and_then(|call| self.aim(call, tracer));
        if let Some(aim) = aim
            && !aim.boundary.after
            && self.claim(aim)
        {
            self.die(tracer, Some(&aim.boundary));
        }
        if let Some(turns) = &self.turns {
            turns.take(Some(self.index), &name());
        }
        Calling { number, aim }
    }

    /// After that call.
    pub(crate) fn after(&self, Calling { number, aim }: Calling<'_>, tracer: &Tracer) {
        if self.kill == Some((number, true)) {
            self.die(tracer, None);
        }
        if let Some(aim) = aim
            && aim.boundary.after
            && self.claim(aim)
        {
            self.die(tracer, Some(&aim.boundary));
        }
    }

    /// Has nothing to do for now.
    pub(crate) fn rest(&self) {
        if let Some(turns) = &self.turns {
            turns.give_up();
        }
    }

    fn die(&self, tracer: &Tracer, boundary: Option<&Boundary>) -> ! {
        if let Some(turns) = &self.turns {
            // The worker ends it, once this process is gone.
            turns.take(Some(self.index), order::DIE);
        }
        if let Some(boundary) = boundary {
            tracer.write(&Entry::Note(boundary.note()));
        }
        tracer.write(&Entry::Fault(Kind::KillAtCall.name()));
        kill_self();
    }

    /// The boundary that a call is, if a fault is aimed at it.
    fn aim(&self, call: &Call, tracer: &Tracer) -> Option<&Aim> {
        let shadow = self.shadow.as_ref()?;
        let name = boundary::name(call);
        let part = shadow.lock().unwrap_or_else(PoisonError::into_inner).part(tracer);
        self.boundaries.iter().find(|aim| aim.boundary.call == name && aim.boundary.part == part)
    }

    /// Whether nobody has died of the fault yet: then it is this one's turn.
    fn claim(&self, aim: &Aim) -> bool {
        self.claimed.fetch_or(aim.bit, Ordering::AcqRel) & aim.bit == 0
    }
}

/// A machine that follows the instance while it runs, to know what it is at each of its calls: its caller learns that
/// only between them.
#[derive(Debug)]
struct Shadow {
    validator: Validator,
    /// How much of the trace it has followed.
    at: usize,
    bytes: Vec<u8>,
}

impl Shadow {
    fn new(plan: &Plan, index: usize) -> Self {
        Self { validator: Validator::new(plan, index), at: 0, bytes: Vec::new() }
    }

    fn part(&mut self, tracer: &Tracer) -> Part {
        while let Some(stamped) = tracer.region().next(&mut self.at, &mut self.bytes) {
            self.validator.follow(stamped.entry);
        }
        self.validator.part()
    }
}

/// Dies as by a signal from elsewhere, without a chance to do anything more.
pub(crate) fn kill_self() -> ! {
    loop {
        // It takes effect before the call returns; where it cannot be sent, there is nothing to go on with.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
