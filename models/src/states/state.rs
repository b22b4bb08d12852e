//! One situation of the model, small enough that many millions of them can be looked at.

use single_primary::call::Time;
use zerocopy::{Immutable, IntoBytes};

use crate::states::effect::halves;
use crate::states::fingerprint::Fingerprint;
use crate::states::ledger::Ledger;
use crate::states::promise::Promise;

/// How many instances there can be over the whole time.
pub(super) const SLOTS_MAX: usize = 8;

/// How many inodes there can be at a time.
pub(super) const INODES_MAX: usize = 14;

/// Everything that tells one situation from another. What is large is stood for by its number in the
/// [`Model`](super::Model).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoBytes, Immutable)]
#[repr(C)]
pub struct State {
    pub(super) actors: [u32; SLOTS_MAX],
    pub(super) shape: u32,
    /// What holds each inode.
    pub(super) holders: [u32; INODES_MAX],
    /// What is in each.
    pub(super) contents: [u32; INODES_MAX],
    /// In two halves, so that all of a state is of one alignment.
    clock: [u32; 2],
    pub(super) moves: u8,
    pub(super) jumped: bool,
    pub(super) crashes: u8,
    pub(super) restarts: u8,
    pub(super) errors: u8,
    pub(super) leaves: u8,
    pub(super) ledger: Ledger,
    /// How often somebody else has done something.
    pub(super) meddled: u8,
    /// The failures that last at the moment, and those that ever began, one bit each, by their places in the space.
    pub(super) broken: u8,
    pub(super) ever_broken: u8,
    /// The highest term that anyone was primary of.
    pub(super) term: u8,
    /// One above the place among all promises; zero for none.
    breach: u8,
}

impl State {
    /// Before anything has happened.
    pub(super) fn initial(actors: [u32; SLOTS_MAX], shape: u32) -> Self {
        Self {
            actors,
            shape,
            holders: [0; INODES_MAX],
            contents: [0; INODES_MAX],
            clock: [0; 2],
            moves: 0,
            jumped: false,
            crashes: 0,
            restarts: 0,
            errors: 0,
            leaves: 0,
            ledger: Ledger::default(),
            meddled: 0,
            broken: 0,
            ever_broken: 0,
            term: 0,
            breach: 0,
        }
    }

    /// What stands for it.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.as_bytes())
    }

    /// The clock, where there is one for all.
    pub(super) fn clock(&self) -> Time {
        let [low, high] = self.clock.map(u64::from);
        Time::from_micros(high << 32 | low)
    }

    pub(super) fn set_clock(&mut self, clock: Time) {
        self.clock = halves(clock.as_micros());
    }

    /// The promise that the last action broke.
    #[must_use]
    pub fn breach(&self) -> Option<Promise> {
        self.breach.checked_sub(1).map(|at| Promise::ALL[usize::from(at)])
    }

    pub(super) fn set_breach(&mut self, breach: Option<Promise>) {
        self.breach = breach.map_or(0, |promise| promise as u8 + 1);
    }

    /// Whether nothing in the files differs.
    pub(super) fn has_same_files(&self, other: &Self) -> bool {
        self.shape == other.shape && self.holders == other.holders && self.contents == other.contents
    }
}
