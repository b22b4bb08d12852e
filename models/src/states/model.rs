//! The model: what is in the kernel and in each instance.
//!
//! What can happen next is in `possible`, what comes of it in `transition`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use single_primary::InstanceId;
use single_primary::call::{Handle, Time};

use crate::kernel::{Directory, Files, Inode};
use crate::participant::{Belief, Participant, Step, Wait};
use crate::states::actor::{Actor, ActorFacts, Glance, Running, describe, event_of};
use crate::states::effect::{Change, Changes, Effect};
use crate::states::files::{
    Contents, ContentsFacts, ContentsGlance, FOOTPRINT_MAX, Footprint, Places, Shape, ShapeGlance, parts, whole,
};
use crate::states::intern::{Interner, Memory};
use crate::states::oracle::History;
use crate::states::promise::Promise;
use crate::states::space::{Space, Timing};
use crate::states::state::{SLOTS_MAX, State};

/// How many events a space can have.
pub(super) const EVENTS_MAX: usize = 4;

/// The model of one [`Space`].
pub struct Model<P> {
    space: Space,
    /// The IDs of the slots, which every run's end is told by.
    ids: Vec<String>,
    /// The IDs of the events.
    events: Vec<String>,
    start: Box<dyn Fn(InstanceId) -> P + Send + Sync>,
    pub(super) actors: Interner<Actor<P>, ActorFacts, Glance>,
    dead: OnceLock<u32>,
    pub(super) shapes: Interner<Shape, (), ShapeGlance>,
    /// What each instance can have open, with the number of what the outcome of its death depends on.
    pub(super) opened: Interner<Files, (), u32>,
    /// What the outcome of a call or a death can depend on.
    pub(super) footprint: Interner<Footprint>,
    places: Memory<Places>,
    pub(super) holders: Interner<Inode>,
    pub(super) contents: Interner<Contents, ContentsFacts, ContentsGlance>,
    /// What becomes of an instance that is told something.
    pub(super) told: Memory<u32>,
    /// What becomes of an instance that reads ahead in the journal.
    pub(super) ahead: Memory<u32>,
    /// What becomes of a journal that is put in order.
    pub(super) in_order: Memory<u32>,
    /// What is left of the inodes' holders once an instance with these files open is dead; nothing, where that frees one.
    pub(super) released: Memory<Option<[u32; FOOTPRINT_MAX]>>,
    /// The names and processes without one process.
    pub(super) bereft: Memory<u32>,
    /// What an independent reader of the journal objects to a primary.
    pub(super) disagreements: Memory<Option<Promise>>,
    /// What a call, a death and a start change.
    pub(super) effects: Memory<Effect>,
    /// What becomes of the inodes, and of the only one that changes.
    pub(super) changes: Interner<Changes, (), Option<Change>>,
    /// From what to what an instance went on by itself, wherever it did.
    pub(super) turns: Mutex<BTreeSet<(u32, u32)>>,
}

impl<P> fmt::Debug for Model<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Model").field("space", &self.space).finish_non_exhaustive()
    }
}

impl<P: Participant + 'static> Model<P> {
    /// A model in which `start` makes the instances.
    pub fn new(space: Space, start: impl Fn(InstanceId) -> P + Send + Sync + 'static) -> Self {
        assert!(space.slots() <= SLOTS_MAX, "at most {SLOTS_MAX} instances over the whole time");
        assert!(usize::from(space.events) <= EVENTS_MAX, "at most {EVENTS_MAX} events");
        Self {
            ids: (0..space.slots()).map(|slot| space.id(slot).to_string()).collect(),
            events: (0..space.events).map(|event| event_of(event).id.to_string()).collect(),
            space,
            start: Box::new(start),
            actors: Interner::default(),
            dead: OnceLock::new(),
            shapes: Interner::default(),
            opened: Interner::default(),
            footprint: Interner::default(),
            places: Memory::default(),
            holders: Interner::default(),
            contents: Interner::default(),
            told: Memory::default(),
            ahead: Memory::default(),
            in_order: Memory::default(),
            released: Memory::default(),
            bereft: Memory::default(),
            disagreements: Memory::default(),
            effects: Memory::default(),
            changes: Interner::default(),
            turns: Mutex::default(),
        }
    }

    /// What may happen in it.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The ID of each slot, unless an earlier one's is taken.
    pub(super) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The events, by their IDs.
    pub(super) fn events(&self) -> impl Iterator<Item = (u8, &str)> {
        (0..).zip(self.events.iter().map(String::as_str))
    }

    /// The situation in which no instance has done anything yet.
    pub fn initial(&self) -> State {
        let mut actors = [0; SLOTS_MAX];
        let mut shape = Shape::default();
        for (slot, actor) in actors.iter_mut().enumerate().take(self.space.slots()) {
            *actor = self.actor(if slot < self.space.ids.len() {
                shape.processes.alive.insert(self.space.process(slot));
                self.running(self.space.id(slot), self.space.process(slot))
            } else {
                Actor::Absent
            });
        }
        if !self.space.directory {
            return State::initial(actors, self.shape(shape));
        }
        shape.directory.exists = true;
        shape.inodes.push(Directory::INODE);
        let mut state = State::initial(actors, self.shape(shape));
        (state.holders[0], state.contents[0]) = self.inode(Inode::new(true, Time::default()));
        state
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
        self.slots().any(|slot| self.glance(state, slot).primary.is_some())
    }

    /// What an independent reader makes of the journal, if there is one.
    pub fn history(&self, state: &State) -> Option<&History> {
        let (contents, facts) = self.contents.entry(self.journal(state)?);
        Some(facts.history(contents))
    }

    /// The number of what is in the journal, if there is one.
    pub(super) fn journal(&self, state: &State) -> Option<u32> {
        self.journal_place(state).map(|place| state.contents[place])
    }

    /// Where in the state the journal is.
    pub(super) fn journal_place(&self, state: &State) -> Option<usize> {
        self.shapes.glance(state.shape).journal()
    }

    /// The contents of the journal and of the logs, by their numbers.
    pub(super) fn told_apart_by(&self, state: &State) -> impl Iterator<Item = Option<u32>> {
        let told_apart = self.shapes.glance(state.shape).told_apart;
        told_apart.into_iter().map(|at| at.map(|at| state.contents[usize::from(at)]))
    }

    /// Whether the contents of the journal and of the logs are the same in both.
    pub(super) fn has_same_journal_and_logs(&self, one: &State, other: &State) -> bool {
        one.shape == other.shape && one.contents == other.contents
            || self.told_apart_by(one).eq(self.told_apart_by(other))
    }

    /// The name of every file, with its inode.
    pub fn files(&self, state: &State) -> Vec<(&Arc<str>, Inode)> {
        let shape = self.shape_of(state);
        let place = |number: &u64| shape.inodes.binary_search(number).ok();
        let inode = |at: usize| {
            let [holders, contents] = [state.holders[at], state.contents[at]];
            whole(Some(self.holders.value(holders)), Some(self.contents.value(contents)))
        };
        let named = shape.directory.entries.iter();
        named.filter_map(|(name, number)| Some((name, inode(place(number)?)))).collect()
    }

    /// The clock, where there is one for all.
    pub fn clock(&self, state: &State) -> Time {
        state.clock()
    }

    /// Whether the clock could move further than the space lets it.
    pub(super) fn is_clock_exhausted(&self, state: &State) -> bool {
        match self.space.timing {
            Timing::Free => false,
            Timing::Shared { moves, .. } => state.moves >= moves && self.next_deadline(state).is_some(),
        }
    }

    /// The inode number of the file behind a handle.
    pub(super) fn file_behind(&self, state: &State, slot: u8, handle: Handle) -> Option<u64> {
        let Actor::Running(running) = self.actor_of(state, slot).0 else { return None };
        running.files.get(handle).map(|file| file.inode)
    }

    /// What holds that file.
    pub(super) fn holders_behind(&self, state: &State, slot: u8, handle: Handle) -> Option<&Inode> {
        let number = self.file_behind(state, slot, handle)?;
        let place = self.shape_of(state).inodes.binary_search(&number).ok()?;
        Some(self.holders.value(state.holders[place]))
    }

    pub(super) fn are_one_process(&self, state: &State, one: u8, other: u8) -> bool {
        let process = |slot: u8| match self.actor_of(state, slot).0 {
            Actor::Running(running) => Some(running.process),
            Actor::Ended(_) => Some(self.space.process(usize::from(slot))),
            Actor::Absent | Actor::Dead => None,
        };
        process(one).is_some() && process(one) == process(other)
    }

    pub(super) fn next_deadline(&self, state: &State) -> Option<Time> {
        let deadlines = self.slots().filter_map(|slot| self.deadline(state, slot));
        deadlines.filter(|deadline| *deadline > state.clock()).min()
    }

    /// When the wait of the instance of a slot is over, if it has a deadline.
    pub(super) fn deadline(&self, state: &State, slot: u8) -> Option<Time> {
        match self.actor_of(state, slot).1.step {
            Step::Wait(Wait::Change(deadline)) => deadline,
            Step::Wait(Wait::Until(deadline)) => Some(deadline),
            _ => None,
        }
    }

    pub(super) fn running(&self, id: InstanceId, process: u32) -> Actor<P> {
        Actor::Running(Box::new(Running {
            participant: (self.start)(id.clone()),
            files: Files::default(),
            id,
            process,
        }))
    }

    pub(super) fn actor(&self, actor: Actor<P>) -> u32 {
        self.actors.number(actor, |actor| describe(actor, self))
    }

    /// The number of what an instance has open.
    pub(super) fn opened(&self, files: Files) -> u32 {
        self.opened.number(files, |files| ((), self.footprint(Footprint::of_death(files))))
    }

    /// The number of what the outcome of a call depends on.
    pub(super) fn footprint(&self, footprint: Footprint) -> u32 {
        self.footprint.number(footprint, |_| ((), ()))
    }

    /// Where in a state of a shape the inodes are that something depends on.
    pub(super) fn places(&self, shape: u32, footprint: u32) -> Places {
        self.places.recall(&[shape, footprint], || self.footprint.value(footprint).places(self.shapes.value(shape)))
    }

    /// What is asked about the instance of a slot at every step.
    pub(super) fn glance(&self, state: &State, slot: u8) -> Glance {
        self.actors.glance(state.actors[usize::from(slot)])
    }

    /// The number of an instance whose process is dead.
    pub(super) fn dead(&self) -> u32 {
        *self.dead.get_or_init(|| self.actor(Actor::Dead))
    }

    pub(super) fn shape(&self, shape: Shape) -> u32 {
        self.shapes.number(shape, |shape| ((), ShapeGlance::of(shape)))
    }

    /// The numbers of both parts of an inode.
    pub(super) fn inode(&self, inode: Inode) -> (u32, u32) {
        let (holders, contents) = parts(inode);
        (self.holders.number(holders, |_| ((), ())), self.contents(contents))
    }

    pub(super) fn contents(&self, contents: Contents) -> u32 {
        self.contents.number(contents, |contents| (ContentsFacts::default(), ContentsGlance::of(contents)))
    }

    pub(super) fn shape_of(&self, state: &State) -> &Shape {
        self.shapes.value(state.shape)
    }
}
