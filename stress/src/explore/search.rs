//! A whole search: some executions at random, then all within growing bounds, then all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::dpor::{Exploration, LeftOut, Reduction};
use super::execution::{Execution, Stop, System};
use super::outcome::Outcome;
use super::rules::Rules;
use super::run::Ended;
use super::trace::Trace;
use super::walk::{POLICIES, Walks};
use crate::failure::Failure;

/// Within so many preemptions at most before every order is looked at.
const LAST_BOUND: u32 = 2;

/// How far a search goes.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) executions: Option<u64>,
    pub(crate) until: Option<Instant>,
    /// Up to so many preemptions and no further.
    pub(crate) bound: Option<u32>,
    /// How many executions are run at random first.
    pub(crate) walks: u64,
    pub(crate) reduction: Reduction,
    pub(crate) interrupt: Arc<AtomicBool>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    AtRandom,
    /// All executions with at most so many preemptions, or with any number.
    Within(Option<u32>),
}

/// How far it has got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress<'a> {
    pub(crate) phase: Phase,
    /// How many rests of the current execution have something left to be tried.
    pub(crate) open: usize,
    pub(crate) seen: &'a Seen,
}

/// What was looked at to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Complete {
    /// With at most so many preemptions; with any number where there is none.
    pub(crate) preemptions: Option<u32>,
    /// How many executions that took.
    pub(crate) executions: u64,
    /// Whether timers were kept from firing more often.
    pub(crate) withholds_timers: bool,
}

/// An execution that broke a promise.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) trace: Trace,
    pub(crate) outcome: Outcome,
}

/// What a search has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) executions: u64,
    pub(crate) steps: u64,
    /// Executions that were given up because all that was left of them had been looked at in another order.
    pub(crate) asleep: u64,
    pub(crate) too_long: u64,
    pub(crate) found: Option<Found>,
    /// The largest of what was looked at to the end.
    pub(crate) complete: Option<Complete>,
    /// Executions from which nothing follows, by why.
    pub(crate) unjudged: BTreeMap<String, u64>,
    /// Executions that could not be controlled, by why.
    pub(crate) uncontrolled: BTreeMap<String, u64>,
    pub(crate) doubts: BTreeSet<String>,
    /// The ways in which executions ended.
    pub(crate) ends: BTreeSet<String>,
    /// Whether it was told to end before its end.
    pub(crate) interrupted: bool,
}

/// Searches until a promise is broken, everything was looked at, or a limit is reached.
///
/// # Errors
/// Where executions cannot be run here.
pub(crate) fn search<S>(
    programs: &mut S,
    rules: &Rules,
    limits: &Limits,
    seed: u64,
    mut report: impl FnMut(Progress<'_>),
) -> Result<Seen, Failure>
where
    S: System<Execution: Execution<End = Outcome>>,
{
    let mut looked_at = Seen::default();
    let mut walks = Walks::new(seed);
    for policy in POLICIES.into_iter().cycle().take(usize::try_from(limits.walks).unwrap_or(usize::MAX)) {
        if looked_at.is_over(limits) {
            return Ok(looked_at);
        }
        let ended = walks.next(programs, rules, policy, seed);
        looked_at.take(ended.map(Some), walks.trace())?;
        report(Progress { phase: Phase::AtRandom, open: 0, seen: &looked_at });
    }
    let bounds = (0..=limits.bound.unwrap_or(LAST_BOUND)).map(Some);
    let last = limits.bound.is_none().then_some(None);
    for bound in bounds.chain(last) {
        let mut exploration = Exploration::new(rules.clone(), bound, limits.reduction, seed);
        let (begun, troubles) = (looked_at.executions, looked_at.troubles());
        loop {
            if looked_at.is_over(limits) {
                return Ok(looked_at);
            }
            let ended = exploration.next(programs);
            let is_done = matches!(ended, Ok(None));
            looked_at.take(ended, exploration.trace())?;
            report(Progress { phase: Phase::Within(bound), open: exploration.open(), seen: &looked_at });
            if is_done {
                break;
            }
        }
        let LeftOut { beyond_bound, too_long, timers } = exploration.left_out;
        if too_long > 0 || looked_at.troubles() > troubles {
            // What a smaller bound could not complete, a larger one cannot.
            return Ok(looked_at);
        }
        let preemptions = bound.filter(|_| beyond_bound > 0);
        let executions = looked_at.executions - begun;
        looked_at.complete = Some(Complete { preemptions, executions, withholds_timers: timers > 0 });
        if preemptions.is_none() {
            break;
        }
    }
    Ok(looked_at)
}

impl Seen {
    fn is_over(&mut self, limits: &Limits) -> bool {
        self.interrupted |= limits.interrupt.load(Ordering::Relaxed);
        let is_late = limits.until.is_some_and(|until| Instant::now() >= until);
        let is_spent = limits.executions.is_some_and(|executions| self.executions + self.asleep >= executions);
        self.found.is_some() || self.interrupted || is_late || is_spent
    }

    /// Executions that show nothing.
    fn troubles(&self) -> u64 {
        self.unjudged.values().chain(self.uncontrolled.values()).sum()
    }

    fn take(&mut self, ended: Result<Option<Ended<Outcome>>, Stop>, trace: &Trace) -> Result<(), Failure> {
        match ended {
            Ok(None) => {}
            Ok(Some(Ended::Asleep)) => self.asleep += 1,
            Ok(Some(Ended::Whole(outcome))) => self.judge(outcome, trace),
            Ok(Some(Ended::TooLong(outcome))) => {
                self.too_long += 1;
                self.judge(outcome, trace);
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Uncontrolled(why) | Stop::Diverged(why)) => {
                self.executions += 1;
                *self.uncontrolled.entry(why).or_default() += 1;
            }
        }
        Ok(())
    }

    fn judge(&mut self, outcome: Outcome, trace: &Trace) {
        self.executions += 1;
        self.steps += trace.len() as u64;
        self.doubts.extend(outcome.doubts.iter().cloned());
        if outcome.broken.is_some() {
            self.found = Some(Found { trace: trace.clone(), outcome });
        } else if let Some(why) = outcome.unjudged {
            *self.unjudged.entry(why).or_default() += 1;
        } else {
            self.ends.insert(outcome.end);
        }
    }
}
