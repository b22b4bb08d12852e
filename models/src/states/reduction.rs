//! Which calls need not be interleaved with other instances' calls, since nobody can tell in which order they were made.
//!
//! Where an instance's next call is one of these, only this instance goes on: its call, its death, its failing. That leaves
//! out orders of calls, no outcome of them:
//!
//! - The call commutes with whatever any other instance can do before it: neither finds out about the other.
//! - A death before the call is a death after it, because the call changes nothing that outlasts the instance and that
//!   anyone looks at; or the death before it is kept because the run of such calls began with something optional.
//! - No belief changes by it, so that no promise is judged differently in between.
//! - Each instance makes only finitely many such calls in a row, so that no other is put off for ever.
//!
//! The argument for each kind of call stands beside it below.
//!
//! Three things more leave out states that nobody can tell apart:
//!
//! - Of a record in the journal, the election looks only at what its fold makes of it: see `canonicalize`.
//! - How far an instance has read makes no difference while what it has not read neither opens a term nor gives one a
//!   primary, since it reads to the end before it decides anything. So each is taken to have read as far as that goes: see
//!   `Machine::read_ahead`.
//! - Registrations commute: those that nobody reads apart from each other may stand in any order. See `in_order`.
//!
//! All of this is checked, too: the tests compare verdicts and final states with and without the reduction.

use single_primary::call::{Call as ElectionCall, Handle, Mode, Name, Time};
use single_primary::{Fold, InstanceId, Kind, RECORD_BYTES, Record};

use crate::call::Call;
use crate::kernel::Description;
use crate::participant::{Belief, Participant, Step};
use crate::states::files::ContentsGlance;
use crate::states::model::Model;
use crate::states::space::Space;
use crate::states::state::State;

/// Takes away from a journal what its fold does not tell: the last record altogether, where the fold is the same without it,
/// else its author and time, where it is the same with others. Readers hold the fold of what they have read and nothing
/// else of it, so that they go on alike.
pub(super) fn canonicalize(journal: &mut Vec<u8>) {
    let Some(at) = journal.len().checked_sub(RECORD_BYTES) else { return };
    if !at.is_multiple_of(RECORD_BYTES) {
        return;
    }
    let last = <&[u8; RECORD_BYTES]>::try_from(&journal[at..]).ok();
    let Some(record) = last.and_then(Record::decode) else { return };
    let mut before = Fold::default();
    if before.read(&journal[..at]) < at {
        return;
    }
    let with = |record: &Record| {
        let mut fold = before.clone();
        fold.apply(record);
        fold
    };
    let after = with(&record);
    let anyone = InstanceId::new("anyone").expect("letters make an ID");
    let anonymous = Record { id: anyone, at: Time::default(), ..record };
    if after == before {
        journal.truncate(at);
    } else if matches!(record.kind, Kind::Begin | Kind::Seal | Kind::Depose) && with(&anonymous) == after {
        journal.truncate(at);
        journal.extend_from_slice(&anonymous.encode());
    }
}

/// Registrations that stand side by side in the order of their bytes, where every reader reads all of them or none: each
/// goes on with the same fold in whatever order they stand. `boundaries` says from which records on somebody reads, one bit
/// each. Nothing, where they are in order.
pub(super) fn in_order(journal: &[u8], boundaries: u64) -> Option<Vec<u8>> {
    let (records, torn) = journal.as_chunks::<RECORD_BYTES>();
    let is_registration = |at: usize| Record::decode(&records[at]).is_some_and(|record| record.kind == Kind::Register);
    let is_boundary = |at: usize| boundaries >> at & 1 == 1;
    let mut ordered = records.to_vec();
    let mut start = 0;
    for end in 1..=records.len() {
        let goes_on = end < records.len() && !is_boundary(end) && is_registration(end - 1) && is_registration(end);
        if !goes_on {
            ordered[start..end].sort_unstable();
            start = end;
        }
    }
    let is_as_before =
        || Fold::default().read(journal) == journal.len() && fold_of(journal) == fold_of(ordered.as_flattened());
    (ordered != records && is_as_before()).then(|| [ordered.as_flattened(), torn].concat())
}

fn fold_of(journal: &[u8]) -> Fold {
    let mut fold = Fold::default();
    fold.read(journal);
    fold
}

#[expect(clippy::cast_possible_truncation, reason = "a record is short")]
const RECORD: u32 = RECORD_BYTES as u32;

/// Lets everyone read ahead in the journal, and puts it in order. All had done so before the last action.
pub(super) fn level_readers<P: Participant + 'static>(
    model: &Model<P>,
    before: &State,
    state: &mut State,
    acted: Option<u8>,
) {
    let Some(place) = model.journal_place(state) else { return };
    let ContentsGlance { length, is_out_of_order } = model.contents.glance(state.contents[place]);
    let is_as_before = before.shape == state.shape && before.contents[place] == state.contents[place];
    let is_new_to_all = !is_as_before && model.journal(before) != Some(state.contents[place]);
    let is_of_this_journal = |slot: u8| {
        let number = || model.number_of(state, &Name::Journal);
        model.space().meddling == 0 || model.file_behind(state, slot, Handle::JOURNAL) == number()
    };
    let concerned = |slot: &u8| (is_new_to_all || acted == Some(*slot)) && is_of_this_journal(*slot);
    let readers: Vec<u8> = model.slots().filter(concerned).collect();
    for slot in readers {
        if model.glance(state, slot).read_to.is_some_and(|read_to| read_to < length) {
            model.read_ahead(state, slot, place);
        }
    }
    if !is_out_of_order {
        return;
    }
    let mut boundaries = 0_u64;
    for read_to in model.slots().filter_map(|slot| model.glance(state, slot).read_to) {
        let boundary = 1_u64.checked_shl(read_to / RECORD).filter(|_| read_to.is_multiple_of(RECORD));
        let Some(boundary) = boundary else {
            return;
        };
        boundaries |= boundary;
    }
    model.put_in_order(state, place, boundaries);
}

/// When nobody else need go on before an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ample {
    Never,
    Always,
    /// While it holds the journal's lock.
    WithLock,
    /// While it holds the journal's lock exclusively.
    WithExclusiveLock,
}

/// The first instance whose next call need not be interleaved.
pub(super) fn ample<P: Participant + 'static>(model: &Model<P>, state: &State) -> Option<u8> {
    model.slots().find(|slot| match model.glance(state, *slot).ample {
        Ample::Never => false,
        Ample::Always => true,
        Ample::WithLock => holds(model, state, *slot, &[Mode::Shared, Mode::Exclusive]),
        Ample::WithExclusiveLock => holds(model, state, *slot, &[Mode::Exclusive]),
    })
}

/// When an instance that wants this next, and believes this, need not be interleaved.
pub(super) fn ample_with(space: &Space, step: &Step, belief: &Belief) -> Ample {
    let Step::Call(Call::Election(call)) = step else { return Ample::Never };
    // Joins under one ID meet at its seat.
    let ids_differ = !space.reuse_ids && (1..space.ids.len()).all(|at| !space.ids[..at].contains(&space.ids[at]));
    // Without secondaries that look for their events, only a primary has anything to do with realtime.log.
    let log_is_private = space.log.trim_pending > usize::from(space.events)
        && space.meddling == 0
        && space.outages.is_empty()
        && matches!(belief, Belief::Primary { .. });
    let always = |applies: bool| if applies { Ample::Always } else { Ample::Never };
    let journal_is_ours = !space.hands.iter().any(|hand| hand.displaces());
    match call {
        // Nobody locks the directory exclusively, and it stays as it is once it is there.
        ElectionCall::Open { name: Name::Directory, .. } => always(space.directory),
        ElectionCall::Inspect(Handle::DIRECTORY)
        | ElectionCall::FileSystem(Handle::DIRECTORY)
        | ElectionCall::Lock(Handle::DIRECTORY, Mode::Shared) => Ample::Always,
        // Of what the journal is, only what stays is looked at, and its size by whoever holds its exclusive lock.
        ElectionCall::Inspect(Handle::JOURNAL) => always(journal_is_ours),
        // The journal's name goes to another file only under the exclusive lock of the one that has it. So while a lock on a
        // journal is held, its name stands for it until the end, or does not any more.
        ElectionCall::LookByPath(Name::Journal) if journal_is_ours => Ample::WithLock,
        // Whoever holds the journal's exclusive lock is alone with it and with the seats in the directory: all others are
        // before their shared lock, or are gone.
        ElectionCall::Read { handle: Handle::JOURNAL, .. } => Ample::WithExclusiveLock,
        ElectionCall::List => Ample::WithExclusiveLock,
        // The same holds for the journal that is to take its place, of which nothing changes by these.
        ElectionCall::Inspect(Handle::NEXT_JOURNAL)
        | ElectionCall::Read { handle: Handle::NEXT_JOURNAL, .. }
        | ElectionCall::Lock(Handle::NEXT_JOURNAL, Mode::Exclusive) => Ample::WithExclusiveLock,
        // A seat is looked for by others only once its ID is registered, and removed only while nobody lives.
        ElectionCall::Open { handle: Handle::SEAT, .. } | ElectionCall::Inspect(Handle::SEAT) => always(ids_differ),
        ElectionCall::Lock(Handle::SEAT, Mode::Exclusive) => always(ids_differ),
        // The seat of a primary was there before its ID was in the journal. What is held on it is a shared lock, which only
        // a join under the same ID would meet.
        ElectionCall::Open { handle: Handle::RIVAL, .. } | ElectionCall::Close(Handle::RIVAL) => always(ids_differ),
        // The log is one primary's at a time. A death between its calls is one without the events that led to them.
        ElectionCall::Open { handle: Handle::LOG, .. }
        | ElectionCall::Close(Handle::LOG)
        | ElectionCall::Inspect(Handle::LOG)
        | ElectionCall::Read { handle: Handle::LOG, .. }
        | ElectionCall::Append { handle: Handle::LOG, .. }
        | ElectionCall::Truncate { handle: Handle::LOG, .. }
        | ElectionCall::Sync(Handle::LOG)
        | ElectionCall::Look(Name::Log(_))
        | ElectionCall::LookByPath(Name::Log(_))
        | ElectionCall::ListLogs
        | ElectionCall::SyncLogDirectory
        | ElectionCall::Remove(Name::Log(_))
        | ElectionCall::Rename(Name::Log(_), Name::Log(_))
        | ElectionCall::RenameNew(Name::Log(_), Name::Log(_)) => always(log_is_private),
        _ => Ample::Never,
    }
}

/// Whether the instance holds the journal's lock in one of the modes.
fn holds<P: Participant + 'static>(model: &Model<P>, state: &State, slot: u8, wanted: &[Mode]) -> bool {
    let own = Description { instance: slot, handle: Handle::JOURNAL };
    model
        .holders_behind(state, slot, Handle::JOURNAL)
        .is_some_and(|journal| journal.locks().any(|(holder, held)| holder == own && wanted.contains(&held)))
}
