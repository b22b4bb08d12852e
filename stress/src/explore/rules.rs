//! What of all that may happen is tried, and what it costs.

use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::execution::{Agent, Choice, Fault, Footprint, Transition};

/// When a timer may fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Timers {
    /// Whenever it is pending: the system may keep anybody else waiting for so long.
    Any,
    /// Only when nothing else can happen, the earliest first.
    Idle,
}

/// Which of a copy's threads and children goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Threads {
    /// The one whose call comes first in the order of the alphabet, input last: one order within each copy, every order among
    /// copies.
    First,
    /// Each of them.
    Every,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// SIGKILL to a copy before a call.
    Crash,
    /// A call that fails.
    Error,
    /// A read or write of less than was asked for.
    Short,
    /// A call that a signal interrupts.
    Interrupt,
}

impl FaultKind {
    /// The kind of a fault.
    pub(crate) fn of(fault: Fault) -> Self {
        match fault {
            Fault::Crash => Self::Crash,
            Fault::Error(_) => Self::Error,
            Fault::Short => Self::Short,
            Fault::Interrupt => Self::Interrupt,
        }
    }
}

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    pub(crate) timers: Timers,
    pub(crate) threads: Threads,
    /// The kinds of faults that may strike, and how many at most in one execution.
    pub(crate) faults: Vec<FaultKind>,
    pub(crate) fault_budget: u32,
    /// How often timers of one copy may fire in an execution. After that they are waited for in vain: who waits again and again
    /// would go on for ever.
    pub(crate) timers_max: u32,
    /// How many steps an execution may have.
    pub(crate) steps_max: usize,
}

/// One of the things that can be told to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) actor: Actor,
    pub(crate) transition: Transition,
    /// How many preemptions it is: 1 where it takes the turn from somebody whose call could take place.
    pub(crate) preemptions: u32,
}

impl Offer {
    /// Whether it is no fault.
    pub(crate) fn is_free(&self) -> bool {
        !matches!(self.transition.choice, Choice::Fault(_))
    }
}

/// What there is to choose from at a rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// In the order of actors and choices.
    pub(crate) offers: Vec<Offer>,
    /// The calls that wait for another actor.
    pub(crate) blocked: Vec<Transition>,
    /// The calls that may have to wait for another actor, those that do included.
    pub(crate) waits: Vec<(Agent, Footprint)>,
    /// Whether a timer could fire that has no fire left.
    pub(crate) withholds_timer: bool,
}

/// What has been used up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SoFar {
    /// Who took the last step.
    pub(crate) last: Option<Actor>,
    pub(crate) steps: usize,
    pub(crate) preemptions: u32,
    pub(crate) faults: u32,
    /// How often timers of an actor fired.
    fired: Vec<(Actor, u32)>,
}

impl SoFar {
    /// Counts a step.
    pub(crate) fn count(&mut self, offer: &Offer) {
        self.last = Some(offer.actor);
        self.steps += 1;
        self.preemptions += offer.preemptions;
        self.faults += u32::from(!offer.is_free());
        if offer.transition.choice == Choice::Fire {
            match self.fired.iter_mut().find(|(actor, _)| *actor == offer.actor) {
                Some((_, times)) => *times += 1,
                None => self.fired.push((offer.actor, 1)),
            }
        }
    }

    fn fired(&self, actor: Actor) -> u32 {
        self.fired.iter().find(|(one, _)| *one == actor).map_or(0, |(_, times)| *times)
    }
}

impl Rest {
    /// Whether something can happen to the actor.
    pub(crate) fn offers_to(&self, actor: Actor) -> bool {
        self.offers.iter().any(|offer| offer.actor == actor)
    }

    /// Whether the actor can do something without a fault.
    pub(crate) fn can_go_on(&self, actor: Actor) -> bool {
        self.offers.iter().any(|offer| offer.actor == actor && offer.is_free())
    }
}

impl Rules {
    /// What of the pending is tried.
    pub(crate) fn rest(&self, pending: Vec<Transition>, so_far: &SoFar) -> Rest {
        let first = self.first_runs(&pending);
        let runs = |transition: &Transition| first.contains(&(transition.agent, transition.choice));
        let anybody_runs = !first.is_empty();
        let may_fire = |one: &Transition| so_far.fired(Actor::of(one.agent)) < self.timers_max;
        let timers = || pending.iter().filter(|one| one.choice == Choice::Fire && one.is_enabled);
        let due_ns = timers().filter(|one| may_fire(one)).filter_map(|one| one.due_ns).min();
        let last_runs = so_far.last.is_some_and(|last| first.iter().any(|(agent, _)| Actor::of(*agent) == last));
        let mut crashing = None;
        let mut rest = Rest { withholds_timer: timers().any(|one| !may_fire(one)), ..Rest::default() };
        for transition in pending {
            if transition.choice == Choice::Run && transition.may_wait {
                rest.waits.push((transition.agent, transition.footprint.clone()));
            }
            let actor = Actor::of(transition.agent);
            let actor_runs = first.iter().any(|(agent, _)| Actor::of(*agent) == actor);
            let is_offered = transition.is_enabled
                && match transition.choice {
                    Choice::Run => runs(&transition),
                    Choice::Fire => {
                        let is_its_time = !anybody_runs && transition.due_ns == due_ns;
                        may_fire(&transition) && (self.timers == Timers::Any || is_its_time)
                    }
                    Choice::Fault(fault) => {
                        so_far.faults < self.fault_budget
                            && self.faults.contains(&FaultKind::of(fault))
                            && match fault {
                                // Whichever of its threads it strikes, all of the copy is gone.
                                Fault::Crash => crashing.replace(actor) != Some(actor),
                                _ => !actor_runs || first.contains(&(transition.agent, Choice::Run)),
                            }
                    }
                };
            if is_offered {
                let preemptions = u32::from(last_runs && so_far.last != Some(actor));
                rest.offers.push(Offer { actor, transition, preemptions });
            } else if transition.choice == Choice::Run && !transition.is_enabled {
                rest.blocked.push(transition);
            }
        }
        rest
    }

    /// The calls that are let go: all, or one of each copy.
    fn first_runs(&self, pending: &[Transition]) -> Vec<(Agent, Choice)> {
        let enabled = || pending.iter().filter(|one| one.choice == Choice::Run && one.is_enabled);
        let rank = |one: &'_ Transition| (one.agent.thread == Agent::GIVER, one.label.clone(), one.agent);
        let is_first = |one: &Transition| {
            let others = || enabled().filter(|other| Actor::of(other.agent) == Actor::of(one.agent));
            others().all(|other| rank(one) <= rank(other))
        };
        enabled()
            .filter(|one| self.threads == Threads::Every || is_first(one))
            .map(|one| (one.agent, one.choice))
            .collect()
    }
}
