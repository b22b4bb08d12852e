//! Executions at random, which find most races long before a search in order comes to them.

use fastrand::Rng;

use super::actor::Actor;
use super::execution::{Execution, Stop, System};
use super::rules::{Offer, Rest, Rules};
use super::run::{Ended, Run};
use super::trace::Trace;

/// How a walk chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Anybody, each as likely.
    Uniform,
    /// Whoever has the highest of priorities drawn at random, which change so many times less one (Burckhardt, Kothari, Musuvathi
    /// and Nagarakatte, *A Randomized Scheduler with Probabilistic Guarantees*, ASPLOS 2010).
    Priorities(u32),
    /// Anybody, the likelier the more steps it has left, as far as earlier executions tell: so that each order is about as
    /// likely.
    Remaining,
}

/// The policies, in the order in which they take turns.
pub(crate) const POLICIES: [Policy; 3] = [Policy::Uniform, Policy::Priorities(3), Policy::Remaining];

/// Executions at random, and what they have shown of how long executions are.
#[derive(Clone, Debug)]
pub(crate) struct Walks {
    generator: Rng,
    /// The most steps that each actor has taken in an execution.
    steps: Vec<(Actor, usize)>,
    trace: Trace,
}

impl Walks {
    /// All that is drawn follows from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { generator: Rng::with_seed(seed), steps: Vec::new(), trace: Trace::default() }
    }

    /// The steps of the last execution.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Runs one execution to its end.
    ///
    /// # Errors
    /// Where it cannot be controlled.
    pub(crate) fn next<S: System>(
        &mut self,
        system: &mut S,
        rules: &Rules,
        policy: Policy,
        seed: u64,
    ) -> Result<Ended<<S::Execution as Execution>::End>, Stop> {
        self.trace = Trace::default();
        let mut run = Run::start(system, rules, seed)?;
        let steps = self.expected();
        let mut priorities = Priorities::new(&mut self.generator, policy, steps);
        loop {
            if run.is_broken()? {
                self.learn();
                return Ok(Ended::Whole(run.finish(false)?));
            }
            let rest = run.rest()?;
            if rest.offers.iter().all(|offer| !offer.is_free()) {
                self.learn();
                return Ok(Ended::Whole(run.finish(!rest.withholds_timer)?));
            }
            if self.trace.len() >= rules.steps_max {
                return Ok(Ended::TooLong(run.finish(false)?));
            }
            let offer = self.choose(&rest, policy, &mut priorities).clone();
            let event = run.take(&offer, &rest)?;
            self.trace.push(event);
        }
    }

    /// How many steps an execution has, as far as is known.
    fn expected(&self) -> usize {
        self.steps.iter().map(|(_, steps)| *steps).sum::<usize>().max(20)
    }

    fn learn(&mut self) {
        for event in self.trace.events() {
            let taken = self.taken(event.actor);
            match self.steps.iter_mut().find(|(actor, _)| *actor == event.actor) {
                Some((_, most)) => *most = taken.max(*most),
                None => self.steps.push((event.actor, taken)),
            }
        }
    }

    fn taken(&self, actor: Actor) -> usize {
        self.trace.events().iter().filter(|event| event.actor == actor).count()
    }

    fn choose<'a>(&mut self, rest: &'a Rest, policy: Policy, priorities: &mut Priorities) -> &'a Offer {
        // About one fault in an execution.
        let faults: Vec<_> = rest.offers.iter().filter(|offer| !offer.is_free()).collect();
        if !faults.is_empty() && self.generator.usize(..self.expected()) == 0 {
            return faults[self.generator.usize(..faults.len())];
        }
        let free: Vec<_> = rest.offers.iter().filter(|offer| offer.is_free()).collect();
        let mut actors: Vec<_> = free.iter().map(|offer| offer.actor).collect();
        actors.dedup();
        let chosen = match policy {
            Policy::Uniform => actors[self.generator.usize(..actors.len())],
            Policy::Priorities(_) => priorities.highest(&actors, self.trace.len(), &mut self.generator),
            Policy::Remaining => self.by_remaining(&actors),
        };
        let own: Vec<_> = free.into_iter().filter(|offer| offer.actor == chosen).collect();
        own[self.generator.usize(..own.len())]
    }

    fn by_remaining(&mut self, actors: &[Actor]) -> Actor {
        let remaining = |actor: &Actor| {
            let most = self.steps.iter().find(|(one, _)| one == actor).map_or(1, |(_, steps)| *steps);
            most.saturating_sub(self.taken(*actor)).max(1)
        };
        let weights: Vec<_> = actors.iter().map(remaining).collect();
        let mut drawn = self.generator.usize(..weights.iter().sum::<usize>());
        for (actor, weight) in actors.iter().zip(weights) {
            match drawn.checked_sub(weight) {
                None => return *actor,
                Some(rest) => drawn = rest,
            }
        }
        unreachable!("less than the sum was drawn")
    }
}

/// Who goes before whom, and when that changes.
#[derive(Debug)]
struct Priorities {
    actors: Vec<(Actor, u64)>,
    changes: Vec<usize>,
    lowest: u64,
}

impl Priorities {
    fn new(generator: &mut Rng, policy: Policy, steps: usize) -> Self {
        let changes = match policy {
            Policy::Priorities(depth) => (1..depth).map(|_| generator.usize(..steps)).collect(),
            Policy::Uniform | Policy::Remaining => Vec::new(),
        };
        Self { actors: Vec::new(), changes, lowest: u64::from(u32::MAX) }
    }

    fn highest(&mut self, actors: &[Actor], step: usize, generator: &mut Rng) -> Actor {
        for actor in actors {
            if !self.actors.iter().any(|(known, _)| known == actor) {
                self.actors.push((*actor, generator.u64(u64::from(u32::MAX) + 1..)));
            }
        }
        let highest = |all: &[(Actor, u64)]| {
            let among = all.iter().filter(|(actor, _)| actors.contains(actor));
            among.max_by_key(|(_, priority)| *priority).map_or(actors[0], |(actor, _)| *actor)
        };
        let first = highest(&self.actors);
        if self.changes.contains(&step) {
            self.lowest -= 1;
            let lowest = self.lowest;
            self.actors.iter_mut().filter(|(actor, _)| *actor == first).for_each(|(_, priority)| *priority = lowest);
            return highest(&self.actors);
        }
        first
    }
}
