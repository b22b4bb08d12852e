//! What is promised, and whether a state keeps it.

use std::fmt;

use serde::Serialize;

use crate::participant::{Belief, Participant};
use crate::states::action::Action;
use crate::states::actor::Life;
use crate::states::ledger;
use crate::states::model::Model;
use crate::states::state::State;
use crate::states::transition::is_failure;

/// A promise of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// S1: at most one instance is primary.
    SinglePrimary,
    /// S2: nobody is primary by way of an error.
    FailsClosed,
    /// S3: whoever is primary is the smallest of those registered and not gone, as the journal shows.
    Deterministic,
    /// S4: a living primary stays primary.
    Stable,
    /// S5: terms rise.
    TermsRise,
    /// E1: one entry per event, not more, and not less once there is nothing left to do.
    OneEntry,
    /// E2: what somebody else has written stays.
    OthersStay,
    /// P1: no entry is written and no file touched over a journal that is not the one any more.
    SameFiles,
    /// L1, L2: while an instance lives and nothing more goes wrong, there comes to be a primary.
    Someone,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::SinglePrimary,
        Self::FailsClosed,
        Self::Deterministic,
        Self::Stable,
        Self::TermsRise,
        Self::OneEntry,
        Self::OthersStay,
        Self::SameFiles,
        Self::Someone,
    ];

    /// What a state that breaks it shows.
    #[must_use]
    pub fn broken(self) -> &'static str {
        match self {
            Self::SinglePrimary => "two instances believe to be primary at the same moment",
            Self::FailsClosed => "an instance takes itself for primary because a call failed",
            Self::Deterministic => "an instance is primary that the journal does not show as primary of its term",
            Self::Stable => "a living primary was unseated: the journal has gone on without it",
            Self::TermsRise => "an instance is primary of a term that is not above the last one",
            Self::OneEntry => "an event has more or less than one entry in all files of realtime.log",
            Self::OthersStay => "a line that somebody else has written is not there any more",
            Self::SameFiles => "an instance goes on writing although its journal is not the one any more",
            Self::Someone => "an instance lives, nothing more goes wrong, and yet nobody will ever be primary",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::SinglePrimary => "S1 single primary",
            Self::FailsClosed => "S2 fails closed",
            Self::Deterministic => "S3 deterministic",
            Self::Stable => "S4 stable",
            Self::TermsRise => "S5 terms rise",
            Self::OneEntry => "E1 exactly one entry",
            Self::OthersStay => "E2 what is others' stays",
            Self::SameFiles => "P1 the same files",
            Self::Someone => "L1 someone",
        })
    }
}

/// Notes in a new state which promise the action broke, as far as that shows at once.
pub(super) fn judge<P: Participant + 'static>(model: &Model<P>, before: &State, action: Action, after: &mut State) {
    if model.space().keeps_ledger() {
        let breach = ledger::note(model, before, action, after);
        // Over two journals there are two elections, of which nothing more is promised.
        if breach.is_some() || after.ledger.is_displaced() {
            after.set_breach(breach);
            return;
        }
    }
    let changed = model.slots().filter(|slot| before.actors[usize::from(*slot)] != after.actors[usize::from(*slot)]);
    let primary = |state: &State, slot: u8| model.glance(state, slot).primary;
    let newcomer = changed.filter_map(|slot| primary(after, slot).filter(|_| primary(before, slot).is_none())).max();
    // What neither a belief nor the contents of a file have changed was judged before.
    if newcomer.is_none() && model.has_same_journal_and_logs(before, after) {
        return;
    }
    let primaries = model.slots().filter(|slot| primary(after, *slot).is_some()).count();
    let ours = model.space().is_of_journal();
    let term_before = before.term;
    let term_after = newcomer.unwrap_or(term_before);
    let mut breach = if primaries > 1 {
        Some(Promise::SinglePrimary)
    } else if newcomer.is_some() && was_failure(model, before, action) {
        Some(Promise::FailsClosed)
    } else if ours && newcomer.is_some() && term_after <= term_before {
        Some(Promise::TermsRise)
    } else if primaries > 0 && ours {
        disagreement(model, after)
    } else {
        None
    };
    if breach.is_none() && ours && model.space().events > 0 && has_wrong_entry(model, after) {
        breach = Some(Promise::OneEntry);
    }
    after.set_breach(breach);
    if ours {
        after.term = term_after;
    }
}

/// Whether an event has an entry too many, or a line is no entry.
fn has_wrong_entry<P: Participant + 'static>(model: &Model<P>, state: &State) -> bool {
    // Of what has been removed since, as much was kept as was asked for: whoever has not heard of it writes it again.
    let keeps_all = usize::from(model.space().log.rotate_keep) >= usize::from(model.space().events);
    let is_doubled = |(event, id): (u8, &str)| {
        let found: usize = model.all_entries(state).map(|entries| entries.of(id)).sum();
        found + if keeps_all { state.ledger.removed(event) } else { 0 } > 1
    };
    model.all_entries(state).any(|entries| entries.garbled > 0) || model.events().any(is_doubled)
}

fn was_failure<P: Participant + 'static>(model: &Model<P>, before: &State, action: Action) -> bool {
    matches!(action, Action::Fail(_))
        || matches!(action, Action::Go(_) | Action::Over(_))
            && (model.space().errors > 0 || before.broken != 0)
            && model.call_of(before, action).0.is_some_and(|(_, reply)| is_failure(&reply))
}

/// What an independent reader of the journal objects to a primary.
fn disagreement<P: Participant + 'static>(model: &Model<P>, state: &State) -> Option<Promise> {
    let journal = model.journal(state);
    model.slots().find_map(|slot| {
        let _ = model.glance(state, slot).primary?;
        let actor = state.actors[usize::from(slot)];
        model.disagreements.recall(&[actor, journal.unwrap_or_default()], || disagreement_with(model, state, slot))
    })
}

fn disagreement_with<P: Participant + 'static>(model: &Model<P>, state: &State, slot: u8) -> Option<Promise> {
    let Belief::Primary { term } = *model.belief_of(state, slot) else { return None };
    let history = model.history(state);
    let id = model.id_of(state, slot).map(single_primary::InstanceId::as_str);
    let sealed = history.and_then(|history| history.primary_of(term));
    let current = history.and_then(|history| history.primary.as_deref());
    if id != sealed {
        Some(Promise::Deterministic)
    } else if id != current {
        Some(Promise::Stable)
    } else {
        None
    }
}

/// The promise that a state breaks: what the last action broke, or what shows because nothing more will happen of itself.
pub(crate) fn broken<P: Participant + 'static>(model: &Model<P>, state: &State) -> Option<Promise> {
    state.breach().or_else(|| {
        let mut actions = Vec::new();
        model.possible(state, &mut actions);
        if is_at_rest(model, state, &actions) { broken_at_rest(model, state, &actions) } else { None }
    })
}

/// The promise that a state breaks in which nothing more will happen of itself, of all that can.
pub(super) fn broken_at_rest<P: Participant + 'static>(
    model: &Model<P>,
    state: &State,
    possible: &[Action],
) -> Option<Promise> {
    if state.ledger.is_displaced() {
        return None;
    }
    if !model.has_primary(state) {
        let someone = model.slots().any(|slot| takes_part(model, state, slot) || is_lost(model, state, slot));
        return (someone && !are_elections_stopped(model, state)).then_some(Promise::Someone);
    }
    if model.space().events == 0 || !model.space().is_of_journal() {
        return None;
    }
    if possible.iter().any(|action| matches!(action, Action::Deliver(..))) {
        return None;
    }
    if state.broken != 0 {
        return None;
    }
    let has_entry = |(event, id): (u8, &str)| {
        state.ledger.removed(event) > 0
            || state.ledger.is_taken(event)
            || model.all_entries(state).any(|entries| entries.of(id) > 0)
    };
    (!model.events().all(has_entry)).then_some(Promise::OneEntry)
}

/// Whether an instance that takes part has ended, though its process lives, for something that failed a while and does no
/// more.
fn is_lost<P: Participant + 'static>(model: &Model<P>, state: &State, slot: u8) -> bool {
    let has_failed =
        matches!((model.glance(state, slot).life, model.belief_of(state, slot)), (Life::Ended, Belief::Failed(_)));
    let id = model.space().id(usize::from(slot));
    has_failed
        && model.space().outages.iter().any(|outage| outage.stops_elections())
        && model.history(state).is_some_and(|history| history.present.iter().any(|other| *other == *id.as_str()))
}

/// Whether something fails at the moment without which nobody can be elected.
pub(super) fn are_elections_stopped<P: Participant + 'static>(model: &Model<P>, state: &State) -> bool {
    let mut outages = model.space().outages.iter();
    outages.any(|outage| outage.stops_elections() && state.broken & model.bit_of(*outage) != 0)
}

/// Whether an instance is alive and wants to take part.
pub(super) fn takes_part<P: Participant + 'static>(model: &Model<P>, state: &State, slot: u8) -> bool {
    let glance = model.glance(state, slot);
    glance.life == Life::Running && glance.wishes
}

/// Whether nothing more will happen unless something goes wrong or arrives: every instance waits, each may look as often
/// as it likes and finds nothing new, and no deadline is left. `possible` is all that can happen.
pub(super) fn is_at_rest<P: Participant + 'static>(model: &Model<P>, state: &State, possible: &[Action]) -> bool {
    let calls = |slot: u8| model.glance(state, slot).wants.is_call();
    if model.slots().any(calls) || model.is_clock_exhausted(state) {
        return false;
    }
    let mut going_on = possible.iter().filter(|action| action.goes_on_by_itself());
    !going_on.any(|action| model.after(state, *action).is_some())
}
