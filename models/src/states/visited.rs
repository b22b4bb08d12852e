//! The set of states that were found, each stood for by its fingerprint.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::states::fingerprint::Fingerprint;
use crate::states::table::Table;

/// A set of states that several threads add to. Beside each is what `O` keeps of where it came from, which may be nothing.
#[derive(Debug)]
pub(super) struct Visited<O> {
    shards: [Mutex<Table<O>>; SHARDS],
    count: AtomicU64,
}

/// States that may be new, for each shard those that belong there.
#[derive(Debug)]
pub(super) struct Candidates<O>([Vec<Candidate<O>>; SHARDS]);

/// Its number among the candidates, what stands for it, and where it came from.
type Candidate<O> = (usize, Fingerprint, O);

const SHARDS: usize = 16;

impl<O: Copy + Default> Visited<O> {
    /// How many states there are in it.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds what is new among the candidates, tells which these are, by their numbers, and leaves no candidates.
    pub(super) fn add(&self, candidates: &mut Candidates<O>, mut is_new: impl FnMut(usize)) {
        for (shard, candidates) in self.shards.iter().zip(&mut candidates.0) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.make_room(candidates.len());
            // The memory is far away: the places are asked for all at once, before the first is needed.
            black_box(candidates.iter().fold(false, |touched, (_, state, _)| touched ^ shard.touch(*state)));
            let before = shard.count();
            for (number, state, origin) in candidates.drain(..) {
                if shard.insert(state, origin) {
                    is_new(number);
                }
            }
            self.count.fetch_add((shard.count() - before) as u64, Ordering::Relaxed);
        }
    }

    /// Where a state came from.
    pub(super) fn origin(&self, state: Fingerprint) -> Option<O> {
        let shard = &self.shards[state.part_among(SHARDS)];
        shard.lock().unwrap_or_else(PoisonError::into_inner).get(state)
    }
}

impl<O> Candidates<O> {
    /// Takes in a state that may be new.
    pub(super) fn push(&mut self, number: usize, state: Fingerprint, origin: O) {
        self.0[state.part_among(SHARDS)].push((number, state, origin));
    }
}

impl<O: Copy + Default> Default for Visited<O> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), count: AtomicU64::new(0) }
    }
}

impl<O> Default for Candidates<O> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}
