//! One execution as it is told, step by step, by a search, a walk or a replay.

use super::actor::Actor;
use super::execution::{Choice, Execution, Stop, System};
use super::rules::{Offer, Rest, Rules, SoFar};
use super::trace::Event;

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended<E> {
    /// Nothing can happen any more, or a promise was broken.
    Whole(E),
    /// Whatever can happen has been looked at in another order.
    Asleep,
    /// It had as many steps as it may have.
    TooLong(E),
}

/// An execution under way.
#[derive(Debug)]
pub(crate) struct Run<E> {
    execution: E,
    rules: Rules,
    so_far: SoFar,
}

impl<E: Execution> Run<E> {
    /// A fresh start.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub(crate) fn start<S: System<Execution = E>>(system: &mut S, rules: &Rules, seed: u64) -> Result<Self, Stop> {
        let execution = system.start(seed)?;
        Ok(Self { execution, rules: rules.clone(), so_far: SoFar::default() })
    }

    /// What has been used up.
    pub(crate) fn so_far(&self) -> &SoFar {
        &self.so_far
    }

    /// What there is to choose from.
    ///
    /// # Errors
    /// Where there is no rest.
    pub(crate) fn rest(&mut self) -> Result<Rest, Stop> {
        let pending = self.execution.pending()?;
        Ok(self.rules.rest(pending, &self.so_far))
    }

    /// Who goes on by default: who had the turn, as long as it can; a timer last.
    pub(crate) fn preferred<'a>(&self, rest: &'a Rest) -> Option<&'a Offer> {
        preferred(rest.offers.iter(), self.so_far.last)
    }

    /// Whether a promise is broken by now, whatever comes.
    ///
    /// # Errors
    /// Where that cannot be found out.
    pub(crate) fn is_broken(&mut self) -> Result<bool, Stop> {
        self.execution.is_broken()
    }

    /// Takes one of the offers of the rest.
    ///
    /// # Errors
    /// Where there is no rest after it.
    pub(crate) fn take(&mut self, offer: &Offer, rest: &Rest) -> Result<Event, Stop> {
        let step = self.execution.step(offer.transition.agent, offer.transition.choice)?;
        self.so_far.count(offer);
        Ok(Event::new(offer, rest, step, self.rules.timers))
    }

    /// Takes an offer of a rest that an earlier execution was at, after the same steps.
    ///
    /// # Errors
    /// Where it is another rest.
    pub(crate) fn repeat(&mut self, offer: &Offer, expected: &Rest) -> Result<Event, Stop> {
        let rest = self.rest()?;
        if rest != *expected {
            return Err(self.diverged(&told(expected), &told(&rest)));
        }
        self.take(offer, expected)
    }

    /// What to say where a repeated execution is another one.
    pub(crate) fn diverged(&self, expected: &str, found: &str) -> Stop {
        let step = self.so_far.steps;
        Stop::Diverged(format!("after step {step}, the same steps came to {found} instead of {expected}"))
    }

    /// Ends it; see [`Execution::finish`].
    ///
    /// # Errors
    /// Where what is left cannot be looked at.
    pub(crate) fn finish(self, is_end: bool) -> Result<E::End, Stop> {
        self.execution.finish(is_end)
    }
}

/// The first by default of the offers that are no fault.
pub(crate) fn preferred<'a>(offers: impl Iterator<Item = &'a Offer>, last: Option<Actor>) -> Option<&'a Offer> {
    offers.filter(|offer| offer.is_free()).min_by_key(|Offer { actor, transition, preemptions }| {
        let is_timer = transition.choice == Choice::Fire;
        (*preemptions, is_timer, last != Some(*actor), transition.due_ns, *actor, transition.agent)
    })
}

/// A rest in a few words.
fn told(rest: &Rest) -> String {
    let offered = rest.offers.iter().map(|offer| (&offer.transition, ""));
    let blocked = rest.blocked.iter().map(|blocked| (blocked, ", blocked"));
    let told = offered.chain(blocked).filter(|(one, _)| !matches!(one.choice, Choice::Fault(_)));
    let told: Vec<_> = told.map(|(one, how)| format!("{} {}{how}", one.agent, one.label)).collect();
    if told.is_empty() { "the end".into() } else { told.join(" | ") }
}
