//! The model as stateright's Explorer shows it to people: actions and situations in words.

use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use single_primary::call::{Handle, Name};
use stateright::Property;

use crate::participant::{Step, Wait};
use crate::states::promise;
use crate::states::{Action, Actor, Model, State, event_of};
use crate::story::phrase;
use crate::zoo::AnyParticipant;

/// A model to walk through.
#[derive(Clone, Debug)]
pub struct Explorer(pub Arc<Model<AnyParticipant>>);

/// A state that can say what it is.
#[derive(Clone)]
pub struct Situation {
    model: Arc<Model<AnyParticipant>>,
    state: State,
}

impl Explorer {
    fn situation(&self, state: State) -> Situation {
        Situation { model: self.0.clone(), state }
    }

    /// What the files behind the journal's handles are called.
    fn name_of(&self, slot: u8, handle: Handle) -> Option<Name> {
        Some(match handle {
            Handle::DIRECTORY => Name::Directory,
            Handle::JOURNAL => Name::Journal,
            Handle::NEXT_JOURNAL => Name::NextJournal,
            Handle::SEAT => Name::Seat(self.0.space().id(usize::from(slot))),
            Handle::RIVAL => Name::Other("the primary's seat".into()),
            Handle::LOG => Name::Log(0),
            _ => return None,
        })
    }
}

impl stateright::Model for Explorer {
    type State = Situation;
    type Action = Action;

    fn init_states(&self) -> Vec<Situation> {
        vec![self.situation(self.0.initial())]
    }

    fn actions(&self, situation: &Situation, actions: &mut Vec<Action>) {
        self.0.possible(&situation.state, actions);
    }

    fn next_state(&self, situation: &Situation, action: Action) -> Option<Situation> {
        self.0.after(&situation.state, action).map(|state| self.situation(state))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every promise is kept", |model: &Self, situation: &Situation| {
            promise::broken(&model.0, &situation.state).is_none()
        })]
    }

    fn format_action(&self, action: &Action) -> String {
        let id = |slot: u8| self.0.space().id(usize::from(slot));
        match *action {
            Action::Go(slot) => format!("{} goes on", id(slot)),
            Action::Over(slot) => format!("{} goes on, its wait being over", id(slot)),
            Action::Fail(slot) => format!("the next call of {} fails", id(slot)),
            Action::Short(slot) => format!("the next append of {} comes short", id(slot)),
            Action::Deliver(slot, event) => format!("{} receives event {}", id(slot), event_of(event).id),
            Action::Leave(slot) => format!("{} is asked to leave", id(slot)),
            Action::Crash(slot) => format!("the process of {} dies", id(slot)),
            Action::Start(slot, _) => format!("{} starts", id(slot)),
            Action::Tick => "time passes".into(),
            Action::Jump => "the clock jumps".into(),
            Action::Meddle(hand) => format!("somebody else {hand}"),
            Action::Break(outage) => format!("from here on: {outage}"),
            Action::Mend(outage) => format!("no more: {outage}"),
        }
    }

    fn format_step(&self, situation: &Situation, action: Action) -> Option<String> {
        let next = self.next_state(situation, action)?;
        let mut text = self.format_action(&action);
        if let (Some(slot), (Some((call, reply)), _)) = (action.slot(), self.0.call_of(&situation.state, action)) {
            let names: Vec<_> = (0_u8..).take(Handle::COUNT).map(|handle| self.name_of(slot, Handle(handle))).collect();
            let name_of = |handle: Handle| names.get(usize::from(handle.0)).and_then(Option::as_ref);
            let _ = write!(text, ": {} → {}", phrase::call(&call, name_of), phrase::reply(&reply));
        }
        Some(format!("{text}\n\n{next:?}"))
    }
}

impl fmt::Debug for Situation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, state } = self;
        for slot in model.slots() {
            let (actor, facts) = model.actor_of(state, slot);
            let next = match (actor, &facts.step) {
                (Actor::Absent, _) => "not started".to_owned(),
                (Actor::Dead, _) => "dead".to_owned(),
                (Actor::Ended(belief), _) => phrase::belief(belief),
                (Actor::Running(_), step) => {
                    let next = match step {
                        Step::Call(call) => format!("is about to call {}", call.system_call()),
                        Step::Wait(Wait::Event) => "has nothing to do".to_owned(),
                        Step::Wait(_) => "waits".to_owned(),
                        Step::Ended => "has ended".to_owned(),
                    };
                    format!("{}, {next}", phrase::belief(&facts.belief))
                }
            };
            writeln!(formatter, "{}: {next}", model.space().id(usize::from(slot)))?;
        }
        for (name, inode) in model.files(state) {
            let holders = inode.locks().map(|(description, mode)| {
                format!("{mode:?} lock: {}", model.space().id(usize::from(description.instance)))
            });
            let holders: Vec<_> = holders.collect();
            let locks = if holders.is_empty() { String::new() } else { format!(" ({})", holders.join(", ")) };
            writeln!(formatter, "\n{name}{locks}")?;
            for line in phrase::contents(&inode.bytes).lines() {
                writeln!(formatter, "  {line}")?;
            }
        }
        if let Some(promise) = promise::broken(model, state) {
            writeln!(formatter, "\n{promise}: {}", promise.broken())?;
        }
        Ok(())
    }
}

impl PartialEq for Situation {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Eq for Situation {}

impl Hash for Situation {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
    }
}
