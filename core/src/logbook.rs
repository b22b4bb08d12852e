//! realtime.log: one entry per event, over every change of primary.
//!
//! Every instance keeps the events that it receives; the primary writes those that are not in the log yet. A new primary
//! first reads what its predecessors wrote and repairs a tail that one of them tore. Only a primary writes, and none is
//! primary before its predecessor's seat is empty, so that what it reads is final.

use std::sync::Arc;

use crate::call::{Access, Call, FileKind, Handle, Name, Reply};
use crate::entry::{Scanner, TornTail};
use crate::error::{Cause, Fault};
use crate::event_ids::{EventId, EventIds};
use crate::id::InstanceId;
use crate::pending::{Pending, PendingEvent};
use crate::refusal::admit;

/// How much of the log is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Something that happened and is to have exactly one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// What all instances call it.
    pub id: Arc<str>,
    /// One JSON value, on one line.
    pub payload: Arc<str>,
}

/// What is done with realtime.log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogOptions {
    /// From this size on, in bytes, the log is renamed and a new one begun.
    pub rotate_bytes: u64,
    /// How many logs are kept beside the current one; at least one, which is looked through for entries as well.
    pub rotate_keep: u8,
    /// Whether every entry is followed by fdatasync(2), to survive a power loss.
    pub durable: bool,
    /// A secondary with at least so many pending events looks for them in the log, to forget those that are there.
    pub trim_pending: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { rotate_bytes: 16 << 20, rotate_keep: 3, durable: false, trim_pending: 256 }
    }
}

/// In whose name entries are written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) id: &'a InstanceId,
    pub(crate) term: u64,
    /// How much of the journal has been read: it cannot have become shorter.
    pub(crate) journal_bytes: u64,
}

/// One instance's part in realtime.log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Logbook {
    options: LogOptions,
    pending: Pending,
    known: EventIds,
    known_before: EventIds,
    phase: Phase,
    size: u64,
    trim_at: usize,
    fault: Option<Fault>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Closed,
    ReadPrevious(Scanner),
    ClosePrevious,
    OpenCurrent,
    InspectCurrent,
    ReadCurrent(Scanner),
    Repair(TornTail),
    Ready,
    Write { line: Arc<[u8]>, written: usize },
    Sync,
    TakeBack,
    CloseAfterFault,
    CloseToRotate,
    Rotate(u32),
    Reopen,
    CloseAfterTrim,
}

impl Logbook {
    pub(crate) fn new(options: LogOptions) -> Self {
        Self {
            trim_at: options.trim_pending.max(1),
            options,
            pending: Pending::default(),
            known: EventIds::default(),
            known_before: EventIds::default(),
            phase: Phase::Closed,
            size: 0,
            fault: None,
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

    /// Whether the event neither waits for its entry nor is known to have it.
    pub(crate) fn is_new(&self, id: &EventId<&str>) -> bool {
        !self.known.contains(id) && !self.known_before.contains(id) && !self.pending.contains(id)
    }

    /// Takes in an event that is new, which its line most likely says to have come in that term.
    pub(crate) fn deliver(&mut self, id: EventId<&str>, payload: &str, term: u64, instance: &InstanceId) {
        self.pending.push(PendingEvent::new(id, payload, term, instance));
    }

    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// What is to be done about the log, if anything; without a writer, only looking.
    pub(crate) fn next(&self, writer: Option<&Writer<'_>>) -> Option<Call> {
        Some(match &self.phase {
            Phase::Closed | Phase::Ready => {
                let wanted = if writer.is_some() { 1 } else { self.trim_at };
                if self.pending.len() < wanted || self.fault.is_some() {
                    return None;
                }
                if self.phase == Phase::Ready {
                    Call::Inspect(Handle::JOURNAL)
                } else {
                    open(Name::Log(1), Access::Read)
                }
            }
            Phase::ReadPrevious(scanner) | Phase::ReadCurrent(scanner) => {
                Call::Read { handle: Handle::LOG, offset: scanner.offset(), length: READ_BYTES }
            }
            Phase::ClosePrevious | Phase::CloseAfterTrim | Phase::CloseToRotate | Phase::CloseAfterFault => {
                Call::Close(Handle::LOG)
            }
            Phase::OpenCurrent => open(Name::Log(0), if writer.is_some() { Access::Append } else { Access::Read }),
            Phase::InspectCurrent => Call::Inspect(Handle::LOG),
            Phase::Repair(TornTail::Ours { start }) => Call::Truncate { handle: Handle::LOG, size: *start },
            Phase::Repair(TornTail::Foreign) => Call::Append { handle: Handle::LOG, bytes: b"\n".as_slice().into() },
            Phase::Write { line, written: 0 } => Call::Append { handle: Handle::LOG, bytes: line.clone() },
            Phase::Write { line, written } => Call::Append { handle: Handle::LOG, bytes: line[*written..].into() },
            Phase::Sync => Call::Sync(Handle::LOG),
            Phase::TakeBack => Call::Truncate { handle: Handle::LOG, size: self.size },
            Phase::Rotate(from) => Call::Rename(Name::Log(*from), Name::Log(from + 1)),
            Phase::Reopen => open(Name::Log(0), Access::Append),
        })
    }

    /// Takes a reply. An error is one that ends the instance; a fault of the log alone is kept for the caller.
    pub(crate) fn reply(&mut self, writer: Option<&Writer<'_>>, reply: Reply) -> Result<(), Fault> {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        self.phase = match (phase, reply) {
            (Phase::Closed, Reply::Done) => {
                self.known.clear();
                Phase::ReadPrevious(Scanner::default())
            }
            (Phase::Closed, Reply::Missing) => {
                self.known.clear();
                Phase::OpenCurrent
            }
            (Phase::ReadPrevious(mut scanner), Reply::Bytes(bytes)) => {
                scanner.read(&bytes, &mut self.known);
                if bytes.len() == READ_BYTES { Phase::ReadPrevious(scanner) } else { Phase::ClosePrevious }
            }
            (Phase::ClosePrevious, _) => Phase::OpenCurrent,
            (Phase::OpenCurrent, Reply::Done) => {
                self.known_before = std::mem::take(&mut self.known);
                Phase::InspectCurrent
            }
            // A secondary that looks for its events before there is a log: none of them is in it.
            (Phase::OpenCurrent, Reply::Missing) => self.looked(writer),
            (Phase::InspectCurrent, Reply::Status(status)) => match admit(&Name::Log(0), FileKind::Regular, &status) {
                Ok(()) => Phase::ReadCurrent(Scanner::default()),
                Err(fault) => self.failed(fault),
            },
            (Phase::ReadCurrent(mut scanner), Reply::Bytes(bytes)) => {
                scanner.read(&bytes, &mut self.known);
                if bytes.len() == READ_BYTES {
                    Phase::ReadCurrent(scanner)
                } else {
                    self.size = scanner.offset();
                    match scanner.torn_tail() {
                        Some(torn) if writer.is_some() => Phase::Repair(torn),
                        _ => self.looked(writer),
                    }
                }
            }
            (Phase::Repair(TornTail::Ours { start }), Reply::Done) => {
                self.size = start;
                self.looked(writer)
            }
            (Phase::Repair(TornTail::Foreign), Reply::Wrote(1)) => {
                self.size += 1;
                self.looked(writer)
            }
            (Phase::CloseAfterTrim | Phase::CloseAfterFault, _) => Phase::Closed,

            (Phase::Ready, Reply::Status(journal)) => {
                let cause = if journal.links == 0 {
                    Cause::JournalRemoved
                } else if writer.is_some_and(|writer| journal.size < writer.journal_bytes) {
                    Cause::Lost
                } else {
                    self.phase = self.write(writer);
                    return Ok(());
                };
                return Err(Fault { name: Name::Journal, call: "fstat", cause });
            }
            (Phase::Write { line, written }, Reply::Wrote(more)) if more > 0 => {
                let written = written + more;
                if written < line.len() {
                    Phase::Write { line, written }
                } else {
                    self.size += written as u64;
                    if self.options.durable { Phase::Sync } else { self.wrote() }
                }
            }
            (Phase::Write { written, .. }, reply) => {
                self.fault = Some(unexpected(Name::Log(0), "write", &reply));
                if written > 0 { Phase::TakeBack } else { Phase::Ready }
            }
            (Phase::TakeBack, Reply::Done) => Phase::Ready,
            (Phase::Sync, Reply::Done) => self.wrote(),
            // Whether the entry survives a power loss is unknown, that it is in the log is not.
            (Phase::Sync, reply) => {
                self.fault = Some(unexpected(Name::Log(0), "fdatasync", &reply));
                self.wrote()
            }

            (Phase::CloseToRotate, _) => Phase::Rotate(u32::from(self.options.rotate_keep.max(1)) - 1),
            (Phase::Rotate(0), Reply::Done | Reply::Missing) => {
                self.known_before = std::mem::take(&mut self.known);
                Phase::Reopen
            }
            (Phase::Rotate(from), Reply::Done | Reply::Missing) => Phase::Rotate(from - 1),
            (Phase::Reopen, Reply::Done) => {
                self.size = 0;
                Phase::Ready
            }
            (
                Phase::ReadPrevious(_)
                | Phase::ReadCurrent(_)
                | Phase::Repair(_)
                | Phase::TakeBack
                | Phase::InspectCurrent,
                reply,
            ) => self.failed(unexpected(Name::Log(0), "read or repair", &reply)),
            (Phase::Rotate(from), reply) => {
                self.fault = Some(unexpected(Name::Log(from), "rename", &reply));
                Phase::Closed
            }
            (Phase::Closed, reply) => {
                self.fault = Some(unexpected(Name::Log(1), "open", &reply));
                Phase::Closed
            }
            (Phase::OpenCurrent | Phase::Reopen, reply) => {
                self.fault = Some(unexpected(Name::Log(0), "open", &reply));
                Phase::Closed
            }
            (Phase::Ready, reply) => return Err(unexpected(Name::Journal, "fstat", &reply)),
        };
        Ok(())
    }

    /// The log has been read to its end.
    fn looked(&mut self, writer: Option<&Writer<'_>>) -> Phase {
        let (known, known_before) = (&self.known, &self.known_before);
        self.pending.retain(|id| !known.contains(&id.as_ref()) && !known_before.contains(&id.as_ref()));
        if writer.is_some() {
            Phase::Ready
        } else {
            // The next look waits until it pays: until there is as much to forget as there is to read or is left over.
            self.trim_at = self.options.trim_pending.max(self.known.len() / 4).max(2 * self.pending.len()).max(1);
            Phase::CloseAfterTrim
        }
    }

    fn write(&self, writer: Option<&Writer<'_>>) -> Phase {
        match (self.pending.front(), writer) {
            (Some(event), Some(writer)) => Phase::Write { line: event.line(writer.term, writer.id), written: 0 },
            _ => Phase::Ready,
        }
    }

    /// The entry of the first pending event is in the log.
    fn wrote(&mut self) -> Phase {
        if let Some(event) = self.pending.pop() {
            self.known.insert_new(&event.id().as_ref());
        }
        if self.size >= self.options.rotate_bytes { Phase::CloseToRotate } else { Phase::Ready }
    }

    fn failed(&mut self, fault: Fault) -> Phase {
        self.fault = Some(fault);
        Phase::CloseAfterFault
    }
}

fn open(name: Name, access: Access) -> Call {
    Call::Open { handle: Handle::LOG, name, access }
}

fn unexpected(name: Name, call: &'static str, reply: &Reply) -> Fault {
    Fault { name, call, cause: Cause::of(reply) }
}
