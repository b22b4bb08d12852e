//! All states of a space, looked at for broken promises.
//!
//! The search goes breadth first, one layer after another, so that what it finds first is found by the fewest steps. All
//! processors share a layer. A state is kept packed, and only until the next layer is known: what stays of it is its
//! fingerprint. Where a promise is broken, a second search, which also keeps where each state came from, finds the way.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::end::End;
use crate::explore::action::Action;
use crate::explore::end::end_of;
use crate::explore::promise::{self, Promise};
use crate::explore::state::State;
use crate::explore::termination::{self, Termination};
use crate::explore::visited::{Candidate, Fingerprint, Visited, fingerprint};
use crate::explore::world::World;
use crate::participant::Participant;
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

/// How many states are handed to a thread at once.
const PORTION: usize = 256;

/// How many candidates are looked up at once.
const BATCH: usize = 2048;

/// How often the progress is told.
const PERIOD: Duration = Duration::from_millis(50);

/// Looks at every state that a space has: `make` makes its model. `progress` is told the number of states found so far, a
/// few times a second, and says whether to go on.
///
/// Where the space says which promise it is there to see broken, the search goes on until that one is.
pub fn search<P: Participant + 'static>(make: impl Fn() -> World<P>, mut progress: impl FnMut(u64) -> bool) -> Outcome {
    let started = Instant::now();
    let world = make();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let sweep = Sweep::new(&world, threads, false);
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
    let wanted = |promise: Promise| world.space().breaks.is_none_or(|breaks| breaks == promise);
    let first = outcome.broken.iter().find(|(promise, _)| wanted(*promise)).or(outcome.broken.first());
    if let Some(&(promise, _)) = first {
        outcome.verdict = Verdict::Violated;
        outcome.counterexample = way_to(&make(), promise).map(|way| (promise, way));
    } else if !complete {
        outcome.verdict = Verdict::Inconclusive;
    } else {
        match termination::endless(&world, &mut progress) {
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
fn way_to<P: Participant + 'static>(world: &World<P>, promise: Promise) -> Option<Vec<Action>> {
    let mut sweep = Sweep::new(world, 1, true);
    sweep.wanted = Some(promise);
    sweep.run(&mut |_| true);
    let target = sweep.target.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let mut state = world.initial();
    let mut way = Vec::new();
    for next in sweep.visited.way_to(target).into_iter().skip(1) {
        let mut actions = Vec::new();
        world.possible(&state, &mut actions);
        let step = actions.into_iter().find_map(|action| {
            let after = world.after(&state, action)?;
            (sweep.fingerprint(&after) == next).then_some((action, after))
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

/// One search through a model.
struct Sweep<'a, P> {
    world: &'a World<P>,
    threads: usize,
    visited: Visited,
    wanted: Option<Promise>,
    /// The first state found that breaks the promise wanted, where the way there is looked for.
    target: Mutex<Option<Fingerprint>>,
    keeps_way: bool,
    stop: AtomicBool,
}

/// What is known of one layer, or of a part of it.
#[derive(Debug, Default)]
struct Layer {
    /// The states of the next one, packed.
    next: Vec<Vec<u8>>,
    broken: BTreeSet<Promise>,
    ends: BTreeSet<End>,
}

impl<'a, P: Participant + 'static> Sweep<'a, P> {
    fn new(world: &'a World<P>, threads: usize, keeps_way: bool) -> Self {
        Self {
            world,
            threads,
            visited: Visited::new(keeps_way),
            wanted: world.space().breaks,
            target: Mutex::default(),
            keeps_way,
            stop: AtomicBool::new(false),
        }
    }

    fn run(&self, progress: &mut impl FnMut(u64) -> bool) -> Found {
        let mut found = Found { broken: Vec::new(), complete: true, ends: BTreeSet::new() };
        let mut first = Vec::new();
        self.world.pack(&self.world.initial(), &mut first);
        self.visited.add(&[Candidate { state: fingerprint(&first), from: 0 }], |_| {});
        let mut frontier = vec![first];
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
            frontier = layer.next;
        }
        found
    }

    /// Goes on from every state of a layer, by all threads.
    fn layer(&self, frontier: Vec<Vec<u8>>, look_up: &mut impl FnMut()) -> Layer {
        let helpers = self.threads.min(frontier.len()) - 1;
        let portions = Mutex::new(frontier);
        thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(|| self.go_on(&portions, &mut || {}))).collect();
            let mut layer = self.go_on(&portions, look_up);
            for helper in helpers {
                let part = helper.join().expect("no thread of a search panics");
                layer.next.extend(part.next);
                layer.broken.extend(part.broken);
                layer.ends.extend(part.ends);
            }
            layer
        })
    }

    fn go_on(&self, portions: &Mutex<Vec<Vec<u8>>>, look_up: &mut impl FnMut()) -> Layer {
        let mut layer = Layer::default();
        let mut batch = Batch::default();
        let mut actions = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let Some(portion) = portions.lock().unwrap_or_else(PoisonError::into_inner).pop() else { break };
            let mut rest = &portion[..];
            while !rest.is_empty() {
                let packed = rest;
                let state = self.world.unpack(&mut rest);
                let from = if self.keeps_way { fingerprint(&packed[..packed.len() - rest.len()]) } else { 0 };
                self.judge(&state, from, &mut layer);
                actions.clear();
                self.world.possible(&state, &mut actions);
                for next in actions.iter().filter_map(|action| self.world.after(&state, *action)) {
                    batch.push(self.world, &next, from);
                }
                if batch.candidates.len() >= BATCH {
                    batch.look_up(&self.visited, &mut layer.next);
                }
            }
            look_up();
        }
        batch.look_up(&self.visited, &mut layer.next);
        layer
    }

    fn judge(&self, state: &State, fingerprint: Fingerprint, layer: &mut Layer) {
        let mut broken = state.breach;
        if broken.is_none() && promise::is_at_rest(self.world, state) {
            layer.ends.insert(end_of(self.world, state));
            broken = promise::broken_at_rest(self.world, state);
        }
        layer.broken.extend(broken);
        if self.keeps_way && broken.is_some() && broken == self.wanted {
            self.target.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fingerprint);
        }
    }

    fn fingerprint(&self, state: &State) -> Fingerprint {
        let mut packed = Vec::new();
        self.world.pack(state, &mut packed);
        fingerprint(&packed)
    }
}

/// States that may be new, packed one behind another.
#[derive(Debug, Default)]
struct Batch {
    candidates: Vec<Candidate>,
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Batch {
    fn push<P: Participant + 'static>(&mut self, world: &World<P>, state: &State, from: Fingerprint) {
        let start = self.bytes.len();
        world.pack(state, &mut self.bytes);
        self.candidates.push(Candidate { state: fingerprint(&self.bytes[start..]), from });
        self.ends.push(self.bytes.len());
    }

    /// Hands on those that are new, in portions.
    fn look_up(&mut self, visited: &Visited, next: &mut Vec<Vec<u8>>) {
        let mut portion = Vec::new();
        let mut count = 0;
        visited.add(&self.candidates, |at| {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            portion.extend_from_slice(&self.bytes[start..self.ends[at]]);
            count += 1;
            if count % PORTION == 0 {
                next.push(std::mem::take(&mut portion));
            }
        });
        if !portion.is_empty() {
            next.push(portion);
        }
        self.candidates.clear();
        self.bytes.clear();
        self.ends.clear();
    }
}
