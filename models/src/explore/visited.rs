//! The set of states that were found, each stood for by 128 bits.
//!
//! Two different states are taken for one with a probability of at most n²/2¹²⁹ among n: for a thousand million states
//! less than one in 10²⁰.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

/// Stands for a state.
pub(super) type Fingerprint = u128;

/// What stands for a packed state. Never zero, which stands for an empty place.
pub(super) fn fingerprint(packed: &[u8]) -> Fingerprint {
    xxh3_128(packed).max(1)
}

/// A state that may be new, and the one that it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) state: Fingerprint,
    pub(super) from: Fingerprint,
}

/// A set of states that several threads add to.
#[derive(Debug)]
pub(super) struct Visited {
    shards: Vec<Mutex<Shard>>,
    count: AtomicU64,
}

/// A part of it: open addressing, with linear probing.
#[derive(Debug)]
struct Shard {
    places: Vec<Fingerprint>,
    /// Where each came from, if that is kept.
    origins: Option<Vec<Fingerprint>>,
    used: usize,
}

const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;
const PLACES_MIN: usize = 64;

impl Visited {
    /// An empty set; whether it keeps where each state came from, which takes twice the memory.
    pub(super) fn new(keeps_origins: bool) -> Self {
        let shard = || {
            let origins = keeps_origins.then(|| vec![0; PLACES_MIN]);
            Mutex::new(Shard { places: vec![0; PLACES_MIN], origins, used: 0 })
        };
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), count: AtomicU64::new(0) }
    }

    /// How many states there are in it.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Adds what is new among the candidates, and tells which these are, by their place in the list.
    pub(super) fn add(&self, candidates: &[Candidate], mut is_new: impl FnMut(usize)) {
        let mut by_shard: [Vec<usize>; SHARDS] = std::array::from_fn(|_| Vec::new());
        for (at, candidate) in candidates.iter().enumerate() {
            by_shard[shard_of(candidate.state)].push(at);
        }
        for (shard, members) in self.shards.iter().zip(by_shard).filter(|(_, members)| !members.is_empty()) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.make_room(members.len());
            // The memory is far away: the places are asked for all at once, before the first is needed.
            let touched = members.iter().fold(0, |sum, at| sum ^ shard.places[shard.first(candidates[*at].state)]);
            black_box(touched);
            let before = shard.used;
            for at in members {
                if shard.insert(candidates[at]) {
                    is_new(at);
                }
            }
            self.count.fetch_add((shard.used - before) as u64, Ordering::Relaxed);
        }
    }

    /// The states on the way from the first to this one, both included, where origins are kept.
    pub(super) fn way_to(&self, state: Fingerprint) -> Vec<Fingerprint> {
        let mut way = vec![state];
        while let Some(from) = self.origin(way[way.len() - 1]) {
            way.push(from);
        }
        way.reverse();
        way
    }

    fn origin(&self, state: Fingerprint) -> Option<Fingerprint> {
        let shard = self.shards[shard_of(state)].lock().unwrap_or_else(PoisonError::into_inner);
        let place = shard.find(state);
        let from = shard.origins.as_ref().map_or(0, |origins| origins[place]);
        (from != 0).then_some(from)
    }
}

/// By the highest bits; the place in a shard is by the lower half.
fn shard_of(state: Fingerprint) -> usize {
    usize::try_from(state >> (Fingerprint::BITS - SHARD_BITS)).expect("few shards")
}

impl Shard {
    fn first(&self, state: Fingerprint) -> usize {
        let scaled = ((state & u128::from(u64::MAX)) * self.places.len() as u128) >> 64;
        usize::try_from(scaled).expect("below the number of places")
    }

    /// The place of a state, or the empty one that it would take.
    fn find(&self, state: Fingerprint) -> usize {
        let mut at = self.first(state);
        while self.places[at] != state && self.places[at] != 0 {
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
        at
    }

    fn insert(&mut self, Candidate { state, from }: Candidate) -> bool {
        let at = self.find(state);
        let new = self.places[at] == 0;
        if new {
            self.places[at] = state;
            if let Some(origins) = &mut self.origins {
                origins[at] = from;
            }
            self.used += 1;
        }
        new
    }

    /// Grows before three quarters are full.
    fn make_room(&mut self, more: usize) {
        let needed = (self.used + more) * 4 / 3 + 1;
        if needed <= self.places.len() {
            return;
        }
        let length = needed.max(self.places.len() / 2 * 3);
        let places = std::mem::replace(&mut self.places, vec![0; length]);
        let origins = self.origins.as_mut().map(|origins| std::mem::replace(origins, vec![0; length]));
        self.used = 0;
        for (at, state) in places.into_iter().enumerate().filter(|(_, state)| *state != 0) {
            self.insert(Candidate { state, from: origins.as_ref().map_or(0, |origins| origins[at]) });
        }
    }
}
