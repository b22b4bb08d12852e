//! Calls, replies and beliefs in words.

use single_primary::call::{Access, Call as ElectionCall, Handle, Mode, Name, Reply as ElectionReply};

use crate::call::{Call, Reply};
use crate::participant::Belief;

/// The longest excerpt of a file, in characters.
const EXCERPT_MAX: usize = 60;

/// What a call asks for; `name_of` tells the file behind a handle.
pub(super) fn call<'a>(call: &Call, name_of: impl Fn(Handle) -> Option<&'a Name>) -> String {
    let file = |handle: &Handle| name_of(*handle).map_or_else(|| "a closed handle".to_owned(), name);
    match call {
        Call::Election(call) => match call {
            ElectionCall::Open { name: opened, access, .. } => match access {
                Access::Directory | Access::Read => format!("opens {}", name(opened)),
                Access::Append => format!("opens or makes {}, to append", name(opened)),
            },
            ElectionCall::Close(handle) => format!("closes {}", file(handle)),
            ElectionCall::CloseAll => "closes all its files".into(),
            ElectionCall::MakeDirectory => "makes the election directory".into(),
            ElectionCall::Inspect(handle) => format!("looks what {} is", file(handle)),
            ElectionCall::FileSystem(handle) => format!("looks on what file system {} is", file(handle)),
            ElectionCall::Look(looked) => format!("looks what {} is", name(looked)),
            ElectionCall::LookByPath(looked) => format!("looks what the path of {} leads to", name(looked)),
            ElectionCall::Lock(handle, Mode::Shared) => format!("tries the shared lock of {}", file(handle)),
            ElectionCall::Lock(handle, Mode::Exclusive) => format!("tries the exclusive lock of {}", file(handle)),
            ElectionCall::Unlock(handle) => format!("unlocks {}", file(handle)),
            ElectionCall::Read { handle, offset: 0, .. } => format!("reads {}", file(handle)),
            ElectionCall::Read { handle, offset, .. } => format!("reads {} from byte {offset} on", file(handle)),
            ElectionCall::Append { handle, bytes } => format!("appends to {}: {}", file(handle), excerpt(bytes)),
            ElectionCall::Truncate { handle, size: 0 } => format!("empties {}", file(handle)),
            ElectionCall::Truncate { handle, size } => format!("cuts {} to {size} bytes", file(handle)),
            ElectionCall::Sync(handle) => format!("waits until {} is on the disk", file(handle)),
            ElectionCall::List => "lists the seats".into(),
            ElectionCall::ListLogs => "lists the rotated logs".into(),
            ElectionCall::SyncLogDirectory => "waits until the names of the logs are on the disk".into(),
            ElectionCall::Remove(removed) => format!("removes {}", name(removed)),
            ElectionCall::Rename(from, to) => format!("renames {} to {}", name(from), name(to)),
            ElectionCall::RenameNew(from, to) => format!("renames {} to {}, if there is none", name(from), name(to)),
        },
        Call::CreateNew(_, created) => format!("creates {}, if there is none", name(created)),
        Call::MakeDirectory(made) => format!("makes directory {}", name(made)),
        Call::RemoveDirectory(removed) => format!("removes directory {}", name(removed)),
        Call::Modified(looked) => format!("looks how old {} is", name(looked)),
        Call::RecordLock(handle) => format!("tries the record lock of {}", file(handle)),
        Call::ProcessId => "asks for its process ID".into(),
        Call::IsAlive(process) => format!("asks whether process {process} is alive"),
        Call::ListFiles => "lists the files".into(),
    }
}

/// What came back.
pub(super) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Election(reply) => match reply {
            ElectionReply::Done => "done".into(),
            ElectionReply::Busy => "another holds it".into(),
            ElectionReply::Missing => "there is none".into(),
            ElectionReply::Exists => "there is one already".into(),
            ElectionReply::Status(status) => {
                format!("inode {}, {} bytes", status.identity.inode % 100_000, status.size)
            }
            ElectionReply::FileSystem(_) => "one that will do".into(),
            ElectionReply::Bytes(bytes) if bytes.is_empty() => "nothing".into(),
            ElectionReply::Bytes(bytes) => excerpt(bytes),
            ElectionReply::Wrote(written) => format!("{written} bytes written"),
            ElectionReply::Names(names) if names.is_empty() => "none".into(),
            ElectionReply::Names(names) => names.iter().map(name).collect::<Vec<_>>().join(", "),
            ElectionReply::Failed(failure) => format!("fails: {failure}"),
        },
        Reply::Time(time) => format!("at {} ms", time.as_micros() / 1000),
        Reply::Process(process) => process.to_string(),
        Reply::Files(files) => files.join(", "),
    }
}

/// What an instance believes.
pub(super) fn belief(belief: &Belief) -> String {
    match belief {
        Belief::Undecided => "undecided".into(),
        Belief::Secondary => "secondary".into(),
        Belief::Primary { term: 0 } => "PRIMARY".into(),
        Belief::Primary { term } => format!("PRIMARY of term {term}"),
        Belief::Left => "has left".into(),
        Belief::Failed(why) => format!("failed: {why}"),
    }
}

/// What a file came to say, beyond what it said before.
pub(super) fn growth(before: &[u8], after: &[u8]) -> String {
    match after.strip_prefix(before) {
        Some(more) if !more.is_empty() && before.is_empty() => excerpt(more),
        Some(more) if !more.is_empty() => format!("+ {}", excerpt(more)),
        Some(_) => "(empty)".into(),
        None if after.is_empty() => "(emptied)".into(),
        None => format!("now: {}", excerpt(after)),
    }
}

/// A file in a person's words.
fn name(name: &Name) -> String {
    match name {
        Name::Directory => "the election directory".into(),
        Name::Journal => "the journal".into(),
        Name::NextJournal => "the next journal".into(),
        Name::Seat(id) => format!("the seat of {id}"),
        other => other.file_name(),
    }
}

/// What a file says, line by line.
pub(super) fn contents(bytes: &[u8]) -> String {
    lines(bytes).join("\n")
}

/// As much of what a file says as there is room for.
fn excerpt(bytes: &[u8]) -> String {
    let text = lines(bytes).join("; ");
    if text.chars().count() > EXCERPT_MAX { text.chars().take(EXCERPT_MAX).chain(['…']).collect() } else { text }
}

/// Records by what they say, anything else as text.
fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["spj2", kind, term, id, ..] if kind == "register" || kind == "leave" => format!("{kind} {id} (term {term})"),
        ["spj2", kind, term, ..] => format!("{kind} term {term}"),
        _ => line.trim_end().to_owned(),
    });
    lines.collect()
}
