//! What can happen next.

use crate::participant::Participant;
use crate::states::action::{Action, Identity};
use crate::states::actor::{Life, Wants};
use crate::states::model::Model;
use crate::states::reduction;
use crate::states::space::Timing;
use crate::states::state::State;

impl<P: Participant + 'static> Model<P> {
    /// What can happen next.
    pub fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if state.breach().is_some() {
            return;
        }
        if self.space().reduce
            && let Some(slot) = reduction::ample(self, state)
        {
            self.possible_to(state, slot, true, actions);
            return;
        }
        for slot in self.slots() {
            self.possible_to(state, slot, false, actions);
        }
        self.possible_to_files(state, actions);
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
        let glance = self.glance(state, slot);
        match glance.life {
            Life::Absent => {
                self.possible_starts(state, slot, actions);
                return;
            }
            Life::Dead => return,
            Life::Ended => {}
            Life::Running => {
                self.possible_steps(state, slot, glance.wants, actions);
                for event in (0..self.space().events)
                    .filter(|event| glance.news >> event & 1 == 1 && !state.ledger.is_past(*event))
                {
                    actions.push(Action::Deliver(slot, event));
                }
                if state.leaves < self.space().leaves && glance.wishes {
                    actions.push(Action::Leave(slot));
                }
            }
        }
        if state.crashes == self.space().crashes {
            return;
        }
        if self.space().per_process <= 1 {
            if glance.life == Life::Running {
                actions.push(Action::Crash(slot));
            }
            return;
        }
        // An instance that has ended holds nothing, so the death of a process counts only if another lives in it.
        let first = alone || !(0..slot).any(|other| self.are_one_process(state, slot, other));
        let alive = self
            .slots()
            .any(|other| self.are_one_process(state, slot, other) && self.glance(state, other).life == Life::Running);
        if first && alive {
            actions.push(Action::Crash(slot));
        }
    }

    /// What the instance of a slot may do by itself, whoever else goes on.
    pub(super) fn own_steps(&self, state: &State, slot: u8) -> impl Iterator<Item = Action> {
        let wants = self.glance(state, slot).wants;
        let shared = matches!(self.space().timing, Timing::Shared { .. });
        let goes_on = match wants {
            Wants::Call { .. } | Wants::Change { .. } | Wants::Event => true,
            Wants::Until => shared && self.deadline(state, slot).is_some_and(|deadline| deadline <= state.clock()),
            Wants::Nothing => false,
        };
        let is_over = !shared && matches!(wants, Wants::Change { deadline: true } | Wants::Until);
        [(goes_on, Action::Go(slot)), (is_over, Action::Over(slot))]
            .into_iter()
            .filter_map(|(applies, action)| applies.then_some(action))
    }

    fn possible_steps(&self, state: &State, slot: u8, wants: Wants, actions: &mut Vec<Action>) {
        actions.extend(self.own_steps(state, slot));
        if let Wants::Call { can_fail: true, can_be_short } = wants
            && state.errors < self.space().errors
        {
            actions.push(Action::Fail(slot));
            if can_be_short {
                actions.push(Action::Short(slot));
            }
        }
    }

    /// What others do, and what begins and ceases to fail.
    fn possible_to_files(&self, state: &State, actions: &mut Vec<Action>) {
        if state.meddled < self.space().meddling {
            actions.extend(self.space().hands.iter().map(|hand| Action::Meddle(*hand)));
        }
        for (at, outage) in self.space().outages.iter().enumerate() {
            if state.broken >> at & 1 == 1 {
                actions.push(Action::Mend(*outage));
            } else if state.ever_broken >> at & 1 == 0 {
                actions.push(Action::Break(*outage));
            }
        }
    }

    fn possible_starts(&self, state: &State, slot: u8, actions: &mut Vec<Action>) {
        let mut earlier = (0..slot).map(|earlier| self.glance(state, earlier).life);
        let first_absent = !earlier.clone().any(|earlier| earlier == Life::Absent);
        let anyone_gone = earlier.any(|earlier| matches!(earlier, Life::Dead | Life::Ended));
        if state.restarts >= self.space().restarts || !first_absent || !anyone_gone {
            return;
        }
        actions.push(Action::Start(slot, Identity::Fresh));
        for earlier in 0..slot {
            if self.space().reuse_ids {
                actions.push(Action::Start(slot, Identity::IdOf(earlier)));
            }
            if self.space().reuse_process_ids && self.glance(state, earlier).life == Life::Dead {
                actions.push(Action::Start(slot, Identity::ProcessOf(earlier)));
            }
        }
    }
}
