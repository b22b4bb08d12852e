//! The model as stateright takes it: for its Explorer, and to count the states a second time.

use std::sync::Arc;

use stateright::Property;

use crate::participant::Participant;
use crate::states::action::Action;
use crate::states::model::Model;
use crate::states::promise;
use crate::states::state::State;

/// The model of one space.
#[derive(Debug)]
pub struct Checked<P>(pub Arc<Model<P>>);

impl<P: Participant + 'static> stateright::Model for Checked<P> {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.0.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.0.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.0.after(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every promise is kept", |model: &Self, state| {
            promise::broken(&model.0, state).is_none()
        })]
    }
}
