//! Random schedules, by shuttle: each failing one is kept and can be run again.

mod schedule;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use shuttle::rand::RngCore;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler};
use shuttle::thread::JoinHandle;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::end::End;
use crate::threads::bounds::Bounds;
use crate::threads::engine::{Engine, engine_types};
use crate::threads::execution::{Scenario, ids, last_moments, processes, run};
use crate::threads::limits::Limits;
use crate::threads::observer::Observation;
use crate::threads::panics;
use crate::threads::sharing::{Sharing, share};
use crate::threads::shuttle::schedule::{Choice, Recording, Replay, Saved, choices, invalid};
use crate::verdict::{Moment, Report, Verdict};
use crate::zoo::{self, Protocol};

engine_types!(shuttle);

#[derive(Debug)]
struct Shuttle;

impl Engine for Shuttle {
    type Monitor<T: Send + 'static> = CheckedMonitor<T>;
    type Atomic = shuttle::sync::atomic::AtomicU64;
    type Thread = JoinHandle<()>;

    fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        shuttle::thread::spawn(run)
    }

    fn join(thread: JoinHandle<()>) {
        thread.join().expect("what a thread panics with ends the whole execution");
    }

    fn yield_now() {
        shuttle::thread::yield_now();
    }

    fn choose(ways: u32) -> u32 {
        u32::try_from(shuttle::rand::thread_rng().next_u64() % u64::from(ways.max(1))).unwrap_or(0)
    }
}

/// More switches than any execution here makes that comes to an end.
const STEPS_MAX: usize = 100_000;

/// Enough for the deepest call of an instance.
const STACK_BYTES: usize = 256 * 1024;

/// How deep the bugs are, in points of preemption, that the PCT scheduler is told to look for.
const PCT_DEPTH: usize = 3;

/// How many schedulers there are, each of which tries [`Bounds::schedules`].
pub const SCHEDULERS: usize = NAMES.len();

const NAMES: [&str; 3] = ["random", "urw", "pct"];

/// What is run under each schedule. It is told whether to keep what happens.
type Model = Arc<dyn Fn(bool) -> Observation + Send + Sync>;

/// What was seen so far.
#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    behaviours: HashSet<u64>,
    ends: BTreeSet<End>,
    failure: Option<Failure>,
    /// Why it ended before every schedule was tried.
    ended: Option<String>,
}

#[derive(Clone, Debug)]
struct Failure {
    /// Which of its scheduler's executions it was, from 1, and the scheduler's number.
    at: (u64, usize),
    why: String,
    choices: Vec<Choice>,
}

impl Failure {
    fn scheduler(&self) -> &'static str {
        NAMES[self.at.1]
    }
}

/// Tries as many random schedules with each of three schedulers, with crashes, failing calls, clock jumps and stalls by
/// chance within the bounds. A failing schedule is saved in `directory`, if one is given.
///
/// # Errors
/// Where the failing schedule cannot be saved.
pub fn check(
    protocol: &'static Protocol,
    bounds: &Bounds,
    directory: Option<&Path>,
) -> io::Result<(Report, Option<PathBuf>)> {
    check_while(protocol, bounds, directory, |_| true)
}

/// As [`check`], as long as `go_on` says so, which is told how many executions there were.
///
/// # Errors
/// As [`check`].
pub fn check_while(
    protocol: &'static Protocol,
    bounds: &Bounds,
    directory: Option<&Path>,
    go_on: impl Fn(u64) -> bool + Send + Sync + 'static,
) -> io::Result<(Report, Option<PathBuf>)> {
    let (report, failure) = try_all(protocol, bounds, &model(protocol, bounds), &Limits::new(bounds.time, go_on));
    let saved = failure.zip(directory).map(|(failure, directory)| {
        let scheduler = failure.scheduler().into();
        let Failure { why, choices, .. } = failure;
        Saved { protocol: protocol.name.into(), bounds: bounds.clone(), scheduler, why, choices }.save(directory)
    });
    Ok((report, saved.transpose()?))
}

/// Tries random schedules of threads that share instances.
#[must_use]
pub fn check_sharing(sharing: Sharing, bounds: &Bounds) -> Report {
    let protocol = zoo::find("journal").expect("it is in the zoo");
    let bounds = Bounds { registrants: 2, ..bounds.clone() };
    let model: Model = {
        let bounds = bounds.clone();
        Arc::new(move |told| share::<Shuttle>(protocol, &bounds, sharing, told))
    };
    try_all(protocol, &bounds, &model, &Limits::new(bounds.time, |_| true)).0
}

/// Runs a saved schedule again.
///
/// # Errors
/// Where the file cannot be read, or is no schedule of a protocol known here.
pub fn replay(path: &Path) -> io::Result<Report> {
    let started = Instant::now();
    let Saved { protocol, bounds, choices, .. } = Saved::load(path)?;
    let protocol = zoo::find(&protocol).ok_or_else(|| invalid(path, &format!("no protocol {protocol:?}")))?;
    let (why, counterexample) = retrace(&model(protocol, &bounds), choices);
    let verdict = match &why {
        Ok(Some(_)) => Verdict::Violated,
        Ok(None) => Verdict::Holds,
        Err(_) => Verdict::Inconclusive,
    };
    Ok(Report {
        protocol: protocol.name.into(),
        checker: "shuttle",
        registrants: bounds.registrants,
        instances: ids(&bounds),
        processes: processes(&bounds),
        crashes: bounds.crashes,
        expected: Verdict::Violated,
        verdict,
        complete: false,
        states: None,
        executions: Some(1),
        behaviours: Some(1),
        ends: BTreeSet::new(),
        share_of_exhaustive: None,
        seconds: started.elapsed().as_secs_f64(),
        why: why.unwrap_or_else(|strayed| Some(strayed.to_owned())),
        parts: Vec::new(),
        counterexample,
    })
}

fn model(protocol: &'static Protocol, bounds: &Bounds) -> Model {
    let scenario = Scenario {
        protocol,
        bounds: bounds.clone(),
        faults: Vec::new(),
        by_chance: true,
        patience: 0,
        names_apart: false,
        keeps_moments: false,
    };
    Arc::new(move |told| run::<Shuttle>(&Scenario { keeps_moments: told, ..scenario.clone() }))
}

/// Has every scheduler try its schedules, up to the first that fails.
fn try_all(protocol: &Protocol, bounds: &Bounds, model: &Model, limits: &Limits) -> (Report, Option<Failure>) {
    let started = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (count, seed) = (bounds.schedules, bounds.seed);
    thread::scope(|scope| {
        let tally = &tally;
        scope.spawn(|| try_with(0, RandomScheduler::new_from_seed(seed, count), model, tally, limits));
        scope.spawn(|| try_with(1, UrwRandomScheduler::new_from_seed(seed, count), model, tally, limits));
        scope.spawn(|| try_with(2, PctScheduler::new_from_seed(seed, PCT_DEPTH, count), model, tally, limits));
    });
    let Tally { executions, behaviours, ends, failure, ended } = std::mem::take(&mut *lock(&tally));
    let counterexample = failure.as_ref().map(|failure| retrace(model, failure.choices.clone()).1).unwrap_or_default();
    let report = Report {
        protocol: protocol.name.into(),
        checker: "shuttle",
        registrants: bounds.registrants,
        instances: ids(bounds),
        processes: processes(bounds),
        crashes: bounds.crashes,
        expected: protocol.expected(),
        verdict: match (&failure, &ended) {
            (Some(_), _) => Verdict::Violated,
            (None, None) if executions > 0 => Verdict::Holds,
            (None, _) => Verdict::Inconclusive,
        },
        // Random schedules are never all of them.
        complete: false,
        states: None,
        executions: Some(executions),
        behaviours: Some(behaviours.len() as u64),
        ends,
        share_of_exhaustive: None,
        seconds: started.elapsed().as_secs_f64(),
        why: failure.as_ref().map(|failure| format!("{} (found by {})", failure.why, failure.scheduler())).or(ended),
        parts: Vec::new(),
        counterexample,
    };
    (report, failure)
}

/// Has one scheduler try its schedules, on this thread. Of all failures counts the one that comes first in its scheduler's
/// order, so that it does not depend on how fast the others are: each goes on until it has tried as many.
fn try_with(
    number: usize,
    scheduler: impl Scheduler + 'static,
    model: &Model,
    tally: &Arc<Mutex<Tally>>,
    limits: &Limits,
) {
    let own_executions = Arc::new(AtomicU64::new(0));
    let next_at = {
        let own_executions = own_executions.clone();
        move || (own_executions.load(Ordering::Relaxed) + 1, number)
    };
    let goes_on = {
        let (tally, limits, next_at) = (tally.clone(), limits.clone(), next_at.clone());
        move || {
            let mut tally = lock(&tally);
            if tally.failure.is_none() && tally.ended.is_none() {
                tally.ended = limits.reached(tally.executions);
            }
            match &tally.failure {
                Some(failure) => next_at() < failure.at,
                None => tally.ended.is_none(),
            }
        }
    };
    let executed = {
        let tally = tally.clone();
        move |seen: Option<(u64, End)>, why: Option<String>| {
            let at = next_at();
            own_executions.store(at.0, Ordering::Relaxed);
            let mut tally = lock(&tally);
            tally.executions += 1;
            if let Some((behaviour, end)) = seen {
                tally.behaviours.insert(behaviour);
                tally.ends.insert(end);
            }
            if let Some(why) = why
                && tally.failure.as_ref().is_none_or(|failure| at < failure.at)
            {
                tally.failure = Some(Failure { at, why, choices: choices() });
            }
        }
    };
    let (model, tell) = (model.clone(), executed.clone());
    let explored = panics::catch(|| {
        Runner::new(Recording::new(scheduler, goes_on), config()).run(move || {
            let observation = model(false);
            tell(Some((observation.behaviour, observation.end)), observation.violation.map(|(why, _)| why));
        })
    });
    // Shuttle's own finding: a deadlock, or threads that turn without end; or the model's.
    if let Err(panic) = explored {
        executed(None, Some(panic.into_finding()));
    }
}

/// Runs one schedule again and keeps what happens; `Err` where it asked for other choices than were written down.
fn retrace(model: &Model, choices: Vec<Choice>) -> (Result<Option<String>, &'static str>, Vec<Moment>) {
    let strayed = Rc::new(RefCell::new(false));
    let replay = Replay::new(choices, strayed.clone());
    let found = Arc::new(Mutex::new(None));
    let (model, shared) = (model.clone(), found.clone());
    let run = panics::catch(|| Runner::new(replay, config()).run(move || *lock(&shared) = model(true).violation));
    let found = lock(&found).take();
    match (found, run) {
        (Some((why, moments)), _) => (Ok(Some(why)), moments),
        (None, Err(panic)) if !*strayed.borrow() => (Ok(Some(panic.into_finding())), last_moments()),
        (None, _) if *strayed.borrow() => (Err("the schedule does not fit the program any more"), Vec::new()),
        (None, _) => (Ok(None), Vec::new()),
    }
}

/// How an execution is run; failures are told here, not by shuttle.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
