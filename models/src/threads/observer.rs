//! Watches one execution: who believes what, what was done, and whether a promise was broken.
//!
//! Its mutex is the standard library's: looking is no point at which the checker could switch threads, and no thread holds
//! it across one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use single_primary::call::Time;

use crate::end::End;
use crate::participant::Belief;
use crate::threads::execution::id;
use crate::verdict::{Moment, What};

/// What is known of one execution.
#[derive(Debug)]
pub(crate) struct Observer {
    state: Mutex<State>,
    /// Whether what happens is kept, to be told. Costs more than the execution itself.
    keeps_moments: bool,
}

#[derive(Debug, Default)]
struct State {
    instances: Vec<Observed>,
    /// A hash of the order of accesses so far, for each object.
    orders: BTreeMap<u64, u64>,
    accesses: u64,
    last_term: u64,
    moments: Vec<Moment>,
    violation: Option<String>,
}

#[derive(Clone, Debug)]
struct Observed {
    belief: Belief,
    crashed: bool,
    calls: u32,
}

/// What an execution came to.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The promise that was broken, and what led to it.
    pub(crate) violation: Option<(String, Vec<Moment>)>,
    /// Equal for executions with the same order of calls on every object.
    pub(crate) behaviour: u64,
    /// What it came to.
    pub(crate) end: End,
    /// How many calls each instance made.
    pub(crate) calls: Vec<u32>,
}

impl Observer {
    pub(crate) fn new(instances: usize, keeps_moments: bool) -> Self {
        let observed = Observed { belief: Belief::Undecided, crashed: false, calls: 0 };
        let state = State { instances: vec![observed; instances], ..State::default() };
        Self { state: Mutex::new(state), keeps_moments }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance's call has reached an object.
    pub(crate) fn accessed(&self, object: u64, instance: u8) {
        let mut state = self.state();
        state.accesses += 1;
        let call = state.instances[usize::from(instance)].calls;
        let order = state.orders.entry(object).or_default();
        *order = (*order ^ (u64::from(call) << 8 | u64::from(instance)).wrapping_add(1))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }

    /// An instance is about to make a call: which of its calls that is.
    pub(crate) fn calls(&self, instance: u8) -> u32 {
        let calls = &mut self.state().instances[usize::from(instance)].calls;
        *calls += 1;
        *calls
    }

    pub(crate) fn keeps_moments(&self) -> bool {
        self.keeps_moments
    }

    pub(crate) fn happened(&self, instance: u8, now: Time, what: What) {
        if self.keeps_moments {
            let mut state = self.state();
            let belief = state.instances[usize::from(instance)].belief.clone();
            state.moments.push(Moment { instance, now, what, belief });
        }
    }

    /// What the instance believes from now on. At most one of those that live may believe to be primary.
    pub(crate) fn believes(&self, instance: u8, belief: Belief) {
        let mut state = self.state();
        if state.instances[usize::from(instance)].belief == belief {
            return;
        }
        if let Some(moment) = state.moments.last_mut().filter(|moment| moment.instance == instance) {
            moment.belief = belief.clone();
        }
        if let Belief::Primary { term } = belief {
            let rival = (0_u8..).zip(&state.instances).find(|(other, observed)| {
                *other != instance && !observed.crashed && matches!(observed.belief, Belief::Primary { .. })
            });
            if let Some((rival, _)) = rival {
                state.violate(format!("{} and {} are primary at once", id(rival), id(instance)));
            }
            if term > 0 && term <= state.last_term {
                let last = state.last_term;
                state.violate(format!("{} is primary of term {term} after term {last}", id(instance)));
            }
            state.last_term = state.last_term.max(term);
        }
        state.instances[usize::from(instance)].belief = belief;
    }

    pub(crate) fn crashed(&self, instance: u8) {
        self.state().instances[usize::from(instance)].crashed = true;
    }

    pub(crate) fn has_crashed(&self, instance: u8) -> bool {
        self.state().instances[usize::from(instance)].crashed
    }

    /// Those that live and believe to be primary.
    pub(crate) fn primaries(&self) -> usize {
        let is_primary = |one: &&Observed| !one.crashed && matches!(one.belief, Belief::Primary { .. });
        self.state().instances.iter().filter(is_primary).count()
    }

    /// What each instance believes; `None` for a dead one.
    pub(crate) fn beliefs(&self) -> Vec<Option<Belief>> {
        self.state().instances.iter().map(|one| (!one.crashed).then(|| one.belief.clone())).collect()
    }

    pub(crate) fn violate(&self, why: String) {
        self.state().violate(why);
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.state().violation.is_some()
    }

    pub(crate) fn moments(&self) -> Vec<Moment> {
        self.state().moments.clone()
    }

    pub(crate) fn conclude(&self, end: End) -> Observation {
        let mut state = self.state();
        let mut hasher = DefaultHasher::new();
        state.orders.hash(&mut hasher);
        let moments = std::mem::take(&mut state.moments);
        Observation {
            violation: state.violation.take().map(|why| (why, moments)),
            behaviour: hasher.finish(),
            end,
            calls: state.instances.iter().map(|observed| observed.calls).collect(),
        }
    }
}

impl State {
    fn violate(&mut self, why: String) {
        self.violation.get_or_insert(why);
    }
}
