//! What the election stands on, one property after the other.

/// A property of a file system and its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Property {
    /// The type of the file system is not one on which the election is known not to hold
    FileSystem,
    /// An exclusive lock keeps other processes out
    ExclusiveLock,
    /// Shared locks stand beside one another and keep an exclusive one out
    SharedLock,
    /// Two opens in one process exclude each other, and closing one leaves the other its lock
    LockPerOpen,
    /// A lock is free once its holder is killed
    ReleaseOnKill,
    /// A lock on the directory itself
    DirectoryLock,
    /// Records of several processes never mix
    AppendWhole,
    /// No record of several processes is lost or doubled
    AppendKept,
    /// A reader never sees a part of a record
    AppendAtOnce,
    /// A record is seen by others as soon as it is written
    Visibility,
    /// After the file is emptied, the others' appends begin at its start
    Truncation,
    /// Of several who create one file, one succeeds
    ExclusiveCreate,
    /// A rename leaves no moment without the file, nor one with a part of it
    Rename,
    /// Device and inode tell whether a path and an open file are the same, in every process
    Identity,
    /// An open file shows that it has no name any more
    LinkCount,
    /// All processes read one clock
    Clock,
}

impl Property {
    /// All of them, in the order in which they are told.
    pub(crate) const ALL: [Self; 16] = [
        Self::FileSystem,
        Self::ExclusiveLock,
        Self::SharedLock,
        Self::LockPerOpen,
        Self::ReleaseOnKill,
        Self::DirectoryLock,
        Self::AppendWhole,
        Self::AppendKept,
        Self::AppendAtOnce,
        Self::Visibility,
        Self::Truncation,
        Self::ExclusiveCreate,
        Self::Rename,
        Self::Identity,
        Self::LinkCount,
        Self::Clock,
    ];

    /// Its name in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::FileSystem => "file system not known to fail",
            Self::ExclusiveLock => "exclusive lock between processes",
            Self::SharedLock => "shared lock between processes",
            Self::LockPerOpen => "lock between opens of one process",
            Self::ReleaseOnKill => "lock released on SIGKILL",
            Self::DirectoryLock => "lock on a directory",
            Self::AppendWhole => "appends never interleaved",
            Self::AppendKept => "appends never lost",
            Self::AppendAtOnce => "appends never seen in part",
            Self::Visibility => "appends seen at once by others",
            Self::Truncation => "truncation seen by others' appends",
            Self::ExclusiveCreate => "exclusive create",
            Self::Rename => "rename replaces at once",
            Self::Identity => "identity by device and inode",
            Self::LinkCount => "removal seen in the link count",
            Self::Clock => "one clock for all processes",
        }
    }

    /// What goes wrong in an election without it.
    pub(crate) fn consequence(self) -> &'static str {
        match self {
            Self::FileSystem => "a lock may be lost while its holder lives",
            Self::ExclusiveLock => "two instances could hold one seat, or empty a journal in use",
            Self::SharedLock => "the journal could be emptied while someone lives",
            Self::LockPerOpen => "several instances of one process would all be primary",
            Self::ReleaseOnKill => "nobody could take over from a primary that died",
            Self::DirectoryLock => "a cleaner of temporary files could remove the election",
            Self::AppendWhole => "registrations could destroy one another",
            Self::AppendKept => "an instance could be missing from the election that it takes part in",
            Self::AppendAtOnce => "a reader would see damage where there is none",
            Self::Visibility => "two instances could each find itself the first",
            Self::Truncation => "an election would begin behind a gap",
            Self::ExclusiveCreate => "lock files created by other programs would not exclude",
            Self::Rename => "entries could be lost while the log is rotated",
            Self::Identity => "instances could elect over different journals without knowing",
            Self::LinkCount => "a primary would write on after its journal was removed",
            Self::Clock => "the window would be judged by clocks that differ",
        }
    }
}
