//! What there is to know of one instance.

use single_primary::{Event, InstanceId};

use crate::explore::files::{Touches, touches};
use crate::explore::reduction::{self, Alone};
use crate::explore::space::Space;
use crate::kernel::Files;
use crate::participant::{Belief, Participant, Step};

/// An instance, as it is at a moment.
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

/// What is asked about an instance at every step, worked out once.
#[derive(Clone, Debug)]
pub struct ActorFacts {
    /// What it wants next.
    pub step: Step,
    /// What it believes.
    pub belief: Belief,
    /// Of which term it is primary, if it is.
    pub(super) primary: Option<u8>,
    /// The events with which it would go on differently, one bit each. While it would not, an event may as well reach it
    /// later.
    pub(super) news: u8,
    /// Up to which byte it has read the journal, once it reads one that nobody may empty.
    pub(super) read_to: Option<u64>,
    /// When nobody else need go on before it.
    pub(super) alone: Alone,
    /// The number of what it has open.
    pub(super) opened: u32,
    /// What the outcome of its next call depends on.
    pub(super) touches: Touches,
    /// What the outcome of its death depends on.
    pub(super) death: Touches,
}

/// What of it is asked most often, small enough to stay near the processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    /// Of which term it is primary, if it is.
    pub(super) primary: Option<u8>,
    /// When nobody else need go on before it.
    pub(super) alone: Alone,
    /// Whether it wants to make a call.
    pub(super) calls: bool,
    /// Up to which byte it has read the journal, once it reads one that nobody may empty.
    pub(super) read_to: Option<u64>,
}

impl Glance {
    pub(super) fn of(facts: &ActorFacts) -> Self {
        let ActorFacts { primary, alone, read_to, .. } = *facts;
        Self { primary, alone, calls: matches!(facts.step, Step::Call(_)), read_to }
    }
}

impl ActorFacts {
    pub(super) fn of<P: Participant + 'static>(actor: &Actor<P>, space: &Space, opened: u32) -> Self {
        let step = match actor {
            Actor::Running(running) => running.participant.next(),
            Actor::Ended(_) | Actor::Absent | Actor::Dead => Step::Ended,
        };
        let belief = match actor {
            Actor::Running(running) => running.participant.belief(),
            Actor::Ended(belief) => belief.clone(),
            Actor::Absent | Actor::Dead => Belief::Undecided,
        };
        let primary = match belief {
            Belief::Primary { term } => Some(u8::try_from(term).expect("no space has so many elections")),
            _ => None,
        };
        let mut facts = Self {
            alone: reduction::alone_with(space, &step, &belief),
            step,
            belief,
            primary,
            news: 0,
            read_to: None,
            opened,
            touches: Touches::default(),
            death: Touches::default(),
        };
        if let Actor::Running(running) = actor {
            if let Step::Call(call) = &facts.step {
                facts.touches = touches(&running.files, call);
            }
            facts.read_to = running.participant.read_to();
            let opened: Vec<u64> = running.files.open().map(|(_, file)| file.inode).collect();
            facts.death = Touches::of_death(&opened);
            for event in (0..space.events).filter(|event| is_news(running, &facts.step, *event, space.reduce)) {
                facts.news |= 1 << event;
            }
        }
        facts
    }
}

fn is_news<P: Participant>(running: &Running<P>, step: &Step, event: u8, reduce: bool) -> bool {
    let mut participant = running.participant.clone();
    participant.deliver(event_of(event));
    if reduce { participant.next() != *step } else { participant != running.participant }
}

/// The event of that number.
#[must_use]
pub fn event_of(number: u8) -> Event {
    Event { id: format!("e{number}").into(), payload: "1".into() }
}
