//! The election protocol as a machine without input and output: it asks for one system call and is told the reply.
//!
//! Whatever carries the calls out (the operating system, a simulated kernel under a model checker), this is the protocol.
//!
//! Why it is safe, step by step:
//! - The journal is begun anew only under its exclusive lock. Every instance holds the shared lock from before it registers
//!   until it stops believing anything, so that happens only when nobody lives.
//! - It is begun anew by one rename: a death at any call leaves the old journal or the new one. Who holds the lock of the old
//!   one has made sure that its name still stands for it, and that stays so, since the name is changed under that lock alone.
//!   The new one is locked before it has the name, so that nobody joins while the seats of the dead are removed. Who waited
//!   for the old one finds another under the name, and starts over.
//! - The new journal begins with the term that the old one came to, so that terms rise for as long as there is a journal.
//! - An instance claims its seat before its ID is in the journal, and gives it up after it has stopped believing that it is
//!   primary. So an empty seat means: not primary, now or ever again, for an ID is never used twice while anyone lives.
//! - `depose` is appended only for a primary whose seat was found empty.
//! - Who is primary of a term follows from the journal alone, and its suffix never changes it.
//! - No clock and no wait carries any of this: an early seal only means that fewer took part.

mod ahead;

use std::sync::Arc;

use crate::call::{Access, Call, FileKind, Handle, Identity, Mode, Name, Reply, Time};
use crate::error::{Cause, Fault};
use crate::event_ids::EventId;
use crate::fold::Fold;
use crate::id::InstanceId;
use crate::leftover::{self, Leftover};
use crate::logbook::{Event, Logbook, Member};
use crate::record::{Kind, Origin, RECORD_BYTES, Record};
use crate::refusal::{self, admit, fault};
use crate::role::{Role, Setup};
use crate::step::{Step, Wait};

/// How much of the journal is read at once, in bytes.
pub const READ_BYTES: usize = 64 * 1024;

/// The election of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    setup: Arc<Setup>,
    phase: Phase,
    role: Role,
    fold: Fold,
    /// The file that it has open as the journal and holds the lock of.
    journal: Option<Identity>,
    read_to: u64,
    registered_at: Option<Time>,
    logbook: Logbook,
    now: Time,
}

/// What is about to be done; the journal's lock is held from `LockShared` on, the own seat from `ClaimSeat` on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    OpenDirectory {
        made: bool,
    },
    MakeDirectory,
    InspectDirectory,
    IdentifyFileSystem,
    LockDirectory,
    AwaitDirectory,
    OpenJournal,
    LockExclusive,
    InspectJournal {
        alone: bool,
    },
    CompareLeftover(Identity),
    ReadLeftover(Box<Leftover>),
    OpenNext {
        term: u64,
    },
    InspectNext {
        term: u64,
    },
    ReadNext {
        term: u64,
        size: u64,
    },
    LockNext {
        term: u64,
        attempt: Attempt,
    },
    ReplaceJournal,
    ListSeats,
    RemoveSeat(Name, Vec<Name>),
    LockShared(Identity),
    AwaitCleaning(Identity),
    CompareJournal(Identity),
    StartOver,
    OpenSeat,
    InspectSeat,
    ClaimSeat,
    ReadJournal,
    Append {
        kind: Kind,
        term: u64,
        attempt: Attempt,
    },
    AwaitRegistrations(Time),
    OpenRival(InstanceId),
    ProbeRival(InstanceId),
    CloseRival,
    /// A call failed, and is made again where something of it may have changed.
    AwaitRetry(Fault),
    Settled,
    Release,
    Ended,
}

/// How far the append of a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Attempt {
    First,
    /// So many bytes of it were written: fill them up to a whole record, which restores the alignment.
    Realign(usize),
    Second,
}

/// What comes of an attempt.
enum Outcome {
    Whole,
    Again(Attempt),
    Short,
}

impl Attempt {
    /// What comes of it where so many bytes were written.
    fn wrote(self, written: usize) -> Outcome {
        match self {
            Self::First | Self::Second if written == RECORD_BYTES => Outcome::Whole,
            Self::First => Outcome::Again(Self::Realign(written)),
            Self::Realign(before) if written == filler(before).len() => Outcome::Again(Self::Second),
            Self::Realign(_) | Self::Second => Outcome::Short,
        }
    }

    fn bytes(self, record: impl FnOnce() -> Record) -> Arc<[u8]> {
        match self {
            Self::First | Self::Second => record().encode().as_slice().into(),
            Self::Realign(written) => filler(written).into(),
        }
    }
}

impl Machine {
    /// An instance that has done nothing yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let logbook = Logbook::new(setup.log.clone());
        Self {
            setup: Arc::new(setup),
            phase: Phase::OpenDirectory { made: false },
            role: Role::Undecided,
            fold: Fold::default(),
            journal: None,
            read_to: 0,
            registered_at: None,
            logbook,
            now: Time::default(),
        }
    }

    /// What it is, as far as it knows. Primary from the reply that shows it until [`Machine::leave`] or a fault.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// What it has read of the journal.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// What it was given.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The latest moment that it was told.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Its part in realtime.log.
    #[must_use]
    pub fn logbook(&self) -> &Logbook {
        &self.logbook
    }

    /// Takes an event: written at once where this instance is primary, else kept until it is or until another wrote it.
    pub fn deliver(&mut self, event: &Event) {
        let id = EventId::of(&event.id);
        if self.logbook.is_new(&id) {
            self.deliver_new(id, &event.payload);
        }
    }

    /// Takes an event that is new to the logbook.
    pub(crate) fn deliver_new(&mut self, id: EventId<&str>, payload: &str) {
        if !matches!(self.phase, Phase::Release | Phase::Ended) {
            self.logbook.deliver(id, payload, self.fold.term(), &self.setup.id);
        }
    }

    /// Has what went wrong with realtime.log tried again, as [`Machine::wake`] does.
    pub fn try_log_again(&mut self) {
        self.logbook.try_again();
    }

    /// Has the events that are pending looked for in realtime.log, however few there are.
    pub(crate) fn look_for_pending(&mut self) {
        self.logbook.look_for_pending();
    }

    /// Whether what it wants next is one of many calls that may as well be made later: whoever reads the journal or is at
    /// realtime.log keeps nobody waiting. Who begins a journal anew does.
    pub(crate) fn may_go_on_later(&self) -> bool {
        matches!(self.phase, Phase::ReadJournal | Phase::Settled)
    }

    /// What keeps it from going on, where it registered and a call failed since: a full disk, say. It goes on as soon as that is
    /// over: with each [`Machine::wake`] it tries again.
    #[must_use]
    pub fn setback(&self) -> Option<&Fault> {
        match &self.phase {
            Phase::AwaitRetry(fault) => Some(fault),
            _ => None,
        }
    }

    /// Stops being primary, at once, and leaves with the calls that follow.
    pub fn leave(&mut self) {
        if matches!(self.phase, Phase::Release | Phase::Ended) {
            return;
        }
        // The role goes before the seat does: whoever finds the seat empty may become primary.
        self.role = Role::Left;
        self.phase = if self.registered_at.is_some() {
            Phase::Append { kind: Kind::Leave, term: self.fold.term(), attempt: Attempt::First }
        } else {
            Phase::Release
        };
    }

    /// Ends a wait: looks again at what was waited for.
    pub fn wake(&mut self, now: Time) {
        self.now = now;
        self.logbook.try_again();
        match &self.phase {
            Phase::AwaitDirectory => self.phase = Phase::LockDirectory,
            Phase::AwaitCleaning(journal) => self.phase = Phase::LockShared(*journal),
            Phase::AwaitRegistrations(_) | Phase::AwaitRetry(_) => self.phase = Phase::ReadJournal,
            Phase::Settled => {
                // Before the log: whatever state that is in, somebody takes over.
                if let Role::Secondary { primary, .. } = &self.role {
                    self.phase = Phase::ProbeRival(primary.clone());
                }
            }
            _ => {}
        }
    }

    /// What it wants next. Asking changes nothing.
    #[must_use]
    pub fn next(&self) -> Step {
        Step::Call(match &self.phase {
            Phase::OpenDirectory { .. } => open(Handle::DIRECTORY, Name::Directory, Access::Directory),
            Phase::MakeDirectory => Call::MakeDirectory,
            Phase::InspectDirectory => Call::Inspect(Handle::DIRECTORY),
            Phase::IdentifyFileSystem => Call::FileSystem(Handle::DIRECTORY),
            Phase::LockDirectory => Call::Lock(Handle::DIRECTORY, Mode::Shared),
            Phase::OpenJournal => open(Handle::JOURNAL, Name::Journal, Access::Append),
            Phase::LockExclusive => Call::Lock(Handle::JOURNAL, Mode::Exclusive),
            Phase::InspectJournal { .. } => Call::Inspect(Handle::JOURNAL),
            Phase::CompareLeftover(_) => Call::LookByPath(Name::Journal),
            Phase::ReadLeftover(leftover) => read_journal(leftover.offset()),
            Phase::OpenNext { .. } => open(Handle::NEXT_JOURNAL, Name::NextJournal, Access::Append),
            Phase::InspectNext { .. } => Call::Inspect(Handle::NEXT_JOURNAL),
            Phase::ReadNext { .. } => Call::Read { handle: Handle::NEXT_JOURNAL, offset: 0, length: READ_BYTES },
            Phase::LockNext { .. } => Call::Lock(Handle::NEXT_JOURNAL, Mode::Exclusive),
            Phase::ReplaceJournal => Call::Rename(Name::NextJournal, Name::Journal),
            Phase::ListSeats => Call::List,
            Phase::RemoveSeat(seat, _) => Call::Remove(seat.clone()),
            Phase::LockShared(_) => Call::Lock(Handle::JOURNAL, Mode::Shared),
            Phase::AwaitDirectory | Phase::AwaitCleaning(_) => return Step::Wait(Wait::Cleaning),
            Phase::CompareJournal(_) => Call::LookByPath(Name::Journal),
            Phase::StartOver => Call::CloseAll,
            Phase::OpenSeat => open(Handle::SEAT, Name::Seat(self.setup.id.clone()), Access::Append),
            Phase::InspectSeat => Call::Inspect(Handle::SEAT),
            Phase::ClaimSeat => Call::Lock(Handle::SEAT, Mode::Exclusive),
            Phase::ReadJournal => read_journal(self.read_to),
            Phase::Append { kind, term, attempt } => {
                let handle = if *kind == Kind::Begin { Handle::NEXT_JOURNAL } else { Handle::JOURNAL };
                Call::Append { handle, bytes: attempt.bytes(|| self.record(*kind, *term)) }
            }
            Phase::AwaitRetry(_) => return Step::Wait(Wait::Retry),
            Phase::AwaitRegistrations(until) => return Step::Wait(Wait::Registrations { until: *until }),
            Phase::OpenRival(primary) => open(Handle::RIVAL, Name::Seat(primary.clone()), Access::Read),
            Phase::ProbeRival(_) => Call::Lock(Handle::RIVAL, Mode::Shared),
            Phase::CloseRival => Call::Close(Handle::RIVAL),
            Phase::Settled => {
                match (&self.role, self.logbook.next(&member(&self.role, &self.setup, self.journal, self.read_to))) {
                    (_, Some(call)) => call,
                    (Role::Secondary { primary, .. }, None) => return Step::Wait(Wait::Vacancy(primary.clone())),
                    (_, None) => return Step::Wait(Wait::Nothing),
                }
            }
            Phase::Release => Call::CloseAll,
            Phase::Ended => return Step::Ended,
        })
    }

    /// Takes the reply to the call that [`Machine::next`] asked for, and the time it came at, which only matters where
    /// [`Call::is_timed`].
    pub fn reply(&mut self, reply: Reply, now: Time) {
        self.now = now;
        let advanced = if matches!(self.phase, Phase::Settled) {
            let member = member(&self.role, &self.setup, self.journal, self.read_to);
            self.logbook.reply(&member, reply)
        } else {
            let phase = std::mem::replace(&mut self.phase, Phase::Ended);
            self.advance(phase, reply).map(|next| self.phase = next)
        };
        if let Err(fault) = advanced {
            if self.role != Role::Left {
                self.role = Role::Failed(fault);
            }
            self.phase = Phase::Release;
        }
    }

    fn advance(&mut self, phase: Phase, reply: Reply) -> Result<Phase, Fault> {
        Ok(match (phase, reply) {
            (Phase::OpenDirectory { .. }, Reply::Done) => Phase::InspectDirectory,
            (Phase::OpenDirectory { made: false }, Reply::Missing) => Phase::MakeDirectory,
            (Phase::MakeDirectory, Reply::Done | Reply::Exists) => Phase::OpenDirectory { made: true },
            (Phase::MakeDirectory, Reply::Missing) => return Err(fault(Name::Directory, "mkdir", Cause::NoDirectory)),
            (Phase::InspectDirectory, Reply::Status(status)) => {
                admit(&Name::Directory, FileKind::Directory, &status)?;
                if self.setup.allow_any_file_system { Phase::LockDirectory } else { Phase::IdentifyFileSystem }
            }
            (Phase::IdentifyFileSystem, Reply::FileSystem(file_system)) => match file_system.refused() {
                Some(refused) => return Err(fault(Name::Directory, "fstatfs", Cause::FileSystem(refused))),
                None => Phase::LockDirectory,
            },
            (Phase::LockDirectory, Reply::Done) => Phase::OpenJournal,
            (Phase::LockDirectory, Reply::Busy) => Phase::AwaitDirectory,

            (Phase::OpenJournal, Reply::Done) => Phase::LockExclusive,
            (Phase::LockExclusive, Reply::Done) => Phase::InspectJournal { alone: true },
            (Phase::LockExclusive, Reply::Busy) => Phase::InspectJournal { alone: false },
            (Phase::InspectJournal { alone }, Reply::Status(status)) => {
                admit(&Name::Journal, FileKind::Regular, &status)?;
                if alone && status.size > 0 {
                    Phase::CompareLeftover(status.identity)
                } else {
                    Phase::LockShared(status.identity)
                }
            }
            (Phase::CompareLeftover(journal), Reply::Status(status)) if status.identity == journal => {
                Phase::ReadLeftover(Box::new(Leftover::new(journal)))
            }
            (Phase::ReadLeftover(mut leftover), Reply::Bytes(bytes)) => {
                leftover.read(&bytes).map_err(|cause| fault(Name::Journal, "read", cause))?;
                if bytes.len() == READ_BYTES {
                    Phase::ReadLeftover(leftover)
                } else if leftover.has_just_begun() {
                    Phase::LockShared(leftover.journal())
                } else {
                    Phase::OpenNext { term: leftover.next_term() }
                }
            }
            // It may be there from one who died here: a record counts behind whatever that one left, if it was one of us.
            (Phase::OpenNext { term }, Reply::Done) => Phase::InspectNext { term },
            (Phase::InspectNext { term }, Reply::Status(status)) => {
                admit(&Name::NextJournal, FileKind::Regular, &status)?;
                if status.size > 0 {
                    Phase::ReadNext { term, size: status.size }
                } else {
                    Phase::LockNext { term, attempt: Attempt::First }
                }
            }
            (Phase::ReadNext { term, size }, Reply::Bytes(bytes)) => {
                leftover::is_ours(&bytes, 0).map_err(|cause| fault(Name::NextJournal, "read", cause))?;
                let attempt = match usize::try_from(size % RECORD_BYTES as u64) {
                    Ok(torn @ 1..) => Attempt::Realign(torn),
                    _ => Attempt::First,
                };
                Phase::LockNext { term, attempt }
            }
            (Phase::LockNext { term, attempt }, Reply::Done) => Phase::Append { kind: Kind::Begin, term, attempt },
            (Phase::ReplaceJournal, Reply::Done) => Phase::ListSeats,
            (Phase::ListSeats, Reply::Names(seats)) => remove_seats(seats),
            (Phase::RemoveSeat(_, rest), Reply::Done | Reply::Missing) => remove_seats(rest),
            // Where the lock was exclusive it is given up first, and may be lost to another who begins the journal anew.
            (Phase::LockShared(journal), Reply::Done) => Phase::CompareJournal(journal),
            (Phase::LockShared(journal), Reply::Busy) => Phase::AwaitCleaning(journal),
            (Phase::CompareJournal(journal), Reply::Status(status)) if status.identity == journal => {
                self.journal = Some(journal);
                Phase::OpenSeat
            }
            (Phase::CompareLeftover(_) | Phase::CompareJournal(_), Reply::Status(_) | Reply::Missing) => {
                Phase::StartOver
            }
            (Phase::StartOver, _) => Phase::OpenDirectory { made: false },

            (Phase::OpenSeat, Reply::Done) => Phase::InspectSeat,
            (Phase::InspectSeat, Reply::Status(status)) => {
                admit(&Name::Seat(self.setup.id.clone()), FileKind::Regular, &status)?;
                Phase::ClaimSeat
            }
            (Phase::ClaimSeat, Reply::Done) => Phase::ReadJournal,
            (Phase::ClaimSeat, Reply::Busy) => {
                return Err(fault(Name::Seat(self.setup.id.clone()), "flock", Cause::IdInUse));
            }

            (Phase::ReadJournal, Reply::Bytes(bytes)) => {
                if self.read_to == 0 && matches!(Origin::of(&bytes, 0), Origin::Foreign) {
                    return Err(fault(Name::Journal, "read", Cause::Foreign));
                }
                self.read_to += self.fold.read(&bytes) as u64;
                if self.fold.is_newer() {
                    return Err(fault(Name::Journal, "read", Cause::Newer));
                }
                if self.fold.is_older() {
                    return Err(fault(Name::Journal, "read", Cause::Older));
                }
                if bytes.len() == READ_BYTES { Phase::ReadJournal } else { self.decide()? }
            }
            (Phase::Append { kind, term, attempt }, Reply::Wrote(written)) => {
                self.appended(kind, term, attempt, written)?
            }
            // The departure is good manners: without its record, the others find the seat empty.
            (Phase::Append { kind: Kind::Leave, .. }, _) => Phase::Release,

            (Phase::OpenRival(primary), Reply::Done) => Phase::ProbeRival(primary),
            (Phase::OpenRival(primary), Reply::Missing) => {
                return Err(fault(Name::Seat(primary), "open", Cause::SeatMissing));
            }
            (Phase::ProbeRival(primary), Reply::Busy) => {
                self.role = Role::Secondary { term: self.fold.term(), primary };
                Phase::Settled
            }
            (Phase::ProbeRival(_), Reply::Done) => {
                self.role = Role::Undecided;
                Phase::CloseRival
            }
            (Phase::CloseRival, _) => append(Kind::Depose, self.fold.term()),

            (Phase::Release, _) => Phase::Ended,
            (phase, reply) => {
                let is_retried = matches!(reply, Reply::Failed(_)) && self.is_retried(&phase);
                self.phase = phase;
                let fault = self.unexpected(&reply);
                if is_retried { Phase::AwaitRetry(fault) } else { return Err(fault) }
            }
        })
    }

    /// Whether a call that fails is made again: once this instance is in the journal, it is needed as long as it lives. Nothing
    /// is lost by it, since it is not primary, and reads the journal again before it does anything else.
    fn is_retried(&self, phase: &Phase) -> bool {
        self.registered_at.is_some()
            && matches!(
                phase,
                Phase::ReadJournal
                    | Phase::Append { kind: Kind::Seal | Kind::Depose, .. }
                    | Phase::OpenRival(_)
                    | Phase::ProbeRival(_)
            )
    }

    /// What follows from the journal, read to its end.
    fn decide(&mut self) -> Result<Phase, Fault> {
        let id = &self.setup.id;
        let Some(registered_at) = self.registered_at else {
            return if self.fold.knows(id) {
                Err(fault(Name::Journal, "read", Cause::IdUsed))
            } else {
                Ok(append(Kind::Register, self.fold.term()))
            };
        };
        if !self.fold.is_candidate(id) {
            let cause = if self.fold.knows(id) { Cause::Deposed } else { Cause::Lost };
            return Err(fault(Name::Journal, "read", cause));
        }
        Ok(match self.fold.primary() {
            None => self.close_or_await(registered_at),
            Some(primary) if primary == id => {
                self.role = Role::Primary { term: self.fold.term() };
                self.logbook.begin_writing();
                Phase::Settled
            }
            Some(primary) => Phase::OpenRival(primary.clone()),
        })
    }

    /// In an open term: seal it where nothing more is to be waited for.
    fn close_or_await(&self, registered_at: Time) -> Phase {
        // Another's clock may run ahead of ours, in a time namespace of its own: our own registration bounds the wait.
        let until = self.fold.opened_at().map_or(registered_at, |at| at.min(registered_at)).after(self.setup.window);
        let complete = self.setup.expect.is_some_and(|expected| self.fold.registered_count() >= expected);
        if !self.fold.is_first() || complete || self.now >= until {
            append(Kind::Seal, self.fold.term())
        } else {
            Phase::AwaitRegistrations(until)
        }
    }

    fn appended(&mut self, kind: Kind, term: u64, attempt: Attempt, written: usize) -> Result<Phase, Fault> {
        let phase = Phase::Append { kind, term, attempt };
        Ok(match attempt.wrote(written) {
            Outcome::Whole => self.follow(kind),
            Outcome::Again(attempt) => Phase::Append { kind, term, attempt },
            Outcome::Short if kind == Kind::Leave => Phase::Release,
            Outcome::Short if self.is_retried(&phase) => Phase::AwaitRetry(fault(Name::Journal, "write", Cause::Short)),
            Outcome::Short if kind == Kind::Begin => return Err(fault(Name::NextJournal, "write", Cause::Short)),
            Outcome::Short => return Err(fault(Name::Journal, "write", Cause::Short)),
        })
    }

    /// What comes after a record is in the journal. A seal may be appended without another look: it counts only for the
    /// term it names, and only while that is open.
    fn follow(&mut self, kind: Kind) -> Phase {
        match kind {
            Kind::Register => {
                self.registered_at = Some(self.now);
                if self.fold.primary().is_none() && (self.setup.window.is_zero() || !self.fold.is_first()) {
                    append(Kind::Seal, self.fold.term())
                } else {
                    Phase::ReadJournal
                }
            }
            Kind::Depose => append(Kind::Seal, self.fold.term() + 1),
            Kind::Seal => Phase::ReadJournal,
            Kind::Leave => Phase::Release,
            Kind::Begin => Phase::ReplaceJournal,
        }
    }

    fn record(&self, kind: Kind, term: u64) -> Record {
        Record { kind, term, id: self.setup.id.clone(), at: self.now }
    }

    /// A reply that no step expects: most often a failure.
    fn unexpected(&self, reply: &Reply) -> Fault {
        match self.next() {
            Step::Call(call) => refusal::of_reply(&call, reply, &self.setup.id, self.fold.primary()),
            Step::Wait(_) | Step::Ended => fault(Name::Directory, "reply", Cause::Unexpected),
        }
    }
}

/// Whoever is primary writes to realtime.log.
fn member<'a>(role: &Role, setup: &'a Setup, journal: Option<Identity>, journal_bytes: u64) -> Member<'a> {
    let writes = if let Role::Primary { term } = *role { Some(term) } else { None };
    Member { id: &setup.id, writes, journal, journal_bytes }
}

fn open(handle: Handle, name: Name, access: Access) -> Call {
    Call::Open { handle, name, access }
}

fn read_journal(offset: u64) -> Call {
    Call::Read { handle: Handle::JOURNAL, offset, length: READ_BYTES }
}

fn append(kind: Kind, term: u64) -> Phase {
    Phase::Append { kind, term, attempt: Attempt::First }
}

fn remove_seats(mut seats: Vec<Name>) -> Phase {
    match seats.pop() {
        Some(seat) => Phase::RemoveSeat(seat, seats),
        None => Phase::StartOver,
    }
}

/// What makes a record that came short whole again, as far as its length goes.
fn filler(written: usize) -> Vec<u8> {
    let mut bytes = vec![b' '; RECORD_BYTES - written];
    if let Some(last) = bytes.last_mut() {
        *last = b'\n';
    }
    bytes
}
