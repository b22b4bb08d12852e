//! Random schedules, by shuttle: each failing one is kept and can be run again.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use shuttle::rand::RngCore;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId, UrwRandomScheduler};
use shuttle::thread::JoinHandle;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::threads::bounds::Bounds;
use crate::threads::engine::{Engine, engine_types};
use crate::threads::execution::{Scenario, run};
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

/// What was chosen in one execution, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Choice {
    /// The thread that went on.
    Task(usize),
    /// A random number.
    Random(u64),
}

/// A failing schedule with all that it takes to run it again.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    protocol: String,
    bounds: Bounds,
    scheduler: String,
    why: String,
    choices: Vec<Choice>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    behaviours: HashSet<u64>,
    failure: Option<Failure>,
    out_of_time: bool,
}

#[derive(Clone, Debug)]
struct Failure {
    scheduler: &'static str,
    why: String,
    choices: Vec<Choice>,
}

/// Passes on what a scheduler chooses, writes it down, and ends once there is a failure.
struct Recording<S> {
    /// Never dropped: one that is dropped before its last schedule prints a seed that would replay nothing here.
    scheduler: ManuallyDrop<S>,
    choices: Rc<RefCell<Vec<Choice>>>,
    tally: Arc<Mutex<Tally>>,
    deadline: Option<Instant>,
}

impl<S: Scheduler> Scheduler for Recording<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let mut tally = lock(&self.tally);
        if tally.failure.is_some() {
            return None;
        }
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            tally.out_of_time = true;
            return None;
        }
        self.choices.borrow_mut().clear();
        self.scheduler.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let task = self.scheduler.next_task(runnable, current, is_yielding)?;
        self.choices.borrow_mut().push(Choice::Task(task.into()));
        Some(task)
    }

    fn next_u64(&mut self) -> u64 {
        let number = self.scheduler.next_u64();
        self.choices.borrow_mut().push(Choice::Random(number));
        number
    }
}

/// Chooses what was chosen before, once.
struct Replay {
    choices: std::vec::IntoIter<Choice>,
    started: bool,
    /// Whether what happened asked for something else than what was written down.
    strayed: Rc<RefCell<bool>>,
}

impl Scheduler for Replay {
    fn new_execution(&mut self) -> Option<Schedule> {
        (!std::mem::replace(&mut self.started, true)).then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], _current: Option<TaskId>, _is_yielding: bool) -> Option<TaskId> {
        if let Some(Choice::Task(task)) = self.choices.next()
            && let Some(task) = runnable.iter().map(|runnable| runnable.id()).find(|id| usize::from(*id) == task)
        {
            return Some(task);
        }
        *self.strayed.borrow_mut() = true;
        None
    }

    fn next_u64(&mut self) -> u64 {
        if let Some(Choice::Random(number)) = self.choices.next() {
            return number;
        }
        *self.strayed.borrow_mut() = true;
        0
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
    let started = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::default()));
    thread::scope(|scope| {
        let (count, seed, tally) = (bounds.schedules, bounds.seed, &tally);
        let try_with = |name| Attempt { name, protocol, bounds, tally, started };
        scope.spawn(move || try_with("random").run(RandomScheduler::new_from_seed(seed, count)));
        scope.spawn(move || try_with("urw").run(UrwRandomScheduler::new_from_seed(seed, count)));
        scope.spawn(move || try_with("pct").run(PctScheduler::new_from_seed(seed, PCT_DEPTH, count)));
    });
    let Tally { executions, behaviours, failure, out_of_time } = std::mem::take(&mut *lock(&tally));
    let counterexample =
        failure.as_ref().map(|failure| retrace(protocol, bounds, failure.choices.clone()).1).unwrap_or_default();
    let saved = match (&failure, directory) {
        (Some(failure), Some(directory)) => Some(save(protocol, bounds, failure, directory)?),
        _ => None,
    };
    let verdict = match &failure {
        Some(_) => Verdict::Violated,
        None if out_of_time || executions == 0 => Verdict::Inconclusive,
        None => Verdict::Holds,
    };
    let why = match failure {
        Some(failure) => Some(format!("{} (found by {})", failure.why, failure.scheduler)),
        None => out_of_time.then(|| format!("the time of {:?} was spent", bounds.time)),
    };
    let report = Report {
        protocol: protocol.name.into(),
        checker: "shuttle",
        registrants: bounds.registrants,
        crashes: bounds.crashes,
        expected: protocol.expected(),
        verdict,
        // Random schedules are never all of them.
        complete: false,
        states: None,
        executions: Some(executions),
        behaviours: Some(behaviours.len() as u64),
        seconds: started.elapsed().as_secs_f64(),
        why,
        parts: Vec::new(),
        counterexample,
    };
    Ok((report, saved))
}

/// Runs a saved schedule again.
///
/// # Errors
/// Where the file cannot be read, or is no schedule of a protocol known here.
pub fn replay(path: &Path) -> io::Result<Report> {
    let started = Instant::now();
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
    let text = fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    let saved: Saved =
        serde_json::from_slice(&text).map_err(|error| invalid(format!("not a saved schedule: {error}")))?;
    let protocol = zoo::find(&saved.protocol).ok_or_else(|| invalid(format!("no protocol {:?}", saved.protocol)))?;
    let (why, counterexample) = retrace(protocol, &saved.bounds, saved.choices);
    let verdict = match &why {
        Ok(Some(_)) => Verdict::Violated,
        Ok(None) => Verdict::Holds,
        Err(_) => Verdict::Inconclusive,
    };
    Ok(Report {
        protocol: saved.protocol,
        checker: "shuttle",
        registrants: saved.bounds.registrants,
        crashes: saved.bounds.crashes,
        expected: Verdict::Violated,
        verdict,
        complete: false,
        states: None,
        executions: Some(1),
        behaviours: Some(1),
        seconds: started.elapsed().as_secs_f64(),
        why: why.unwrap_or_else(|strayed| Some(strayed.to_owned())),
        parts: Vec::new(),
        counterexample,
    })
}

/// What one scheduler is to try.
struct Attempt<'a> {
    name: &'static str,
    protocol: &'static Protocol,
    bounds: &'a Bounds,
    tally: &'a Arc<Mutex<Tally>>,
    started: Instant,
}

impl Attempt<'_> {
    fn run(self, scheduler: impl Scheduler + 'static) {
        let Self { name, protocol, bounds, tally, started } = self;
        let choices = Rc::new(RefCell::new(Vec::new()));
        // What was chosen is read on this thread, after an execution has ended.
        LAST.with_borrow_mut(|last| *last = Some(choices.clone()));
        let deadline = started.checked_add(bounds.time);
        let recording = Recording { scheduler: ManuallyDrop::new(scheduler), choices, tally: tally.clone(), deadline };
        let (scenario, shared) = (scenario(protocol, bounds, false), tally.clone());
        Runner::new(recording, config()).run(move || {
            let observation = run::<Shuttle>(&scenario);
            let mut tally = lock(&shared);
            tally.executions += 1;
            tally.behaviours.insert(observation.behaviour);
            if let (Some((why, _)), None) = (observation.violation, &tally.failure) {
                let choices = LAST.with_borrow(|last| last.as_ref().map(|choices| choices.borrow().clone()));
                tally.failure = Some(Failure { scheduler: name, why, choices: choices.unwrap_or_default() });
            }
        });
        LAST.with_borrow_mut(Option::take);
    }
}

thread_local! {
    /// The choices of the execution that runs on this thread.
    static LAST: RefCell<Option<Rc<RefCell<Vec<Choice>>>>> = const { RefCell::new(None) };
}

/// Runs one schedule again and keeps what happens; `Err` where it asked for other choices than were written down.
fn retrace(
    protocol: &'static Protocol,
    bounds: &Bounds,
    choices: Vec<Choice>,
) -> (Result<Option<String>, &'static str>, Vec<Moment>) {
    let strayed = Rc::new(RefCell::new(false));
    let replay = Replay { choices: choices.into_iter(), started: false, strayed: strayed.clone() };
    let found = Arc::new(Mutex::new(None));
    let (scenario, shared) = (scenario(protocol, bounds, true), found.clone());
    Runner::new(replay, config()).run(move || *lock(&shared) = run::<Shuttle>(&scenario).violation);
    let found = lock(&found).take();
    match found {
        Some((why, moments)) => (Ok(Some(why)), moments),
        None if *strayed.borrow() => (Err("the schedule does not fit the program any more"), Vec::new()),
        None => (Ok(None), Vec::new()),
    }
}

fn scenario(protocol: &'static Protocol, bounds: &Bounds, keeps_moments: bool) -> Scenario {
    Scenario {
        protocol,
        bounds: bounds.clone(),
        faults: Vec::new(),
        by_chance: true,
        patience: 0,
        names_apart: false,
        keeps_moments,
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config
}

fn save(protocol: &Protocol, bounds: &Bounds, failure: &Failure, directory: &Path) -> io::Result<PathBuf> {
    let saved = Saved {
        protocol: protocol.name.into(),
        bounds: bounds.clone(),
        scheduler: failure.scheduler.into(),
        why: failure.why.clone(),
        choices: failure.choices.clone(),
    };
    let path = directory.join(format!("{}-{}.schedule.json", protocol.name, failure.scheduler));
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(named)?;
    fs::write(&path, serde_json::to_vec(&saved)?).map_err(named)?;
    Ok(path)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
