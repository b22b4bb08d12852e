//! A process of a round: the instances that it hosts, from the common start to the orderly end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::attended;
use super::heir::Heir;
use super::instance::{Instance, Place};
use super::trace::{Region, Tracer};
use super::turns::Turns;
use crate::plan::{Moment, Plan};
use crate::process::clock;
use crate::process::meeting::Meeting;

/// How long an instance waits for a verdict, beyond the window, and for the others. A machine that shares its processors may
/// be without one of them for ten seconds, and with it all who wait for what that one was at: that is nobody's failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where the processes of a round and their worker meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    /// Reached by the worker alone, when all processes are there: the start.
    pub(crate) start: Meeting,
    /// Reached by every instance with its verdict.
    pub(crate) settled: Meeting,
    /// Reached by every process at its end.
    pub(crate) finished: Meeting,
    /// Reached by the worker alone: the round is to end. For rounds with faults.
    pub(crate) ending: Meeting,
    /// Reached by the worker alone: what happens to the primary is to happen now. For rounds with faults.
    pub(crate) strike: Meeting,
    /// When the start was, in nanoseconds on the monotonic clock.
    pub(crate) released_ns: &'static AtomicU64,
    /// Whether a primary has started a program before it died.
    pub(crate) has_heir: &'static AtomicU32,
    /// That program.
    pub(crate) heir: Heir,
    /// Which of the plan's faults have found whom they happen to, a bit each. For rounds with faults.
    pub(crate) claimed: &'static AtomicU32,
    /// What each instance is, as an [`attended::Status`] and its term.
    pub(crate) statuses: &'static [AtomicU32],
}

/// Hosts the instances of one process. Returns its exit code.
pub(crate) fn run(plan: &Plan, process: usize, place: Place<'_>, stage: Stage, regions: &[Region]) -> i32 {
    // The round before may still be under way.
    if !stage.start.wait(1, plan.window() * 2 + PATIENCE * 6) {
        return 1;
    }
    let hosted = plan.hosted_by(process);
    let start = |index: usize| {
        let mut instance = Instance::start(plan, index, place, Arc::new(Tracer::new(regions[index])));
        deliver(plan, Moment::Joining, &mut instance);
        instance
    };
    let deadline_ns = clock::after_ns(clock::now_ns(), plan.window() + PATIENCE);
    if !plan.faults.is_empty() {
        attended::run(plan, process, place, stage, regions);
    } else if plan.threads {
        std::thread::scope(|scope| {
            for index in hosted {
                scope.spawn(move || {
                    let mut instance = start(index);
                    instance.decide(deadline_ns);
                    settle_and_leave(plan, stage, std::slice::from_mut(&mut instance));
                });
            }
        });
    } else {
        let mut instances: Vec<_> = hosted.map(start).collect();
        match &mut instances[..] {
            [instance] => instance.decide(deadline_ns),
            instances => decide_together(instances, deadline_ns),
        }
        settle_and_leave(plan, stage, &mut instances);
        // The process ends here, which is what clears up most cheaply.
        std::mem::forget(instances);
    }
    if let Some(turns) = Turns::new(plan, None, place.turns) {
        turns.end(plan, process);
    }
    stage.finished.arrive(plan.processes());
    0
}

/// Has several instances elect on one thread, none of which blocks another.
fn decide_together(instances: &mut [Instance], deadline_ns: u64) {
    for attempt in 0.. {
        let mut until = None;
        for instance in instances.iter_mut().filter(|instance| !instance.is_decided()) {
            until = instance.poll().into_iter().chain(until).min();
        }
        let Some(undecided) = instances.iter().find(|instance| !instance.is_decided()) else { return };
        if clock::now_ns() > deadline_ns {
            return;
        }
        undecided.pause(attempt, until);
    }
}

/// What follows the verdict of all instances of a thread.
fn settle_and_leave(plan: &Plan, stage: Stage, instances: &mut [Instance]) {
    for instance in &mut *instances {
        deliver(plan, Moment::Verdict, instance);
        stage.settled.arrive(plan.ids.len());
    }
    for instance in &*instances {
        instance.rest();
    }
    // Nobody leaves before all are settled: the round is about one election. Should one of them hang, this ends as well.
    stage.settled.wait(plan.ids.len(), plan.window() + 2 * PATIENCE);
    for instance in &mut *instances {
        deliver(plan, Moment::Settled, instance);
    }
    for instance in instances {
        instance.leave();
    }
}

fn deliver(plan: &Plan, moment: Moment, instance: &mut Instance) {
    for (event, _) in plan.events.iter().enumerate().filter(|(_, planned)| **planned == moment) {
        instance.deliver(event);
    }
}

impl Stage {
    /// Microseconds since the start.
    pub(crate) fn elapsed_us(self) -> u64 {
        clock::now_ns().saturating_sub(self.released_ns.load(Ordering::Acquire)) / 1000
    }
}
