//! What comes of an action.

use std::sync::PoisonError;

use single_primary::call::{Call as ElectionCall, Failure, Handle, Reply as ElectionReply, Time};

use smallvec::SmallVec;

use crate::call::{Call, Reply};
use crate::explore::action::{Action, Identity};
use crate::explore::actor::{Actor, event_of};
use crate::explore::files::{Shape, Spot, TOUCHED_MAX, Touched, Touches, View, parts, touches, whole};
use crate::explore::intern::Key;
use crate::explore::space::Timing;
use crate::explore::state::{INODES_MAX, State};
use crate::explore::world::World;
use crate::explore::{promise, reduction};
use crate::kernel::{Caller, Fate, Files, Inode, Inodes, exit, perform};
use crate::participant::{Participant, Step, Wait};

/// What a call does.
#[derive(Debug)]
pub(super) struct Effect {
    actor: u32,
    shape: Option<u32>,
    /// Whether there are other inodes than before, so that the others move.
    moves: bool,
    /// Mostly one: it needs no look elsewhere.
    changes: SmallVec<[Change; 1]>,
}

/// What becomes of an inode; what is not given stays.
#[derive(Debug)]
struct Change {
    number: u64,
    /// Which of the inodes it is that the call depends on.
    spot: usize,
    holders: Option<u32>,
    contents: Option<u32>,
}

const EIO: Failure = Failure(5);

impl<P: Participant + 'static> World<P> {
    /// What comes of an action; `None` where nothing changes.
    pub fn after(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Go(slot) => self.go(&mut next, slot, state.clock, Fate::Normal),
            Action::Over(slot) => {
                let Step::Wait(Wait::Change(Some(deadline)) | Wait::Until(deadline)) =
                    self.actor_of(state, slot).1.step
                else {
                    return None;
                };
                self.go(&mut next, slot, deadline, Fate::Normal);
            }
            Action::Fail(slot) => {
                next.errors += 1;
                self.go(&mut next, slot, state.clock, Fate::Fail(EIO));
            }
            Action::Short(slot) => {
                next.errors += 1;
                let Step::Call(Call::Election(ElectionCall::Append { bytes, .. })) = &self.actor_of(state, slot).1.step
                else {
                    return None;
                };
                self.go(&mut next, slot, state.clock, Fate::Short(bytes.len() / 2));
            }
            Action::Deliver(slot, event) => {
                next.actors[usize::from(slot)] = self.tell(state.actors[usize::from(slot)], Told::Event(event));
            }
            Action::Leave(slot) => {
                next.leaves += 1;
                next.actors[usize::from(slot)] = self.tell(state.actors[usize::from(slot)], Told::Leave);
            }
            Action::Crash(slot) => {
                next.crashes += 1;
                for other in self.slots() {
                    if other == slot || self.space().per_process > 1 && self.are_one_process(state, slot, other) {
                        self.die(&mut next, other);
                    }
                }
            }
            Action::Start(slot, identity) => {
                next.restarts += 1;
                self.begin(&mut next, slot, identity);
            }
            Action::Tick => {
                next.moves += 1;
                next.clock = self.next_deadline(state)?;
            }
            Action::Jump => {
                let Timing::Shared { jump, .. } = self.space().timing else { return None };
                next.jumped = true;
                next.clock = next.clock.after(jump);
            }
        }
        if next == *state {
            return None;
        }
        if self.space().reduce {
            reduction::look_in_vain(self, state, &mut next, action.slot());
            if next == *state {
                return None;
            }
        }
        promise::judge(self, state, action, &mut next);
        Some(next)
    }

    /// The state after the instance of a slot has looked at what it waits for.
    pub(super) fn looked(&self, state: &State, slot: u8) -> State {
        let mut looked = *state;
        self.go(&mut looked, slot, state.clock, Fate::Normal);
        looked
    }

    /// The instance goes on at a moment: ends its wait, if it is in one, and makes the call that it wants then.
    fn go(&self, state: &mut State, slot: u8, now: Time, fate: Fate) {
        let at = usize::from(slot);
        let start = state.actors[at];
        let awake = match self.actors.entry(start).1.step {
            Step::Wait(_) => self.tell(start, Told::Awake(now)),
            _ => start,
        };
        let (actor, facts) = self.actors.entry(awake);
        let (Actor::Running(running), Step::Call(call)) = (actor, &facts.step) else {
            state.actors[at] = awake;
            return;
        };
        let shape = self.shape_of(state);
        let mut room = [Spot::default(); TOUCHED_MAX];
        let spots = facts.touches.spots(shape, &mut room);
        let kind = match fate {
            Fate::Normal => Kind::Go,
            Fate::Fail(_) => Kind::Fail,
            Fate::Short(_) => Kind::Short,
        };
        let key = key(kind, slot, start, now, state, &facts.touches, spots);
        let effect = self.effects.recall(&key, || {
            let mut view = self.view(state, shape, &facts.touches, spots);
            let mut running = (**running).clone();
            let reply = perform(&mut view, &mut caller(slot, &mut running.files, running.process, now), call, fate);
            if self.space().reduce
                && let (Call::Election(ElectionCall::Append { handle: Handle::JOURNAL, .. }), Fate::Normal) =
                    (call, fate)
                && let Some(journal) = running.files.get(Handle::JOURNAL)
            {
                view.inodes.with(journal.inode, |inode| reduction::canonicalize(&mut inode.bytes));
            }
            running.participant.reply(reply, now);
            let actor = if running.participant.next() == Step::Ended && running.files == Files::default() {
                Actor::Ended(running.participant.belief())
            } else {
                Actor::Running(Box::new(running))
            };
            let effect = self.effect(self.actor(actor), shape, &facts.touches, spots, view);
            if fate == Fate::Normal && (effect.actor != start || self.changes_files(&effect, state, spots)) {
                self.took_turn(start, effect.actor);
            }
            effect
        });
        state.actors[at] = effect.actor;
        self.apply(state, effect, spots);
    }

    fn took_turn(&self, from: u32, to: u32) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).insert((from, to));
    }

    fn changes_files(&self, effect: &Effect, state: &State, spots: &[Spot]) -> bool {
        let mut after = *state;
        self.apply(&mut after, effect, spots);
        !after.has_same_files(state)
    }

    fn die(&self, state: &mut State, slot: u8) {
        let at = usize::from(slot);
        let (actor, facts) = self.actor_of(state, slot);
        let Actor::Running(running) = actor else {
            state.actors[at] = self.actor(Actor::Dead);
            return;
        };
        let shape = self.shape_of(state);
        let mut room = [Spot::default(); TOUCHED_MAX];
        let spots = facts.death.spots(shape, &mut room);
        let key = key(Kind::Die, slot, state.actors[at], state.clock, state, &facts.death, spots);
        let effect = self.effects.recall(&key, || {
            let mut view = self.view(state, shape, &facts.death, spots);
            view.processes.alive.remove(&running.process);
            let mut files = running.files.clone();
            exit(&mut view, &mut caller(slot, &mut files, running.process, state.clock));
            self.effect(self.actor(Actor::Dead), shape, &facts.death, spots, view)
        });
        state.actors[at] = effect.actor;
        self.apply(state, effect, spots);
    }

    fn begin(&self, state: &mut State, slot: u8, identity: Identity) {
        let own = usize::from(slot);
        let code = match identity {
            Identity::Fresh => 0,
            Identity::IdOf(earlier) => u32::from(earlier) << 2 | 1,
            Identity::ProcessOf(earlier) => u32::from(earlier) << 2 | 2,
        };
        let touches = Touches::of_start();
        let key = key(Kind::Begin, slot, code, Time::default(), state, &touches, &[]);
        let effect = self.effects.recall(&key, || {
            let (id, process) = match identity {
                Identity::Fresh => (self.space().id(own), self.space().process(own)),
                Identity::IdOf(earlier) => (self.space().id(usize::from(earlier)), self.space().process(own)),
                Identity::ProcessOf(earlier) => (self.space().id(own), self.space().process(usize::from(earlier))),
            };
            let mut shape = self.shape_of(state).clone();
            shape.processes.alive.insert(process);
            let actor = self.actor(self.running(id, process));
            Effect { actor, shape: Some(self.shape(shape)), moves: false, changes: SmallVec::new() }
        });
        state.actors[own] = effect.actor;
        self.apply(state, effect, &[]);
    }

    /// The system call that an action is, with its reply, and the moment that the instance is told.
    pub fn call_of(&self, state: &State, action: Action) -> (Option<(Call, Reply)>, Time) {
        let step = action.slot().map(|slot| &self.actor_of(state, slot).1.step);
        let (fate, now) = match (action, step) {
            (Action::Go(_), _) => (Fate::Normal, state.clock),
            (Action::Over(_), Some(Step::Wait(Wait::Change(Some(deadline)) | Wait::Until(deadline)))) => {
                (Fate::Normal, *deadline)
            }
            (Action::Fail(_), _) => (Fate::Fail(EIO), state.clock),
            (Action::Short(_), Some(Step::Call(Call::Election(ElectionCall::Append { bytes, .. })))) => {
                (Fate::Short(bytes.len() / 2), state.clock)
            }
            _ => return (None, state.clock),
        };
        let call = action.slot().and_then(|slot| {
            let Actor::Running(running) = self.actor_of(state, slot).0 else { return None };
            let mut running = (**running).clone();
            if matches!(running.participant.next(), Step::Wait(_)) {
                running.participant.wake(now);
            }
            let Step::Call(call) = running.participant.next() else { return None };
            let shape = self.shape_of(state);
            let touches = touches(&running.files, &call);
            let mut room = [Spot::default(); TOUCHED_MAX];
            let mut view = self.view(state, shape, &touches, touches.spots(shape, &mut room));
            let reply = perform(&mut view, &mut caller(slot, &mut running.files, running.process, now), &call, fate);
            Some((call, reply))
        });
        (call, now)
    }

    fn tell(&self, actor: u32, told: Told) -> u32 {
        let (kind, what, now) = match told {
            Told::Awake(now) => (0, 0, now),
            Told::Event(event) => (1, u32::from(event), Time::default()),
            Told::Leave => (2, 0, Time::default()),
        };
        let [low, high] = halves(now);
        let mut key = Key::default();
        key.0[..5].copy_from_slice(&[kind, actor, what, low, high]);
        *self.told.recall(&key, || {
            let Actor::Running(running) = self.actors.value(actor) else { return actor };
            let mut running = (**running).clone();
            match told {
                Told::Awake(now) => running.participant.wake(now),
                Told::Event(event) => running.participant.deliver(event_of(event)),
                Told::Leave => running.participant.leave(),
            }
            let after = self.actor(Actor::Running(Box::new(running)));
            let calls = matches!(self.actors.entry(after).1.step, Step::Call(_));
            if matches!(told, Told::Awake(_)) && !calls && after != actor {
                self.took_turn(actor, after);
            }
            after
        })
    }

    fn view(&self, state: &State, shape: &Shape, touches: &Touches, spots: &[Spot]) -> View {
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

    fn effect(&self, actor: u32, before: &Shape, touches: &Touches, spots: &[Spot], view: View) -> Effect {
        let View { directory, processes, inodes: Touched { loaded, elsewhere: mut numbers } } = view;
        let mut changes = SmallVec::new();
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
                spot: spots.iter().position(|spot| spot.number == number).unwrap_or(usize::MAX),
                holders: (!known || touches.holders).then_some(holders),
                contents: (!known || touches.contents).then_some(contents),
            });
        }
        numbers.sort_unstable();
        let moves = numbers != before.inodes;
        let shape = Shape { directory, processes, inodes: numbers };
        Effect { actor, shape: (shape != *before).then(|| self.shape(shape)), moves, changes }
    }

    fn apply(&self, state: &mut State, effect: &Effect, spots: &[Spot]) {
        if effect.moves {
            self.move_inodes(state, effect);
        } else {
            for Change { spot, holders, contents, .. } in &effect.changes {
                let place = spots[*spot].place.expect("an inode that was there before has a place");
                change(state, place, *holders, *contents);
            }
        }
        state.shape = effect.shape.unwrap_or(state.shape);
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
            if let Some(new) = effect.changes.iter().find(|change| change.number == *number) {
                change(state, place, new.holders, new.contents);
            }
        }
    }
}

fn change(state: &mut State, place: usize, holders: Option<u32>, contents: Option<u32>) {
    state.holders[place] = holders.unwrap_or(state.holders[place]);
    state.contents[place] = contents.unwrap_or(state.contents[place]);
}

/// What an instance is told without a system call.
#[derive(Clone, Copy, Debug)]
enum Told {
    Awake(Time),
    Event(u8),
    Leave,
}

/// What kind of thing has an [`Effect`].
#[derive(Clone, Copy, Debug)]
enum Kind {
    Go,
    Fail,
    Short,
    Die,
    Begin,
}

/// All that the effect of an action depends on.
fn key(kind: Kind, slot: u8, who: u32, now: Time, state: &State, touches: &Touches, spots: &[Spot]) -> Key {
    let [low, high] = halves(now);
    let names = if touches.shape { state.shape + 1 } else { 0 };
    let mut key = Key::default();
    key.0[..5].copy_from_slice(&[u32::from(slot) << 8 | kind as u32, who, low, high, names]);
    let parts = [touches.holders.then_some(&state.holders), touches.contents.then_some(&state.contents)];
    let wanted = parts.into_iter().flatten().flat_map(|part| spots.iter().map(move |spot| (part, spot.place)));
    let mut places = key.0[5..].iter_mut();
    for (part, place) in wanted {
        let room = places.next().expect("few inodes are touched by one call");
        *room = place.map_or(1, |place| part[place] + 2);
    }
    key
}

/// A moment as two of the numbers that results are remembered by.
fn halves(now: Time) -> [u32; 2] {
    let half = |micros: u64| u32::try_from(micros & u64::from(u32::MAX)).expect("32 bits are left");
    [half(now.as_micros()), half(now.as_micros() >> 32)]
}

fn caller(slot: u8, files: &mut Files, process: u32, now: Time) -> Caller<'_> {
    Caller { instance: slot, process, files, now }
}

/// Whether a reply tells of a failure.
pub(super) fn is_failure(reply: &Reply) -> bool {
    matches!(reply, Reply::Election(ElectionReply::Failed(_)))
}
