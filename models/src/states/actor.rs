//! What there is to know of one instance.

use single_primary::call::Call as ElectionCall;
use single_primary::{Event, InstanceId};

use crate::call::Call;
use crate::kernel::Files;
use crate::participant::{Belief, Participant, Step, Wait};
use crate::states::files::footprint_of;
use crate::states::model::Model;
use crate::states::reduction::{self, Ample};

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

/// What there is to know of an instance, worked out once.
#[derive(Clone, Debug)]
pub struct ActorFacts {
    /// What it wants next.
    pub step: Step,
    /// What it believes.
    pub belief: Belief,
}

/// What of it is asked at every step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance {
    /// Whether it takes part.
    pub(super) life: Life,
    /// What it wants next.
    pub(super) wants: Wants,
    /// Of which term it is primary, if it is.
    pub(super) primary: Option<u8>,
    /// Whether it has neither left nor failed.
    pub(super) wishes: bool,
    /// When nobody else need go on before it.
    pub(super) ample: Ample,
    /// The events with which it would go on differently, one bit each. While it would not, an event may as well reach it
    /// later.
    pub(super) news: u8,
    /// Up to which byte it has read the journal, once it reads one that nobody may empty.
    pub(super) read_to: Option<u32>,
    /// The process that hosts it.
    pub(super) process: u32,
    /// The number of what it has open.
    pub(super) opened: u32,
    /// The number of what the outcome of its next call depends on.
    pub(super) footprint: u32,
}

/// What has become of an instance: see [`Actor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Absent,
    Running,
    Ended,
    Dead,
}

/// What an instance wants next: see [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// A call, of whose failure it would be told or not, and which may write short or not.
    Call {
        can_fail: bool,
        can_be_short: bool,
    },
    /// What others change, with a deadline or not.
    Change {
        deadline: bool,
    },
    /// A moment.
    Until,
    /// An event.
    Event,
    Nothing,
}

impl Wants {
    fn of(step: &Step) -> Self {
        match step {
            Step::Call(call) => Self::Call {
                can_fail: can_fail(call),
                can_be_short: matches!(call, Call::Election(ElectionCall::Append { .. })),
            },
            Step::Wait(Wait::Change(deadline)) => Self::Change { deadline: deadline.is_some() },
            Step::Wait(Wait::Until(_)) => Self::Until,
            Step::Wait(Wait::Event) => Self::Event,
            Step::Ended => Self::Nothing,
        }
    }

    /// Whether it is a call.
    pub(super) fn is_call(self) -> bool {
        matches!(self, Self::Call { .. })
    }
}

/// Calls whose failure an instance is told. A failing close has closed all the same.
fn can_fail(call: &Call) -> bool {
    !matches!(
        call,
        Call::Election(ElectionCall::Close(_) | ElectionCall::CloseAll) | Call::ProcessId | Call::IsAlive(_)
    )
}

/// What there is to know of an instance.
pub(super) fn describe<P: Participant + 'static>(actor: &Actor<P>, model: &Model<P>) -> (ActorFacts, Glance) {
    let space = model.space();
    let (life, step, belief) = match actor {
        Actor::Absent => (Life::Absent, Step::Ended, Belief::Undecided),
        Actor::Running(running) => (Life::Running, running.participant.next(), running.participant.belief()),
        Actor::Ended(belief) => (Life::Ended, Step::Ended, belief.clone()),
        Actor::Dead => (Life::Dead, Step::Ended, Belief::Undecided),
    };
    let primary = match belief {
        Belief::Primary { term } => Some(u8::try_from(term).expect("no space has so many elections")),
        _ => None,
    };
    let mut glance = Glance {
        life,
        wants: Wants::of(&step),
        primary,
        wishes: !matches!(belief, Belief::Left | Belief::Failed(_)),
        ample: reduction::ample_with(space, &step, &belief),
        news: 0,
        read_to: None,
        process: 0,
        opened: 0,
        footprint: 0,
    };
    let facts = ActorFacts { step, belief };
    if let Actor::Running(running) = actor {
        glance.process = running.process;
        glance.opened = model.opened(running.files.clone());
        if let Step::Call(call) = &facts.step {
            glance.footprint = model.footprint(footprint_of(&running.files, call));
        }
        let read_to = running.participant.read_to();
        glance.read_to = read_to.map(|bytes| u32::try_from(bytes).expect("no space has so long a journal"));
        for event in (0..space.events).filter(|event| is_news(running, &facts.step, *event, space.reduce)) {
            glance.news |= 1 << event;
        }
    }
    (facts, glance)
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
