//! Values kept once and stood for by a number, so that states made of them are small and compare by numbers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHasher;
use thread_local::ThreadLocal;
use zerocopy::IntoBytes as _;

use crate::states::fingerprint::Fingerprint;
use crate::states::table::Table;

type Hashing = BuildHasherDefault<FxHasher>;

/// Values of one type, each kept once, with what was worked out about it: in full, and what of it is asked at every step,
/// small enough to stay near the processor.
#[derive(Debug)]
pub(super) struct Interner<T, F = (), G = ()> {
    numbers: RwLock<HashMap<Arc<T>, u32, Hashing>>,
    entries: boxcar::Vec<(Arc<T>, F)>,
    glances: boxcar::Vec<G>,
}

impl<T: Eq + Hash, F, G: Copy> Interner<T, F, G> {
    /// The number of a value, the same for equal ones, and never zero. `describe` works out what is kept beside a new one.
    pub(super) fn number(&self, value: T, describe: impl FnOnce(&T) -> (F, G)) -> u32 {
        if let Some(number) = self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(&value) {
            return *number;
        }
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(&value) {
            return *number;
        }
        let value = Arc::new(value);
        let (facts, glance) = describe(&value);
        // One at a time, so that both have the same place.
        self.glances.push(glance);
        let place = self.entries.push((value.clone(), facts));
        let number = u32::try_from(place + 1).expect("more than four billion distinct values fit in no memory");
        numbers.insert(value, number);
        number
    }

    /// The value of a number, and what is known of it.
    pub(super) fn entry(&self, number: u32) -> (&T, &F) {
        let (value, facts) = &self.entries[place_of(number)];
        (value, facts)
    }

    /// The value of a number.
    pub(super) fn value(&self, number: u32) -> &T {
        self.entry(number).0
    }

    /// What is asked of it at every step.
    pub(super) fn glance(&self, number: u32) -> G {
        self.glances[place_of(number)]
    }
}

fn place_of(number: u32) -> usize {
    number as usize - 1
}

impl<T: Eq + Hash, F, G> Default for Interner<T, F, G> {
    fn default() -> Self {
        Self { numbers: RwLock::default(), entries: boxcar::Vec::new(), glances: boxcar::Vec::new() }
    }
}

/// Results remembered by what they depend on, which is a few numbers.
///
/// Every thread keeps what it has asked for in a table of its own, so that asking again takes no lock, and looks nowhere else.
/// What a result depends on is stood for by its fingerprint, as a state is among those visited, so that the tables stay near
/// the processor.
#[derive(Debug)]
pub(super) struct Memory<R: Copy + Default + Send> {
    own: ThreadLocal<RefCell<Table<R>>>,
    shared: RwLock<Table<R>>,
}

impl<R: Copy + Default + Send> Memory<R> {
    /// The result that depends on these numbers, worked out the first time.
    pub(super) fn recall(&self, numbers: &[u32], work_out: impl FnOnce() -> R) -> R {
        let key = Fingerprint::of(numbers.as_bytes());
        let own = self.own.get_or_default();
        let known = own.borrow().get(key);
        known.unwrap_or_else(|| {
            let result = self.share(key, work_out);
            own.borrow_mut().insert(key, result);
            result
        })
    }

    fn share(&self, key: Fingerprint, work_out: impl FnOnce() -> R) -> R {
        if let Some(result) = self.shared.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return result;
        }
        // Two threads may both work it out: the results are equal.
        let result = work_out();
        self.shared.write().unwrap_or_else(PoisonError::into_inner).insert(key, result);
        result
    }
}

impl<R: Copy + Default + Send> Default for Memory<R> {
    fn default() -> Self {
        Self { own: ThreadLocal::new(), shared: RwLock::default() }
    }
}
