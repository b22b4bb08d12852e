//! A plan that fails, made smaller for as long as it breaks the same promise.

use super::attempt::{Attempts, Told};
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::plan::order;
use crate::plan::{Moment, Plan};

/// How often a plan is run at most before it counts as one that does not fail: one that fails once in 32 runs is missed in
/// one case of twenty, by the rule of three.
const RUNS_MAX: u64 = 96;

/// How often a plan is run to see how often it fails in an order, and how many orders are tried.
const STEADY_RUNS: u64 = 16;
const ORDERS_MAX: usize = 6;

/// A plan from which nothing can be left out, and how it failed.
#[derive(Clone, Debug)]
pub(crate) struct Shrunk {
    pub(crate) plan: Plan,
    pub(crate) told: Told,
}

/// The smallest plan that still breaks the promise as the gravest, found by leaving out one thing after the other. Nothing
/// where the plan itself did not fail again, or where `goes_on` said no before it had.
pub(crate) fn shrink(
    plan: &Plan,
    promise: Promise,
    attempts: &Attempts,
    goes_on: impl Fn() -> bool,
) -> Result<Option<Shrunk>, Failure> {
    let Some((mut smallest, runs)) = fail_again(plan, promise, attempts, &goes_on)? else { return Ok(None) };
    loop {
        let before = smallest.plan.clone();
        for part in parts(&before) {
            let Some(candidate) = without(&smallest.plan, part) else { continue };
            if !goes_on() {
                return Ok(Some(smallest));
            }
            let outcome = attempts.run(&candidate, runs, Some(promise))?;
            if let Some((broken, told)) = outcome.told
                && broken == promise
            {
                smallest = Shrunk::new(candidate, told);
            }
        }
        let size = |plan: &Plan| (plan.ids.len(), plan.events.len(), plan.faults.len());
        if size(&smallest.plan) == size(&before) {
            return steady(smallest, promise, attempts).map(Some);
        }
    }
}

/// The plan in an order in which it fails, and how often it is to be run to see whether it does: in the order of the round,
/// in those that may have been it as well, or in none, many times.
fn fail_again(
    plan: &Plan,
    promise: Promise,
    attempts: &Attempts,
    goes_on: impl Fn() -> bool,
) -> Result<Option<(Shrunk, u64)>, Failure> {
    let orders = [plan.order.clone()].into_iter().chain(order::others(&plan.order, plan.seed));
    let in_order = orders.filter(|order| !order.is_empty()).map(|order| (order, STEADY_RUNS));
    for (order, runs_max) in in_order.chain([(Vec::new(), RUNS_MAX)]) {
        if !goes_on() {
            break;
        }
        let plan = Plan { order, ..plan.clone() };
        let outcome = attempts.run(&plan, runs_max, Some(promise))?;
        if let Some((_, told)) = outcome.told.filter(|(broken, _)| *broken == promise) {
            let runs = (3 * outcome.runs / outcome.broken[promise as usize]).clamp(4, RUNS_MAX);
            return Ok(Some((Shrunk::new(plan, told), runs)));
        }
    }
    Ok(None)
}

impl Shrunk {
    /// A plan in the order in which its steps were taken when it failed.
    fn new(plan: Plan, told: Told) -> Self {
        Self { plan: Plan { order: order::at_return(&told.order), ..plan }, told }
    }
}

/// The same plan in an order, or in none, in which it fails most often.
fn steady(shrunk: Shrunk, promise: Promise, attempts: &Attempts) -> Result<Shrunk, Failure> {
    let mut orders = vec![Vec::new(), shrunk.plan.order.clone()];
    let mut best: Option<(u64, Shrunk)> = None;
    for _ in 0..ORDERS_MAX {
        let Some(order) = (!orders.is_empty()).then(|| orders.remove(0)) else { break };
        let plan = Plan { order, ..shrunk.plan.clone() };
        let outcome = attempts.run(&plan, STEADY_RUNS, None)?;
        let failed = outcome.broken[promise as usize];
        let Some((_, told)) = outcome.told.filter(|(broken, _)| *broken == promise) else { continue };
        orders.push(order::at_return(&told.order));
        if best.as_ref().is_none_or(|(most, _)| failed > *most) {
            best = Some((failed, Shrunk { plan, told }));
        }
        if failed == outcome.runs {
            break;
        }
    }
    Ok(best.map_or(shrunk, |(_, best)| best))
}

/// What can be left out of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Events,
    Fault(usize),
    Instance(usize),
    Event(usize),
}

/// What to leave out of a plan, one after the other: the last of a kind first, so that the numbers of the others stay.
fn parts(plan: &Plan) -> Vec<Part> {
    let mut parts = vec![Part::Events];
    parts.extend((0..plan.faults.len()).rev().map(Part::Fault));
    parts.extend((0..plan.ids.len()).rev().map(Part::Instance));
    parts.extend((0..plan.events.len()).rev().map(Part::Event));
    parts
}

/// The plan without it, where it has such a part and is still an election without it.
fn without(plan: &Plan, part: Part) -> Option<Plan> {
    let mut smaller = plan.clone();
    match part {
        Part::Events if plan.events.len() > 1 => {
            smaller.events.clear();
            smaller.order = order::without_events(&plan.order);
        }
        Part::Fault(fault) if fault < plan.faults.len() => {
            smaller.faults.remove(fault);
            if smaller.faults.is_empty() {
                // Without any fault all start together, and events come with the verdicts.
                smaller.ids.truncate(plan.registrants());
                smaller.later_us.clear();
                smaller.events.retain(|moment| !matches!(moment, Moment::After(_)));
            }
        }
        Part::Instance(instance) if instance < plan.ids.len() => return plan.without_instance(instance),
        Part::Event(event) if event < plan.events.len() => {
            smaller.events.remove(event);
            smaller.order = match smaller.events[..] {
                [] => order::without_events(&plan.order),
                _ => order::without_event(&plan.order, event),
            };
        }
        _ => return None,
    }
    Some(smaller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fault::{Fault, When};

    fn plan() -> Plan {
        Plan {
            protocol: "journal".into(),
            seed: 1,
            round: 2,
            window_us: 0,
            expect: Some(3),
            ids: ["a", "b", "c", "d", "e"].map(Into::into).into(),
            later_us: vec![5, 9],
            in_process: 2,
            threads: false,
            rotate_bytes: None,
            blocking: Vec::new(),
            events: vec![Moment::Joining, Moment::After(3)],
            faults: vec![
                Fault::Late { instance: 3, after_us: 5 },
                Fault::Kill { process: 1, when: When::Settled },
                Fault::Restart { instance: 0, at_us: 7, dies: true, successor: 4 },
                Fault::Kill { process: 3, when: When::Settled },
            ],
            order: Vec::new(),
        }
    }

    #[test]
    fn parts_are_left_out_one_at_a_time_and_the_others_keep_their_meaning() {
        let plan = plan();
        assert_eq!(parts(&plan).len(), 1 + 4 + 5 + 2);
        let check = |part, change: fn(&mut Plan)| {
            let mut expected = self::plan();
            change(&mut expected);
            assert_eq!(without(&plan, part), Some(expected), "{part:?}");
        };
        check(Part::Events, |plan| plan.events.clear());
        check(Part::Event(0), |plan| plan.events = vec![Moment::After(3)]);
        check(Part::Fault(1), |plan| {
            plan.faults.remove(1);
        });
        check(Part::Instance(3), |plan| {
            plan.ids.remove(3);
            plan.later_us.remove(0);
            plan.faults = vec![
                Fault::Kill { process: 1, when: When::Settled },
                Fault::Restart { instance: 0, at_us: 7, dies: true, successor: 3 },
                Fault::Kill { process: 2, when: When::Settled },
            ];
        });
        check(Part::Instance(1), |plan| {
            plan.ids.remove(1);
            plan.expect = Some(2);
            // Who was alone in a process of its own now shares the first one.
            plan.faults = vec![
                Fault::Late { instance: 2, after_us: 5 },
                Fault::Kill { process: 0, when: When::Settled },
                Fault::Restart { instance: 0, at_us: 7, dies: true, successor: 3 },
                Fault::Kill { process: 2, when: When::Settled },
            ];
        });
        check(Part::Instance(0), |plan| {
            plan.ids.remove(0);
            plan.expect = Some(2);
            plan.faults = vec![
                Fault::Late { instance: 2, after_us: 5 },
                Fault::Kill { process: 0, when: When::Settled },
                Fault::Kill { process: 2, when: When::Settled },
            ];
        });
        assert_eq!(without(&plan, Part::Instance(5)), None);
        let alone = Plan { ids: vec!["a".into()], later_us: Vec::new(), faults: Vec::new(), ..plan };
        assert_eq!(without(&alone, Part::Instance(0)), None);
    }

    #[test]
    fn without_faults_all_start_together() {
        let mut plan = plan();
        plan.faults.truncate(1);
        let calm = without(&plan, Part::Fault(0)).expect("it has one");
        assert_eq!((calm.ids.len(), calm.later_us.len(), calm.events.len()), (3, 0, 1));
    }
}
