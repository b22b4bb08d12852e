//! Calls as lines, so that cases are data and a process can be told what to call: `open A x append`.

use models::call::{Call, Reply};
use single_primary::InstanceId;
use single_primary::call::{Access, Call as ElectionCall, FileKind, Handle, Mode, Name, Reply as ElectionReply};

/// The call that a line asks for.
pub(crate) fn call(line: &str) -> Option<Call> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Some(match words[..] {
        ["create", at, new] => Call::CreateNew(handle(at)?, name(new)),
        ["mkdir", new] => Call::MakeDirectory(name(new)),
        ["rmdir", old] => Call::RemoveDirectory(name(old)),
        ["modified", of] => Call::Modified(name(of)),
        ["record-lock", of] => Call::RecordLock(handle(of)?),
        ["getpid"] => Call::ProcessId,
        ["is-alive", process] => Call::IsAlive(process.parse().ok()?),
        ["list"] => Call::ListFiles,
        _ => Call::Election(election_call(&words)?),
    })
}

fn election_call(words: &[&str]) -> Option<ElectionCall> {
    use ElectionCall as E;
    Some(match *words {
        ["open", at, of, access] => E::Open {
            handle: handle(at)?,
            name: name(of),
            access: match access {
                "directory" => Access::Directory,
                "read" => Access::Read,
                "append" => Access::Append,
                _ => return None,
            },
        },
        ["close", of] => E::Close(handle(of)?),
        ["close-all"] => E::CloseAll,
        ["make-election"] => E::MakeDirectory,
        ["inspect", of] => E::Inspect(handle(of)?),
        ["file-system", of] => E::FileSystem(handle(of)?),
        ["look", of] => E::Look(name(of)),
        ["look-by-path", of] => E::LookByPath(name(of)),
        ["lock", of, "shared"] => E::Lock(handle(of)?, Mode::Shared),
        ["lock", of, "exclusive"] => E::Lock(handle(of)?, Mode::Exclusive),
        ["unlock", of] => E::Unlock(handle(of)?),
        ["read", of, offset, length] => {
            E::Read { handle: handle(of)?, offset: offset.parse().ok()?, length: length.parse().ok()? }
        }
        ["append", to] => E::Append { handle: handle(to)?, bytes: [].into() },
        ["append", to, text] => E::Append { handle: handle(to)?, bytes: text.as_bytes().into() },
        ["truncate", of, size] => E::Truncate { handle: handle(of)?, size: size.parse().ok()? },
        ["sync", of] => E::Sync(handle(of)?),
        ["list-seats"] => E::List,
        ["list-logs"] => E::ListLogs,
        ["sync-log-directory"] => E::SyncLogDirectory,
        ["remove", old] => E::Remove(name(old)),
        ["rename", from, to] => E::Rename(name(from), name(to)),
        ["rename-new", from, to] => E::RenameNew(name(from), name(to)),
        _ => return None,
    })
}

fn handle(word: &str) -> Option<Handle> {
    Some(match word {
        "directory" => Handle::DIRECTORY,
        "seat" => Handle::SEAT,
        "rival" => Handle::RIVAL,
        "log" => Handle::LOG,
        "A" => Handle(5),
        "B" => Handle(6),
        number => Handle(number.parse().ok()?),
    })
}

fn name(word: &str) -> Name {
    let seat = word.strip_suffix(".seat").and_then(|id| InstanceId::new(id).ok()).map(Name::Seat);
    match word {
        "." => Name::Directory,
        "journal" => Name::Journal,
        "realtime.log" => Name::Log(0),
        other => {
            Name::parse_log(other.as_bytes(), b"realtime.log").or(seat).unwrap_or_else(|| Name::Other(other.into()))
        }
    }
}

/// Whether the call can leave a file without a name and a handle. Its number comes back when the kernel likes, so that
/// numbers from before say nothing about those after it.
pub(crate) fn frees(call: &Call) -> bool {
    matches!(
        call,
        Call::Election(
            ElectionCall::Open { .. }
                | ElectionCall::Close(_)
                | ElectionCall::CloseAll
                | ElectionCall::Remove(_)
                | ElectionCall::Rename(..)
                | ElectionCall::RenameNew(..)
        ) | Call::CreateNew(..)
            | Call::RemoveDirectory(_)
    )
}

/// A reply as a line, without what a kernel is free to choose; and the number of the inode that it tells of, of which only
/// counts whether it is the same as another.
pub(crate) fn reply(reply: Reply) -> (Option<u64>, String) {
    let mut inode = None;
    let left = match reply {
        Reply::Election(ElectionReply::Status(mut status)) => {
            inode = Some(std::mem::take(&mut status.identity.inode));
            status.identity.device = 0;
            if status.kind == FileKind::Directory {
                (status.size, status.links) = (0, 0);
            }
            Reply::Election(ElectionReply::Status(status))
        }
        Reply::Election(ElectionReply::Names(mut names)) => {
            names.sort();
            Reply::Election(ElectionReply::Names(names))
        }
        Reply::Election(ElectionReply::FileSystem(_)) => return (None, "a file system".into()),
        Reply::Time(_) => return (None, "a time".into()),
        other => other,
    };
    (inode, format!("{left:?}"))
}
