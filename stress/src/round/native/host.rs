//! A process of a round: the instances that it hosts are polled, receive events by the clock, and leave in good order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rustix::process::{Resource, Rlimit, setrlimit};
use single_primary::call::Time;

use super::instance::{Instance, Place};
use super::interference;
use super::stage::{PATIENCE, Stage, Status, patience};
use super::trace::{Region, Tracer};
use super::turns::Turns;
use crate::plan::fault::{Fault, Kind};
use crate::plan::{Moment, Plan};
use crate::process;
use crate::process::clock;

/// How long the instances of a process are left alone between two looks, for each that there are.
const NAP: Duration = Duration::from_micros(50);

/// So many times its patience a process goes on that nobody ends.
const ALONE: u32 = 30;

/// How long is waited at most where nothing is to be done before the round is to end.
const REST: Duration = Duration::from_millis(20);

/// Hosts the instances of one process. Returns its exit code.
pub(crate) fn run(plan: &Plan, process: usize, place: Place<'_>, stage: Stage, regions: &[Region]) -> i32 {
    if !stage.start.wait(1, patience(plan, 2) * ALONE) {
        return 1;
    }
    limit_files(plan, process);
    let hosted = plan.hosted_by(process);
    for index in hosted.clone() {
        stage.say(index, Status::Coming, None);
    }
    if plan.threads {
        std::thread::scope(|scope| {
            for index in hosted {
                scope.spawn(move || attend(plan, index..index + 1, place, stage, regions));
            }
        });
    } else {
        attend(plan, hosted, place, stage, regions);
    }
    if let Some(turns) = Turns::new(plan, None, place.turns) {
        turns.end(plan, process);
    }
    0
}

/// An instance and what it has received.
#[derive(Debug)]
struct Hosted {
    index: usize,
    instance: Option<Instance>,
    /// Until when it waits, where that is known.
    until: Option<Time>,
    delivered: Vec<bool>,
    /// Which of these it has had as primary when it last came back.
    recorded: Vec<bool>,
}

/// Polls instances on one thread until all have left.
fn attend(plan: &Plan, hosted: Range<usize>, place: Place<'_>, stage: Stage, regions: &[Region]) {
    let nothing = || vec![false; plan.events.len()];
    let mut hosted: Vec<_> = hosted
        .map(|index| Hosted { index, instance: None, until: None, delivered: nothing(), recorded: nothing() })
        .collect();
    // How long it is waited for, and whether it could have ended, its worker knows. This is for when there is none any more.
    let given_up = Instant::now() + patience(plan, 3) * ALONE;
    for attempt in 0.. {
        let ending = stage.ending.is_at(1);
        let mut open = false;
        for one in &mut hosted {
            one.advance(plan, place, stage, regions, ending);
            open |= one.instance.as_ref().is_none_or(|instance| !instance.is_over());
        }
        // They share their turns.
        if let Some(instance) = hosted.iter().find_map(|one| one.instance.as_ref()) {
            instance.rest();
        }
        if !open || Instant::now() > given_up {
            break;
        }
        if stage.strike.is_at(1) {
            for one in &hosted {
                if let Some(instance) = one.instance.as_ref().filter(|instance| instance.is_primary()) {
                    // Whoever is primary after it is spared.
                    stage.strike.arrive(2);
                    strike(plan, instance, stage);
                }
            }
        }
        pause(plan, &mut hosted, stage, attempt);
    }
}

/// Leaves the instances alone for a while.
fn pause(plan: &Plan, hosted: &mut [Hosted], stage: Stage, attempt: u32) {
    if !plan.faults.is_empty() {
        // Many processes that look often would keep one another from the processors.
        std::thread::sleep(NAP * u32::try_from(plan.ids.len()).unwrap_or(u32::MAX));
        return;
    }
    let is_alone = hosted.len() == 1;
    let undecided = hosted.iter_mut().find_map(|one| {
        let instance = one.instance.as_mut().filter(|instance| !instance.is_decided())?;
        Some((instance, one.until))
    });
    match undecided {
        // With nothing else to do, it waits as a caller would that has no loop of its own.
        Some((instance, _)) if is_alone => instance.decide(clock::after_ns(clock::now_ns(), plan.window() + PATIENCE)),
        Some((instance, until)) => instance.pause(attempt, until),
        None => drop(stage.ending.wait(1, REST)),
    }
}

impl Hosted {
    fn advance(&mut self, plan: &Plan, place: Place<'_>, stage: Stage, regions: &[Region], ending: bool) {
        let elapsed_us = stage.elapsed_us();
        let Some(instance) = &mut self.instance else {
            if elapsed_us >= plan.begins_us(self.index) {
                stage.say(self.index, Status::Undecided, None);
                let tracer = Arc::new(Tracer::new(regions[self.index]));
                self.instance = Some(Instance::start(plan, self.index, place, tracer));
                self.deliver(plan, elapsed_us, ending);
            }
            return;
        };
        if !instance.is_over() {
            self.until = instance.poll();
        }
        self.deliver(plan, elapsed_us, ending);
        self.note_recorded();
        let Some(instance) = &mut self.instance else { return };
        let retires = plan.faults.iter().any(|fault| match fault {
            Fault::Restart { instance, at_us, dies: false, .. } => *instance == self.index && elapsed_us >= *at_us,
            _ => false,
        });
        if retires && !instance.is_over() && instance.is_decided() {
            instance.note_fault(&Kind::Restart.name());
            instance.leave();
        }
        // Where faults have their after-effects, one after the other: each is primary once, so that none takes along what it
        // alone still had to log.
        let is_awaited = || instance.is_in_line() || lacks_followers(plan, self.index, instance, stage);
        if ending && (plan.faults.is_empty() || !is_awaited()) {
            instance.leave();
        }
        let status = if instance.is_over() {
            Status::Over
        } else if instance.is_primary() {
            Status::Primary
        } else if instance.is_decided() && instance.is_in_line() {
            Status::Secondary
        } else if instance.is_decided() {
            Status::Resigned
        } else {
            Status::Undecided
        };
        stage.say(self.index, status, instance.term());
    }

    /// Notes the events that it must have written by now.
    fn note_recorded(&mut self) {
        let Some(instance) = self.instance.as_ref().filter(|instance| instance.is_primary()) else { return };
        for (event, recorded) in self.recorded.iter_mut().enumerate() {
            if self.delivered[event] && !std::mem::replace(recorded, true) {
                instance.note_recorded(event);
            }
        }
    }

    /// Gives it the events whose moment has come. What came before it began never reaches it.
    fn deliver(&mut self, plan: &Plan, elapsed_us: u64, ending: bool) {
        let Some(instance) = &mut self.instance else { return };
        let begins_us = plan.begins_us(self.index);
        for (event, moment) in plan.events.iter().enumerate() {
            let is_due = match moment {
                Moment::Joining => begins_us == 0,
                Moment::Verdict => begins_us == 0 && instance.is_decided(),
                Moment::After(at_us) => (begins_us..=elapsed_us).contains(at_us),
                Moment::Settled => ending,
            };
            if is_due && !std::mem::replace(&mut self.delivered[event], true) {
                instance.deliver(event);
            }
        }
    }
}

/// Whether an instance is primary, and one of those who live has yet to find it, where the round is about that.
fn lacks_followers(plan: &Plan, index: usize, instance: &Instance, stage: Stage) -> bool {
    let followers = Status::Secondary.word(instance.term());
    plan.is_about_followers()
        && instance.is_primary()
        && (0..plan.ids.len()).filter(|other| *other != index).any(|other| {
            let word = stage.statuses[other].load(Ordering::Acquire);
            word != followers && !matches!(Status::of(word), Status::Resigned | Status::Over)
        })
}

/// What happens to the primary itself.
fn strike(plan: &Plan, primary: &Instance, stage: Stage) {
    for fault in &plan.faults {
        match fault {
            // Without a program the fault does not happen, and is not counted.
            Fault::Heir if stage.heir.start().is_ok() => {
                stage.has_heir.store(1, Ordering::Release);
                primary.note_fault(&Kind::Heir.name());
                interference::kill_self();
            }
            Fault::Fork => {
                let copy = process::fork(|| i32::from(!primary.refuses_copy()));
                if let Ok(status) = copy.and_then(|copy| Ok(process::wait(copy)?)) {
                    primary.note_fault(&Kind::Fork.name());
                    if status.exit_status() != Some(0) {
                        primary.note_fault("a forked copy of the primary was not refused");
                    }
                }
            }
            _ => {}
        }
    }
}

/// Limits the size of files where the plan says so.
fn limit_files(plan: &Plan, process: usize) {
    for fault in &plan.faults {
        if let Fault::Full { process: limited, bytes } = fault
            && *limited == process
        {
            // Without these the fault does not happen, and is not counted.
            let _ = process::ignore(Signal::SIGXFSZ);
            let _ = setrlimit(Resource::Fsize, Rlimit { current: Some(*bytes), maximum: Some(*bytes) });
        }
    }
}
