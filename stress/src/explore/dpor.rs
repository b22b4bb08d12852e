//! One execution of each class: depth first, with source sets and sleep sets; or, within a bound of preemptions, at least one
//! of each class that has an execution within it.
//!
//! Abdulla, Aronsson, Jonsson and Sagonas, *Source Sets* (JACM 2017), with these additions, each of which `soundness`
//! has shown to be needed:
//!
//! - An actor may have several things to choose from: a call or its time-out, a fault, one of its threads. Whoever is to be
//!   tried is tried with all of them. An actor whose every choice is a fault is never the only one tried, for the others' races
//!   show only in what costs nothing.
//! - A call that is blocked races not with what ended its wait, but with what began it; and one that is blocked at the end
//!   races as if it had come about.
//! - Within a bound, what is equal but for the order may cost more (Coons, Musuvathi and `McKinley`, *Bounded Partial-Order
//!   Reduction*, OOPSLA 2013): so who is to be tried before an event is also tried at the last change of turns before it, where
//!   that costs nothing more. No step is left out for having been tried, but that of an actor that had the turn: to put
//!   it in front of others never costs more.

use super::actor::Actor;
use super::execution::{Agent, Choice, Execution, Stop, System, Transition};
use super::rules::{Offer, Rest, Rules, SoFar};
use super::run::{Ended, Run, preferred};
use super::trace::{Event, Instead, Trace, never};

/// A search through all executions.
#[derive(Clone, Debug)]
pub(crate) struct Exploration {
    rules: Rules,
    /// How many preemptions an execution may have.
    bound: Option<u32>,
    reduction: Reduction,
    seed: u64,
    nodes: Vec<Node>,
    trace: Trace,
    is_begun: bool,
    /// What was left out so far.
    pub(crate) left_out: LeftOut,
}

/// What need not be looked at, because it differs from something else in the order of independent steps only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reduction {
    /// Every order.
    None,
    /// Every order, but for what sleep sets know to have been looked at.
    SleepSets,
    /// One order of each class, as far as source sets and sleep sets find it.
    SourceSets,
}

/// What a search has not looked at, though it might have been another class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Steps that would have gone beyond the bound of preemptions.
    pub(crate) beyond_bound: u64,
    /// Executions that were cut off for having too many steps.
    pub(crate) too_long: u64,
    /// Timers that would have fired once more than they may.
    pub(crate) timers: u64,
}

/// A rest on the way of the current execution.
#[derive(Clone, Debug)]
struct Node {
    rest: Rest,
    /// Who had the turn.
    last: Option<Actor>,
    preemptions: u32,
    /// Steps that need not be taken here: all that comes of them was looked at.
    sleep: Vec<Event>,
    /// The steps that were taken here, and all that comes of them looked at.
    done: Vec<Event>,
    /// The steps that could not be controlled.
    given_up: Vec<(Agent, Choice)>,
    /// Who is to be tried.
    backtrack: Vec<Actor>,
    /// Which offer is taken; none where the execution ended here.
    taken: Option<usize>,
}

impl Node {
    /// An actor sleeps as a whole: were it tried with some of its choices only, the others' races would not show.
    fn is_asleep(&self, actor: Actor) -> bool {
        let mut offers = self.rest.offers.iter().filter(|offer| offer.actor == actor);
        offers.all(|Offer { transition, .. }| is_among(&self.sleep, transition.agent, transition.choice))
    }

    fn is_done(&self, offer: &Offer) -> bool {
        let Offer { transition: Transition { agent, choice, .. }, .. } = offer;
        is_among(&self.done, *agent, *choice) || self.given_up.contains(&(*agent, *choice))
    }

    fn add(&mut self, actor: Actor) {
        if !self.backtrack.contains(&actor) {
            self.backtrack.push(actor);
        }
    }

    fn add_all(&mut self) {
        for actor in self.rest.offers.iter().map(|offer| offer.actor).collect::<Vec<_>>() {
            self.add(actor);
        }
    }
}

fn is_among(events: &[Event], agent: Agent, choice: Choice) -> bool {
    events.iter().any(|event| (event.agent, event.choice) == (agent, choice))
}

impl Exploration {
    /// A search that has not begun. `seed` is that of every execution.
    pub(crate) fn new(rules: Rules, bound: Option<u32>, reduction: Reduction, seed: u64) -> Self {
        let (nodes, trace, left_out) = (Vec::new(), Trace::default(), LeftOut::default());
        Self { rules, bound, reduction, seed, nodes, trace, is_begun: false, left_out }
    }

    /// The steps of the last execution.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many rests of the current execution have something left to be tried.
    pub(crate) fn open(&self) -> usize {
        self.nodes.iter().filter(|node| self.candidate(node).is_some()).count()
    }

    /// Runs the next execution. None where all have been looked at.
    ///
    /// # Errors
    /// Where an execution cannot be controlled; the search may go on with the next one, but is not complete any more.
    pub(crate) fn next<S: System>(
        &mut self,
        system: &mut S,
    ) -> Result<Option<Ended<<S::Execution as Execution>::End>>, Stop> {
        if self.is_begun && !self.turn_back() {
            return Ok(None);
        }
        self.is_begun = true;
        let new = self.nodes.len().saturating_sub(1);
        self.trace.truncate(new);
        let mut run = Run::start(system, &self.rules, self.seed)?;
        for (place, node) in self.nodes.iter().enumerate() {
            let offer = &node.rest.offers[node.taken.expect("who turns back has taken a step")];
            let event = run.repeat(offer, &node.rest)?;
            if place == new {
                self.trace.push(event);
            } else if self.trace.events()[place] != event {
                return Err(run.diverged(&self.trace.events()[place].label, &event.label));
            }
        }
        let ended = self.extend(run)?;
        if self.reduction == Reduction::SourceSets {
            self.look_for_races(new);
        }
        Ok(Some(ended))
    }

    /// Goes on by default until the end.
    fn extend<E: Execution>(&mut self, mut run: Run<E>) -> Result<Ended<E::End>, Stop> {
        loop {
            if run.is_broken()? {
                return Ok(Ended::Whole(run.finish(false)?));
            }
            let rest = run.rest()?;
            let sleep = self.sleep();
            let SoFar { preemptions, last, .. } = *run.so_far();
            let mut node = Node {
                rest,
                last,
                preemptions,
                sleep,
                done: Vec::new(),
                given_up: Vec::new(),
                backtrack: Vec::new(),
                taken: None,
            };
            if self.trace.len() >= self.rules.steps_max && !node.rest.offers.is_empty() {
                self.left_out.too_long += 1;
                return Ok(Ended::TooLong(run.finish(false)?));
            }
            self.left_out.timers += u64::from(node.rest.withholds_timer);
            let withholds_timer = node.rest.withholds_timer;
            let is_end = !node.rest.offers.iter().any(Offer::is_free);
            let awake = node.rest.offers.iter().filter(|offer| !node.is_asleep(offer.actor));
            if let Some(offer) = preferred(awake, last) {
                let offer = offer.clone();
                node.taken = node.rest.offers.iter().position(|one| *one == offer);
                match self.reduction {
                    Reduction::SourceSets => node.add(offer.actor),
                    Reduction::None | Reduction::SleepSets => node.add_all(),
                }
                let event = run.take(&offer, &node.rest)?;
                self.nodes.push(node);
                self.trace.push(event);
                continue;
            }
            // Only faults are left to be tried here.
            node.add_all();
            self.nodes.push(node);
            return Ok(if is_end { Ended::Whole(run.finish(!withholds_timer)?) } else { Ended::Asleep });
        }
    }

    /// What need not be tried after the current execution's last step.
    fn sleep(&self) -> Vec<Event> {
        let (Some(node), Some(taken)) = (self.nodes.last(), self.trace.events().last()) else { return Vec::new() };
        let keeps = |event: &&Event| match (self.reduction, self.bound) {
            (Reduction::None, _) => false,
            (_, None) => true,
            (_, Some(_)) => {
                let runs = |offer: &Offer| (offer.actor, offer.transition.choice) == (event.actor, Choice::Run);
                node.last == Some(event.actor) && event.choice != Choice::Fire && node.rest.offers.iter().any(runs)
            }
        };
        let done = node.done.iter().filter(keeps);
        node.sleep.iter().chain(done).filter(|event| !event.depends_on(taken)).cloned().collect()
    }

    /// What to try next at a rest.
    fn candidate(&self, node: &Node) -> Option<usize> {
        let is_candidate = |offer: &Offer| Self::is_to_be_tried(node, offer) && self.is_within_bound(node, offer);
        node.rest.offers.iter().position(is_candidate)
    }

    fn is_to_be_tried(node: &Node, offer: &Offer) -> bool {
        node.backtrack.contains(&offer.actor) && !node.is_done(offer) && !node.is_asleep(offer.actor)
    }

    fn is_within_bound(&self, node: &Node, offer: &Offer) -> bool {
        self.bound.is_none_or(|bound| node.preemptions + offer.preemptions <= bound)
    }

    /// Goes back to the last rest where something is left to be tried, and takes it. False where there is none.
    fn turn_back(&mut self) -> bool {
        while let Some(mut node) = self.nodes.pop() {
            let place = self.nodes.len();
            match (node.taken, self.trace.events().get(place)) {
                (Some(_), Some(event)) => node.done.push(event.clone()),
                // It could not be controlled, and is in no order what is known.
                (Some(taken), None) => {
                    let Offer { transition, .. } = &node.rest.offers[taken];
                    node.given_up.push((transition.agent, transition.choice));
                }
                (None, _) => {}
            }
            if let Some(candidate) = self.candidate(&node) {
                node.taken = Some(candidate);
                self.nodes.push(node);
                return true;
            }
            self.left_out.beyond_bound += self.beyond_bound(&node).count() as u64;
        }
        false
    }

    /// What is to be tried at a rest and beyond the bound.
    fn beyond_bound<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Offer> {
        let is_beyond = |offer: &&Offer| Self::is_to_be_tried(node, offer) && !self.is_within_bound(node, offer);
        node.rest.offers.iter().filter(is_beyond)
    }

    /// Looks for what might take place in another order, from that event on, and notes who is to be tried where.
    fn look_for_races(&mut self, new: usize) {
        for place in new..self.trace.len() {
            let event = self.trace.events()[place].clone();
            self.look_for_races_of(place, &event);
        }
        let blocked = self.nodes.get(self.trace.len()).map_or_else(Vec::new, |end| end.rest.blocked.clone());
        for transition in blocked {
            self.look_for_races_of(self.trace.len(), &never(&transition));
        }
    }

    fn look_for_races_of(&mut self, place: usize, event: &Event) {
        let instead = |earlier: usize| {
            let rest = &self.nodes[earlier].rest;
            let is_it =
                |offer: &Offer| (offer.transition.agent, offer.transition.choice) == (event.agent, event.choice);
            match () {
                () if rest.offers.iter().any(is_it) => Instead::TheSame,
                () if rest.can_go_on(event.actor) => Instead::SomethingElse,
                () => Instead::Nothing,
            }
        };
        for earlier in self.trace.races(place, event, instead) {
            let initials = self.trace.initials(earlier, place, event);
            if self.bound.is_some() {
                for at in [earlier, self.turn_began(earlier)] {
                    if self.nodes[at].rest.can_go_on(event.actor) {
                        self.nodes[at].add(event.actor);
                    } else {
                        self.nodes[at].add_all();
                    }
                }
                continue;
            }
            let node = &mut self.nodes[earlier];
            let initials: Vec<_> = initials.into_iter().filter(|actor| node.rest.offers_to(*actor)).collect();
            if !initials.iter().any(|actor| node.backtrack.contains(actor) || node.is_asleep(*actor)) {
                let own = initials.iter().find(|actor| **actor == event.actor);
                if let Some(actor) = own.or(initials.first()) {
                    node.add(*actor);
                }
            }
        }
    }

    /// The last rest up to that place where somebody else could have been given the turn without a preemption.
    fn turn_began(&self, place: usize) -> usize {
        let events = self.trace.events();
        let is_free = |at: &usize| {
            let Node { rest, last, .. } = &self.nodes[*at];
            *last != Some(events[*at].actor) || rest.offers.iter().all(|offer| offer.preemptions == 0)
        };
        (0..=place).rev().find(is_free).unwrap_or(0)
    }
}
