//! System calls and replies in words, for those who read a timeline.

use models::call::{Call as OtherCall, Reply as OtherReply};
use single_primary::call::{Access, Call, Handle, Mode, Name, Reply};

/// What is called, in a few words.
pub(crate) fn call(call: &Call) -> String {
    match call {
        Call::Open { name, access, .. } => {
            let how = match access {
                Access::Directory | Access::Read => "to read",
                Access::Append => "to append",
            };
            format!("opens {} {how}", file(name))
        }
        Call::Close(handle) => format!("closes {}", opened(*handle)),
        Call::CloseAll => "closes all its files, which gives up its locks".into(),
        Call::MakeDirectory => "makes the election directory".into(),
        Call::Inspect(handle) => format!("inspects {}", opened(*handle)),
        Call::FileSystem(_) => "asks what file system this is".into(),
        Call::Look(name) => format!("looks which file {} is", file(name)),
        Call::LookByPath(name) => format!("looks which file the path of {} leads to", file(name)),
        Call::Lock(handle, Mode::Shared) => format!("tries the shared lock of {}", opened(*handle)),
        Call::Lock(handle, Mode::Exclusive) => format!("tries the exclusive lock of {}", opened(*handle)),
        Call::Unlock(handle) => format!("unlocks {}", opened(*handle)),
        Call::Read { handle, offset, .. } => format!("reads {} from {offset}", opened(*handle)),
        Call::Append { handle, bytes } => format!("appends to {}: {}", opened(*handle), excerpt(bytes)),
        Call::Truncate { handle, size } => format!("cuts {} to {size} bytes", opened(*handle)),
        Call::Sync(handle) => format!("flushes {} to the disk", opened(*handle)),
        Call::List => "lists the seats".into(),
        Call::ListLogs => "lists the rotated logs".into(),
        Call::SyncLogDirectory => "flushes the names of the logs to the disk".into(),
        Call::Remove(name) => format!("removes {}", file(name)),
        Call::Rename(from, to) => format!("renames {} to {}", file(from), file(to)),
        Call::RenameNew(from, to) => format!("renames {} to {}, if there is none", file(from), file(to)),
    }
}

/// What came back, in a few words.
pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Done => "done".into(),
        Reply::Busy => "another holds it".into(),
        Reply::Missing => "there is none".into(),
        Reply::Exists => "there is one already".into(),
        Reply::Status(status) => format!("{} bytes, {} names", status.size, status.links),
        Reply::FileSystem(file_system) => file_system.to_string(),
        Reply::Bytes(bytes) if bytes.is_empty() => "nothing".into(),
        Reply::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Reply::Wrote(count) => format!("{count} bytes written"),
        Reply::Names(names) => format!("{} files", names.len()),
        Reply::Failed(failure) => failure.to_string(),
    }
}

/// What a protocol of the zoo calls.
pub(crate) fn other_call(other: &OtherCall) -> String {
    match other {
        OtherCall::Election(election) => call(election),
        OtherCall::CreateNew(_, name) => format!("creates {}, if there is none", file(name)),
        OtherCall::MakeDirectory(name) => format!("makes directory {}", file(name)),
        OtherCall::RemoveDirectory(name) => format!("removes directory {}", file(name)),
        OtherCall::Modified(name) => format!("looks how old {} is", file(name)),
        OtherCall::RecordLock(handle) => format!("tries the record lock of {}", opened(*handle)),
        OtherCall::ProcessId => "asks for its process ID".into(),
        OtherCall::IsAlive(process) => format!("asks whether process {process} is alive"),
        OtherCall::ListFiles => "lists the files".into(),
    }
}

/// What came back to it.
pub(crate) fn other_reply(other: &OtherReply) -> String {
    match other {
        OtherReply::Election(election) => reply(election),
        OtherReply::Time(time) => format!("since {} µs after the boot", time.as_micros()),
        OtherReply::Process(process) => process.to_string(),
        OtherReply::Files(files) => files.join(", "),
    }
}

fn file(name: &Name) -> String {
    match name {
        Name::Directory => "the election directory".into(),
        Name::Journal => "the journal".into(),
        Name::NextJournal => "the next journal".into(),
        Name::Seat(id) => format!("the seat of {id}"),
        Name::Log(_) | Name::Other(_) => name.to_string(),
    }
}

fn opened(handle: Handle) -> &'static str {
    match handle {
        Handle::DIRECTORY => "the election directory",
        Handle::JOURNAL => "the journal",
        Handle::NEXT_JOURNAL => "the next journal",
        Handle::SEAT => "its seat",
        Handle::RIVAL => "the primary's seat",
        Handle::LOG => "realtime.log",
        _ => "its own file",
    }
}

/// The first line, without what only fills it up.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LENGTH_MAX: usize = 90;
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() > LENGTH_MAX { line.chars().take(LENGTH_MAX).chain(['…']).collect() } else { line }
}
