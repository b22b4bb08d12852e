//! An execution that breaks a promise, made smaller: fewer faults, fewer changes of turns, fewer steps.

use super::actor::Actor;
use super::execution::{Agent, Choice, Execution, Stop, System};
use super::outcome::Outcome;
use super::rules::{Offer, Rules};
use super::run::Run;
use super::search::Found;
use super::trace::Trace;
use crate::failure::Failure;

/// How often it is tried.
const ATTEMPTS_MAX: u32 = 400;

/// What is to happen, step by step.
type Steps = Vec<(Agent, Choice)>;

/// How large an execution is: the smaller, the easier to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    faults: u32,
    preemptions: u32,
    turns: usize,
    steps: usize,
}

/// A smaller execution that breaks the same promise, or the same one. `goes_on` is asked before each attempt.
///
/// # Errors
/// Where executions cannot be run here.
pub(crate) fn shrink<S>(
    system: &mut S,
    rules: &Rules,
    seed: u64,
    found: Found,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Found, Failure>
where
    S: System<Execution: Execution<End = Outcome>>,
{
    let promise = found.outcome.broken.as_ref().and_then(|broken| broken.promise);
    let mut smallest = found;
    let mut size = None;
    let mut attempts = 0;
    'again: loop {
        let steps: Steps = smallest.trace.events().iter().map(|event| (event.agent, event.choice)).collect();
        // The first attempt repeats it, to see how large it is.
        let candidates = [steps.clone()].into_iter().filter(|_| size.is_none()).chain(smaller(&steps));
        for candidate in candidates {
            if attempts == ATTEMPTS_MAX || !goes_on() {
                return Ok(smallest);
            }
            attempts += 1;
            let (trace, outcome, tried) = match follow(system, rules, seed, &candidate) {
                Ok(followed) => followed,
                Err(Stop::Failed(failure)) => return Err(failure),
                Err(Stop::Uncontrolled(_) | Stop::Diverged(_)) => continue,
            };
            let breaks = outcome.broken.as_ref().is_some_and(|broken| broken.promise == promise);
            if breaks && size.is_none_or(|size| tried < size) {
                size = Some(tried);
                smallest = Found { trace, outcome };
                continue 'again;
            }
        }
        return Ok(smallest);
    }
}

/// Executions that may be smaller: without a fault, with one turn joined to another of the same actor, without a step.
fn smaller(steps: &Steps) -> impl Iterator<Item = Steps> {
    let without = |index: usize| {
        let mut smaller = steps.clone();
        smaller.remove(index);
        smaller
    };
    let is_fault = |index: &usize| matches!(steps[*index].1, Choice::Fault(_));
    let without_faults: Vec<_> = (0..steps.len()).filter(is_fault).map(without).collect();
    let turns = turns(steps);
    let mut joined = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let later = (index + 2..turns.len()).find(|later| turns[*later].0 == turn.0);
        if let Some(later) = later {
            let (_, own) = turn;
            let (_, others) = &turns[later];
            // The later one is taken at once, or the earlier one only then.
            let mut early = steps.clone();
            let moved: Steps = early.drain(others.clone()).collect();
            early.splice(own.end..own.end, moved);
            let mut late = steps.clone();
            let moved: Steps = late.drain(own.clone()).collect();
            let at = others.start - own.len();
            late.splice(at..at, moved);
            joined.extend([early, late]);
        }
    }
    let without_timers: Vec<_> =
        (0..steps.len()).filter(|index| steps[*index].1 == Choice::Fire).map(without).collect();
    without_faults.into_iter().chain(joined).chain(without_timers)
}

/// The spans of steps in which one actor has the turn.
fn turns(steps: &Steps) -> Vec<(Actor, std::ops::Range<usize>)> {
    let mut turns: Vec<(Actor, std::ops::Range<usize>)> = Vec::new();
    for (index, (agent, _)) in steps.iter().enumerate() {
        match turns.last_mut() {
            Some((actor, span)) if *actor == Actor::of(*agent) => span.end = index + 1,
            _ => turns.push((Actor::of(*agent), index..index + 1)),
        }
    }
    turns
}

/// Runs an execution as near to the steps as can be: what cannot happen is passed over, and at the end it goes on as it comes.
fn follow<S>(system: &mut S, rules: &Rules, seed: u64, steps: &Steps) -> Result<(Trace, Outcome, Size), Stop>
where
    S: System<Execution: Execution<End = Outcome>>,
{
    let mut run = Run::start(system, rules, seed)?;
    let mut trace = Trace::default();
    let mut left = steps.iter();
    let mut is_end = false;
    while !run.is_broken()? && trace.len() < rules.steps_max {
        let rest = run.rest()?;
        let offered = |(agent, choice): &(Agent, Choice)| {
            let is_it = |offer: &&Offer| (offer.transition.agent, offer.transition.choice) == (*agent, *choice);
            rest.offers.iter().find(is_it)
        };
        let Some(offer) = left.find_map(offered).or_else(|| run.preferred(&rest)) else {
            is_end = !rest.withholds_timer;
            break;
        };
        let offer = offer.clone();
        trace.push(run.take(&offer, &rest)?);
    }
    let (faults, preemptions) = (run.so_far().faults, run.so_far().preemptions);
    let steps: Steps = trace.events().iter().map(|event| (event.agent, event.choice)).collect();
    let size = Size { faults, preemptions, turns: turns(&steps).len(), steps: steps.len() };
    Ok((trace, run.finish(is_end)?, size))
}
