//! Values kept once and stood for by a number, so that states made of them are small and compare by numbers.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHasher;

type Hashing = BuildHasherDefault<FxHasher>;

/// Values of one type, each kept once, with what was worked out about it.
#[derive(Debug)]
pub struct Interner<T, I = ()> {
    numbers: RwLock<HashMap<Arc<T>, u32, Hashing>>,
    entries: boxcar::Vec<(Arc<T>, I)>,
}

impl<T: Eq + Hash, I> Interner<T, I> {
    /// The number of a value, the same for equal ones. `describe` works out what is kept beside a new one.
    pub fn number(&self, value: T, describe: impl FnOnce(&T) -> I) -> u32 {
        if let Some(number) = self.numbers.read().unwrap_or_else(PoisonError::into_inner).get(&value) {
            return *number;
        }
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(&value) {
            return *number;
        }
        let value = Arc::new(value);
        let number = self.entries.push((value.clone(), describe(&value)));
        let number = u32::try_from(number).expect("more than four billion distinct values fit in no memory");
        numbers.insert(value, number);
        number
    }

    /// The value of a number, and what is kept beside it.
    pub fn entry(&self, number: u32) -> (&T, &I) {
        let (value, about) = &self.entries[number as usize];
        (value, about)
    }

    /// The value of a number.
    pub fn value(&self, number: u32) -> &T {
        self.entry(number).0
    }

    /// How many distinct values there are.
    pub fn count(&self) -> usize {
        self.entries.count()
    }
}

impl<T: Eq + Hash, I> Default for Interner<T, I> {
    fn default() -> Self {
        Self { numbers: RwLock::default(), entries: boxcar::Vec::new() }
    }
}

/// Results remembered by what they depend on, as numbers.
#[derive(Debug)]
pub struct Memory<R> {
    results: RwLock<HashMap<Box<[u32]>, u32, Hashing>>,
    entries: boxcar::Vec<R>,
}

impl<R> Memory<R> {
    /// The result for the key, worked out the first time.
    pub fn recall(&self, key: &[u32], work_out: impl FnOnce() -> R) -> &R {
        if let Some(number) = self.results.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return &self.entries[*number as usize];
        }
        // Two threads may both work it out: the results are equal, and one of them is kept.
        let result = work_out();
        let mut results = self.results.write().unwrap_or_else(PoisonError::into_inner);
        let number = *results.entry(key.into()).or_insert_with(|| {
            u32::try_from(self.entries.push(result)).expect("more than four billion results fit in no memory")
        });
        &self.entries[number as usize]
    }
}

impl<R> Default for Memory<R> {
    fn default() -> Self {
        Self { results: RwLock::default(), entries: boxcar::Vec::new() }
    }
}
