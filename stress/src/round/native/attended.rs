//! A process of a round with faults: its instances are polled, receive events by the clock, and leave one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use models::verdict::Verdict;
use models::zoo;
use nix::sys::signal::Signal;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::host::{PATIENCE, Stage};
use super::instance::{Instance, Place};
use super::interference;
use super::trace::{Region, Tracer};
use crate::plan::fault::{Fault, Kind};
use crate::plan::{Moment, Plan};
use crate::process;

/// How long the instances of a process are left alone between two looks, for each that there are.
const NAP: Duration = Duration::from_micros(50);

/// What an instance is, as its worker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Its process may not run yet.
    Absent = 0,
    Undecided = 1,
    Secondary = 2,
    Primary = 3,
    /// Secondary for good: it will not look again.
    Resigned = 4,
    Over = 5,
    /// Its process runs, and its time has not come.
    Coming = 6,
}

impl Status {
    /// How many bits it takes. Above them stands the term of the verdict, where there is one.
    const BITS: u32 = 3;

    /// The status in such a word.
    pub(crate) fn of(word: u32) -> Self {
        let number = word & ((1 << Self::BITS) - 1);
        [Self::Absent, Self::Undecided, Self::Secondary, Self::Primary, Self::Resigned, Self::Coming]
            .into_iter()
            .find(|status| *status as u32 == number)
            .unwrap_or(Self::Over)
    }

    /// The word that says this of an instance.
    fn word(self, term: Option<u64>) -> u32 {
        let term = term.and_then(|term| u32::try_from(term).ok()).unwrap_or(0);
        self as u32 | term << Self::BITS
    }
}

/// An instance and what it has received.
#[derive(Debug)]
struct Hosted {
    index: usize,
    instance: Option<Instance>,
    delivered: Vec<bool>,
    /// Which of these it has had as primary when it last came back.
    recorded: Vec<bool>,
}

/// Polls the instances of a process until all have left.
pub(crate) fn run(plan: &Plan, process: usize, place: Place<'_>, stage: Stage, regions: &[Region]) {
    limit_files(plan, process);
    let mut hosted: Vec<_> = plan
        .hosted_by(process)
        .map(|index| Hosted {
            index,
            instance: None,
            delivered: vec![false; plan.events.len()],
            recorded: vec![false; plan.events.len()],
        })
        .collect();
    for one in &hosted {
        stage.statuses[one.index].store(Status::Coming as u32, Ordering::Release);
    }
    // Many processes that look often would keep one another from the processors.
    let nap = NAP * u32::try_from(plan.ids.len()).unwrap_or(u32::MAX);
    let mut patience = Patience::new(plan, 3);
    loop {
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
        if !open || patience.is_over() {
            return;
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
        std::thread::sleep(nap);
    }
}

/// How long is still waited. While the machine itself stands still, so does this: a pause that keeps everyone from running
/// is nobody's failure to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    left: Duration,
    looked: Instant,
}

impl Patience {
    /// More than this does not pass between two looks of a process that runs.
    const LOOK_MAX: Duration = Duration::from_millis(100);

    /// So much for the windows of a plan, and for anything else. A protocol that is known to hang now and then is not waited
    /// for so long.
    pub(crate) fn new(plan: &Plan, windows: u32) -> Self {
        let is_broken = zoo::find(&plan.protocol).is_some_and(|protocol| protocol.expected() == Verdict::Violated);
        let patience = if is_broken { PATIENCE / 30 } else { PATIENCE };
        // To take turns takes time.
        let turns = if plan.order.is_empty() { Duration::ZERO } else { PATIENCE };
        Self { left: windows * plan.window() + patience + turns, looked: Instant::now() }
    }

    /// Whether it is over, looked at again and again.
    pub(crate) fn is_over(&mut self) -> bool {
        let now = Instant::now();
        self.left = self.left.saturating_sub(now.saturating_duration_since(self.looked).min(Self::LOOK_MAX));
        self.looked = now;
        self.left.is_zero()
    }
}

impl Hosted {
    fn advance(&mut self, plan: &Plan, place: Place<'_>, stage: Stage, regions: &[Region], ending: bool) {
        let elapsed_us = stage.elapsed_us();
        let Some(instance) = &mut self.instance else {
            if elapsed_us >= plan.begins_us(self.index) {
                stage.statuses[self.index].store(Status::Undecided as u32, Ordering::Release);
                let tracer = Arc::new(Tracer::new(regions[self.index]));
                self.instance = Some(Instance::start(plan, self.index, place, tracer));
                self.deliver(plan, elapsed_us, ending);
            }
            return;
        };
        if !instance.is_over() {
            instance.poll();
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
        // One after the other: each is primary once, so that none takes along what it alone still had to log.
        if ending && !instance.is_in_line() && !lacks_followers(plan, self.index, instance, stage) {
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
        stage.statuses[self.index].store(status.word(instance.term()), Ordering::Release);
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
