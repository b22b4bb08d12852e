//! What can happen next.

use single_primary::call::Call as ElectionCall;

use crate::call::Call;
use crate::explore::action::{Action, Identity};
use crate::explore::actor::Actor;
use crate::explore::reduction;
use crate::explore::space::Timing;
use crate::explore::state::State;
use crate::explore::world::World;
use crate::participant::{Belief, Participant, Step, Wait};

impl<P: Participant + 'static> World<P> {
    /// What can happen next.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if state.breach.is_some() {
            return;
        }
        if self.space().reduce
            && let Some(slot) = reduction::alone(self, state)
        {
            self.possible_to(state, slot, true, actions);
            return;
        }
        for slot in self.slots() {
            self.possible_to(state, slot, false, actions);
        }
        if let Timing::Shared { moves, jump } = self.space().timing {
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
            Actor::Running(_) => {
                self.possible_steps(state, slot, &facts.step, actions);
                for event in (0..self.space().events).filter(|event| facts.news >> event & 1 == 1) {
                    actions.push(Action::Deliver(slot, event));
                }
                if state.leaves < self.space().leaves && !matches!(facts.belief, Belief::Left | Belief::Failed(_)) {
                    actions.push(Action::Leave(slot));
                }
            }
        }
        if self.space().per_process <= 1 {
            if state.crashes < self.space().crashes && matches!(actor, Actor::Running(_)) {
                actions.push(Action::Crash(slot));
            }
            return;
        }
        // An instance that has ended holds nothing, so the death of a process counts only if another lives in it.
        let first = alone || !(0..slot).any(|other| self.are_one_process(state, slot, other));
        let alive = self.slots().any(|other| {
            self.are_one_process(state, slot, other) && matches!(self.actor_of(state, other).0, Actor::Running(_))
        });
        if state.crashes < self.space().crashes && first && alive {
            actions.push(Action::Crash(slot));
        }
    }

    fn possible_steps(&self, state: &State, slot: u8, step: &Step, actions: &mut Vec<Action>) {
        match step {
            Step::Call(call) => {
                actions.push(Action::Go(slot));
                if state.errors < self.space().errors && can_fail(call) {
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
                let shared = matches!(self.space().timing, Timing::Shared { .. });
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
        if state.restarts >= self.space().restarts || !first_absent || !anyone_gone {
            return;
        }
        actions.push(Action::Start(slot, Identity::Fresh));
        for earlier in 0..slot {
            if self.space().reuse_ids {
                actions.push(Action::Start(slot, Identity::IdOf(earlier)));
            }
            if self.space().reuse_process_ids && matches!(self.actor_of(state, earlier).0, Actor::Dead) {
                actions.push(Action::Start(slot, Identity::ProcessOf(earlier)));
            }
        }
    }
}

/// Calls whose failure an instance is told. A failing close has closed all the same.
fn can_fail(call: &Call) -> bool {
    !matches!(
        call,
        Call::Election(ElectionCall::Close(_) | ElectionCall::CloseAll) | Call::ProcessId | Call::IsAlive(_)
    )
}
