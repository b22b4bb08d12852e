//! Events, and what stands for them where there are very many.

use std::borrow::Cow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event<'log> {
    /// Its name. Of a key with several fields, these with a comma between them; a comma within a field is written `\,`.
    pub(crate) name: Cow<'log, [u8]>,
    /// A bit for each field that is a number in JSON, from the lowest: 7 and "7" are two events.
    pub(crate) numbers: u32,
}

impl<'log> Event<'log> {
    /// One that is named by text.
    pub(crate) fn text(name: &'log [u8]) -> Self {
        Self { name: name.into(), numbers: 0 }
    }
}

/// Tells events apart by 128 bits in place of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    high: u64,
    low: u64,
}

impl Fingerprint {
    /// That of the event which is named alike, by text in place of numbers.
    pub(crate) fn of_text(self, numbers: u32) -> Self {
        Self { low: self.low ^ u64::from(numbers), ..self }
    }
}

/// Takes fingerprints. What they depend on beside the event is random, so that nobody can choose events that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprints {
    seed: u64,
}

impl Fingerprints {
    /// With a seed of its own.
    pub(crate) fn random() -> Self {
        Self { seed: fastrand::u64(..) }
    }

    /// That of an event.
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
    pub(crate) fn of(self, event: &Event<'_>) -> Fingerprint {
        let hash = xxh3_128_with_seed(&event.name, self.seed);
        Fingerprint { high: (hash >> 64) as u64, low: hash as u64 ^ u64::from(event.numbers) }
    }
}

/// Tells the contents of entries apart, as far as 32 bits do.
#[expect(clippy::cast_possible_truncation, reason = "a part of a hash is a hash")]
pub(crate) fn content(entry: &[u8]) -> u32 {
    xxh3_64(entry) as u32
}
