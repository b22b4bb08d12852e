//! What an action changes, and what that depends on.

use single_primary::call::Time;

use crate::explore::files::{Shape, Spot, Touched, Touches, View, parts, whole};
use crate::explore::intern::Key;
use crate::explore::state::{INODES_MAX, State};
use crate::explore::world::World;
use crate::kernel::Inode;
use crate::participant::Participant;

/// What a call does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    pub(super) actor: u32,
    shape: Option<u32>,
    /// Whether there are other inodes than before, so that the others move.
    moves: bool,
    changes: Changes,
}

/// What becomes of inodes. Mostly of one: that needs no look elsewhere.
#[derive(Clone, Copy, Debug)]
enum Changes {
    None,
    One(Change),
    /// As many as are kept under that number.
    Several(usize),
}

/// What becomes of an inode; what is not given stays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    number: u64,
    /// Which of the inodes it is that the call depends on.
    spot: u8,
    holders: Option<u32>,
    contents: Option<u32>,
}

impl Effect {
    /// A start changes no inode.
    pub(super) fn of_start(actor: u32, shape: u32) -> Self {
        Self { actor, shape: Some(shape), moves: false, changes: Changes::None }
    }
}

impl<P: Participant + 'static> World<P> {
    pub(super) fn view(&self, state: &State, shape: &Shape, touches: &Touches, spots: &[Spot]) -> View {
        let loaded = spots.iter().filter_map(|spot| {
            let place = spot.place?;
            let holders = touches.holders.then(|| self.holders.value(state.holders[place]));
            let contents = touches.contents.then(|| self.contents.value(state.contents[place]));
            Some((spot.number, whole(holders, contents)))
        });
        View {
            directory: shape.directory.clone(),
            processes: shape.processes.clone(),
            inodes: Touched { loaded: loaded.collect(), elsewhere: shape.inodes.clone() },
        }
    }

    pub(super) fn effect(&self, actor: u32, before: &Shape, touches: &Touches, spots: &[Spot], view: View) -> Effect {
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
                unchanged(touches.contents, inode.bytes.is_empty() && inode.modified == unread.modified);
                let unheld = Inode::new(inode.is_directory, Time::default());
                unchanged(touches.holders, parts(inode.clone()).0 == unheld);
            }
            let (holders, contents) = self.inode(inode);
            if !known {
                numbers.push(number);
            }
            changes.push(Change {
                number,
                spot: (0..).zip(spots).find(|(_, spot)| spot.number == number).map_or(u8::MAX, |(at, _)| at),
                holders: (!known || touches.holders).then_some(holders),
                contents: (!known || touches.contents).then_some(contents),
            });
        }
        numbers.sort_unstable();
        let moves = numbers != before.inodes;
        let shape = Shape { directory, processes, inodes: numbers };
        let changes = match changes[..] {
            [] => Changes::None,
            [change] => Changes::One(change),
            _ => Changes::Several(self.changes.push(changes)),
        };
        Effect { actor, shape: (shape != *before).then(|| self.shape(shape)), moves, changes }
    }

    pub(super) fn apply(&self, state: &mut State, effect: &Effect, spots: &[Spot]) {
        if effect.moves {
            self.move_inodes(state, effect);
        } else {
            for Change { spot, holders, contents, .. } in self.changes_of(effect) {
                let place = spots[usize::from(*spot)].place.expect("an inode that was there before has a place");
                change(state, place, *holders, *contents);
            }
        }
        state.shape = effect.shape.unwrap_or(state.shape);
    }

    fn changes_of<'a>(&'a self, effect: &'a Effect) -> &'a [Change] {
        match &effect.changes {
            Changes::None => &[],
            Changes::One(change) => std::slice::from_ref(change),
            Changes::Several(at) => &self.changes[*at],
        }
    }

    fn move_inodes(&self, state: &mut State, effect: &Effect) {
        let before = self.shape_of(state);
        let after = effect.shape.map_or(before, |shape| self.shapes.value(shape));
        assert!(after.inodes.len() <= INODES_MAX, "at most {INODES_MAX} files at a time");
        let old = (state.holders, state.contents);
        (state.holders, state.contents) = ([0; INODES_MAX], [0; INODES_MAX]);
        for (place, number) in after.inodes.iter().enumerate() {
            if let Ok(from) = before.inodes.binary_search(number) {
                (state.holders[place], state.contents[place]) = (old.0[from], old.1[from]);
            }
            if let Some(new) = self.changes_of(effect).iter().find(|change| change.number == *number) {
                change(state, place, new.holders, new.contents);
            }
        }
    }
}

fn change(state: &mut State, place: usize, holders: Option<u32>, contents: Option<u32>) {
    state.holders[place] = holders.unwrap_or(state.holders[place]);
    state.contents[place] = contents.unwrap_or(state.contents[place]);
}

/// What kind of thing has an [`Effect`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Go,
    Fail,
    Short,
    Die,
    Begin,
}

/// All that the effect of an action depends on.
pub(super) fn key(kind: Kind, slot: u8, who: u32, now: Time, state: &State, touches: &Touches, spots: &[Spot]) -> Key {
    let [low, high] = halves(now.as_micros());
    let names = if touches.shape { state.shape + 1 } else { 0 };
    let mut key = Key::of([u32::from(slot) << 8 | kind as u32, who, low, high, names]);
    let parts = [touches.holders.then_some(&state.holders), touches.contents.then_some(&state.contents)];
    for part in parts.into_iter().flatten() {
        for spot in spots {
            key.push(spot.place.map_or(1, |place| part[place] + 2));
        }
    }
    key
}

/// A large number as two of those that results are remembered by.
pub(super) fn halves(number: u64) -> [u32; 2] {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).expect("32 bits are left");
    [half(number), half(number >> 32)]
}
