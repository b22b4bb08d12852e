//! The seam between the election and whatever carries it out: one system call asked for, one reply.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::file_system::FileSystem;
use crate::id::InstanceId;

/// A moment on a clock that counts up from the machine's boot, the same for all its processes, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment that many microseconds after boot.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since boot.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The moment `span` later; the last there is where that overflows.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// An open file description, by the number that its instance gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u8);

impl Handle {
    /// The election directory.
    pub const DIRECTORY: Self = Self(0);
    /// The journal.
    pub const JOURNAL: Self = Self(1);
    /// The instance's own seat.
    pub const SEAT: Self = Self(2);
    /// The primary's seat, as a secondary watches it.
    pub const RIVAL: Self = Self(3);
    /// realtime.log.
    pub const LOG: Self = Self(4);
    /// The journal that is to take the place of one in which nobody lives any more.
    pub const NEXT_JOURNAL: Self = Self(5);
    /// How many handles an instance can have: those above and as many of a protocol's own.
    pub const COUNT: usize = 8;
}

/// A file of the election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The election directory itself.
    Directory,
    /// The journal in it.
    Journal,
    /// The journal that is to take its place.
    NextJournal,
    /// The seat of an instance.
    Seat(InstanceId),
    /// realtime.log (0), or a file that it was renamed to: of two numbers the higher one is the later.
    Log(u32),
    /// A file of a protocol other than ours, in the election directory.
    Other(Arc<str>),
}

impl Name {
    const SEAT_SUFFIX: &str = ".seat";

    /// The file's name in the election directory; that of realtime.log is its default there.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::Directory => ".".into(),
            Self::Journal => "journal".into(),
            Self::NextJournal => "journal.next".into(),
            Self::Seat(id) => [id.as_str(), Self::SEAT_SUFFIX].concat(),
            Self::Log(0) => "realtime.log".into(),
            Self::Log(number) => ["realtime.log.", itoa::Buffer::new().format(*number)].concat(),
            Self::Other(name) => name.to_string(),
        }
    }

    /// The rotated log that a file name stands for, if it is one, where the current one has that other name.
    #[must_use]
    pub fn parse_log(file_name: &[u8], current: &[u8]) -> Option<Self> {
        let digits = std::str::from_utf8(file_name.strip_prefix(current)?.strip_prefix(b".")?).ok()?;
        let number = digits.parse().ok().filter(|number| *number > 0)?;
        // As we would write it: no sign, no zero in front.
        (itoa::Buffer::new().format(number) == digits).then_some(Self::Log(number))
    }

    /// The seat that a file name stands for, if it is one.
    pub(crate) fn parse_seat(file_name: &str) -> Option<Self> {
        InstanceId::new(file_name.strip_suffix(Self::SEAT_SUFFIX)?).ok().map(Self::Seat)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file_name())
    }
}

/// How a file is opened. Links are never followed, and every handle is closed on exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// A directory, for reading.
    Directory,
    /// A file that exists, for reading.
    Read,
    /// For reading and appending; created with mode 0600 where it is missing.
    Append,
}

/// A lock of the flock(2) kind, on an open file description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Beside other shared ones.
    Shared,
    /// Alone.
    Exclusive,
}

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// open(2). Replies: `Done`, `Missing`, `Failed`.
    Open {
        /// What the open file is called from here on; what was called so is closed.
        handle: Handle,
        /// The file.
        name: Name,
        /// For what.
        access: Access,
    },
    /// close(2), which also gives up the description's lock. Replies: `Done`.
    Close(Handle),
    /// close(2) of every handle of the instance. Replies: `Done`.
    CloseAll,
    /// mkdir(2) of the election directory with mode 0700. Replies: `Done`, `Exists`, `Failed`.
    MakeDirectory,
    /// fstat(2). Replies: `Status`, `Failed`.
    Inspect(Handle),
    /// fstatfs(2), of which the type alone is told. Replies: `FileSystem`, `Failed`.
    FileSystem(Handle),
    /// lstat(2). Replies: `Status`, `Missing`, `Failed`.
    Look(Name),
    /// lstat(2) of the file's whole path, whatever has become of the directory that was opened. Replies: `Status`, `Missing`,
    /// `Failed`.
    LookByPath(Name),
    /// flock(2), never waiting. A lock that the description holds in the other mode is given up first, also where the
    /// reply is `Busy`. Replies: `Done`, `Busy`, `Failed`.
    Lock(Handle, Mode),
    /// flock(2) to unlock. Replies: `Done`, `Failed`.
    Unlock(Handle),
    /// pread(2). Replies: `Bytes` (fewer than asked for: that was the end), `Failed`.
    Read {
        /// From where.
        handle: Handle,
        /// Offset in bytes.
        offset: u64,
        /// At most so many bytes.
        length: usize,
    },
    /// write(2) to a handle opened for appending. Replies: `Wrote`, `Failed`.
    Append {
        /// Where to.
        handle: Handle,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// ftruncate(2). Replies: `Done`, `Failed`.
    Truncate {
        /// Which file.
        handle: Handle,
        /// Its new size in bytes.
        size: u64,
    },
    /// fdatasync(2). Replies: `Done`, `Failed`.
    Sync(Handle),
    /// The seats in the election directory, in any order. Replies: `Names`, `Failed`.
    List,
    /// The rotated logs beside realtime.log, in any order. Replies: `Names`, `Missing` (the directory that is to hold them),
    /// `Failed`.
    ListLogs,
    /// fsync(2) of the directory that holds realtime.log. Replies: `Done`, `Missing`, `Failed`.
    SyncLogDirectory,
    /// unlink(2). Replies: `Done`, `Missing`, `Failed`.
    Remove(Name),
    /// rename(2), in place of what has the other name. Replies: `Done`, `Missing`, `Failed`.
    Rename(Name, Name),
    /// rename(2), unless something has the other name. Replies: `Done`, `Missing`, `Exists`, `Failed`.
    RenameNew(Name, Name),
}

impl Call {
    /// Whether the election makes anything of the time of the reply: only where it has read the journal or written to it.
    /// With the reply to any other call it may be told an earlier time again.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        matches!(self, Self::Read { handle: Handle::JOURNAL, .. } | Self::Append { handle: Handle::JOURNAL, .. })
    }

    /// The system call's name, as its manual page has it.
    #[must_use]
    pub fn system_call(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Close(_) | Self::CloseAll => "close",
            Self::MakeDirectory => "mkdir",
            Self::Inspect(_) => "fstat",
            Self::FileSystem(_) => "fstatfs",
            Self::Look(_) | Self::LookByPath(_) => "lstat",
            Self::Lock(..) | Self::Unlock(_) => "flock",
            Self::Read { .. } => "read",
            Self::Append { .. } => "write",
            Self::Truncate { .. } => "ftruncate",
            Self::Sync(_) => "fdatasync",
            Self::List | Self::ListLogs => "readdir",
            Self::SyncLogDirectory => "fsync",
            Self::Remove(_) => "unlink",
            Self::Rename(..) | Self::RenameNew(..) => "rename",
        }
    }
}

/// What a system call returned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It succeeded.
    Done,
    /// Another description holds a lock in the way.
    Busy,
    /// There is no such file.
    Missing,
    /// There is one already.
    Exists,
    /// What the file is.
    Status(Status),
    /// On what kind of file system the file is.
    FileSystem(FileSystem),
    /// What was read.
    Bytes(Vec<u8>),
    /// How many bytes were written: fewer than asked for where the disk is full or a limit is reached.
    Wrote(usize),
    /// The files found.
    Names(Vec<Name>),
    /// It failed for any other reason.
    Failed(Failure),
}

/// The error number of a system call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failure(pub i32);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from_raw_os_error(self.0).fmt(formatter)
    }
}

/// What fstat(2) and lstat(2) tell of a file, as far as the election looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// Device and inode: which file it is, whatever its name.
    pub identity: Identity,
    /// Whether it is a directory, a regular file, or something else, such as a link.
    pub kind: FileKind,
    /// Whether it belongs to the effective user of this process.
    pub owned: bool,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Number of names; 0 once unlinked.
    pub links: u64,
}

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A link, device, pipe or socket.
    Other,
}
