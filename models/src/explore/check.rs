//! A check of one protocol by explicit states.

use single_primary::call::Time;

use crate::explore::plan::plan;
use crate::explore::search::search;
use crate::explore::space::Space;
use crate::explore::world::{Action, Identity, World};
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

/// Checks a protocol in all its spaces, up to the first that breaks a promise. `progress` is told which space it is and how
/// many states were found in it so far, and says whether to go on.
pub fn check(protocol: &'static Protocol, bounds: Bounds, mut progress: impl FnMut(&Space, u64) -> bool) -> Report {
    let mut report = Report {
        protocol: protocol.name.into(),
        checker: "exhaustive",
        registrants: bounds.registrants,
        instances: Vec::new(),
        crashes: usize::from(bounds.crashes),
        expected: protocol.expected(),
        verdict: Verdict::Holds,
        complete: true,
        states: Some(0),
        executions: None,
        behaviours: None,
        seconds: 0.0,
        why: None,
        parts: Vec::new(),
        counterexample: Vec::new(),
    };
    for space in plan(protocol, bounds.registrants, bounds.crashes, bounds.restarts) {
        let outcome = search(|| world(space.clone()), |states| progress(&space, states));
        report.states = report.states.map(|states| states + outcome.states);
        report.seconds += outcome.elapsed.as_secs_f64();
        report.complete &= outcome.complete;
        report.parts.push(Part {
            about: space.about,
            bounds: space.to_string(),
            verdict: outcome.verdict,
            complete: outcome.complete,
            states: outcome.states,
            seconds: outcome.elapsed.as_secs_f64(),
        });
        match outcome.verdict {
            Verdict::Holds => continue,
            Verdict::Inconclusive => report.why = Some(format!("not all states of \"{}\" were looked at", space.about)),
            Verdict::Violated => {
                (report.registrants, report.crashes) = (space.ids.len(), usize::from(space.crashes));
                report.instances = (0..space.slots()).map(|slot| space.id(slot).to_string()).collect();
                if let Some((promise, path)) = outcome.counterexample {
                    report.why = Some(format!("{promise}: {}", promise.broken()));
                    report.counterexample = moments(&world(space), &path);
                }
            }
        }
        report.verdict = outcome.verdict;
        break;
    }
    report
}

/// The model of a space.
#[must_use]
pub fn world(space: Space) -> World<AnyParticipant> {
    let given = space.clone();
    World::new(space, move |id| given.protocol.start(given.setup(id)))
}

/// A path, for people to read.
#[must_use]
pub fn moments(world: &World<AnyParticipant>, path: &[Action]) -> Vec<Moment> {
    let mut state = world.initial();
    let mut moments = Vec::new();
    for &action in path {
        let (call, now) = world.call_of(&state, action);
        let next = world.after(&state, action).expect("a counterexample is a path of the model");
        let instance = action.slot().unwrap_or_default();
        let belief = world.belief_of(&next, instance).clone();
        let mut add = |what, now: Time| moments.push(Moment { instance, now, what, belief: belief.clone() });
        let before = match action {
            Action::Go(_) | Action::Fail(_) | Action::Short(_) => None,
            Action::Over(_) => Some(What::Wake),
            Action::Deliver(_, event) => Some(What::Deliver(super::world::event_of(event))),
            Action::Leave(_) => Some(What::Leave),
            Action::Crash(_) => Some(What::Crash),
            Action::Start(_, identity) => Some(What::Start(match identity {
                Identity::Fresh => world.space().id(usize::from(instance)).to_string(),
                Identity::IdOf(earlier) => world.space().id(usize::from(earlier)).to_string(),
                Identity::ProcessOf(earlier) => {
                    format!("in a process with the ID {}", world.space().process(usize::from(earlier)))
                }
            })),
            Action::Tick => Some(What::Tick),
            Action::Jump => Some(What::Jump),
        };
        if let Some(what) = before {
            add(what, if matches!(action, Action::Tick | Action::Jump) { world.clock(&next) } else { now });
        }
        if let Some((call, reply)) = call {
            add(What::Call(call, reply), now);
        }
        state = next;
    }
    moments
}
