//! What is asked of the log, call by call, and what follows from the replies.

use std::sync::Arc;

use crate::call::{Access, Call, FileKind, Handle, Identity, Name, Reply, Status};
use crate::error::{Cause, Fault};
use crate::logbook::rotation::{Oldest, Rotated};
use crate::logbook::{Current, Logbook, Member};
use crate::refusal::{self, admit};
use crate::scanner::Scanner;

/// How much of the log is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// What the current log was before the numbered ones were listed: nothing, or a file of that size.
type Before = Option<(Identity, u64)>;

/// What is about to be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    Closed,
    /// The current log is open, and known.
    Open,
    LookAtLog {
        is_open: bool,
    },
    ListRotated(Before),
    OpenRotated(Before, usize),
    InspectRotated(Before, usize),
    ReadRotated(Before, usize, Scanner),
    SyncRotated(Before, usize),
    CloseRotated(Before, usize),
    OpenCurrent {
        before: Before,
        read_to: u64,
    },
    InspectCurrent {
        before: Before,
        read_to: u64,
    },
    SyncNames {
        read_to: u64,
    },
    ReadCurrent(Scanner),
    SyncCurrent(Scanner),
    EndForeignLine,
    /// What is missing of the first pending event's line, so many bytes of which are there.
    Write {
        rest: Arc<[u8]>,
        torn: u64,
    },
    SyncEntry {
        bytes: u64,
    },
    Rotate(u32),
    CloseToRotate,
    Prune(Oldest),
    Close,
}

impl Logbook {
    pub(super) fn call(&self, member: &Member<'_>) -> Call {
        match &self.phase {
            Phase::Closed | Phase::Open => Call::LookByPath(Name::Journal),
            Phase::LookAtLog { .. } => Call::Look(Name::Log(0)),
            Phase::ListRotated(_) => Call::ListLogs,
            Phase::OpenRotated(_, at) => open(Name::Log(self.rotated.number(*at)), Access::Read),
            Phase::InspectRotated(..) | Phase::InspectCurrent { .. } => Call::Inspect(Handle::LOG),
            Phase::ReadRotated(_, _, scanner) | Phase::ReadCurrent(scanner) => {
                Call::Read { handle: Handle::LOG, offset: scanner.offset(), length: READ_BYTES }
            }
            Phase::SyncRotated(..) | Phase::SyncCurrent(_) | Phase::SyncEntry { .. } => Call::Sync(Handle::LOG),
            Phase::CloseRotated(..) | Phase::CloseToRotate | Phase::Close => Call::Close(Handle::LOG),
            Phase::OpenCurrent { .. } => {
                open(Name::Log(0), if member.writes.is_some() { Access::Append } else { Access::Read })
            }
            Phase::SyncNames { .. } => Call::SyncLogDirectory,
            Phase::EndForeignLine => Call::Append { handle: Handle::LOG, bytes: b"\n".as_slice().into() },
            Phase::Write { rest, .. } => Call::Append { handle: Handle::LOG, bytes: rest.clone() },
            Phase::Rotate(number) => Call::RenameNew(Name::Log(0), Name::Log(*number)),
            Phase::Prune(step) => self.rotated.call(*step),
        }
    }

    /// Takes a reply. An error is one that ends the instance; a fault of the log alone is kept for the caller.
    pub(crate) fn reply(&mut self, member: &Member<'_>, reply: Reply) -> Result<(), Fault> {
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        self.phase = match (phase, reply) {
            (phase @ (Phase::Closed | Phase::Open), Reply::Status(journal)) => {
                if Some(journal.identity) != member.journal {
                    return Err(refusal::fault(Name::Journal, "lstat", Cause::JournalRemoved));
                }
                if journal.size < member.journal_bytes {
                    return Err(refusal::fault(Name::Journal, "lstat", Cause::Lost));
                }
                Phase::LookAtLog { is_open: phase == Phase::Open }
            }
            (Phase::Closed | Phase::Open, Reply::Missing) => {
                return Err(refusal::fault(Name::Journal, "lstat", Cause::JournalRemoved));
            }
            (Phase::LookAtLog { is_open }, Reply::Status(status)) => self.compare(is_open, &status, member),
            (Phase::LookAtLog { is_open }, Reply::Missing) => self.look_anew(is_open, None),

            (Phase::ListRotated(before), Reply::Names(names)) => {
                self.known.clear();
                self.known_before.clear();
                self.found.clear();
                self.rotated = Rotated::new(names);
                self.open_rotated(before, 0)
            }
            (Phase::OpenRotated(before, at), Reply::Done) => Phase::InspectRotated(before, at),
            (Phase::OpenRotated(before, at), Reply::Missing) => self.open_rotated(before, at + 1),
            (Phase::InspectRotated(before, at), Reply::Status(status)) => {
                match admit(&Name::Log(self.rotated.number(at)), FileKind::Regular, &status) {
                    Ok(()) => {
                        self.known_before = std::mem::take(&mut self.known);
                        Phase::ReadRotated(before, at, Scanner::default())
                    }
                    Err(fault) => self.failed(fault, Phase::Close),
                }
            }
            (Phase::ReadRotated(before, at, mut scanner), Reply::Bytes(bytes)) => {
                self.read(&mut scanner, &bytes);
                if bytes.len() == READ_BYTES {
                    Phase::ReadRotated(before, at, scanner)
                } else if self.options.durable {
                    Phase::SyncRotated(before, at)
                } else {
                    self.forget_found();
                    Phase::CloseRotated(before, at)
                }
            }
            (Phase::SyncRotated(before, at), Reply::Done) => {
                self.forget_found();
                Phase::CloseRotated(before, at)
            }
            (Phase::CloseRotated(before, at), _) => self.open_rotated(before, at + 1),

            (Phase::OpenCurrent { before, read_to }, Reply::Done) => Phase::InspectCurrent { before, read_to },
            // A secondary that looks for its events before there is a log: none of them is in it.
            (Phase::OpenCurrent { .. }, Reply::Missing) if member.writes.is_none() => self.looked(Phase::Closed),
            (Phase::InspectCurrent { before, read_to }, Reply::Status(status)) => {
                self.opened(before, read_to, &status, member)
            }
            (Phase::SyncNames { read_to }, Reply::Done) => Phase::ReadCurrent(Scanner::at(read_to)),
            (Phase::ReadCurrent(mut scanner), Reply::Bytes(bytes)) => {
                self.read(&mut scanner, &bytes);
                if bytes.len() == READ_BYTES {
                    Phase::ReadCurrent(scanner)
                } else if self.options.durable {
                    Phase::SyncCurrent(scanner)
                } else {
                    self.has_read(&scanner, member)
                }
            }
            (Phase::SyncCurrent(scanner), Reply::Done) => self.has_read(&scanner, member),
            // What was ended is read over once more, and found ended.
            (Phase::EndForeignLine, Reply::Wrote(1)) => Phase::Open,

            (Phase::Write { rest, torn }, Reply::Wrote(written)) if written == rest.len() => {
                let bytes = torn + rest.len() as u64;
                if self.options.durable { Phase::SyncEntry { bytes } } else { self.wrote(bytes) }
            }
            // The next look finds a torn line, and it is finished.
            (Phase::Write { .. }, Reply::Wrote(written)) if written > 0 => Phase::Open,
            (Phase::SyncEntry { bytes }, Reply::Done) => self.wrote(bytes),

            (Phase::Rotate(number), Reply::Done) => {
                self.rotated.push(number);
                self.current = None;
                Phase::CloseToRotate
            }
            (Phase::Rotate(number), Reply::Exists) if number < u32::MAX => Phase::Rotate(number + 1),
            (Phase::Rotate(_), Reply::Missing) => self.look_anew(true, None),
            (phase @ Phase::Rotate(_), reply) => {
                self.blemish = Some(self.fault_of(phase, member, &reply));
                self.write(member)
            }
            (Phase::CloseToRotate, _) => self.prune(),
            (phase @ Phase::Prune(step), reply) => {
                let removal_failed = step == Oldest::Remove && !matches!(reply, Reply::Done | Reply::Missing);
                if removal_failed {
                    self.blemish = Some(self.fault_of(phase, member, &reply));
                }
                match self.rotated.reply(step, reply) {
                    Some(step) => Phase::Prune(step),
                    None => self.prune(),
                }
            }
            (Phase::Close, _) => Phase::Closed,

            (phase, reply) => {
                let is_known = matches!(
                    phase,
                    Phase::Open
                        | Phase::LookAtLog { is_open: true }
                        | Phase::Write { .. }
                        | Phase::SyncEntry { .. }
                        | Phase::EndForeignLine
                );
                let goes_on = match phase {
                    Phase::Closed | Phase::LookAtLog { is_open: false } | Phase::ListRotated(_) => Phase::Closed,
                    _ if is_known => Phase::Open,
                    _ => Phase::Close,
                };
                let fault = self.fault_of(phase, member, &reply);
                self.failed(fault, goes_on)
            }
        };
        Ok(())
    }

    /// What lies behind the log's path, beside what is known of it.
    fn compare(&mut self, is_open: bool, status: &Status, member: &Member<'_>) -> Phase {
        if let Err(fault) = admit(&Name::Log(0), FileKind::Regular, status) {
            return self.failed(fault, if is_open { Phase::Open } else { Phase::Closed });
        }
        match self.current {
            Some(Current { identity, read_to, size }) if identity == status.identity && read_to <= status.size => {
                if !is_open {
                    Phase::OpenCurrent { before: Some((identity, status.size)), read_to }
                } else if size == status.size {
                    self.current = Some(Current { identity, read_to: size, size });
                    self.written = None;
                    self.go_on(member)
                } else {
                    self.take_back();
                    Phase::ReadCurrent(Scanner::at(read_to))
                }
            }
            _ => self.look_anew(is_open, Some((status.identity, status.size))),
        }
    }

    /// All logs are to be read, from the first on.
    fn look_anew(&mut self, is_open: bool, before: Before) -> Phase {
        self.take_back();
        self.current = None;
        if is_open { Phase::Close } else { Phase::ListRotated(before) }
    }

    /// The entry written last may not be where it was written to.
    fn take_back(&mut self) {
        if let Some(event) = self.written.take() {
            self.pending.push_front(event);
        }
    }

    fn open_rotated(&self, before: Before, at: usize) -> Phase {
        if at < self.rotated.len() { Phase::OpenRotated(before, at) } else { Phase::OpenCurrent { before, read_to: 0 } }
    }

    fn opened(&mut self, before: Before, read_to: u64, status: &Status, member: &Member<'_>) -> Phase {
        if let Err(fault) = admit(&Name::Log(0), FileKind::Regular, status) {
            return self.failed(fault, Phase::Close);
        }
        if before.is_some_and(|(identity, size)| identity != status.identity || size > status.size) {
            // Somebody renamed or cut it since.
            return self.look_anew(true, None);
        }
        if self.current.is_none() {
            self.known_before = std::mem::take(&mut self.known);
        }
        self.current = Some(Current { identity: status.identity, read_to, size: read_to });
        // Its predecessor may have died before the log's name was on the disk.
        if self.options.durable && member.writes.is_some() {
            Phase::SyncNames { read_to }
        } else {
            Phase::ReadCurrent(Scanner::at(read_to))
        }
    }

    fn read(&mut self, scanner: &mut Scanner, bytes: &[u8]) {
        let Self { pending, known, found, .. } = self;
        scanner.read(bytes, |event| {
            known.insert(event);
            if pending.contains(event) {
                found.insert(event);
            }
        });
    }

    /// What was found has its entry, for certain.
    fn forget_found(&mut self) {
        if self.found.len() > 0 {
            self.pending.retain(|id| !self.found.contains(&id.as_ref()));
            self.found.clear();
        }
    }

    /// The current log has been read to its end.
    fn has_read(&mut self, scanner: &Scanner, member: &Member<'_>) -> Phase {
        self.forget_found();
        let read_to = scanner.line_start();
        self.current = self.current.map(|current| Current { read_to, size: read_to, ..current });
        let Some(term) = member.writes else { return self.looked(Phase::Close) };
        if scanner.torn_bytes() == 0 {
            return self.go_on(member);
        }
        match scanner.fragment().and_then(|torn| self.pending.complete(torn, term, member.id)) {
            Some(rest) => Phase::Write { rest, torn: scanner.torn_bytes() },
            None => Phase::EndForeignLine,
        }
    }

    /// A secondary has looked for its events.
    fn looked(&mut self, phase: Phase) -> Phase {
        // The next look waits until it pays: what is left over may be what no primary has received.
        self.trim_pending = self.options.trim_pending.max(2 * self.pending.len()).max(1);
        self.trim_bytes = self.options.trim_bytes.max(2 * self.pending.bytes()).max(1);
        self.fault = None;
        phase
    }

    /// The log is known to its end, where a line starts.
    fn go_on(&mut self, member: &Member<'_>) -> Phase {
        let is_full = self.current.is_some_and(|current| current.size >= self.options.rotate_bytes);
        match self.rotated.next_number().filter(|_| is_full && self.pending.len() > 0) {
            Some(number) => Phase::Rotate(number),
            None => self.write(member),
        }
    }

    fn write(&mut self, member: &Member<'_>) -> Phase {
        if let (Some(event), Some(term)) = (self.pending.front(), member.writes) {
            Phase::Write { rest: event.line(term, member.id), torn: 0 }
        } else {
            self.fault = self.blemish.take();
            Phase::Open
        }
    }

    /// The entry of the first pending event is in the log, so many bytes of it.
    fn wrote(&mut self, bytes: u64) -> Phase {
        if let Some(event) = self.pending.pop() {
            self.known.insert(&event.id().as_ref());
            self.written = Some(event);
        }
        if let Some(current) = &mut self.current {
            current.size += bytes;
        }
        self.fault = self.blemish.take();
        Phase::Open
    }

    fn prune(&self) -> Phase {
        if self.rotated.len() > usize::from(self.options.rotate_keep.max(1)) {
            Phase::Prune(Oldest::Open)
        } else {
            Phase::OpenCurrent { before: None, read_to: 0 }
        }
    }

    fn failed(&mut self, fault: Fault, phase: Phase) -> Phase {
        self.fault = Some(fault);
        self.rests = true;
        self.found.clear();
        if phase != Phase::Open {
            self.current = None;
            if self.options.durable {
                // Of what was read, none is known to be on the disk.
                self.known.clear();
                self.known_before.clear();
            }
        }
        phase
    }

    fn fault_of(&mut self, phase: Phase, member: &Member<'_>, reply: &Reply) -> Fault {
        self.phase = phase;
        let call = self.call(member);
        let mut fault = refusal::of_reply(&call, reply, member.id, None);
        match &self.phase {
            Phase::InspectRotated(_, at) | Phase::ReadRotated(_, at, _) | Phase::SyncRotated(_, at) => {
                fault.name = Name::Log(self.rotated.number(*at));
            }
            Phase::ListRotated(_) | Phase::OpenCurrent { .. } if *reply == Reply::Missing => {
                fault.cause = Cause::NoDirectory;
            }
            _ => {}
        }
        fault
    }
}

fn open(name: Name, access: Access) -> Call {
    Call::Open { handle: Handle::LOG, name, access }
}
