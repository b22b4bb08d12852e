//! What has happened to the files of an election that they do not tell any more, kept in the state, so that entries are
//! counted over all files that realtime.log ever was, and what somebody else did is known.

use single_primary::call::{Call as ElectionCall, Handle, Name, Reply as ElectionReply};
use zerocopy::{Immutable, IntoBytes};

use crate::call::{Call, Reply};
use crate::kernel::Hand;
use crate::participant::Participant;
use crate::states::action::Action;
use crate::states::model::{EVENTS_MAX, Model};
use crate::states::oracle::{self, Entries};
use crate::states::promise::Promise;
use crate::states::state::State;

/// What the files do not tell any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct Ledger {
    /// For each event, how many entries of it went with files that instances removed.
    removed: [u8; EVENTS_MAX],
    /// For each event, how many rotations there were since it has an entry, up to two.
    rotations: [u8; EVENTS_MAX],
    /// The events of which somebody else took an entry away, one bit each.
    taken: u8,
    /// How many lines of somebody else must be found in the files.
    others: u8,
    /// Whether the journal is not the one any more that the election began with.
    displaced: u8,
    /// The instances of the old journal that have looked whether it is still the one, one bit each.
    warned: u8,
    /// Those of them that have written an entry since it is not.
    wrote: u8,
}

impl Ledger {
    /// Whether others may elect over another journal.
    pub(super) fn is_displaced(&self) -> bool {
        self.displaced != 0
    }

    /// How many entries of an event went with files that instances removed.
    pub(super) fn removed(&self, event: u8) -> usize {
        self.removed[usize::from(event)].into()
    }

    /// Whether an event had its entry so long ago that who receives it late need not know.
    pub(super) fn is_past(&self, event: u8) -> bool {
        self.rotations[usize::from(event)] >= ROTATIONS_KNOWN
    }

    /// Whether somebody else took an entry of the event away.
    pub(super) fn is_taken(&self, event: u8) -> bool {
        self.taken >> event & 1 == 1
    }

    /// A file goes with what is in it, by the hand of somebody else or by an instance's.
    fn lose<'a>(&mut self, file: &Entries, events: impl Iterator<Item = (u8, &'a str)>, by_others: bool) {
        for (event, id) in events {
            if by_others {
                self.taken |= u8::from(file.of(id) > 0) << event;
            } else {
                self.removed[usize::from(event)] += small(file.of(id));
            }
        }
        self.others = self.others.saturating_sub(small(file.others));
    }
}

/// An event that arrives after so many rotations since its entry may be written again.
const ROTATIONS_KNOWN: u8 = 2;

/// Writes down what an action does that the files do not tell, and says which promise that breaks.
pub(super) fn note<P: Participant + 'static>(
    model: &Model<P>,
    before: &State,
    action: Action,
    after: &mut State,
) -> Option<Promise> {
    let mut ledger = before.ledger;
    let call = match action {
        Action::Go(slot) | Action::Over(slot) | Action::Short(slot) | Action::Fail(slot) => {
            model.call_of(before, action).0.map(|call| (slot, call))
        }
        _ => None,
    };
    let current = model.number_of(before, &Name::Log(0));
    if current.is_some() && model.number_of(after, &Name::Log(0)) != current {
        for (event, id) in model.events() {
            let has_entry = ledger.removed(event) > 0 || model.all_entries(before).any(|file| file.of(id) > 0);
            let rotations = &mut ledger.rotations[usize::from(event)];
            *rotations = (*rotations + u8::from(has_entry)).min(ROTATIONS_KNOWN);
        }
    }
    let vanished = before.shape != after.shape;
    for number in model.logs(before).filter(|number| vanished && !model.logs(after).any(|other| other == *number)) {
        if let Some(file) = model.entries_in(before, number) {
            ledger.lose(file, model.events(), matches!(action, Action::Meddle(_)));
        }
    }
    if let Action::Meddle(hand) = action {
        match hand {
            Hand::TruncateLog => {
                let log = model.number_of(before, &Name::Log(0));
                if let Some(file) = log.and_then(|log| model.entries_in(before, log)) {
                    ledger.lose(file, model.events(), true);
                }
            }
            Hand::AppendToLog | Hand::TearLog => ledger.others += 1,
            Hand::RemoveLog | Hand::RenameLog | Hand::RemoveJournal | Hand::ReplaceJournal | Hand::ReplaceDirectory => {
            }
        }
        ledger.displaced |= u8::from(hand.displaces());
    }
    let breach = call.and_then(|(slot, (call, reply))| {
        let Call::Election(call) = &call else { return None };
        judge_call(model, after, &mut ledger, slot, call, &reply)
    });
    after.ledger = ledger;
    let found: usize = model.all_entries(after).map(|entries| entries.others).sum();
    breach.or((found < usize::from(ledger.others)).then_some(Promise::OthersStay))
}

fn judge_call<P: Participant + 'static>(
    model: &Model<P>,
    after: &State,
    ledger: &mut Ledger,
    slot: u8,
    call: &ElectionCall,
    reply: &Reply,
) -> Option<Promise> {
    // The event whose entry is begun.
    let begun = match (call, reply) {
        (ElectionCall::Append { handle: Handle::LOG, bytes }, Reply::Election(ElectionReply::Wrote(1..))) => {
            oracle::event_in(bytes).and_then(|begun| model.events().find(|(_, id)| *id == begun))
        }
        _ => None,
    };
    let is_named = |number: Option<u64>| model.logs(after).any(|log| Some(log) == number);
    if let Some((event, _)) = begun
        && !is_named(model.file_behind(after, slot, Handle::LOG))
    {
        // Somebody else has taken the file away since it was looked at.
        ledger.taken |= 1 << event;
    }
    if let (ElectionCall::Remove(Name::Log(_)), Reply::Election(ElectionReply::Done)) = (call, reply) {
        // The current log may be missing for the moment.
        let rotated = model.logs(after).filter(|log| model.number_of(after, &Name::Log(0)) != Some(*log));
        if rotated.count() < usize::from(model.space().log.rotate_keep) {
            return Some(Promise::OneEntry);
        }
    }
    let own = model.file_behind(after, slot, Handle::JOURNAL)?;
    if ledger.displaced == 0 || model.number_of(after, &Name::Journal) == Some(own) {
        return None;
    }
    let bit = 1 << slot;
    let is_warned = ledger.warned & bit != 0;
    let touches = match call {
        ElectionCall::LookByPath(Name::Journal) => {
            ledger.warned |= bit;
            false
        }
        ElectionCall::Append { handle: Handle::LOG, .. } if begun.is_some() => {
            let again = ledger.wrote & bit != 0;
            ledger.wrote |= bit;
            again || is_warned
        }
        ElectionCall::Rename(Name::Log(_), _)
        | ElectionCall::RenameNew(Name::Log(_), _)
        | ElectionCall::Remove(Name::Log(_)) => is_warned,
        _ => false,
    };
    touches.then_some(Promise::SameFiles)
}

fn small(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}
