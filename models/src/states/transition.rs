//! What comes of an action.

use std::sync::PoisonError;

use single_primary::call::{Call as ElectionCall, Failure, Handle, Reply as ElectionReply, Time};

use crate::call::{Call, Reply};
use crate::kernel::{Caller, Description, Fate, Files, Hand, Inodes, Outage, begin_conversion, exit, meddle, perform};
use crate::participant::{Participant, Step, Wait};
use crate::states::action::{Action, Identity};
use crate::states::actor::{Actor, ActorFacts, Glance, Life, Wants, event_of};
use crate::states::effect::{Effect, Key, Kind, halves};
use crate::states::files::{FOOTPRINT_MAX, Footprint, Places, footprint_of};
use crate::states::model::Model;
use crate::states::space::Timing;
use crate::states::state::State;
use crate::states::{promise, reduction};

const EIO: Failure = Failure(5);

impl<P: Participant + 'static> Model<P> {
    /// What comes of an action; `None` where nothing changes.
    pub fn after(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.go_on(state, action, &mut next).then_some(next)
    }

    /// Makes of a copy of the state what comes of an action, and says whether that changes anything.
    pub(super) fn go_on(&self, state: &State, action: Action, next: &mut State) -> bool {
        match action {
            Action::Go(slot) => self.go(next, slot, state.clock(), None),
            Action::Over(slot) => match self.deadline(state, slot) {
                Some(deadline) => self.go(next, slot, deadline, None),
                None => return false,
            },
            Action::Fail(slot) => {
                next.errors += 1;
                self.go(next, slot, state.clock(), Some(Fate::Fail(EIO)));
            }
            Action::Short(slot) => {
                next.errors += 1;
                let Step::Call(Call::Election(ElectionCall::Append { bytes, .. })) = &self.actor_of(state, slot).1.step
                else {
                    return false;
                };
                self.go(next, slot, state.clock(), Some(Fate::Short(bytes.len() / 2)));
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
                        self.die(next, other);
                    }
                }
            }
            Action::Start(slot, identity) => {
                next.restarts += 1;
                self.begin(next, slot, identity);
            }
            Action::Tick => match self.next_deadline(state) {
                Some(deadline) => {
                    next.moves += 1;
                    next.set_clock(deadline);
                }
                None => return false,
            },
            Action::Jump => {
                let Timing::Shared { jump, .. } = self.space().timing else { return false };
                next.jumped = true;
                next.set_clock(next.clock().after(jump));
            }
            Action::Meddle(hand) => {
                self.meddle(next, hand);
                if next.has_same_files(state) {
                    return false;
                }
                next.meddled += 1;
            }
            Action::Break(outage) => {
                let bit = self.bit_of(outage);
                next.broken |= bit;
                next.ever_broken |= bit;
            }
            Action::Mend(outage) => next.broken &= !self.bit_of(outage),
        }
        if self.space().reduce {
            reduction::level_readers(self, state, next, action.slot());
        }
        if next == state {
            return false;
        }
        promise::judge(self, state, action, next);
        true
    }

    /// The instance goes on at a moment: ends its wait, if it is in one, and makes the call that it wants then, which fares
    /// as is said, or as the files let it.
    fn go(&self, state: &mut State, slot: u8, now: Time, fate: Option<Fate>) {
        let at = usize::from(slot);
        let start = state.actors[at];
        let is_call = self.actors.glance(start).wants.is_call();
        let awake = if is_call { start } else { self.tell(start, Told::Awake(now)) };
        let Glance { wants: Wants::Call { .. }, footprint, .. } = self.actors.glance(awake) else {
            state.actors[at] = awake;
            return;
        };
        let places = self.places(state.shape, footprint);
        let by_itself = fate.is_none();
        let fate = fate.unwrap_or_else(|| self.fate(state, awake));
        let kind = match fate {
            Fate::Normal => Kind::Go,
            Fate::Fail(failure) => Kind::Fail(failure),
            Fate::Short(_) => Kind::Short,
        };
        let key = Key::of(kind, slot, start, now, state, &places);
        let effect = self.effects.recall(key.numbers(), || {
            let effect = self.call(state, slot, (awake, footprint), now, fate);
            // The first step of a lock's conversion leaves the instance as it is, once: there is no lock to give up then.
            let converts = effect.actor == awake;
            let counts = by_itself && !converts && !self.starts_over(awake);
            if counts && (effect.actor != start || self.changes_files(&effect, state, &places)) {
                self.took_turn(start, effect.actor);
            }
            effect
        });
        state.actors[at] = effect.actor;
        self.apply(state, &effect, &places);
    }

    /// How the next call of an instance fares by itself: it may be one of those that fail at the moment.
    fn fate(&self, state: &State, actor: u32) -> Fate {
        if state.broken == 0 {
            return Fate::Normal;
        }
        match &self.actors.entry(actor).1.step {
            Step::Call(call) => self.fate_of(state, call),
            _ => Fate::Normal,
        }
    }

    fn fate_of(&self, state: &State, call: &Call) -> Fate {
        let mut broken = self.space().outages.iter().filter(|outage| state.broken & self.bit_of(**outage) != 0);
        broken.find_map(|outage| outage.failure_of(call)).map_or(Fate::Normal, Fate::Fail)
    }

    /// What stands for a failure that lasts.
    pub(super) fn bit_of(&self, outage: Outage) -> u8 {
        let place = self.space().outages.iter().position(|other| *other == outage);
        place.map_or(0, |place| 1 << place)
    }

    /// Somebody else does something to a file.
    fn meddle(&self, state: &mut State, hand: Hand) {
        let footprint = Footprint::of_hand(hand);
        let places = self.places(state.shape, self.footprint(footprint.clone()));
        let key = Key::of(Kind::Meddle(hand), 0, 0, state.clock(), state, &places);
        let effect = self.effects.recall(key.numbers(), || {
            let shape = self.shape_of(state);
            let spots = footprint.spots(shape);
            let mut view = self.view(state, shape, &footprint, &spots);
            meddle(&mut view, hand, state.clock());
            self.effect(0, shape, &footprint, &spots, view)
        });
        self.apply(state, &effect, &places);
    }

    /// What comes of the call of an instance, which depends on what has that number.
    fn call(&self, state: &State, slot: u8, (actor, footprint): (u32, u32), now: Time, fate: Fate) -> Effect {
        let (Actor::Running(running), ActorFacts { step: Step::Call(call), .. }) = self.actors.entry(actor) else {
            unreachable!("only who takes part makes calls");
        };
        let (shape, footprint) = (self.shape_of(state), self.footprint.value(footprint));
        let spots = footprint.spots(shape);
        let mut view = self.view(state, shape, footprint, &spots);
        let mut running = (**running).clone();
        let mut caller = caller(slot, &mut running.files, running.process, now);
        if fate == Fate::Normal && begin_conversion(&mut view, &caller, call) {
            return self.effect(actor, shape, footprint, &spots, view);
        }
        let reply = perform(&mut view, &mut caller, call, fate);
        if self.space().reduce
            && let (Call::Election(ElectionCall::Append { handle, .. }), Fate::Normal) = (call, fate)
            && matches!(*handle, Handle::JOURNAL | Handle::NEXT_JOURNAL)
            && let Some(journal) = running.files.get(*handle)
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
        self.effect(self.actor(actor), shape, footprint, &spots, view)
    }

    /// The instance reads ahead in the journal, which has that place.
    pub(super) fn read_ahead(&self, state: &mut State, slot: u8, place: usize) {
        let [actor, journal] = [state.actors[usize::from(slot)], state.contents[place]];
        state.actors[usize::from(slot)] = self.ahead.recall(&[actor, journal], || {
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
        state.contents[place] = self.in_order.recall(&[journal, low, high], || {
            let contents = self.contents.value(journal);
            reduction::in_order(&contents.bytes, boundaries)
                .map_or(journal, |bytes| self.contents(contents.with(bytes)))
        });
    }

    /// Whether an instance gives up all that it has: it is over, or finds another journal in the place of its own and starts
    /// over. That happens at most once for each journal, and so for each registration, since only a journal in which
    /// somebody registered is replaced; and each instance registers once. So no run has it again and again.
    fn starts_over(&self, actor: u32) -> bool {
        matches!(self.actors.entry(actor).1.step, Step::Call(Call::Election(ElectionCall::CloseAll)))
    }

    fn took_turn(&self, from: u32, to: u32) {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner).insert((from, to));
    }

    fn changes_files(&self, effect: &Effect, state: &State, places: &Places) -> bool {
        let mut after = *state;
        self.apply(&mut after, effect, places);
        !after.has_same_files(state)
    }

    fn die(&self, state: &mut State, slot: u8) {
        let at = usize::from(slot);
        let Glance { life: Life::Running, process, opened, .. } = self.glance(state, slot) else {
            state.actors[at] = self.dead();
            return;
        };
        let footprint = self.opened.glance(opened);
        let places = self.places(state.shape, footprint);
        if self.die_among_names(state, slot, (opened, process), &places) {
            return;
        }
        let key = Key::of(Kind::Die, slot, state.actors[at], state.clock(), state, &places);
        let effect = self.effects.recall(key.numbers(), || {
            let (shape, footprint) = (self.shape_of(state), self.footprint.value(footprint));
            let spots = footprint.spots(shape);
            let mut view = self.view(state, shape, footprint, &spots);
            view.processes.alive.remove(&process);
            let mut files = self.opened.value(opened).clone();
            exit(&mut view, &mut caller(slot, &mut files, process, state.clock()));
            self.effect(self.dead(), shape, footprint, &spots, view)
        });
        state.actors[at] = effect.actor;
        self.apply(state, &effect, &places);
    }

    /// The instance dies, unless that frees an inode: while each has a name, what becomes of it depends on nothing but what
    /// holds that one.
    fn die_among_names(&self, state: &mut State, slot: u8, (opened, process): (u32, u32), places: &Places) -> bool {
        // What is open says which inodes these are.
        let mut key = [0; 3 + FOOTPRINT_MAX];
        key[..3].copy_from_slice(&[u32::from(slot), process, opened]);
        let mut end = 3;
        for place in places.all() {
            let Some(place) = place else { return false };
            key[end] = state.holders[place];
            end += 1;
        }
        let released = self.released.recall(&key[..end], || {
            let mut released = [0; FOOTPRINT_MAX];
            let death = Footprint::of_death(self.opened.value(opened));
            for (after, spot) in released.iter_mut().zip(death.spots(self.shape_of(state))) {
                let mut inode = self.holders.value(state.holders[spot.place?]).clone();
                for (handle, _) in self.opened.value(opened).open().filter(|(_, file)| file.inode == spot.number) {
                    inode.close(Description { instance: slot, handle }, process);
                }
                if inode.is_free() {
                    return None;
                }
                *after = self.holders.number(inode, |_| ((), ()));
            }
            Some(released)
        });
        let Some(released) = released else { return false };
        for (after, place) in released.iter().zip(places.all().flatten()) {
            state.holders[place] = *after;
        }
        state.shape = self.bereft.recall(&[state.shape, process], || {
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
        let places = self.places(state.shape, self.footprint(Footprint::of_start()));
        let key = Key::of(Kind::Begin, slot, code, Time::default(), state, &places);
        let effect = self.effects.recall(key.numbers(), || {
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
        self.apply(state, &effect, &places);
    }

    /// The system call that an action is, with its reply, and the moment that the instance is told.
    pub fn call_of(&self, state: &State, action: Action) -> (Option<(Call, Reply)>, Time) {
        let step = action.slot().map(|slot| &self.actor_of(state, slot).1.step);
        let (fate, now) = match (action, step) {
            (Action::Go(_), _) => (None, state.clock()),
            (Action::Over(_), Some(Step::Wait(Wait::Change(Some(deadline)) | Wait::Until(deadline)))) => {
                (None, *deadline)
            }
            (Action::Fail(_), _) => (Some(Fate::Fail(EIO)), state.clock()),
            (Action::Short(_), Some(Step::Call(Call::Election(ElectionCall::Append { bytes, .. })))) => {
                (Some(Fate::Short(bytes.len() / 2)), state.clock())
            }
            _ => return (None, state.clock()),
        };
        let call = action.slot().and_then(|slot| {
            let Actor::Running(running) = self.actor_of(state, slot).0 else { return None };
            let mut running = (**running).clone();
            if matches!(running.participant.next(), Step::Wait(_)) {
                running.participant.wake(now);
            }
            let Step::Call(call) = running.participant.next() else { return None };
            let shape = self.shape_of(state);
            let footprint = footprint_of(&running.files, &call);
            let mut view = self.view(state, shape, &footprint, &footprint.spots(shape));
            let mut caller = caller(slot, &mut running.files, running.process, now);
            let fate = fate.unwrap_or_else(|| self.fate_of(state, &call));
            if fate == Fate::Normal
                && let Call::Election(ElectionCall::Lock(handle, _)) = &call
                && begin_conversion(&mut view, &caller, &call)
            {
                let unlock = Call::Election(ElectionCall::Unlock(*handle));
                return Some((unlock, Reply::Election(ElectionReply::Done)));
            }
            let reply = perform(&mut view, &mut caller, &call, fate);
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
        self.told.recall(&[kind, actor, what, low, high], || {
            let Actor::Running(running) = self.actors.value(actor) else { return actor };
            let mut running = (**running).clone();
            match told {
                Told::Awake(now) => running.participant.wake(now),
                Told::Event(event) => running.participant.deliver(event_of(event)),
                Told::Leave => running.participant.leave(),
            }
            let after = self.actor(Actor::Running(Box::new(running)));
            let calls = self.actors.glance(after).wants.is_call();
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
