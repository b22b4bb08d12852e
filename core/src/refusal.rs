//! What is refused, and how a refusal is told: by the file, the system call and the cause.

use rustix::io::Errno;

use crate::call::{Access, Call, Failure, FileKind, Handle, Name, Reply, Status};
use crate::error::{Cause, Fault};
use crate::id::InstanceId;

/// Refuses files that are not what we would have made.
pub(crate) fn admit(name: &Name, kind: FileKind, status: &Status) -> Result<(), Fault> {
    let cause = if status.kind != kind {
        if kind == FileKind::Directory { Cause::NotDirectory } else { Cause::NotRegular }
    } else if !status.owned {
        Cause::OtherOwner
    } else if status.mode & 0o022 != 0 {
        Cause::WritableByOthers(status.mode)
    } else if kind == FileKind::Regular && status.links > 1 {
        Cause::HardLink
    } else {
        return Ok(());
    };
    Err(fault(name.clone(), "fstat", cause))
}

/// What a reply means that no step of the protocol expects: most often a failure of the call.
pub(crate) fn of_reply(call: &Call, reply: &Reply, own: &InstanceId, primary: Option<&InstanceId>) -> Fault {
    let cause = match (call, reply) {
        (Call::Open { access: Access::Directory, .. }, Reply::Failed(Failure(LOOP | NOT_DIRECTORY))) => {
            Cause::NotDirectory
        }
        (Call::Open { .. }, Reply::Failed(Failure(LOOP | IS_DIRECTORY))) => Cause::NotRegular,
        (_, reply) => Cause::of(reply),
    };
    let name = match call {
        Call::Open { name, .. }
        | Call::Look(name)
        | Call::LookByPath(name)
        | Call::Remove(name)
        | Call::Rename(name, _)
        | Call::RenameNew(name, _) => name.clone(),
        Call::ListLogs | Call::SyncLogDirectory => Name::Log(0),
        Call::Close(handle)
        | Call::Inspect(handle)
        | Call::FileSystem(handle)
        | Call::Lock(handle, _)
        | Call::Unlock(handle)
        | Call::Sync(handle)
        | Call::Read { handle, .. }
        | Call::Append { handle, .. }
        | Call::Truncate { handle, .. } => match *handle {
            Handle::JOURNAL => Name::Journal,
            Handle::NEXT_JOURNAL => Name::NextJournal,
            Handle::SEAT => Name::Seat(own.clone()),
            Handle::RIVAL => primary.cloned().map_or(Name::Directory, Name::Seat),
            Handle::LOG => Name::Log(0),
            _ => Name::Directory,
        },
        Call::CloseAll | Call::MakeDirectory | Call::List => Name::Directory,
    };
    fault(name, call.system_call(), cause)
}

pub(crate) fn fault(name: Name, call: &'static str, cause: Cause) -> Fault {
    Fault { name, call, cause }
}

const LOOP: i32 = Errno::LOOP.raw_os_error();
const NOT_DIRECTORY: i32 = Errno::NOTDIR.raw_os_error();
const IS_DIRECTORY: i32 = Errno::ISDIR.raw_os_error();
