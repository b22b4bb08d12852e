//! The steps of an execution, and which of them happened before which.
//!
//! Two steps depend on each other if they are of one actor, or if their footprints conflict. Executions that differ only in the
//! order of independent steps are one *class*: in each of them every step does the same.

use super::actor::Actor;
use super::execution::{Access, Agent, Choice, Fault, Footprint, Step, Transition};
use super::rules::{Offer, Rest, Timers};

/// One step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) actor: Actor,
    pub(crate) agent: Agent,
    pub(crate) choice: Choice,
    /// What it used, and what its actor's other calls may wait for.
    pub(crate) footprint: Footprint,
    /// Whether nothing may be put before or after it: a timer that fires because nothing else can happen.
    pub(crate) is_barrier: bool,
    /// The call with its result, and what else came of it.
    pub(crate) label: String,
    pub(crate) effects: Vec<String>,
}

impl Event {
    /// What came of an offer at a rest.
    pub(crate) fn new(offer: &Offer, rest: &Rest, step: Step, timers: Timers) -> Self {
        let Offer { actor, transition, .. } = offer;
        let mut footprint = step.footprint;
        add_waits(&mut footprint, transition, rest);
        Self {
            actor: *actor,
            agent: transition.agent,
            choice: transition.choice,
            footprint,
            is_barrier: transition.choice == Choice::Fire && timers == Timers::Idle,
            label: step.label,
            effects: step.effects,
        }
    }

    /// Whether the two may not change places.
    pub(crate) fn depends_on(&self, other: &Self) -> bool {
        self.actor == other.actor
            || self.is_barrier
            || other.is_barrier
            || self.footprint.conflicts_with(&other.footprint)
    }
}

/// Adds what the actor's other calls may wait for: had one of them been able to go on, or not, the actor might have had
/// something else to choose from. A crash happens whatever they wait for.
fn add_waits(footprint: &mut Footprint, transition: &Transition, rest: &Rest) {
    let Transition { agent, choice, .. } = transition;
    if *choice == Choice::Fault(Fault::Crash) {
        return;
    }
    for (waiting, waits_for) in &rest.waits {
        let is_other = waiting != agent && Actor::of(*waiting) == Actor::of(*agent);
        if is_other || waiting == agent && *choice != Choice::Run {
            for (object, _) in waits_for.uses() {
                footprint.add(*object, Access::Read);
            }
        }
    }
}

/// How many events of each actor happened before an event, itself included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Clock {
    events: Vec<u32>,
}

impl Clock {
    fn of(&self, actor: Actor) -> u32 {
        self.events.get(usize::from(actor.copy)).copied().unwrap_or(0)
    }

    fn set(&mut self, actor: Actor, events: u32) {
        let number = usize::from(actor.copy);
        if self.events.len() <= number {
            self.events.resize(number + 1, 0);
        }
        self.events[number] = events;
    }

    fn join(&mut self, other: &Self) {
        if self.events.len() < other.events.len() {
            self.events.resize(other.events.len(), 0);
        }
        for (mine, others) in self.events.iter_mut().zip(&other.events) {
            *mine = (*mine).max(*others);
        }
    }
}

/// Events in the order in which they took place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    events: Vec<Event>,
    clocks: Vec<Clock>,
    /// Of each event, which one it is among those of its actor, from 1.
    ordinals: Vec<u32>,
}

impl Trace {
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.events.truncate(len);
        self.clocks.truncate(len);
        self.ordinals.truncate(len);
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, event: Event) {
        let mut clock = self.before(event.actor, self.len());
        let ordinal = clock.of(event.actor) + 1;
        for earlier in (0..self.len()).rev() {
            if !self.is_in(earlier, &clock) && self.events[earlier].depends_on(&event) {
                clock.join(&self.clocks[earlier]);
            }
        }
        clock.set(event.actor, ordinal);
        self.events.push(event);
        self.clocks.push(clock);
        self.ordinals.push(ordinal);
    }

    /// The clock of the actor's last event before the place `until`.
    fn before(&self, actor: Actor, until: usize) -> Clock {
        let last = self.events[..until].iter().rposition(|event| event.actor == actor);
        last.map_or_else(Clock::default, |last| self.clocks[last].clone())
    }

    fn is_in(&self, event: usize, clock: &Clock) -> bool {
        clock.of(self.events[event].actor) >= self.ordinals[event]
    }

    /// Whether one event happened before another one, which took place later.
    fn happens_before(&self, earlier: usize, later: usize) -> bool {
        self.is_in(earlier, &self.clocks[later])
    }

    /// The races of an event with those before its place: the places of those that might as well come after it. `instead`
    /// says what its actor could do before the event at a place. At the end of the trace it is one that never came about.
    pub(crate) fn races(&self, place: usize, event: &Event, instead: impl Fn(usize) -> Instead) -> Vec<usize> {
        let mut clock = self.before(event.actor, place);
        let own = self.events[..place].iter().rposition(|earlier| earlier.actor == event.actor);
        let mut races = Vec::new();
        for earlier in (0..place).rev() {
            if self.is_in(earlier, &clock) || !self.events[earlier].depends_on(event) {
                continue;
            }
            // Before this one it waited: then it is not this one alone that it races with, but the one that made it wait.
            let instead = if own.is_none_or(|own| own < earlier) { instead(earlier) } else { Instead::TheSame };
            let waited = instead != Instead::TheSame;
            if !waited {
                clock.join(&self.clocks[earlier]);
            }
            let ends_its_wait =
                |between: usize| !self.happens_before(earlier, between) && self.events[between].depends_on(event);
            if instead != Instead::Nothing || (earlier + 1..place).any(ends_its_wait) {
                races.push(earlier);
            }
        }
        races
    }

    /// Who may begin where an event is put behind the one at `place`, with all before that does not depend on it: the first
    /// events of actors that depend on none of the others.
    pub(crate) fn initials(&self, earlier: usize, place: usize, event: &Event) -> Vec<Actor> {
        let moved: Vec<_> = (earlier + 1..place).filter(|between| !self.happens_before(earlier, *between)).collect();
        let mut initials = Vec::new();
        let mut seen = Vec::new();
        for (index, between) in moved.iter().enumerate() {
            let candidate = &self.events[*between];
            if !seen.contains(&candidate.actor) {
                seen.push(candidate.actor);
                if !moved[..index].iter().any(|other| self.happens_before(*other, *between)) {
                    initials.push(candidate.actor);
                }
            }
        }
        if !seen.contains(&event.actor) && !moved.iter().any(|other| self.events[*other].depends_on(event)) {
            initials.push(event.actor);
        }
        initials
    }

    /// A text that is the same for two executions of one class, and for no other.
    #[cfg(test)]
    pub(crate) fn class(&self) -> Vec<(Actor, u32, Agent, Choice, Clock)> {
        let mut class: Vec<_> = (self.events.iter().zip(&self.clocks).zip(&self.ordinals))
            .map(|((event, clock), ordinal)| (event.actor, *ordinal, event.agent, event.choice, clock.clone()))
            .collect();
        class.sort_by_key(|(actor, ordinal, ..)| (*actor, *ordinal));
        for (.., clock) in &mut class {
            while clock.events.last() == Some(&0) {
                clock.events.pop();
            }
        }
        class
    }
}

/// What an actor could do at an earlier rest, from which on it took no step until its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// What it did in the end.
    TheSame,
    /// Something else only.
    SomethingElse,
    Nothing,
}

/// An event that did not take place because it was blocked when the execution ended.
pub(crate) fn never(blocked: &Transition) -> Event {
    Event {
        actor: Actor::of(blocked.agent),
        agent: blocked.agent,
        choice: blocked.choice,
        footprint: blocked.footprint.clone(),
        is_barrier: false,
        label: blocked.label.clone(),
        effects: Vec::new(),
    }
}
