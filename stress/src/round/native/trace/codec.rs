//! Entries as bytes, compact enough to be written at every system call.

use std::sync::Arc;

use single_primary::call::{Access, Call, Failure, FileKind, Handle, Identity, Mode, Name, Reply, Status, Time};
use single_primary::{FileSystem, InstanceId};

use super::Entry;

const CLOCK: u8 = 1;
const CALL: u8 = 2;
const REPLY: u8 = 3;
const DELIVER: u8 = 4;
const LEAVE: u8 = 5;
const LEFT: u8 = 6;
const VERDICT: u8 = 7;
const BELIEVE: u8 = 8;
const CEASE: u8 = 9;
const FAILED: u8 = 10;
const NOTE: u8 = 11;
const FAULT: u8 = 12;
const RECORDED: u8 = 13;
const OTHER: u8 = 14;

/// Appends the entry's payload, and returns its kind.
pub(super) fn encode(entry: &Entry, to: &mut Vec<u8>) -> u8 {
    match entry {
        Entry::Clock(time) => {
            number(to, time.as_micros());
            CLOCK
        }
        Entry::Call(call) => encode_call(call, to),
        Entry::Reply(reply) => encode_reply(reply, to),
        Entry::Deliver(event) => {
            number(to, (*event).into());
            DELIVER
        }
        Entry::Recorded(event) => {
            number(to, (*event).into());
            RECORDED
        }
        Entry::Leave => LEAVE,
        Entry::Left => LEFT,
        Entry::Verdict { primary } => {
            to.push((*primary).into());
            VERDICT
        }
        Entry::Believe { term } => {
            number(to, *term);
            BELIEVE
        }
        Entry::Cease => CEASE,
        Entry::Failed(why) => {
            to.extend(why.as_bytes());
            FAILED
        }
        Entry::Fault(kind) => {
            to.extend(kind.as_bytes());
            FAULT
        }
        Entry::Other(call) => {
            to.extend(call.as_bytes());
            OTHER
        }
        Entry::Note(note) => {
            to.extend(note.as_bytes());
            NOTE
        }
    }
}

/// [`encode`] of [`Entry::Call`].
pub(super) fn encode_call(call: &Call, to: &mut Vec<u8>) -> u8 {
    match call {
        Call::Open { handle, name, access } => {
            let access = match access {
                Access::Directory => 0,
                Access::Read => 1,
                Access::Append => 2,
            };
            to.extend([0, handle.0, access]);
            encode_name(name, to);
        }
        Call::Close(handle) => to.extend([1, handle.0]),
        Call::CloseAll => to.push(2),
        Call::MakeDirectory => to.push(3),
        Call::Inspect(handle) => to.extend([4, handle.0]),
        Call::Look(name) => {
            to.push(5);
            encode_name(name, to);
        }
        Call::Lock(handle, mode) => to.extend([6, handle.0, u8::from(*mode == Mode::Exclusive)]),
        Call::Unlock(handle) => to.extend([7, handle.0]),
        Call::Read { handle, offset, length } => {
            to.extend([8, handle.0]);
            number(to, *offset);
            number(to, *length as u64);
        }
        Call::Append { handle, bytes } => {
            to.extend([9, handle.0]);
            to.extend(&**bytes);
        }
        Call::Truncate { handle, size } => {
            to.extend([10, handle.0]);
            number(to, *size);
        }
        Call::Sync(handle) => to.extend([11, handle.0]),
        Call::List => to.push(12),
        Call::Remove(name) => {
            to.push(13);
            encode_name(name, to);
        }
        Call::Rename(from, into) => {
            to.push(14);
            encode_name(from, to);
            encode_name(into, to);
        }
        Call::FileSystem(handle) => to.extend([15, handle.0]),
        Call::LookByPath(name) => {
            to.push(16);
            encode_name(name, to);
        }
        Call::ListLogs => to.push(17),
        Call::SyncLogDirectory => to.push(18),
        Call::RenameNew(from, into) => {
            to.push(19);
            encode_name(from, to);
            encode_name(into, to);
        }
    }
    CALL
}

/// [`encode`] of [`Entry::Reply`].
pub(super) fn encode_reply(reply: &Reply, to: &mut Vec<u8>) -> u8 {
    match reply {
        Reply::Done => to.push(0),
        Reply::Busy => to.push(1),
        Reply::Missing => to.push(2),
        Reply::Exists => to.push(3),
        Reply::Status(Status { identity: Identity { device, inode }, kind, owned, mode, size, links }) => {
            let kind = match kind {
                FileKind::Directory => 0,
                FileKind::Regular => 1,
                FileKind::Other => 2,
            };
            to.extend([4, kind, (*owned).into()]);
            for value in [*device, *inode, (*mode).into(), *size, *links] {
                number(to, value);
            }
        }
        Reply::Bytes(bytes) => {
            to.push(5);
            to.extend(bytes);
        }
        Reply::Wrote(count) => {
            to.push(6);
            number(to, *count as u64);
        }
        Reply::Names(names) => {
            to.push(7);
            for name in names {
                encode_name(name, to);
            }
        }
        Reply::Failed(Failure(error)) => {
            to.push(8);
            to.extend(error.to_le_bytes());
        }
        Reply::FileSystem(FileSystem(number)) => {
            to.push(9);
            to.extend(number.to_le_bytes());
        }
    }
    REPLY
}

fn encode_name(name: &Name, to: &mut Vec<u8>) {
    let (kind, text): (u8, &str) = match name {
        Name::Directory => (0, ""),
        Name::Journal => (1, ""),
        Name::Seat(id) => (2, id.as_str()),
        Name::Log(number) => {
            to.extend([3, 4]);
            to.extend(number.to_le_bytes());
            return;
        }
        Name::Other(name) => (4, name),
        Name::NextJournal => (5, ""),
    };
    // Names in an election directory are file names, of at most 255 bytes.
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    to.extend([kind, length]);
    to.extend(&text.as_bytes()[..length.into()]);
}

fn number(to: &mut Vec<u8>, value: u64) {
    to.extend(value.to_le_bytes());
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(kind: u8, bytes: &[u8]) -> Option<Entry> {
    let mut rest = Rest(bytes);
    let entry = match kind {
        CLOCK => Entry::Clock(Time::from_micros(rest.number()?)),
        CALL => Entry::Call(rest.call()?),
        REPLY => Entry::Reply(rest.reply()?),
        DELIVER => Entry::Deliver(rest.number()?.try_into().ok()?),
        RECORDED => Entry::Recorded(rest.number()?.try_into().ok()?),
        LEAVE => Entry::Leave,
        LEFT => Entry::Left,
        VERDICT => Entry::Verdict { primary: rest.byte()? == 1 },
        BELIEVE => Entry::Believe { term: rest.number()? },
        CEASE => Entry::Cease,
        FAILED => Entry::Failed(String::from_utf8_lossy(rest.all()).into()),
        FAULT => Entry::Fault(String::from_utf8_lossy(rest.all()).into()),
        OTHER => Entry::Other(String::from_utf8_lossy(rest.all()).into()),
        NOTE => Entry::Note(String::from_utf8_lossy(rest.all()).into()),
        _ => return None,
    };
    rest.0.is_empty().then_some(entry)
}

/// What has not been decoded yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn handle(&mut self) -> Option<Handle> {
        self.byte().map(Handle)
    }

    fn name(&mut self) -> Option<Name> {
        let kind = self.byte()?;
        let length = self.byte()?;
        let text = self.take(length.into())?;
        let utf8 = || std::str::from_utf8(text).ok();
        Some(match kind {
            0 => Name::Directory,
            1 => Name::Journal,
            2 => Name::Seat(InstanceId::new(utf8()?).ok()?),
            3 => Name::Log(u32::from_le_bytes(text.try_into().ok()?)),
            4 => Name::Other(Arc::from(utf8()?)),
            5 => Name::NextJournal,
            _ => return None,
        })
    }

    fn call(&mut self) -> Option<Call> {
        Some(match self.byte()? {
            0 => {
                let handle = self.handle()?;
                let access = match self.byte()? {
                    0 => Access::Directory,
                    1 => Access::Read,
                    2 => Access::Append,
                    _ => return None,
                };
                Call::Open { handle, name: self.name()?, access }
            }
            1 => Call::Close(self.handle()?),
            2 => Call::CloseAll,
            3 => Call::MakeDirectory,
            4 => Call::Inspect(self.handle()?),
            5 => Call::Look(self.name()?),
            6 => Call::Lock(self.handle()?, if self.byte()? == 1 { Mode::Exclusive } else { Mode::Shared }),
            7 => Call::Unlock(self.handle()?),
            8 => Call::Read { handle: self.handle()?, offset: self.number()?, length: self.number()?.try_into().ok()? },
            9 => Call::Append { handle: self.handle()?, bytes: self.all().into() },
            10 => Call::Truncate { handle: self.handle()?, size: self.number()? },
            11 => Call::Sync(self.handle()?),
            12 => Call::List,
            13 => Call::Remove(self.name()?),
            14 => Call::Rename(self.name()?, self.name()?),
            15 => Call::FileSystem(self.handle()?),
            16 => Call::LookByPath(self.name()?),
            17 => Call::ListLogs,
            18 => Call::SyncLogDirectory,
            19 => Call::RenameNew(self.name()?, self.name()?),
            _ => return None,
        })
    }

    fn reply(&mut self) -> Option<Reply> {
        Some(match self.byte()? {
            0 => Reply::Done,
            1 => Reply::Busy,
            2 => Reply::Missing,
            3 => Reply::Exists,
            4 => {
                let kind = match self.byte()? {
                    0 => FileKind::Directory,
                    1 => FileKind::Regular,
                    2 => FileKind::Other,
                    _ => return None,
                };
                let owned = self.byte()? == 1;
                let identity = Identity { device: self.number()?, inode: self.number()? };
                let mode = self.number()?.try_into().ok()?;
                Reply::Status(Status { identity, kind, owned, mode, size: self.number()?, links: self.number()? })
            }
            5 => Reply::Bytes(self.all().to_vec()),
            6 => Reply::Wrote(self.number()?.try_into().ok()?),
            7 => {
                let mut names = Vec::new();
                while !self.0.is_empty() {
                    names.push(self.name()?);
                }
                Reply::Names(names)
            }
            8 => Reply::Failed(Failure(i32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            9 => Reply::FileSystem(FileSystem(u32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_reads_back_as_it_was_written() {
        let id = InstanceId::new("a-1").expect("a valid ID");
        let names = [
            Name::Directory,
            Name::Journal,
            Name::NextJournal,
            Name::Seat(id),
            Name::Log(20_261_129),
            Name::Other("lock".into()),
        ];
        let handle = Handle::SEAT;
        let mut calls = vec![
            Call::Close(handle),
            Call::CloseAll,
            Call::MakeDirectory,
            Call::Inspect(handle),
            Call::Lock(handle, Mode::Shared),
            Call::Lock(handle, Mode::Exclusive),
            Call::Unlock(handle),
            Call::Read { handle, offset: 128, length: 65_536 },
            Call::Append { handle, bytes: b"line\n".as_slice().into() },
            Call::Truncate { handle, size: 1 << 40 },
            Call::Sync(handle),
            Call::FileSystem(handle),
            Call::List,
            Call::ListLogs,
            Call::SyncLogDirectory,
            Call::Rename(names[3].clone(), names[4].clone()),
            Call::RenameNew(names[4].clone(), names[3].clone()),
        ];
        for name in names.clone() {
            calls.push(Call::Look(name.clone()));
            calls.push(Call::LookByPath(name.clone()));
            calls.push(Call::Remove(name.clone()));
            for access in [Access::Directory, Access::Read, Access::Append] {
                calls.push(Call::Open { handle, name: name.clone(), access });
            }
        }
        let status = |kind| {
            let identity = Identity { device: 1, inode: 2 };
            Reply::Status(Status { identity, kind, owned: true, mode: 0o600, size: 3, links: 1 })
        };
        let replies = [
            Reply::Done,
            Reply::Busy,
            Reply::Missing,
            Reply::Exists,
            status(FileKind::Directory),
            status(FileKind::Regular),
            status(FileKind::Other),
            Reply::Bytes(b"bytes".to_vec()),
            Reply::Wrote(5),
            Reply::Names(names.to_vec()),
            Reply::Failed(Failure(-5)),
            Reply::FileSystem(FileSystem(0xEF53)),
        ];
        let entries = [
            Entry::Clock(Time::from_micros(1)),
            Entry::Deliver(2),
            Entry::Recorded(2),
            Entry::Leave,
            Entry::Left,
            Entry::Verdict { primary: true },
            Entry::Believe { term: 3 },
            Entry::Cease,
            Entry::Failed("why".into()),
            Entry::Fault("kill".into()),
            Entry::Note("what".into()),
        ];
        let all = entries.into_iter().chain(calls.into_iter().map(Entry::Call)).chain(replies.map(Entry::Reply));
        for entry in all {
            let mut bytes = Vec::new();
            let kind = encode(&entry, &mut bytes);
            assert_eq!(decode(kind, &bytes), Some(entry), "{bytes:?}");
        }
    }
}
