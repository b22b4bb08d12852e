//! What an action changes, and what that depends on.

use std::num::NonZeroU32;

use single_primary::call::{Failure, Time};

use crate::kernel::{Hand, Inode};
use crate::participant::Participant;
use crate::states::files::{FOOTPRINT_MAX, Footprint, Needs, Places, Shape, Spot, Touched, View, parts, whole};
use crate::states::model::Model;
use crate::states::state::{INODES_MAX, State};

/// What a call does. Where no number is given, there stays what there was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effect {
    pub(super) actor: u32,
    shape: Option<NonZeroU32>,
    changes: Option<NonZeroU32>,
}

/// What becomes of the inodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Changes {
    /// Whether there are other inodes than before, so that the others move.
    moves: bool,
    /// By the inodes' numbers.
    each: Vec<(u64, Change)>,
}

/// What becomes of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Change {
    /// Which of the inodes it is that the call depends on.
    spot: u8,
    holders: Option<NonZeroU32>,
    contents: Option<NonZeroU32>,
}

impl Changes {
    /// The change of the only inode that changes, where all stay where they are.
    fn only(&self) -> Option<Change> {
        match self.each[..] {
            [(_, change)] if !self.moves => Some(change),
            _ => None,
        }
    }
}

impl Effect {
    /// A start changes no inode.
    pub(super) fn of_start(actor: u32, shape: u32) -> Self {
        Self { actor, shape: NonZeroU32::new(shape), changes: None }
    }
}

impl<P: Participant + 'static> Model<P> {
    pub(super) fn view(&self, state: &State, shape: &Shape, footprint: &Footprint, spots: &[Spot]) -> View {
        let loaded = spots.iter().filter_map(|spot| {
            let place = spot.place?;
            let holders = footprint.needs.holders.then(|| self.holders.value(state.holders[place]));
            let contents = footprint.needs.contents.then(|| self.contents.value(state.contents[place]));
            Some((spot.number, whole(holders, contents)))
        });
        View {
            directory: shape.directory.clone(),
            processes: shape.processes.clone(),
            inodes: Touched { loaded: loaded.collect(), elsewhere: shape.inodes.clone() },
        }
    }

    pub(super) fn effect(
        &self,
        actor: u32,
        before: &Shape,
        footprint: &Footprint,
        spots: &[Spot],
        view: View,
    ) -> Effect {
        let View { directory, processes, inodes: Touched { loaded, elsewhere: mut numbers } } = view;
        let mut changes = Vec::new();
        for (number, inode) in loaded {
            let known = before.inodes.binary_search(&number).is_ok();
            if inode.is_free() {
                numbers.retain(|other| *other != number);
                continue;
            }
            if known {
                let unread = whole(None, None);
                let unchanged =
                    |part: bool, same: bool| assert!(part || same, "a call changes what it does not depend on");
                unchanged(footprint.needs.contents, inode.bytes.is_empty() && inode.modified == unread.modified);
                let unheld = Inode::new(inode.is_directory, Time::default());
                unchanged(footprint.needs.holders, parts(inode.clone()).0 == unheld);
            }
            let (holders, contents) = self.inode(inode);
            if !known {
                numbers.push(number);
            }
            let change = Change {
                spot: (0..).zip(spots).find(|(_, spot)| spot.number == number).map_or(u8::MAX, |(at, _)| at),
                holders: NonZeroU32::new(holders).filter(|_| !known || footprint.needs.holders),
                contents: NonZeroU32::new(contents).filter(|_| !known || footprint.needs.contents),
            };
            changes.push((number, change));
        }
        numbers.sort_unstable();
        let moves = numbers != before.inodes;
        let shape = Shape { directory, processes, inodes: numbers };
        let changes = Changes { moves, each: changes };
        let changes = (changes.moves || !changes.each.is_empty())
            .then(|| self.changes.number(changes, |changes| ((), changes.only())));
        let shape = (shape != *before).then(|| self.shape(shape));
        Effect { actor, shape: shape.and_then(NonZeroU32::new), changes: changes.and_then(NonZeroU32::new) }
    }

    pub(super) fn apply(&self, state: &mut State, effect: &Effect, places: &Places) {
        if let Some(changes) = effect.changes.map(NonZeroU32::get) {
            match self.changes.glance(changes) {
                Some(change) => change.apply(state, change.place(places)),
                None => self.apply_all(state, effect, self.changes.value(changes), places),
            }
        }
        state.shape = effect.shape.map_or(state.shape, NonZeroU32::get);
    }

    fn apply_all(&self, state: &mut State, effect: &Effect, changes: &Changes, places: &Places) {
        if changes.moves {
            self.move_inodes(state, effect, &changes.each);
        } else {
            changes.each.iter().for_each(|(_, change)| change.apply(state, change.place(places)));
        }
    }

    fn move_inodes(&self, state: &mut State, effect: &Effect, changes: &[(u64, Change)]) {
        let before = self.shape_of(state);
        let after = effect.shape.map_or(before, |shape| self.shapes.value(shape.get()));
        assert!(after.inodes.len() <= INODES_MAX, "at most {INODES_MAX} files at a time");
        let old = (state.holders, state.contents);
        (state.holders, state.contents) = ([0; INODES_MAX], [0; INODES_MAX]);
        for (place, number) in after.inodes.iter().enumerate() {
            if let Ok(from) = before.inodes.binary_search(number) {
                (state.holders[place], state.contents[place]) = (old.0[from], old.1[from]);
            }
            if let Some((_, new)) = changes.iter().find(|(changed, _)| changed == number) {
                new.apply(state, place);
            }
        }
    }
}

impl Change {
    fn place(&self, places: &Places) -> usize {
        places.get(usize::from(self.spot)).expect("an inode that was there before has a place")
    }

    fn apply(&self, state: &mut State, place: usize) {
        state.holders[place] = self.holders.map_or(state.holders[place], NonZeroU32::get);
        state.contents[place] = self.contents.map_or(state.contents[place], NonZeroU32::get);
    }
}

/// What kind of thing has an [`Effect`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Go,
    Short,
    Fail(Failure),
    Die,
    Begin,
    Meddle(Hand),
}

impl Kind {
    fn code(self) -> u32 {
        match self {
            Self::Go => 0,
            Self::Short => 1,
            Self::Fail(Failure(number)) => 2 | number.unsigned_abs() << 3,
            Self::Die => 3,
            Self::Begin => 4,
            Self::Meddle(hand) => 5 | (hand as u32) << 3,
        }
    }
}

/// All that the effect of an action depends on.
#[derive(Debug)]
pub(super) struct Key {
    numbers: [u32; KEY_MAX],
    count: usize,
}

const KEY_MAX: usize = 5 + 2 * FOOTPRINT_MAX;

impl Key {
    pub(super) fn of(kind: Kind, slot: u8, who: u32, now: Time, state: &State, places: &Places) -> Self {
        let mut key = Self { numbers: [0; KEY_MAX], count: 0 };
        let [low, high] = halves(now.as_micros());
        let names = if places.needs.shape { state.shape } else { 0 };
        for number in [u32::from(slot) << 16 | kind.code(), who, low, high, names] {
            key.push(number);
        }
        let Needs { holders, contents, .. } = places.needs;
        for part in [holders.then_some(&state.holders), contents.then_some(&state.contents)].into_iter().flatten() {
            for place in places.all() {
                // No number is zero.
                key.push(place.map_or(0, |place| part[place]));
            }
        }
        key
    }

    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers[..self.count]
    }

    fn push(&mut self, number: u32) {
        self.numbers[self.count] = number;
        self.count += 1;
    }
}

/// A large number as two of those that results are remembered by.
pub(super) fn halves(number: u64) -> [u32; 2] {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).expect("32 bits are left");
    [half(number), half(number >> 32)]
}
