//! System calls as every protocol here asks for them: those of the election, and those that only the zoo needs.

use std::sync::Arc;

use single_primary::call::{Call as ElectionCall, Handle, Name, Reply as ElectionReply, Time};

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// One that the election itself uses.
    Election(ElectionCall),
    /// open(2) with `O_CREAT` and `O_EXCL`, for reading and appending. Replies: `Done`, `Exists`, `Failed`.
    CreateNew(Handle, Name),
    /// mkdir(2) in the election directory. Replies: `Done`, `Exists`, `Failed`.
    MakeDirectory(Name),
    /// rmdir(2). Replies: `Done`, `Missing`, `Failed`.
    RemoveDirectory(Name),
    /// The modification time by stat(2), on the clock that [`Step`](crate::participant::Step)s are told. Replies: `Time`,
    /// `Missing`, `Failed`.
    Modified(Name),
    /// fcntl(2) with `F_SETLK` and `F_WRLCK` on the whole file, never waiting. Replies: `Done`, `Busy`, `Failed`.
    RecordLock(Handle),
    /// getpid(2). Replies: `Process`.
    ProcessId,
    /// kill(2) with signal 0. Replies: `Done` where there is such a process, else `Missing`.
    IsAlive(u32),
    /// The names of all files in the election directory, sorted. Replies: `Files`, `Failed`.
    ListFiles,
}

impl Call {
    /// The system call's name, as its manual page has it.
    #[must_use]
    pub fn system_call(&self) -> &'static str {
        match self {
            Self::Election(call) => call.system_call(),
            Self::CreateNew(..) => "open",
            Self::MakeDirectory(_) => "mkdir",
            Self::RemoveDirectory(_) => "rmdir",
            Self::Modified(_) => "stat",
            Self::RecordLock(_) => "fcntl",
            Self::ProcessId => "getpid",
            Self::IsAlive(_) => "kill",
            Self::ListFiles => "readdir",
        }
    }
}

/// What a system call returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// A reply of the kind that the election knows.
    Election(ElectionReply),
    /// A modification time.
    Time(Time),
    /// A process ID.
    Process(u32),
    /// File names.
    Files(Vec<Arc<str>>),
}
