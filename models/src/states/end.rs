//! What a run comes to in the end, as the checkers of threads tell it too.

use crate::end::End;
use crate::participant::Participant;
use crate::states::actor::Actor;
use crate::states::model::Model;
use crate::states::state::State;

/// What the runs that come to rest in this state have come to.
pub(super) fn end_of<P: Participant + 'static>(model: &Model<P>, state: &State) -> End {
    let beliefs = model.slots().filter_map(|slot| match model.actor_of(state, slot) {
        (Actor::Absent, _) => None,
        (Actor::Dead, _) => Some(None),
        (Actor::Running(_) | Actor::Ended(_), facts) => Some(Some(&facts.belief)),
    });
    let changes = model.history(state).map_or(&[][..], |history| &history.changes);
    End::new(changes, model.ids(), beliefs)
}
