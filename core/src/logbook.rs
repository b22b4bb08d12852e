//! realtime.log: one entry per event, over every change of primary.
//!
//! Every instance keeps the events that it receives; the primary writes those that are not in the log yet. Only a primary
//! writes, and none is primary before its predecessor's seat is empty, so that what a new primary reads is final.
//!
//! Why each event has one entry, in whatever way somebody dies or the disk fills up:
//! - Before each entry it is looked whether the journal's path and the log's still lead to the files that are known. Where
//!   the log is as it was left, what is known of it is all there is in it. Where it has grown, the rest is read first; where
//!   it is another file, shorter, or gone, all logs are read anew before anything is written.
//! - A new primary reads every numbered log, then the current one. Whoever renames the current one meanwhile is noticed: it
//!   is another file then, or a shorter one, than the one that was seen before the others were listed.
//! - A rotation is one rename, to a number above all others, that replaces nothing: an entry is at every moment in a file
//!   that the path or a number names.
//! - Nothing is cut off or overwritten. A line that its writer did not finish is finished by whoever has its event; one
//!   that nobody can finish gets a newline, and is none of ours.
//! - An entry that was written counts for certain once the next look finds the log grown by it and by nothing else. Until
//!   then its event is kept, to be written again if the log that it went to is nowhere to be found, or if somebody else's
//!   unfinished line came in between.
//! - With [`LogOptions::durable`] an entry counts once fdatasync(2) has succeeded after it. Where that fails, its event
//!   stays, and the next attempt reads what is there: an entry that is found is synced, not written again; one that has
//!   gone with its page is written anew. A later success proves only what the kernel still holds: what a file system kept
//!   in memory and no longer takes for unwritten is on the disk once something next to it is written. So the failure is
//!   told, and a program that must know stops there.
//!
//! A failure keeps nobody from being elected: it is told, and the next call that goes on with the election tries again.

mod options;
mod rotation;
mod steps;

use std::sync::Arc;

use crate::call::{Call, Identity};
use crate::error::Fault;
use crate::event_ids::{EventId, EventIds};
use crate::id::InstanceId;
use crate::logbook::rotation::Rotated;
use crate::logbook::steps::Phase;
use crate::pending::{Pending, PendingEvent};

pub use crate::logbook::options::LogOptions;

/// Something that happened and is to have exactly one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// What all instances call it.
    pub id: Arc<str>,
    /// One JSON value, on one line.
    pub payload: Arc<str>,
}

/// What the instance is that looks into the log.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) id: &'a InstanceId,
    /// Of which term it is primary, and so writes.
    pub(crate) writes: Option<u64>,
    /// Which file it has open as the journal.
    pub(crate) journal: Option<Identity>,
    /// How much of the journal it has read: it cannot have become shorter.
    pub(crate) journal_bytes: u64,
}

/// One instance's part in realtime.log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Logbook {
    options: LogOptions,
    pending: Pending,
    /// What has an entry in the current log, and in the one before it, as far as these were read.
    known: EventIds,
    known_before: EventIds,
    /// What is pending and has an entry in the log that is being read.
    found: EventIds,
    phase: Phase,
    current: Option<Current>,
    rotated: Rotated,
    /// The event whose entry was written since the last look.
    written: Option<PendingEvent>,
    trim_pending: usize,
    trim_bytes: u64,
    fault: Option<Fault>,
    /// What went wrong that keeps no entry from being written.
    blemish: Option<Fault>,
    /// Whether something went wrong since the caller last went on with the election.
    rests: bool,
}

/// What is known of the current log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Current {
    identity: Identity,
    /// Up to where it has been read; a line starts there.
    read_to: u64,
    /// How large it is if nobody but this instance has written to it since.
    size: u64,
}

impl Logbook {
    pub(crate) fn new(options: LogOptions) -> Self {
        Self {
            trim_pending: options.trim_pending.max(1),
            trim_bytes: options.trim_bytes.max(1),
            options,
            pending: Pending::default(),
            known: EventIds::default(),
            known_before: EventIds::default(),
            found: EventIds::default(),
            phase: Phase::Closed,
            current: None,
            rotated: Rotated::default(),
            written: None,
            fault: None,
            blemish: None,
            rests: false,
        }
    }

    /// How many events this instance has received and does not know to be in the log.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Whether the event waits for its entry.
    #[must_use]
    pub fn is_pending(&self, id: &str) -> bool {
        self.pending.len() > 0 && self.pending.contains(&EventId::of(id))
    }

    /// What went wrong with the log last, while it lasts.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether the event neither waits for its entry nor is known to have it.
    pub(crate) fn is_new(&self, id: &EventId<&str>) -> bool {
        !self.known.contains(id) && !self.known_before.contains(id) && !self.pending.contains(id)
    }

    /// Takes in an event that is new, which its line most likely says to have come in that term.
    pub(crate) fn deliver(&mut self, id: EventId<&str>, payload: &str, term: u64, instance: &InstanceId) {
        self.pending.push(PendingEvent::new(id, payload, term, instance));
    }

    /// Has what went wrong tried again.
    pub(crate) fn try_again(&mut self) {
        self.rests = false;
    }

    /// Has the pending events looked for, however few there are.
    pub(crate) fn look_for_pending(&mut self) {
        self.trim_pending = 1;
    }

    /// From here on this instance writes: what it has read so far may not have been final.
    pub(crate) fn begin_writing(&mut self) {
        self.current = None;
        self.found.clear();
        self.fault = None;
        self.try_again();
        if self.phase != Phase::Closed {
            self.phase = Phase::Close;
        }
    }

    /// What is to be done about the log, if anything.
    pub(crate) fn next(&self, member: &Member<'_>) -> Option<Call> {
        let is_idle = matches!(self.phase, Phase::Closed | Phase::Open);
        (!is_idle || !self.rests && self.has_work(member)).then(|| self.call(member))
    }

    fn has_work(&self, member: &Member<'_>) -> bool {
        if member.writes.is_some() {
            self.pending.len() > 0
        } else {
            self.pending.len() >= self.trim_pending || self.pending.bytes() >= self.trim_bytes
        }
    }
}
