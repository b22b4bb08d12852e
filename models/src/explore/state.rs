//! One situation of the model, small enough that many millions of them can be looked at.

use single_primary::call::Time;

use crate::explore::promise::Promise;

/// How many instances there can be over the whole time.
pub(super) const SLOTS_MAX: usize = 8;

/// How many inodes there can be at a time.
pub(super) const INODES_MAX: usize = 14;

/// How many numbers of four bytes a packed state has at most.
const PACKED_MAX: usize = 1 + SLOTS_MAX + 2 * INODES_MAX + 4;

/// Everything that tells one situation from another. What is large is stood for by its number in the
/// [`World`](super::World).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub(super) actors: [u32; SLOTS_MAX],
    pub(super) shape: u32,
    /// What holds each inode.
    pub(super) holders: [u32; INODES_MAX],
    /// What is in each.
    pub(super) contents: [u32; INODES_MAX],
    pub(super) clock: Time,
    pub(super) moves: u8,
    pub(super) jumped: bool,
    pub(super) crashes: u8,
    pub(super) restarts: u8,
    pub(super) errors: u8,
    pub(super) leaves: u8,
    /// The highest term that anyone was primary of since the journal was last empty.
    pub(super) term: u8,
    /// The promise that the last action broke.
    pub breach: Option<Promise>,
}

impl State {
    /// Whether nothing in the files differs.
    pub(super) fn has_same_files(&self, other: &Self) -> bool {
        self.shape == other.shape && self.holders == other.holders && self.contents == other.contents
    }

    /// Appends what tells the state apart in a space with so many slots and a shape with so many inodes: nothing is lost.
    pub(super) fn pack(&self, slots: usize, inodes: usize, bytes: &mut Vec<u8>) {
        let Self { actors, shape, holders, contents, clock, moves, jumped, .. } = self;
        let Self { crashes, restarts, errors, leaves, term, breach, .. } = self;
        // Put together in one place first, so that there is room to be looked for but once.
        let mut packed = [[0; 4]; PACKED_MAX];
        let numbers = actors[..slots].iter().chain(&holders[..inodes]).chain(&contents[..inodes]);
        for (place, number) in packed.iter_mut().zip([shape].into_iter().chain(numbers)) {
            *place = number.to_le_bytes();
        }
        let breach = breach.map_or(0, |promise| promise as u8 + 1);
        let end = 1 + slots + 2 * inodes + 4;
        let rest = packed[..end].as_flattened_mut().last_chunk_mut::<16>().expect("it was made long enough");
        rest[..8].copy_from_slice(&clock.as_micros().to_le_bytes());
        rest[8..].copy_from_slice(&[*moves, u8::from(*jumped), *crashes, *restarts, *errors, *leaves, *term, breach]);
        bytes.extend_from_slice(packed[..end].as_flattened());
    }

    /// Takes a packed state off the front; `inodes` tells how many a shape has.
    pub(super) fn unpack(bytes: &mut &[u8], slots: usize, inodes: impl Fn(u32) -> usize) -> Self {
        let shape = u32::from_le_bytes(take(bytes));
        let mut actors = [0; SLOTS_MAX];
        actors[..slots].fill_with(|| u32::from_le_bytes(take(bytes)));
        let inodes = inodes(shape);
        let mut holders = [0; INODES_MAX];
        holders[..inodes].fill_with(|| u32::from_le_bytes(take(bytes)));
        let mut contents = [0; INODES_MAX];
        contents[..inodes].fill_with(|| u32::from_le_bytes(take(bytes)));
        let clock = Time::from_micros(u64::from_le_bytes(take(bytes)));
        let [moves, jumped, crashes, restarts, errors, leaves, term, breach] = take(bytes);
        let breach = breach.checked_sub(1).map(|at| Promise::ALL[usize::from(at)]);
        let jumped = jumped == 1;
        Self { actors, shape, holders, contents, clock, moves, jumped, crashes, restarts, errors, leaves, term, breach }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (first, rest) = bytes.split_first_chunk().expect("a packed state is whole");
    *bytes = rest;
    *first
}
