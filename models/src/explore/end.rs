//! What a run comes to in the end, as the checkers of threads tell it too.

use crate::end::End;
use crate::explore::actor::Actor;
use crate::explore::state::State;
use crate::explore::world::World;
use crate::participant::Participant;

/// What the runs that come to rest in this state have come to.
pub(super) fn end_of<P: Participant + 'static>(world: &World<P>, state: &State) -> End {
    let beliefs = world.slots().filter_map(|slot| match world.actor_of(state, slot) {
        (Actor::Absent, _) => None,
        (Actor::Dead, _) => Some(None),
        (Actor::Running(_) | Actor::Ended(_), facts) => Some(Some(&facts.belief)),
    });
    let changes = world.history(state).map_or(&[][..], |history| &history.changes);
    End::new(changes, world.ids(), beliefs)
}
