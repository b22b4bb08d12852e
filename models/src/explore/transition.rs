//! What comes of an action.

use std::sync::PoisonError;

use single_primary::call::{Call as ElectionCall, Failure, Handle, Reply as ElectionReply, Time};

use crate::call::{Call, Reply};
use crate::explore::action::{Action, Identity};
use crate::explore::actor::{Actor, event_of};
use crate::explore::effect::{Effect, Kind, halves, key};
use crate::explore::files::{ContentsFacts, Spot, TOUCHED_MAX, Touches, touches};
use crate::explore::intern::Key;
use crate::explore::space::Timing;
use crate::explore::state::State;
use crate::explore::world::World;
use crate::explore::{promise, reduction};
use crate::kernel::{Caller, Description, Fate, Files, Inodes, exit, perform};
use crate::participant::{Participant, Step, Wait};

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
            reduction::level_readers(self, state, &mut next, action.slot());
            if next == *state {
                return None;
            }
        }
        promise::judge(self, state, action, &mut next);
        Some(next)
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
            if self.space().reduce
                && let Call::Election(
                    ElectionCall::Append { handle: Handle::JOURNAL, .. }
                    | ElectionCall::Read { handle: Handle::JOURNAL, .. },
                ) = call
                && let Some(journal) = running.files.get(Handle::JOURNAL)
            {
                view.inodes.with(journal.inode, |inode| running.participant.read_ahead(&inode.bytes));
            }
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
        self.apply(state, &effect, spots);
    }

    /// The instance reads ahead in the journal, which has that place.
    pub(super) fn read_ahead(&self, state: &mut State, slot: u8, place: usize) {
        let [actor, journal] = [state.actors[usize::from(slot)], state.contents[place]];
        state.actors[usize::from(slot)] = self.ahead.recall(&Key::of([actor, journal]), || {
            let Actor::Running(running) = self.actors.value(actor) else { return actor };
            let mut running = (**running).clone();
            running.participant.read_ahead(&self.contents.value(journal).bytes);
            let after = self.actor(Actor::Running(Box::new(running)));
            if after != actor {
                self.took_turn(actor, after);
            }
            after
        });
    }

    /// Registrations in the journal, which has that place, are put in order as far as nobody can tell.
    pub(super) fn put_in_order(&self, state: &mut State, place: usize, boundaries: u64) {
        let journal = state.contents[place];
        let [low, high] = halves(boundaries);
        state.contents[place] = self.in_order.recall(&Key::of([journal, low, high]), || {
            let contents = self.contents.value(journal);
            reduction::in_order(&contents.bytes, boundaries)
                .map_or(journal, |bytes| self.contents.number(contents.with(bytes), ContentsFacts::of))
        });
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
        if self.die_among_names(state, slot, facts.opened, running.process, spots) {
            return;
        }
        let key = key(Kind::Die, slot, state.actors[at], state.clock, state, &facts.death, spots);
        let effect = self.effects.recall(&key, || {
            let mut view = self.view(state, shape, &facts.death, spots);
            view.processes.alive.remove(&running.process);
            let mut files = running.files.clone();
            exit(&mut view, &mut caller(slot, &mut files, running.process, state.clock));
            self.effect(self.actor(Actor::Dead), shape, &facts.death, spots, view)
        });
        state.actors[at] = effect.actor;
        self.apply(state, &effect, spots);
    }

    /// The instance dies, unless that frees an inode: while each has a name, what becomes of it depends on nothing but what
    /// holds that one.
    fn die_among_names(&self, state: &mut State, slot: u8, opened: u32, process: u32, spots: &[Spot]) -> bool {
        let mut released = [0; TOUCHED_MAX];
        for (after, spot) in released.iter_mut().zip(spots) {
            let Some(place) = spot.place else { return false };
            let [low, high] = halves(spot.number);
            let key = Key::of([u32::from(slot), opened, process, low, high, state.holders[place]]);
            let without = self.released.recall(&key, || {
                let mut inode = self.holders.value(state.holders[place]).clone();
                for (handle, _) in self.opened.value(opened).open().filter(|(_, file)| file.inode == spot.number) {
                    inode.close(Description { instance: slot, handle }, process);
                }
                (!inode.is_free()).then(|| self.holders.number(inode, |_| ()))
            });
            let Some(without) = without else { return false };
            *after = without;
        }
        for (after, place) in released.iter().zip(spots.iter().filter_map(|spot| spot.place)) {
            state.holders[place] = *after;
        }
        state.shape = self.bereft.recall(&Key::of([state.shape, process]), || {
            let mut shape = self.shape_of(state).clone();
            shape.processes.alive.remove(&process);
            self.shape(shape)
        });
        state.actors[usize::from(slot)] = self.dead();
        true
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
            Effect::of_start(actor, self.shape(shape))
        });
        state.actors[own] = effect.actor;
        self.apply(state, &effect, &[]);
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
        let [low, high] = halves(now.as_micros());
        self.told.recall(&Key::of([kind, actor, what, low, high]), || {
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
}

/// What an instance is told without a system call.
#[derive(Clone, Copy, Debug)]
enum Told {
    Awake(Time),
    Event(u8),
    Leave,
}

fn caller(slot: u8, files: &mut Files, process: u32, now: Time) -> Caller<'_> {
    Caller { instance: slot, process, files, now }
}

/// Whether a reply tells of a failure.
pub(super) fn is_failure(reply: &Reply) -> bool {
    matches!(reply, Reply::Election(ElectionReply::Failed(_)))
}
