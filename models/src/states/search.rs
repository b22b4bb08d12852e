//! All states of a space, looked at for broken promises.
//!
//! The search goes breadth first, one layer after another, so that what it finds first is found by the fewest steps. All
//! processors share a layer. A state is kept only until the next layer is known: what stays of it is its fingerprint. Where
//! a promise is broken, a second search, which also keeps where each state came from, finds the way.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::end::End;
use crate::participant::Participant;
use crate::states::action::Action;
use crate::states::end::end_of;
use crate::states::fingerprint::Fingerprint;
use crate::states::frontier::Frontier;
use crate::states::model::Model;
use crate::states::promise::{self, Promise};
use crate::states::state::State;
use crate::states::termination::{self, Termination};
use crate::states::visited::{Candidates, Visited};
use crate::verdict::Verdict;

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether everything promised holds in the space.
    pub verdict: Verdict,
    /// Whether every state was looked at.
    pub complete: bool,
    /// How many distinct states were found.
    pub states: u64,
    /// What the runs come to in the end, each once.
    pub ends: BTreeSet<End>,
    /// The promise that is broken, and the shortest way to break it.
    pub counterexample: Option<(Promise, Vec<Action>)>,
    /// Every promise that was seen broken, with the fewest steps that break it.
    pub broken: Vec<(Promise, usize)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// How many candidates are looked up at once.
const BATCH: usize = 1024;

/// How often the progress is told.
const PERIOD: Duration = Duration::from_millis(50);

/// Looks at every state that a space has: `make` makes its model. `progress` is told the number of states found so far, a
/// few times a second, and says whether to go on.
///
/// Where the space says which promise it is there to see broken, the search goes on until that one is.
pub fn search<P: Participant + 'static>(make: impl Fn() -> Model<P>, mut progress: impl FnMut(u64) -> bool) -> Outcome {
    let started = Instant::now();
    let model = make();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let sweep: Sweep<'_, P, ()> = Sweep::new(&model, threads);
    let Found { broken, complete, ends } = sweep.run(&mut progress);
    let mut outcome = Outcome {
        verdict: Verdict::Holds,
        complete,
        states: sweep.visited.count(),
        ends,
        counterexample: None,
        broken,
        elapsed: Duration::ZERO,
    };
    drop(sweep);
    let wanted = |promise: Promise| model.space().breaks.is_none_or(|breaks| breaks == promise);
    let first = outcome.broken.iter().find(|(promise, _)| wanted(*promise)).or(outcome.broken.first());
    if let Some(&(promise, _)) = first {
        outcome.verdict = Verdict::Violated;
        outcome.counterexample = way_to(&make(), promise).map(|way| (promise, way));
    } else if !complete {
        outcome.verdict = Verdict::Inconclusive;
    } else {
        match termination::endless(&model, &mut progress) {
            Termination::Complete => {}
            Termination::Endless { path } => {
                outcome.verdict = Verdict::Violated;
                outcome.broken = vec![(Promise::Someone, path.len())];
                outcome.counterexample = Some((Promise::Someone, path));
            }
            Termination::Stopped => (outcome.verdict, outcome.complete) = (Verdict::Inconclusive, false),
        }
    }
    outcome.complete &= outcome.verdict == Verdict::Holds;
    outcome.elapsed = started.elapsed();
    outcome
}

/// The shortest way to break a promise that can be broken: the same one in every run, by one thread on a fresh model.
fn way_to<P: Participant + 'static>(model: &Model<P>, promise: Promise) -> Option<Vec<Action>> {
    let mut sweep: Sweep<'_, P, Fingerprint> = Sweep::new(model, 1);
    sweep.wanted = Some(promise);
    sweep.run(&mut |_| true);
    let mut fingerprints = vec![sweep.target.lock().unwrap_or_else(PoisonError::into_inner).take()?];
    while let Some(from) = sweep.visited.origin(fingerprints[fingerprints.len() - 1]).filter(|from| !from.is_nothing())
    {
        fingerprints.push(from);
    }
    let mut state = model.initial();
    let mut way = Vec::new();
    for next in fingerprints.into_iter().rev().skip(1) {
        let mut actions = Vec::new();
        model.possible(&state, &mut actions);
        let step = actions.into_iter().find_map(|action| {
            let after = model.after(&state, action)?;
            (after.fingerprint() == next).then_some((action, after))
        });
        let (action, after) = step.expect("a state that was found was found from the one before it");
        way.push(action);
        state = after;
    }
    Some(way)
}

/// What was found in all layers.
#[derive(Debug)]
struct Found {
    broken: Vec<(Promise, usize)>,
    complete: bool,
    ends: BTreeSet<End>,
}

/// One search through a model. Of where a state came from it keeps an `O`.
#[derive(Debug)]
struct Sweep<'a, P, O> {
    model: &'a Model<P>,
    threads: usize,
    visited: Visited<O>,
    wanted: Option<Promise>,
    /// The first state found that breaks the promise wanted.
    target: Mutex<Option<Fingerprint>>,
    stop: AtomicBool,
}

/// What is kept of the state that another came from.
trait Origin: Copy + Default + Send {
    fn of(state: &State) -> Self;
}

impl Origin for () {
    fn of(_: &State) {}
}

impl Origin for Fingerprint {
    fn of(state: &State) -> Self {
        state.fingerprint()
    }
}

/// What is known of one layer, or of a part of it.
#[derive(Debug, Default)]
struct Layer {
    /// The states of the next one.
    next: Frontier,
    broken: BTreeSet<Promise>,
    ends: BTreeSet<End>,
}

impl<'a, P: Participant + 'static, O: Origin> Sweep<'a, P, O> {
    fn new(model: &'a Model<P>, threads: usize) -> Self {
        Self {
            model,
            threads,
            visited: Visited::default(),
            wanted: model.space().breaks,
            target: Mutex::default(),
            stop: AtomicBool::new(false),
        }
    }

    fn run(&self, progress: &mut impl FnMut(u64) -> bool) -> Found {
        let mut found = Found { broken: Vec::new(), complete: true, ends: BTreeSet::new() };
        let first = self.model.initial();
        let mut first_layer = Frontier::default();
        let mut batch = Batch::default();
        batch.push(&first, O::default(), |_| true);
        batch.look_up(self.model, &self.visited, &mut first_layer);
        let mut frontier = first_layer.into_states();
        let mut told = Instant::now();
        for depth in 0.. {
            if frontier.is_empty() {
                break;
            }
            let mut look_up = || {
                if told.elapsed() > PERIOD {
                    told = Instant::now();
                    if !progress(self.visited.count()) {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                }
            };
            let layer = self.layer(frontier, &mut look_up);
            found.ends.extend(layer.ends);
            for promise in layer.broken {
                if found.broken.iter().all(|(earlier, _)| *earlier != promise) {
                    found.broken.push((promise, depth));
                }
            }
            let enough = match self.wanted {
                Some(wanted) => found.broken.iter().any(|(promise, _)| *promise == wanted),
                None => !found.broken.is_empty(),
            };
            // Asked at least once, however small the space is.
            if enough || self.stop.load(Ordering::Relaxed) || depth == 0 && !progress(self.visited.count()) {
                found.complete = false;
                break;
            }
            frontier = layer.next.into_states();
        }
        found
    }

    /// Goes on from every state of a layer, by all threads.
    fn layer(&self, frontier: Vec<Vec<State>>, look_up: &mut impl FnMut()) -> Layer {
        let helpers = self.threads.min(frontier.len()) - 1;
        let portions = Mutex::new(frontier);
        thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(|| self.go_on(&portions, &mut || {}))).collect();
            let mut layer = self.go_on(&portions, look_up);
            for helper in helpers {
                let part = helper.join().expect("no thread of a search panics");
                layer.next.append(part.next);
                layer.broken.extend(part.broken);
                layer.ends.extend(part.ends);
            }
            layer
        })
    }

    fn go_on(&self, portions: &Mutex<Vec<Vec<State>>>, look_up: &mut impl FnMut()) -> Layer {
        let mut layer = Layer::default();
        let mut batch = Batch::default();
        let mut actions = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Some(portion) = portions.lock().unwrap_or_else(PoisonError::into_inner).pop() else { break };
            for state in &portion {
                actions.clear();
                self.model.possible(state, &mut actions);
                self.judge(state, &actions, &mut layer);
                let origin = O::of(state);
                for action in &actions {
                    batch.push(state, origin, |next| self.model.go_on(state, *action, next));
                }
                if batch.states.len() >= BATCH {
                    batch.look_up(self.model, &self.visited, &mut layer.next);
                }
            }
            look_up();
        }
        batch.look_up(self.model, &self.visited, &mut layer.next);
        layer
    }

    fn judge(&self, state: &State, possible: &[Action], layer: &mut Layer) {
        let mut broken = state.breach();
        if broken.is_none() && promise::is_at_rest(self.model, state, possible) {
            layer.ends.insert(end_of(self.model, state));
            broken = promise::broken_at_rest(self.model, state, possible);
        }
        layer.broken.extend(broken);
        if broken.is_some() && broken == self.wanted {
            let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
            target.get_or_insert_with(|| state.fingerprint());
        }
    }
}

/// States that may be new.
#[derive(Debug)]
struct Batch<O> {
    states: Vec<State>,
    candidates: Candidates<O>,
    are_new: Vec<bool>,
}

impl<O: Origin> Batch<O> {
    /// Takes in what becomes of a copy of the state, if anything.
    fn push(&mut self, state: &State, origin: O, change: impl FnOnce(&mut State) -> bool) {
        let number = self.states.len();
        let next = self.states.push_mut(*state);
        if change(next) {
            self.candidates.push(number, next.fingerprint(), origin);
        } else {
            self.states.pop();
        }
    }

    /// Hands on those that are new.
    fn look_up<P: Participant + 'static>(&mut self, model: &Model<P>, visited: &Visited<O>, next: &mut Frontier) {
        self.are_new.clear();
        self.are_new.resize(self.states.len(), false);
        visited.add(&mut self.candidates, |number| self.are_new[number] = true);
        for (state, _) in self.states.iter().zip(&self.are_new).filter(|(_, is_new)| **is_new) {
            next.push(state, model.journal(state).unwrap_or_default());
        }
        self.states.clear();
    }
}

impl<O> Default for Batch<O> {
    fn default() -> Self {
        Self { states: Vec::new(), candidates: Candidates::default(), are_new: Vec::new() }
    }
}
