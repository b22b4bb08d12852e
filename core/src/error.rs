//! What can go wrong, and what to do about it. Whatever it is, the instance is not primary.

use std::path::PathBuf;

use crate::call::{Failure, Name, Reply};

/// Why an instance takes no part in the election, or no longer.
///
/// The message names the path, the system call and the remedy. Nobody is primary by way of an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {call}: {cause}; {}", path.display(), cause.remedy())]
pub struct Error {
    path: PathBuf,
    call: &'static str,
    cause: Cause,
}

impl Error {
    pub(crate) fn new(path: PathBuf, call: &'static str, cause: Cause) -> Self {
        Self { path, call, cause }
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The cause, to be told apart by a program.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

/// A fault as the machine knows it: by the name of a file, not by its path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The file.
    pub name: Name,
    /// The system call.
    pub call: &'static str,
    /// The cause.
    pub cause: Cause,
}

/// The kinds of failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A system call failed.
    #[error("{0}")]
    Io(Failure),
    /// The file has disappeared.
    #[error("no such file")]
    NoFile,
    /// A system call gave a reply that it cannot give.
    #[error("unexpected reply")]
    Unexpected,
    /// Neither the directory nor the place for it exists.
    #[error("no such directory")]
    NoDirectory,
    /// Something other than a directory stands in its place, such as a link.
    #[error("not a directory, or a symbolic link")]
    NotDirectory,
    /// Something other than a regular file stands in its place, such as a link.
    #[error("not a regular file, or a symbolic link")]
    NotRegular,
    /// The file has a second name.
    #[error("a hard link")]
    HardLink,
    /// Another user owns it.
    #[error("owned by another user")]
    OtherOwner,
    /// Group or others may write to it.
    #[error("writable by others (mode {0:o})")]
    WritableByOthers(u32),
    /// The directory is on a file system on which the election is known not to hold.
    #[error("on {0}, which cannot carry an election")]
    FileSystem(&'static str),
    /// The journal is someone else's file.
    #[error("not a journal of this library")]
    Foreign,
    /// The journal is of a later version.
    #[error("written by a later version of this library")]
    Newer,
    /// The journal is of an earlier version, of which an instance lives.
    #[error("written by an earlier version of this library, of which an instance is running")]
    Older,
    /// A living instance has this ID.
    #[error("the instance ID is in use")]
    IdInUse,
    /// The ID is in the journal from an earlier join.
    #[error("the instance ID has been used before")]
    IdUsed,
    /// The journal says that this living instance is gone.
    #[error("the journal says that this instance is gone")]
    Deposed,
    /// The journal does not show what this instance appended to it.
    #[error("what was appended is not there")]
    Lost,
    /// An append came short again and again.
    #[error("the record could not be written whole")]
    Short,
    /// The seat of the primary is gone, so that nobody can tell whether it lives.
    #[error("the primary's seat is missing")]
    SeatMissing,
    /// The journal's path leads to it no more, because it or the election directory was moved, removed or replaced: others
    /// may be electing over another one.
    #[error("the journal, or its directory, was moved, removed or replaced")]
    JournalRemoved,
    /// Another process forked this one's memory: the instance stays with the process that joined.
    #[error("this process is a forked copy of the one that joined")]
    Forked,
    /// The instance has left.
    #[error("the instance has left")]
    Left,
    /// The event ID or its payload cannot be written as one line of JSON.
    #[error("{0}")]
    Event(&'static str),
    /// As many events are pending as the options allow.
    #[error("too many events are pending")]
    PendingFull,
}

impl Cause {
    /// What a reply means where none but success was foreseen.
    pub(crate) fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Failed(failure) => Self::Io(*failure),
            Reply::Wrote(_) => Self::Short,
            Reply::Missing => Self::NoFile,
            _ => Self::Unexpected,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Io(_) => "make the path readable and writable for this user, with space left, then try or join again",
            Self::Unexpected => "check that the file system keeps what `stress qualify` asks of it",
            Self::NoDirectory => "create the directory that is to hold it",
            Self::NotDirectory => "give the real path of a directory, or remove what stands there",
            Self::NotRegular => "remove what stands there, or give another election directory",
            Self::HardLink => "remove the other name, or give another election directory",
            Self::OtherOwner => "give each user an election directory of their own",
            Self::WritableByOthers(_) => "take the permission away: chmod go-w",
            Self::FileSystem(_) => {
                "give a directory on a local file system, such as below /run or /tmp, or allow any if you know better"
            }
            Self::Foreign => "move the file away if it is not needed, or give another election directory",
            Self::Newer => "run the later version in every instance, or stop them all and remove the file",
            Self::Older => "stop every instance of the earlier version, then join again",
            Self::IdInUse | Self::IdUsed => "give every join an ID of its own, or let one be generated",
            Self::Deposed | Self::Lost | Self::NoFile | Self::SeatMissing | Self::JournalRemoved => {
                "keep others from writing to the election directory, stop every instance and start again"
            }
            Self::Short => "free space on the disk or raise the file-size limit, then try or join again",
            Self::Forked => "join in the child with an ID of its own",
            Self::Left => "join again with a fresh ID",
            Self::Event(_) => "give a short event ID and a payload that is one JSON value",
            Self::PendingFull => "find out why no primary writes, or raise the limit on pending events",
        }
    }
}
