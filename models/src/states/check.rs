//! A check of one protocol by explicit states.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use single_primary::call::Time;

use crate::states::action::{Action, Identity};
use crate::states::actor::event_of;
use crate::states::model::Model;
use crate::states::plan::plan;
use crate::states::promise::Promise;
use crate::states::search::{Outcome, search};
use crate::states::space::Space;
use crate::verdict::{Moment, Part, Report, Verdict, What};
use crate::zoo::{AnyParticipant, Protocol};

/// What is to be checked, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many instances take part.
    pub registrants: usize,
    /// How many of their processes crash.
    pub crashes: u8,
    /// How many instances are started after that.
    pub restarts: u8,
}

/// Checks a protocol in all its spaces: a broken one for each reason that breaks it, another up to the first space in which
/// a promise is broken. `progress` is told which space it is and how many states were found in it so far, and says whether
/// to go on.
pub fn check(protocol: &'static Protocol, bounds: Bounds, mut progress: impl FnMut(&Space, u64) -> bool) -> Report {
    let mut report = Report {
        protocol: protocol.name.into(),
        checker: "exhaustive",
        registrants: bounds.registrants,
        instances: Vec::new(),
        processes: Vec::new(),
        crashes: usize::from(bounds.crashes),
        expected: protocol.expected(),
        verdict: Verdict::Holds,
        complete: true,
        states: Some(0),
        executions: None,
        behaviours: None,
        ends: BTreeSet::new(),
        share_of_exhaustive: None,
        seconds: 0.0,
        why: None,
        parts: Vec::new(),
        counterexample: Vec::new(),
    };
    for space in plan(protocol, bounds.registrants, bounds.crashes, bounds.restarts) {
        let outcome = search(|| model(space.clone()), |states| progress(&space, states));
        report.states = report.states.map(|states| states + outcome.states);
        report.seconds += outcome.elapsed.as_secs_f64();
        report.complete &= outcome.complete;
        report.parts.push(Part {
            about: space.about,
            bounds: space.to_string(),
            verdict: outcome.verdict,
            broken: outcome.broken.iter().map(|(promise, steps)| format!("{promise} in {steps} steps")).collect(),
            complete: outcome.complete,
            states: outcome.states,
            seconds: outcome.elapsed.as_secs_f64(),
        });
        let last = judge(&mut report, &space, &outcome);
        // What the checkers of threads can come to as well.
        if space.ids.len() == bounds.registrants && space.has_only_deaths() {
            report.ends.extend(outcome.ends);
        }
        if last {
            break;
        }
    }
    report
}

/// Takes what was found in a space into the verdict, and says whether that settles it.
fn judge(report: &mut Report, space: &Space, outcome: &Outcome) -> bool {
    match (outcome.verdict, space.breaks) {
        (Verdict::Inconclusive, _) => {
            report.verdict = Verdict::Inconclusive;
            report.why = Some(format!("not all states of \"{}\" were looked at", space.about));
            return true;
        }
        (Verdict::Holds, None) => return false,
        (_, Some(wanted)) if outcome.broken.iter().all(|(promise, _)| *promise != wanted) => {
            report.verdict = Verdict::Holds;
            report.why = Some(format!("\"{}\" does not break {wanted}", space.about));
            report.counterexample.clear();
            return true;
        }
        (Verdict::Holds | Verdict::Violated, _) => {}
    }
    report.verdict = Verdict::Violated;
    if let (true, Some((promise, path))) = (report.counterexample.is_empty(), &outcome.counterexample) {
        report.why = Some(why(*promise, outcome));
        tell(report, space, path);
    }
    space.breaks.is_none()
}

/// Lets a report tell of a path in a space: who takes part, and what happens.
pub fn tell(report: &mut Report, space: &Space, path: &[Action]) {
    (report.registrants, report.crashes) = (space.ids.len(), usize::from(space.crashes));
    report.instances = (0..space.slots()).map(|slot| space.id(slot).to_string()).collect();
    report.processes = (0..space.slots()).map(|slot| space.process(slot)).collect();
    for action in path {
        if let Action::Start(slot, Identity::ProcessOf(earlier)) = action {
            report.processes[usize::from(*slot)] = space.process(usize::from(*earlier));
        }
    }
    report.counterexample = moments(&model(space.clone()), path);
}

/// What a counterexample shows, and what else was found on the way to it.
fn why(promise: Promise, outcome: &Outcome) -> String {
    let mut why = format!("{promise}: {}", promise.broken());
    for (other, steps) in outcome.broken.iter().filter(|(other, _)| *other != promise) {
        let _ = write!(why, "; also {other}, in {steps} steps");
    }
    why
}

/// The model of a space.
#[must_use]
pub fn model(space: Space) -> Model<AnyParticipant> {
    let given = space.clone();
    Model::new(space, move |id| given.protocol.start(given.setup(id)))
}

/// A path, for people to read.
#[must_use]
pub fn moments(model: &Model<AnyParticipant>, path: &[Action]) -> Vec<Moment> {
    let mut state = model.initial();
    let mut moments = Vec::new();
    for &action in path {
        let (call, now) = model.call_of(&state, action);
        let next = model.after(&state, action).expect("a counterexample is a path of the model");
        let instance = action.slot().unwrap_or_default();
        let belief = model.belief_of(&next, instance).clone();
        let mut add = |what, now: Time| moments.push(Moment { instance, now, what, belief: belief.clone() });
        let before = match action {
            Action::Go(_) | Action::Fail(_) | Action::Short(_) => None,
            Action::Over(_) => Some(What::Wake),
            Action::Deliver(_, event) => Some(What::Deliver(event_of(event))),
            Action::Leave(_) => Some(What::Leave),
            Action::Crash(_) => Some(What::Crash),
            Action::Start(_, identity) => Some(What::Start(match identity {
                Identity::Fresh => model.space().id(usize::from(instance)).to_string(),
                Identity::IdOf(earlier) => model.space().id(usize::from(earlier)).to_string(),
                Identity::ProcessOf(earlier) => {
                    format!("in a process with the ID {}", model.space().process(usize::from(earlier)))
                }
            })),
            Action::Tick => Some(What::Tick),
            Action::Jump => Some(What::Jump),
            Action::Meddle(hand) => Some(What::Meddle(hand)),
            Action::Break(outage) => Some(What::Break(outage)),
            Action::Mend(outage) => Some(What::Mend(outage)),
        };
        if let Some(what) = before {
            add(what, if matches!(action, Action::Tick | Action::Jump) { model.clock(&next) } else { now });
        }
        if let Some((call, reply)) = call {
            add(What::Call(call, reply), now);
        }
        state = next;
    }
    moments
}
