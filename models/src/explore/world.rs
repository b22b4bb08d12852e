//! The model: what is in the kernel and in each instance, and what can happen next.

use std::fmt;
use std::sync::{Arc, OnceLock};

use single_primary::call::{Call as ElectionCall, Failure, Handle, Name, Reply as ElectionReply, Time};
use single_primary::{Event, InstanceId};

use crate::call::{Call, Reply};
use crate::explore::intern::{Interner, Memory};
use crate::explore::oracle::{self, Entries, History};
use crate::explore::promise::Promise;
use crate::explore::space::{Space, Timing};
use crate::explore::{promise, reduction};
use crate::kernel::{Caller, Directory, Fate, Files, Inode, Inodes, Objects, Processes, exit, perform};
use crate::participant::{Belief, Participant, Step, Wait};

/// How many instances there can be over the whole time.
pub const SLOTS_MAX: usize = 8;

/// How many inodes there can be at a time.
pub const INODES_MAX: usize = 14;

/// Everything that tells one situation from another. What is large is stood for by its number in the [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    actors: [u32; SLOTS_MAX],
    shape: u32,
    inodes: [u32; INODES_MAX],
    clock: Time,
    moves: u8,
    jumped: bool,
    crashes: u8,
    restarts: u8,
    errors: u8,
    leaves: u8,
    /// The highest term that anyone was primary of since the journal was last empty.
    term: u64,
    /// The promise that the last action broke.
    pub breach: Option<Promise>,
}

impl State {
    pub(super) fn highest_term(&self) -> u64 {
        self.term
    }

    pub(super) fn set_highest_term(&mut self, term: u64) {
        self.term = term;
    }

    /// Whether nothing in the files differs.
    pub(super) fn has_same_files(&self, other: &Self) -> bool {
        self.shape == other.shape && self.inodes == other.inodes
    }

    /// The inode of that number, as it is now.
    fn inode(&self, shape: &Shape, number: u64) -> Option<u32> {
        shape.inodes.binary_search(&number).ok().map(|at| self.inodes[at])
    }
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The instance goes on: one system call, or a look at what it waits for.
    Go(u8),
    /// The same, its wait being over by its deadline.
    Over(u8),
    /// Its next call fails with EIO.
    Fail(u8),
    /// Its next append writes only half.
    Short(u8),
    /// An event reaches it.
    Deliver(u8, u8),
    /// It is asked to leave.
    Leave(u8),
    /// Its process dies, with all instances in it.
    Crash(u8),
    /// An instance starts in a free slot.
    Start(u8, Identity),
    /// The clock moves to the next deadline.
    Tick,
    /// The clock jumps.
    Jump,
}

impl Action {
    /// The instance that it happens to, if to one.
    #[must_use]
    pub fn slot(self) -> Option<u8> {
        match self {
            Self::Go(slot)
            | Self::Over(slot)
            | Self::Fail(slot)
            | Self::Short(slot)
            | Self::Deliver(slot, _)
            | Self::Leave(slot)
            | Self::Crash(slot)
            | Self::Start(slot, _) => Some(slot),
            Self::Tick | Self::Jump => None,
        }
    }
}

/// As whom an instance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// As a new one in a new process.
    Fresh,
    /// Under the ID of an earlier one, in a new process.
    IdOf(u8),
    /// As a new one, whose process has the ID of the dead one of that slot.
    ProcessOf(u8),
}

/// What there is to know of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Actor<P> {
    /// Not started.
    Absent,
    /// Started, and not dead.
    Running(Box<Running<P>>),
    /// It has left or failed; its process lives on.
    Ended(Belief),
    /// Its process is dead.
    Dead,
}

/// An instance that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Running<P> {
    /// The protocol's part of it.
    pub participant: P,
    /// The kernel's part of it.
    pub files: Files,
    /// The ID that it was started under.
    pub id: InstanceId,
    /// The process that hosts it.
    pub process: u32,
}

/// What is asked about an instance again and again.
#[derive(Clone, Debug)]
pub struct ActorFacts {
    /// What it wants next.
    pub step: Step,
    /// What it believes.
    pub belief: Belief,
    /// What the outcome of its next call depends on.
    touches: Touches,
}

/// What the outcome of a call depends on.
#[derive(Clone, Debug, Default)]
struct Touches {
    /// Whether on the names and processes.
    shape: bool,
    /// On which inodes, by open files.
    opened: Vec<u64>,
    /// On which inodes, by names.
    named: Vec<String>,
    /// On the election directory's own.
    directory: bool,
}

/// The names and which inodes and processes there are, without what is in the inodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    directory: Directory,
    processes: Processes,
    /// The numbers of the inodes, ascending.
    inodes: Vec<u64>,
}

/// Where the inodes are whose contents are looked at from outside.
#[derive(Clone, Debug)]
struct ShapeFacts {
    journal: Option<usize>,
    log: Option<usize>,
    log_before: Option<usize>,
}

/// What the contents of an inode say, once somebody has asked.
#[derive(Debug, Default)]
struct InodeFacts {
    history: OnceLock<History>,
    entries: OnceLock<Entries>,
}

/// What a call does.
#[derive(Debug)]
struct Effect {
    actor: u32,
    shape: Option<u32>,
    inodes: Vec<(u64, Option<u32>)>,
}

/// The model of one [`Space`].
pub struct World<P> {
    space: Space,
    start: Box<dyn Fn(InstanceId) -> P + Send + Sync>,
    actors: Interner<Actor<P>, ActorFacts>,
    shapes: Interner<Shape, ShapeFacts>,
    inodes: Interner<Inode, InodeFacts>,
    told: Memory<u32>,
    effects: Memory<Effect>,
}

impl<P> fmt::Debug for World<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("space", &self.space).finish_non_exhaustive()
    }
}

const EIO: Failure = Failure(5);

impl<P: Participant + 'static> World<P> {
    /// A model in which `start` makes the instances.
    pub fn new(space: Space, start: impl Fn(InstanceId) -> P + Send + Sync + 'static) -> Self {
        assert!(space.slots() <= SLOTS_MAX, "at most {SLOTS_MAX} instances over the whole time");
        Self {
            space,
            start: Box::new(start),
            actors: Interner::default(),
            shapes: Interner::default(),
            inodes: Interner::default(),
            told: Memory::default(),
            effects: Memory::default(),
        }
    }

    /// What may happen in it.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The situation in which no instance has done anything yet.
    pub fn initial(&self) -> State {
        let mut shape = Shape::default();
        let mut inodes = [0; INODES_MAX];
        if self.space.directory {
            shape.directory.exists = true;
            shape.inodes.push(Directory::INODE);
            inodes[0] = self.inode(Inode::new(true, Time::default()));
        }
        let mut actors = [0; SLOTS_MAX];
        for (slot, actor) in actors.iter_mut().enumerate().take(self.space.slots()) {
            *actor = self.actor(if slot < self.space.ids.len() {
                shape.processes.alive.insert(self.space.process(slot));
                self.running(self.space.id(slot), self.space.process(slot))
            } else {
                Actor::Absent
            });
        }
        State {
            actors,
            shape: self.shape(shape),
            inodes,
            clock: Time::default(),
            moves: 0,
            jumped: false,
            crashes: 0,
            restarts: 0,
            errors: 0,
            leaves: 0,
            term: 0,
            breach: None,
        }
    }

    /// What can happen next.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if state.breach.is_some() {
            return;
        }
        if self.space.reduce
            && let Some(slot) = reduction::alone(self, state)
        {
            self.possible_to(state, slot, true, actions);
            return;
        }
        for slot in self.slots() {
            self.possible_to(state, slot, false, actions);
        }
        if let Timing::Shared { moves, jump } = self.space.timing {
            if state.moves < moves && self.next_deadline(state).is_some() {
                actions.push(Action::Tick);
            }
            if !jump.is_zero() && !state.jumped {
                actions.push(Action::Jump);
            }
        }
    }

    fn possible_to(&self, state: &State, slot: u8, alone: bool, actions: &mut Vec<Action>) {
        let (actor, facts) = self.actor_of(state, slot);
        match actor {
            Actor::Absent => {
                self.possible_starts(state, slot, actions);
                return;
            }
            Actor::Dead => return,
            Actor::Ended(_) => {}
            Actor::Running(running) => {
                self.possible_steps(state, slot, &facts.step, actions);
                for event in 0..self.space.events {
                    if self.is_told_apart(running, facts, event) {
                        actions.push(Action::Deliver(slot, event));
                    }
                }
                if state.leaves < self.space.leaves && !matches!(facts.belief, Belief::Left | Belief::Failed(_)) {
                    actions.push(Action::Leave(slot));
                }
            }
        }
        if self.space.per_process <= 1 {
            if state.crashes < self.space.crashes && matches!(actor, Actor::Running(_)) {
                actions.push(Action::Crash(slot));
            }
            return;
        }
        // An instance that has ended holds nothing, so the death of a process counts only if another lives in it.
        let first = alone || !(0..slot).any(|other| self.are_one_process(state, slot, other));
        let alive = self.slots().any(|other| {
            self.are_one_process(state, slot, other) && matches!(self.actor_of(state, other).0, Actor::Running(_))
        });
        if state.crashes < self.space.crashes && first && alive {
            actions.push(Action::Crash(slot));
        }
    }

    fn possible_steps(&self, state: &State, slot: u8, step: &Step, actions: &mut Vec<Action>) {
        match step {
            Step::Call(call) => {
                actions.push(Action::Go(slot));
                if state.errors < self.space.errors && can_fail(call) {
                    actions.push(Action::Fail(slot));
                    if matches!(call, Call::Election(ElectionCall::Append { .. })) {
                        actions.push(Action::Short(slot));
                    }
                }
            }
            Step::Wait(wait) => {
                let deadline = match wait {
                    Wait::Change(deadline) => *deadline,
                    Wait::Until(deadline) => Some(*deadline),
                    Wait::Event => None,
                };
                let shared = matches!(self.space.timing, Timing::Shared { .. });
                match wait {
                    Wait::Until(deadline) if shared && state.clock < *deadline => {}
                    Wait::Until(_) if !shared => {}
                    _ => actions.push(Action::Go(slot)),
                }
                if !shared && deadline.is_some() {
                    actions.push(Action::Over(slot));
                }
            }
            Step::Ended => {}
        }
    }

    fn possible_starts(&self, state: &State, slot: u8, actions: &mut Vec<Action>) {
        let mut earlier = (0..slot).map(|earlier| self.actor_of(state, earlier).0);
        let first_absent = !earlier.clone().any(|earlier| matches!(earlier, Actor::Absent));
        let anyone_gone = earlier.any(|earlier| matches!(earlier, Actor::Dead | Actor::Ended(_)));
        if state.restarts >= self.space.restarts || !first_absent || !anyone_gone {
            return;
        }
        actions.push(Action::Start(slot, Identity::Fresh));
        for earlier in 0..slot {
            if self.space.reuse_ids {
                actions.push(Action::Start(slot, Identity::IdOf(earlier)));
            }
            if self.space.reuse_process_ids && matches!(self.actor_of(state, earlier).0, Actor::Dead) {
                actions.push(Action::Start(slot, Identity::ProcessOf(earlier)));
            }
        }
    }

    /// Whether the instance would go on differently with the event than without it. While it would not, the event may as
    /// well reach it later.
    fn is_told_apart(&self, running: &Running<P>, facts: &ActorFacts, event: u8) -> bool {
        let mut participant = running.participant.clone();
        participant.deliver(event_of(event));
        if self.space.reduce { participant.next() != facts.step } else { participant != running.participant }
    }

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
                next.actors[usize::from(slot)] = self.tell(state, slot, Told::Event(event));
            }
            Action::Leave(slot) => {
                next.leaves += 1;
                next.actors[usize::from(slot)] = self.tell(state, slot, Told::Leave);
            }
            Action::Crash(slot) => {
                next.crashes += 1;
                for other in self.slots().filter(|other| self.are_one_process(state, slot, *other)) {
                    self.die(&mut next, other);
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
                let Timing::Shared { jump, .. } = self.space.timing else { return None };
                next.jumped = true;
                next.clock = next.clock.after(jump);
            }
        }
        if next == *state {
            return None;
        }
        if self.space.reduce {
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
        if matches!(self.actor_of(state, slot).1.step, Step::Wait(_)) {
            state.actors[usize::from(slot)] = self.tell(state, slot, Told::Awake(now));
        }
        let (actor, facts) = self.actor_of(state, slot);
        let (Actor::Running(running), Step::Call(call)) = (actor, &facts.step) else { return };
        let shape = self.shape_of(state);
        let mut numbers = [0; TOUCHED_MAX];
        let touched = facts.touches.numbers(shape, &mut numbers);
        let [low, high] = halves(now);
        let (kind, amount) = match fate {
            Fate::Normal => (0, 0),
            Fate::Fail(_) => (1, 0),
            Fate::Short(amount) => (2, u32::try_from(amount).unwrap_or(u32::MAX)),
        };
        let mut key = [0; 6 + SLOTS_MAX + Handle::COUNT];
        key[..6].copy_from_slice(&[
            u32::from(slot) << 8 | kind,
            amount,
            low,
            high,
            state.actors[usize::from(slot)],
            if facts.touches.shape { state.shape + 1 } else { 0 },
        ]);
        let mut length = 6;
        for number in touched {
            key[length] = state.inode(shape, *number).map_or(0, |inode| inode + 1);
            length += 1;
        }
        let effect = self.effects.recall(&key[..length], || {
            let mut view = self.view(state, shape, touched);
            let mut running = (**running).clone();
            let reply = perform(&mut view, &mut caller(slot, &mut running.files, running.process, now), call, fate);
            if self.space.reduce
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
            self.effect(self.actor(actor), shape, view)
        });
        state.actors[usize::from(slot)] = effect.actor;
        self.apply(state, effect);
    }

    fn die(&self, state: &mut State, slot: u8) {
        let dead = self.actor(Actor::Dead);
        let Actor::Running(running) = self.actor_of(state, slot).0 else {
            state.actors[usize::from(slot)] = dead;
            return;
        };
        let shape = self.shape_of(state);
        let mut touched: Vec<u64> = running.files.open().map(|(_, file)| file.inode).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut key = vec![u32::from(slot) << 8 | 3, state.actors[usize::from(slot)], state.shape];
        key.extend(touched.iter().map(|number| state.inode(shape, *number).map_or(0, |inode| inode + 1)));
        let effect = self.effects.recall(&key, || {
            let mut view = self.view(state, shape, &touched);
            view.processes.alive.remove(&running.process);
            let mut files = running.files.clone();
            exit(&mut view, &mut caller(slot, &mut files, running.process, state.clock));
            self.effect(dead, shape, view)
        });
        state.actors[usize::from(slot)] = dead;
        self.apply(state, effect);
    }

    fn begin(&self, state: &mut State, slot: u8, identity: Identity) {
        let own = usize::from(slot);
        let (id, process) = match identity {
            Identity::Fresh => (self.space.id(own), self.space.process(own)),
            Identity::IdOf(earlier) => (self.space.id(usize::from(earlier)), self.space.process(own)),
            Identity::ProcessOf(earlier) => (self.space.id(own), self.space.process(usize::from(earlier))),
        };
        let mut shape = self.shape_of(state).clone();
        shape.processes.alive.insert(process);
        state.shape = self.shape(shape);
        state.actors[own] = self.actor(self.running(id, process));
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
            let mut numbers = [0; TOUCHED_MAX];
            let mut view = self.view(state, shape, touches(&running, &call).numbers(shape, &mut numbers));
            let reply = perform(&mut view, &mut caller(slot, &mut running.files, running.process, now), &call, fate);
            Some((call, reply))
        });
        (call, now)
    }

    fn tell(&self, state: &State, slot: u8, told: Told) -> u32 {
        let number = state.actors[usize::from(slot)];
        let key = match told {
            Told::Awake(now) => {
                let [low, high] = halves(now);
                [0, number, low, high]
            }
            Told::Event(event) => [1, number, u32::from(event), 0],
            Told::Leave => [2, number, 0, 0],
        };
        *self.told.recall(&key, || {
            let Actor::Running(running) = self.actors.value(number) else { return number };
            let mut running = (**running).clone();
            match told {
                Told::Awake(now) => running.participant.wake(now),
                Told::Event(event) => running.participant.deliver(event_of(event)),
                Told::Leave => running.participant.leave(),
            }
            self.actor(Actor::Running(Box::new(running)))
        })
    }

    fn view(&self, state: &State, shape: &Shape, touched: &[u64]) -> View {
        let loaded = touched
            .iter()
            .filter_map(|number| {
                let inode = state.inode(shape, *number)?;
                Some((*number, self.inodes.value(inode).clone()))
            })
            .collect();
        View {
            directory: shape.directory.clone(),
            processes: shape.processes.clone(),
            inodes: Touched { loaded, elsewhere: shape.inodes.clone() },
        }
    }

    fn effect(&self, actor: u32, before: &Shape, view: View) -> Effect {
        let View { directory, processes, inodes: Touched { loaded, elsewhere: mut numbers } } = view;
        for (number, inode) in &loaded {
            match numbers.binary_search(number) {
                Ok(at) if inode.is_free() => drop(numbers.remove(at)),
                Err(at) if !inode.is_free() => numbers.insert(at, *number),
                _ => {}
            }
        }
        let shape = Shape { directory, processes, inodes: numbers };
        let inodes =
            loaded.into_iter().map(|(number, inode)| (number, (!inode.is_free()).then(|| self.inode(inode)))).collect();
        Effect { actor, shape: (shape != *before).then(|| self.shape(shape)), inodes }
    }

    fn apply(&self, state: &mut State, effect: &Effect) {
        let before = self.shape_of(state);
        if let Some(shape) = effect.shape {
            let after = self.shapes.value(shape);
            if after.inodes != before.inodes {
                assert!(after.inodes.len() <= INODES_MAX, "at most {INODES_MAX} files at a time");
                let mut inodes = [0; INODES_MAX];
                for (at, number) in after.inodes.iter().enumerate() {
                    if let Ok(old) = before.inodes.binary_search(number) {
                        inodes[at] = state.inodes[old];
                    }
                }
                state.inodes = inodes;
            }
            state.shape = shape;
        }
        let numbers = &self.shape_of(state).inodes;
        for (number, inode) in &effect.inodes {
            if let (Ok(at), Some(inode)) = (numbers.binary_search(number), inode) {
                state.inodes[at] = *inode;
            }
        }
    }

    /// The numbers of the slots.
    pub fn slots(&self) -> std::ops::Range<u8> {
        0..u8::try_from(self.space.slots()).expect("few slots")
    }

    /// The instance of a slot.
    pub fn actor_of(&self, state: &State, slot: u8) -> (&Actor<P>, &ActorFacts) {
        self.actors.entry(state.actors[usize::from(slot)])
    }

    /// What the instance of a slot believes. One that is not alive believes nothing.
    pub fn belief_of(&self, state: &State, slot: u8) -> &Belief {
        &self.actor_of(state, slot).1.belief
    }

    /// The ID under which the instance of a slot takes part.
    pub fn id_of(&self, state: &State, slot: u8) -> Option<&InstanceId> {
        match self.actor_of(state, slot).0 {
            Actor::Running(running) => Some(&running.id),
            _ => None,
        }
    }

    /// Whether anyone is primary.
    pub fn has_primary(&self, state: &State) -> bool {
        self.slots().any(|slot| matches!(self.belief_of(state, slot), Belief::Primary { .. }))
    }

    /// What an independent reader makes of the journal, if there is one.
    pub fn history(&self, state: &State) -> Option<&History> {
        let at = self.shapes.entry(state.shape).1.journal?;
        let (inode, facts) = self.inodes.entry(state.inodes[at]);
        Some(facts.history.get_or_init(|| oracle::history(&inode.bytes)))
    }

    /// What an independent reader makes of realtime.log and of the one before it.
    pub fn entries(&self, state: &State) -> Entries {
        let ShapeFacts { log, log_before, .. } = self.shapes.entry(state.shape).1;
        let mut all = Entries::default();
        for at in [log_before, log].into_iter().flatten() {
            let (inode, facts) = self.inodes.entry(state.inodes[*at]);
            all.add(facts.entries.get_or_init(|| oracle::entries(&inode.bytes)));
        }
        all
    }

    /// The name of every file, with its inode.
    pub fn files(&self, state: &State) -> Vec<(&Arc<str>, &Inode)> {
        let shape = self.shape_of(state);
        let named = shape.directory.entries.iter();
        named.filter_map(|(name, number)| Some((name, self.inodes.value(state.inode(shape, *number)?)))).collect()
    }

    /// The clock, where there is one for all.
    pub fn clock(&self, state: &State) -> Time {
        state.clock
    }

    /// Whether the clock could move further than the space lets it.
    pub(super) fn is_clock_exhausted(&self, state: &State) -> bool {
        match self.space.timing {
            Timing::Free => false,
            Timing::Shared { moves, .. } => state.moves >= moves && self.next_deadline(state).is_some(),
        }
    }

    /// The locks on the file behind a handle, with their owners.
    pub(super) fn inode_behind(&self, state: &State, slot: u8, handle: Handle) -> Option<&Inode> {
        let Actor::Running(running) = self.actor_of(state, slot).0 else { return None };
        let number = running.files.get(handle)?.inode;
        Some(self.inodes.value(state.inode(self.shape_of(state), number)?))
    }

    fn are_one_process(&self, state: &State, one: u8, other: u8) -> bool {
        let process = |slot: u8| match self.actor_of(state, slot).0 {
            Actor::Running(running) => Some(running.process),
            Actor::Ended(_) => Some(self.space.process(usize::from(slot))),
            Actor::Absent | Actor::Dead => None,
        };
        process(one).is_some() && process(one) == process(other)
    }

    fn next_deadline(&self, state: &State) -> Option<Time> {
        let deadlines = self.slots().filter_map(|slot| match self.actor_of(state, slot).1.step {
            Step::Wait(Wait::Change(deadline)) => deadline,
            Step::Wait(Wait::Until(deadline)) => Some(deadline),
            _ => None,
        });
        deadlines.filter(|deadline| *deadline > state.clock).min()
    }

    fn running(&self, id: InstanceId, process: u32) -> Actor<P> {
        Actor::Running(Box::new(Running {
            participant: (self.start)(id.clone()),
            files: Files::default(),
            id,
            process,
        }))
    }

    fn actor(&self, actor: Actor<P>) -> u32 {
        self.actors.number(actor, |actor| match actor {
            Actor::Running(running) => {
                let step = running.participant.next();
                let touches = match &step {
                    Step::Call(call) => touches(running, call),
                    Step::Wait(_) | Step::Ended => Touches::default(),
                };
                ActorFacts { step, belief: running.participant.belief(), touches }
            }
            Actor::Ended(belief) => {
                ActorFacts { step: Step::Ended, belief: belief.clone(), touches: Touches::default() }
            }
            Actor::Absent | Actor::Dead => {
                ActorFacts { step: Step::Ended, belief: Belief::Undecided, touches: Touches::default() }
            }
        })
    }

    fn shape(&self, shape: Shape) -> u32 {
        self.shapes.number(shape, |shape| {
            let find = |name: &str| {
                let number = shape.directory.entries.get(name)?;
                shape.inodes.binary_search(number).ok()
            };
            ShapeFacts { journal: find("journal"), log: find("realtime.log"), log_before: find("realtime.log.1") }
        })
    }

    fn inode(&self, inode: Inode) -> u32 {
        self.inodes.number(inode, |_| InodeFacts::default())
    }

    fn shape_of(&self, state: &State) -> &Shape {
        self.shapes.value(state.shape)
    }
}

/// What an instance is told without a system call.
#[derive(Clone, Copy, Debug)]
enum Told {
    Awake(Time),
    Event(u8),
    Leave,
}

/// The event of that number.
#[must_use]
pub fn event_of(number: u8) -> Event {
    Event { id: format!("e{number}").into(), payload: "1".into() }
}

/// Calls whose failure an instance is told. A failing close has closed all the same.
fn can_fail(call: &Call) -> bool {
    !matches!(
        call,
        Call::Election(ElectionCall::Close(_) | ElectionCall::CloseAll) | Call::ProcessId | Call::IsAlive(_)
    )
}

/// A moment as two of the numbers that results are remembered by.
fn halves(now: Time) -> [u32; 2] {
    let half = |micros: u64| u32::try_from(micros & u64::from(u32::MAX)).expect("32 bits are left");
    [half(now.as_micros()), half(now.as_micros() >> 32)]
}

fn caller(slot: u8, files: &mut Files, process: u32, now: Time) -> Caller<'_> {
    Caller { instance: slot, process, files, now }
}

/// As many inodes as a call can depend on.
const TOUCHED_MAX: usize = Handle::COUNT + 2;

impl Touches {
    /// The numbers of the inodes, ascending, in the room given.
    fn numbers<'a>(&self, shape: &Shape, room: &'a mut [u64; TOUCHED_MAX]) -> &'a [u64] {
        let named = self.named.iter().filter_map(|name| shape.directory.entries.get(name.as_str()));
        let directory = self.directory.then_some(&Directory::INODE);
        let mut count = 0;
        for number in self.opened.iter().chain(named).chain(directory) {
            if !room[..count].contains(number) {
                room[count] = *number;
                count += 1;
            }
        }
        room[..count].sort_unstable();
        &room[..count]
    }
}

fn touches<P>(running: &Running<P>, call: &Call) -> Touches {
    let (handles, names, shape): (Vec<Handle>, Vec<&Name>, bool) = match call {
        Call::Election(call) => match call {
            ElectionCall::Open { handle, name, .. } => (vec![*handle], vec![name], true),
            ElectionCall::Close(handle) => (vec![*handle], vec![], true),
            ElectionCall::CloseAll => (running.files.open().map(|(handle, _)| handle).collect(), vec![], true),
            ElectionCall::MakeDirectory => (vec![], vec![&Name::Directory], true),
            ElectionCall::Inspect(handle)
            | ElectionCall::FileSystem(handle)
            | ElectionCall::Lock(handle, _)
            | ElectionCall::Unlock(handle)
            | ElectionCall::Read { handle, .. }
            | ElectionCall::Append { handle, .. }
            | ElectionCall::Truncate { handle, .. }
            | ElectionCall::Sync(handle) => (vec![*handle], vec![], false),
            ElectionCall::Look(name) | ElectionCall::Remove(name) => (vec![], vec![name], true),
            ElectionCall::List => (vec![], vec![], true),
            ElectionCall::Rename(from, to) => (vec![], vec![from, to], true),
        },
        Call::CreateNew(handle, name) => (vec![*handle], vec![name], true),
        Call::MakeDirectory(name) | Call::RemoveDirectory(name) | Call::Modified(name) => (vec![], vec![name], true),
        Call::RecordLock(handle) => (vec![*handle], vec![], false),
        Call::ProcessId => (vec![], vec![], false),
        Call::IsAlive(_) | Call::ListFiles => (vec![], vec![], true),
    };
    Touches {
        shape,
        opened: handles.into_iter().filter_map(|handle| running.files.get(handle)).map(|file| file.inode).collect(),
        directory: names.contains(&&Name::Directory),
        named: names.into_iter().filter(|name| **name != Name::Directory).map(Name::file_name).collect(),
    }
}

/// The objects that one call touches, as copies.
#[derive(Debug)]
struct View {
    directory: Directory,
    processes: Processes,
    inodes: Touched,
}

#[derive(Debug)]
struct Touched {
    loaded: std::collections::BTreeMap<u64, Inode>,
    /// All that there were before the call.
    elsewhere: Vec<u64>,
}

impl Objects for View {
    type Inodes = Touched;

    fn directory<R>(&mut self, run: impl FnOnce(&mut Directory, &mut Self::Inodes) -> R) -> R {
        run(&mut self.directory, &mut self.inodes)
    }

    fn inodes(&mut self) -> &mut Self::Inodes {
        &mut self.inodes
    }

    fn processes<R>(&mut self, run: impl FnOnce(&mut Processes) -> R) -> R {
        run(&mut self.processes)
    }
}

impl Inodes for Touched {
    fn with<R>(&mut self, number: u64, run: impl FnOnce(&mut Inode) -> R) -> R {
        if !self.loaded.contains_key(&number) && self.elsewhere.binary_search(&number).is_ok() {
            // A new file's number is looked for among those of its name; one that is taken has something that refers to it,
            // and whatever that is stays as it is.
            let mut taken = Inode::new(false, Time::default());
            let result = run(&mut taken);
            assert_eq!(
                taken,
                Inode::new(false, Time::default()),
                "a call changes an inode that its outcome does not depend on"
            );
            return result;
        }
        run(self.loaded.entry(number).or_default())
    }
}

/// Whether a reply tells of a failure.
pub(super) fn is_failure(reply: &Reply) -> bool {
    matches!(reply, Reply::Election(ElectionReply::Failed(_)))
}
