//! Every schedule up to a number of preemptions, by loom.
//!
//! Loom explores one schedule after another until none is left, and leaves out those that only swap independent
//! accesses. It knows no faults: each is a scenario of its own, for every instance and every call.

use std::collections::{BTreeSet, HashSet};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use loom::thread::JoinHandle;

use crate::end::End;
use crate::threads::bounds::{Bounds, Fault, FaultKind};
use crate::threads::engine::{Engine, engine_types};
use crate::threads::execution::{Scenario, ids, last_moments, processes, run};
use crate::threads::limits::Limits;
use crate::threads::observer::Observation;
use crate::threads::panics;
use crate::threads::sharing::{Sharing, share};
use crate::verdict::{Moment, Report, Verdict};
use crate::zoo::{self, Protocol};

/// So many threads loom has room for, the one that starts the others among them.
pub const REGISTRANTS_MAX: usize = loom::MAX_THREADS;

/// More points at which threads could switch than any execution here has.
const BRANCHES_MAX: usize = 20_000;

/// How often instances look again before their window passes, and how many preemptions fewer there are then: not at all, so
/// that it passes before anyone else has done anything; and once, so that everyone else may go on meanwhile, which is a
/// free switch at each look.
const PATIENCE: [(u32, usize); 2] = [(0, 0), (1, 1)];

engine_types!(loom);

#[derive(Debug)]
struct Loom;

impl Engine for Loom {
    type Monitor<T: Send + 'static> = CheckedMonitor<T>;
    type Atomic = loom::sync::atomic::AtomicU64;
    type Thread = JoinHandle<()>;

    fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        loom::thread::spawn(run)
    }

    fn join(thread: JoinHandle<()>) {
        thread.join().expect("what a thread panics with ends the whole model");
    }

    fn yield_now() {
        loom::thread::yield_now();
    }

    fn choose(_ways: u32) -> u32 {
        0
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    behaviours: HashSet<u64>,
    ends: BTreeSet<End>,
    /// The most calls that each instance made.
    calls: Vec<u32>,
    violation: Option<(String, Vec<Moment>)>,
}

/// Ends an exploration before it is complete: at a violation, or for the reason given.
struct Enough(Option<String>);

/// Explores every schedule of threads that share instances.
#[must_use]
pub fn check_sharing(sharing: Sharing, bounds: &Bounds) -> Report {
    let started = Instant::now();
    let protocol = zoo::find("journal").expect("it is in the zoo");
    let bounds = Bounds { registrants: 2, ..bounds.clone() };
    let tally = Arc::new(Mutex::new(Tally::default()));
    let model = {
        let bounds = bounds.clone();
        Arc::new(move |told| share::<Loom>(protocol, &bounds, sharing, told))
    };
    let complete = explore(&model, &bounds, &tally, &Limits::new(bounds.time, |_| true));
    report(protocol, &bounds, &tally, &complete, started)
}

/// Explores every schedule within the bounds; with faults, every schedule around each fault at each call.
#[must_use]
pub fn check(protocol: &'static Protocol, bounds: &Bounds) -> Report {
    check_while(protocol, bounds, |_| true)
}

/// As [`check`], as long as `go_on` says so, which is told how many executions there were.
#[must_use]
pub fn check_while(
    protocol: &'static Protocol,
    bounds: &Bounds,
    go_on: impl Fn(u64) -> bool + Send + Sync + 'static,
) -> Report {
    let started = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let complete = explore_all(protocol, bounds, &tally, &Limits::new(bounds.time, go_on));
    report(protocol, bounds, &tally, &complete, started)
}

fn report(
    protocol: &Protocol,
    bounds: &Bounds,
    tally: &Mutex<Tally>,
    complete: &Result<(), String>,
    started: Instant,
) -> Report {
    let tally = std::mem::take(&mut *lock(tally));
    let violated = tally.violation.is_some();
    let why = match complete {
        Err(why) if !violated => Some(why.clone()),
        _ => tally.violation.as_ref().map(|(why, _)| why.clone()),
    };
    Report {
        protocol: protocol.name.into(),
        checker: "loom",
        registrants: bounds.registrants,
        instances: ids(bounds),
        processes: processes(bounds),
        crashes: bounds.crashes,
        expected: protocol.expected(),
        verdict: match (violated, complete) {
            (true, _) => Verdict::Violated,
            (false, Ok(())) if tally.executions > 0 => Verdict::Holds,
            (false, _) => Verdict::Inconclusive,
        },
        complete: complete.is_ok() && !violated,
        states: None,
        executions: Some(tally.executions),
        behaviours: Some(tally.behaviours.len() as u64),
        ends: tally.ends,
        share_of_exhaustive: None,
        seconds: started.elapsed().as_secs_f64(),
        why,
        parts: Vec::new(),
        counterexample: tally.violation.map(|(_, moments)| moments).unwrap_or_default(),
    }
}

/// `Err` where something is left unexplored, and why.
fn explore_all(
    protocol: &'static Protocol,
    bounds: &Bounds,
    tally: &Arc<Mutex<Tally>>,
    limits: &Limits,
) -> Result<(), String> {
    if bounds.registrants > REGISTRANTS_MAX {
        return Err(format!("loom runs at most {REGISTRANTS_MAX} threads"));
    }
    let scenario = |faults: &[Fault], patience, preemptions| Scenario {
        protocol,
        bounds: Bounds { preemptions, ..bounds.clone() },
        faults: faults.to_vec(),
        by_chance: false,
        patience,
        names_apart: protocol.broken_by.is_none(),
        keeps_moments: false,
    };
    let mut kinds = vec![FaultKind::Crash; bounds.crashes];
    kinds.extend(vec![FaultKind::IoError; bounds.io_errors]);
    kinds.extend((!bounds.clock_jump.is_zero()).then_some(FaultKind::Jump));
    // The fewest preemptions first: what a few of them show is shown by a short schedule.
    let ascending: Vec<Option<usize>> = bounds.preemptions.map_or(vec![None], |most| (1..=most).map(Some).collect());
    for preemptions in ascending {
        let mut all_plans = vec![Vec::new()];
        let mut planned = 0;
        while planned < all_plans.len() {
            for (patience, fewer) in PATIENCE {
                let Some(preemptions) = preemptions.map_or(Some(None), |most| most.checked_sub(fewer).map(Some)) else {
                    continue;
                };
                let scenario = scenario(&all_plans[planned], patience, preemptions);
                let bounds = scenario.bounds.clone();
                let model = Arc::new(move |told| run::<Loom>(&Scenario { keeps_moments: told, ..scenario.clone() }));
                explore(&model, &bounds, tally, limits)?;
                if lock(tally).violation.is_some() {
                    return Ok(());
                }
            }
            if planned == 0 {
                // How many calls there are at which something can go wrong is known by now.
                all_plans.extend(plans(&lock(tally).calls, &kinds));
            }
            planned += 1;
        }
    }
    Ok(())
}

/// Every way to have faults of these kinds, or fewer, each at an instance of its own.
fn plans(calls: &[u32], kinds: &[FaultKind]) -> Vec<Vec<Fault>> {
    let mut plans = vec![Vec::new()];
    for kind in kinds {
        let mut longer = Vec::new();
        for plan in &plans {
            for (instance, calls) in (0_u8..).zip(calls) {
                // Two faults of one kind can be swapped: one order of them is enough.
                let is_taken =
                    |fault: &Fault| fault.instance == instance || fault.kind == *kind && fault.instance > instance;
                if plan.iter().any(is_taken) {
                    continue;
                }
                for call in 1..=*calls {
                    let mut plan = plan.clone();
                    plan.push(Fault { instance, call, kind: *kind });
                    longer.push(plan);
                }
            }
        }
        plans.extend(longer);
    }
    plans.remove(0);
    plans
}

/// Explores one model to its end, a violation or a limit. The model is told whether to keep what happens.
fn explore<M>(model: &Arc<M>, bounds: &Bounds, tally: &Arc<Mutex<Tally>>, limits: &Limits) -> Result<(), String>
where
    M: Fn(bool) -> Observation + Send + Sync + 'static,
{
    let Some(violation) = explore_once(model, bounds, Some(limits), tally)? else { return Ok(()) };
    // The same again comes to the same: this time without limits, to be told.
    let again = Arc::new(Mutex::new(Tally::default()));
    let (why, moments) = explore_once(model, bounds, None, &again)?.unwrap_or(violation);
    lock(tally).violation = Some((why, moments));
    Ok(())
}

fn explore_once<M>(
    model: &Arc<M>,
    bounds: &Bounds,
    limits: Option<&Limits>,
    tally: &Arc<Mutex<Tally>>,
) -> Result<Option<(String, Vec<Moment>)>, String>
where
    M: Fn(bool) -> Observation + Send + Sync + 'static,
{
    let mut builder = loom::model::Builder::new();
    builder.max_branches = BRANCHES_MAX;
    builder.preemption_bound = bounds.preemptions;
    // Loom would stop at these limits, and at those of its environment variables, as if it had finished.
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    builder.expect_explicit_explore = false;
    builder.location = false;
    builder.log = false;
    let told = limits.is_none();
    let (model, shared, limits) = (model.clone(), tally.clone(), limits.cloned());
    let execution = move || {
        if let Some(why) = limits.as_ref().and_then(|limits| limits.reached(lock(&shared).executions)) {
            resume_unwind(Box::new(Enough(Some(why))));
        }
        let observation = model(told);
        let mut tally = lock(&shared);
        tally.executions += 1;
        tally.behaviours.insert(observation.behaviour);
        tally.ends.insert(observation.end);
        tally.calls.resize(observation.calls.len(), 0);
        for (most, calls) in tally.calls.iter_mut().zip(observation.calls) {
            *most = calls.max(*most);
        }
        if observation.violation.is_some() {
            tally.violation = observation.violation;
            drop(tally);
            resume_unwind(Box::new(Enough(None)));
        }
    };
    let Err(panic) = panics::catch(|| builder.check(execution)) else { return Ok(None) };
    match panic.downcast() {
        Ok(Enough(Some(why))) => Err(why),
        Ok(Enough(None)) => Ok(lock(tally).violation.take()),
        // Loom's own finding: a deadlock, or threads that turn without end; or the model's.
        Err(panic) => Ok(Some((panic.into_finding(), if told { last_moments() } else { Vec::new() }))),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
