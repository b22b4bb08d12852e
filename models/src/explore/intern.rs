//! Values kept once and stood for by a number, so that states made of them are small and compare by numbers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHasher;
use thread_local::ThreadLocal;

use crate::explore::visited::{Fingerprint, fingerprint};

type Hashing = BuildHasherDefault<FxHasher>;

/// Values of one type, each kept once, with what was worked out about it.
#[derive(Debug)]
pub(super) struct Interner<T, I> {
    numbers: RwLock<HashMap<Arc<T>, u32, Hashing>>,
    entries: boxcar::Vec<(Arc<T>, I)>,
}

impl<T: Eq + Hash, I> Interner<T, I> {
    /// The number of a value, the same for equal ones. `describe` works out what is kept beside a new one.
    pub(super) fn number(&self, value: T, describe: impl FnOnce(&T) -> I) -> u32 {
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
    pub(super) fn entry(&self, number: u32) -> (&T, &I) {
        let (value, about) = &self.entries[number as usize];
        (value, about)
    }

    /// The value of a number.
    pub(super) fn value(&self, number: u32) -> &T {
        self.entry(number).0
    }
}

impl<T: Eq + Hash, I> Default for Interner<T, I> {
    fn default() -> Self {
        Self { numbers: RwLock::default(), entries: boxcar::Vec::new() }
    }
}

/// What a result depends on, as a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    numbers: [u32; KEY_MAX],
    count: usize,
}

const KEY_MAX: usize = 16;

impl Key {
    pub(super) fn of<const N: usize>(first: [u32; N]) -> Self {
        let mut numbers = [0; KEY_MAX];
        numbers[..N].copy_from_slice(&first);
        Self { numbers, count: N }
    }

    pub(super) fn push(&mut self, number: u32) {
        self.numbers[self.count] = number;
        self.count += 1;
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; 4 * KEY_MAX];
        for (at, number) in bytes.as_chunks_mut().0.iter_mut().zip(&self.numbers[..self.count]) {
            *at = number.to_le_bytes();
        }
        fingerprint(&bytes[..4 * self.count])
    }
}

/// Results remembered by what they depend on.
///
/// Every thread keeps what it has asked for in a table of its own, so that asking again takes no lock, and looks nowhere else.
/// A key is stood for by its fingerprint there, as a state is among those visited, so that the table stays near the processor.
#[derive(Debug)]
pub(super) struct Memory<R: Send> {
    own: ThreadLocal<RefCell<HashMap<Fingerprint, R, Hashing>>>,
    results: RwLock<HashMap<Key, R, Hashing>>,
}

impl<R: Copy + Send> Memory<R> {
    /// The result for the key, worked out the first time.
    pub(super) fn recall(&self, key: &Key, work_out: impl FnOnce() -> R) -> R {
        let own = self.own.get_or_default();
        let fingerprint = key.fingerprint();
        let known = own.borrow().get(&fingerprint).copied();
        known.unwrap_or_else(|| {
            let result = self.share(key, work_out);
            own.borrow_mut().insert(fingerprint, result);
            result
        })
    }

    fn share(&self, key: &Key, work_out: impl FnOnce() -> R) -> R {
        if let Some(result) = self.results.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return *result;
        }
        // Two threads may both work it out: the results are equal, and one of them is kept.
        let result = work_out();
        *self.results.write().unwrap_or_else(PoisonError::into_inner).entry(*key).or_insert(result)
    }
}

impl<R: Send> Default for Memory<R> {
    fn default() -> Self {
        Self { own: ThreadLocal::new(), results: RwLock::default() }
    }
}
