//! In which order the steps of a round were taken: kept in its plan, so that a run of it takes them in the same one.
//!
//! A plan says what is done to whom and when, and leaves the scheduler free. Where a race was lost, that is not enough to
//! lose it again: the order of the calls is. It is read from the traces of the round, and [`crate::round::native::turns`] keeps to it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use models::call::Call;
use serde::{Deserialize, Serialize};

use super::Plan;
use super::boundary;
use super::fault::Kind;
use crate::history::describe;
use crate::round::native::trace::{Entry, Region};

/// An instance leaves.
pub(crate) const LEAVE: &str = "leave";

/// An instance dies by its own hand.
pub(crate) const DIE: &str = "die";

/// The call before it by the same instance returns: other steps were taken meanwhile, and it may have taken effect before
/// any of them or after.
const RETURN: &str = "return";

/// The worker has the round end.
pub(crate) const END: &str = "end";

/// How many other orders are tried.
const OTHERS_MAX: usize = 12;

/// The same step by the same one, so many times in a row. Written as `2: flock journal shared`, and with ` × 30` behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Steps {
    /// Whose they are; nothing for the worker's.
    pub(crate) instance: Option<usize>,
    /// A call by its name, an event, or one of the constants here.
    pub(crate) does: String,
    pub(crate) times: u32,
}

/// What the worker did to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) at_ns: u64,
    pub(crate) does: &'static str,
    /// The process that died of it.
    pub(crate) killed: Option<usize>,
}

/// The order of a round. None where a trace was too long to be kept whole.
pub(crate) fn of(plan: &Plan, regions: &[Region], acts: &[Act]) -> Vec<Steps> {
    let regions = &regions[..plan.ids.len()];
    if regions.iter().any(|region| region.is_overflown()) {
        return Vec::new();
    }
    // With the number of the step whose return it is.
    let mut taken: Vec<(u64, Option<usize>, String, Option<usize>)> = Vec::new();
    let mut last_ns = vec![0; plan.processes()];
    for (instance, region) in regions.iter().enumerate() {
        let mut called = None;
        for stamped in region.entries() {
            let last_ns = &mut last_ns[plan.host_of(instance)];
            *last_ns = stamped.at_ns.max(*last_ns);
            let (does, is_call) = match stamped.entry {
                Entry::Call(call) => (boundary::name(&call), true),
                Entry::Other(call) => (without_numbers(&call), true),
                Entry::Reply(_) | Entry::Note(_) => {
                    if called.is_some() {
                        taken.push((stamped.at_ns, Some(instance), RETURN.into(), called.take()));
                    }
                    continue;
                }
                Entry::Deliver(event) => (Plan::event_id(event as usize), false),
                Entry::Leave => (LEAVE.into(), false),
                Entry::Fault(kind) if kind == Kind::KillAtCall.name() => (DIE.into(), false),
                _ => continue,
            };
            called = is_call.then_some(taken.len());
            taken.push((stamped.at_ns, Some(instance), does, None));
        }
    }
    for act in acts {
        // What a process did while it was being killed, it did before it was dead.
        let at_ns = act.killed.map_or(act.at_ns, |process| act.at_ns.max(last_ns[process]));
        taken.push((at_ns, None, act.does.into(), None));
    }
    let mut numbers: Vec<usize> = (0..taken.len()).collect();
    // What one of them did at one moment stays in its order.
    numbers.sort_by_key(|number| taken[*number].0);
    let mut before = None;
    let in_turn = numbers.into_iter().filter(|number| {
        let returned = taken[*number].3;
        let nothing_meanwhile = returned.is_some() && returned == before;
        before = Some(*number);
        !nothing_meanwhile
    });
    counted(in_turn.map(|number| Steps { instance: taken[number].1, does: taken[number].2.clone(), times: 1 }))
}

/// Each step by itself, where calls that others overlap take effect as they return or, where that is answered with no, as
/// they are made.
pub(crate) fn read(order: &[Steps], mut at_return: impl FnMut() -> bool) -> impl Iterator<Item = Steps> {
    let one = |steps: &Steps| std::iter::repeat_n(Steps { times: 1, ..steps.clone() }, steps.times as usize);
    let mut steps: Vec<Option<Steps>> = order.iter().flat_map(one).map(Some).collect();
    let mut last = BTreeMap::new();
    for number in 0..steps.len() {
        let Some(Steps { instance, does, .. }) = &steps[number] else { continue };
        let before = last.insert(*instance, number);
        if does == RETURN {
            let call = before.filter(|_| at_return()).and_then(|before| steps[before].take());
            steps[number] = call;
        }
    }
    steps.into_iter().flatten()
}

/// The order in which each call takes effect as it returns.
pub(crate) fn at_return(order: &[Steps]) -> Vec<Steps> {
    counted(read(order, || true))
}

/// Other orders that may have been that of the round, for a case in which the most likely one was not: each call that others
/// overlap takes effect as it is made in the first, and at either moment in the rest.
pub(crate) fn others(order: &[Steps], seed: u64) -> impl Iterator<Item = Vec<Steps>> {
    let overlapping = order.iter().filter(|steps| steps.does == RETURN).count();
    let mut random = fastrand::Rng::with_seed(seed);
    let count = if overlapping == 0 { 0 } else { OTHERS_MAX };
    (0..count).map(move |number| counted(read(order, || number > 0 && random.bool())))
}

fn counted(steps: impl Iterator<Item = Steps>) -> Vec<Steps> {
    let mut order: Vec<Steps> = Vec::new();
    for step in steps {
        match order.last_mut() {
            Some(last) if last.instance == step.instance && last.does == step.does => last.times += step.times,
            _ => order.push(step),
        }
    }
    order
}

/// What a call of any protocol is called in an order.
pub(crate) fn name(call: &Call) -> String {
    match call {
        Call::Election(call) => boundary::name(call),
        call => without_numbers(&describe::other_call(call)),
    }
}

/// A process has another number in each run.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// The order of those who are left where instances have other numbers.
pub(crate) fn of_instances(order: &[Steps], instance_now: impl Fn(usize) -> Option<usize>) -> Vec<Steps> {
    let steps = order.iter().filter_map(|steps| {
        let instance = match steps.instance {
            Some(instance) => Some(instance_now(instance)?),
            None => None,
        };
        Some(Steps { instance, ..steps.clone() })
    });
    steps.collect()
}

/// The order without an event, those behind which have other numbers then.
pub(crate) fn without_event(order: &[Steps], gone: usize) -> Vec<Steps> {
    let mut order = order.to_vec();
    order.retain_mut(|steps| {
        let event = steps.does.strip_prefix("event-").and_then(|event| event.parse::<usize>().ok());
        if let Some(event) = event.filter(|event| *event > gone) {
            steps.does = Plan::event_id(event - 1);
        }
        event != Some(gone)
    });
    order
}

/// The order of those who receive nothing, and so log nothing.
pub(crate) fn without_events(order: &[Steps]) -> Vec<Steps> {
    let is_of_event = |steps: &&Steps| steps.does.starts_with("event-") || steps.does.ends_with(" log");
    order.iter().filter(|steps| !is_of_event(steps)).cloned().collect()
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance {
            Some(instance) => write!(formatter, "{instance}: {}", self.does)?,
            None => write!(formatter, "worker: {}", self.does)?,
        }
        if self.times > 1 { write!(formatter, " × {}", self.times) } else { Ok(()) }
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: write a step as INSTANCE: WHAT or INSTANCE: WHAT × TIMES");
        let (who, rest) = text.split_once(": ").ok_or_else(wrong)?;
        let (does, times) = match rest.rsplit_once(" × ") {
            Some((does, times)) => (does, times.parse().map_err(|_| wrong())?),
            None => (rest, 1),
        };
        let instance = if who == "worker" { None } else { Some(who.parse().map_err(|_| wrong())?) };
        Ok(Self { instance, does: does.into(), times })
    }
}

impl From<Steps> for String {
    fn from(steps: Steps) -> Self {
        steps.to_string()
    }
}

impl TryFrom<String> for Steps {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(steps: &[&str]) -> Vec<Steps> {
        steps.iter().map(|steps| steps.parse().expect("a step")).collect()
    }

    #[test]
    fn steps_read_as_they_are_written() {
        for text in ["0: open journal", "12: flock own seat exclusive × 30", "worker: kill", "3: event-1"] {
            let json = format!("{text:?}");
            let steps: Steps = serde_json::from_str(&json).expect("a step");
            assert_eq!(serde_json::to_string(&steps).expect("JSON"), json);
        }
        for text in ["open journal", "a: leave", "1: leave × b"] {
            assert!(text.parse::<Steps>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_call_that_others_overlap_takes_effect_at_either_end() {
        let whole = order(&["0: mkdir", "1: mkdir", "0: return", "0: leave × 2", "1: return"]);
        let at_return = order(&["0: mkdir", "0: leave × 2", "1: mkdir"]);
        assert_eq!(super::at_return(&whole), at_return);
        let when_made = order(&["0: mkdir", "1: mkdir", "0: leave × 2"]);
        let others: Vec<_> = others(&whole, 1).collect();
        assert_eq!((others.len(), &others[0]), (OTHERS_MAX, &when_made));
        assert!(others.contains(&at_return), "{others:?}");
        assert_eq!(super::others(&at_return, 1).count(), 0, "there is no other");
    }

    #[test]
    fn an_order_follows_what_is_left_of_its_plan() {
        let whole = order(&["0: open log", "1: event-0", "2: event-1", "worker: kill", "2: leave"]);
        let without_one =
            of_instances(&whole, |instance| (instance != 1).then(|| instance - usize::from(instance > 1)));
        assert_eq!(without_one, order(&["0: open log", "1: event-1", "worker: kill", "1: leave"]));
        assert_eq!(without_event(&whole, 0), order(&["0: open log", "2: event-0", "worker: kill", "2: leave"]));
        assert_eq!(without_events(&whole), order(&["worker: kill", "2: leave"]));
    }
}
