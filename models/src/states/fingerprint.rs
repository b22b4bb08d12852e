//! What stands for a state, or for what a result depends on: 128 bits.
//!
//! Two different states are taken for one with a probability of at most n²/2¹²⁹ among n: for a thousand million states
//! less than one in 10²⁰.

use xxhash_rust::xxh3::xxh3_128;

/// Stands for a piece of memory. In two words, since a `u128` would take more room for its alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 2]);

impl Fingerprint {
    /// What stands for these bytes. Never zero, which stands for nothing.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(zerocopy::transmute!(xxh3_128(bytes).max(1)))
    }

    /// Whether it stands for nothing.
    pub(super) fn is_nothing(self) -> bool {
        self.0 == [0; 2]
    }

    /// One of so many places, by one word of it.
    pub(super) fn place_among(self, places: usize) -> usize {
        scale(self.0[0], places)
    }

    /// One of so many parts, by the other.
    pub(super) fn part_among(self, parts: usize) -> usize {
        scale(self.0[1], parts)
    }
}

fn scale(word: u64, count: usize) -> usize {
    usize::try_from((u128::from(word) * count as u128) >> 64).expect("below the count")
}
