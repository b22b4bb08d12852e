//! What somebody else does to the files of an election, past every lock and rule of it.

use std::fmt;

use single_primary::call::{Name, Time};

use crate::kernel::file::Inode;
use crate::kernel::object::{Inodes, Objects};

/// Something that somebody else does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hand {
    /// realtime.log is removed.
    RemoveLog,
    /// realtime.log becomes realtime.log.1, where there is none, as by logrotate.
    RenameLog,
    /// realtime.log is emptied, as by logrotate's copytruncate.
    TruncateLog,
    /// A whole line is appended to realtime.log, unless a begun one is there, to which it would be glued.
    AppendToLog,
    /// A line without its end is appended to it, while nobody has it open: whoever is just about to append could not tell.
    TearLog,
    /// The journal is removed.
    RemoveJournal,
    /// The journal is renamed, and an empty file takes its place.
    ReplaceJournal,
    /// The election directory is renamed, and an empty one takes its place.
    ReplaceDirectory,
}

impl Hand {
    /// The line that somebody else appends.
    pub const LINE: &'static str = "other\n";

    /// The line that somebody else begins.
    pub const TORN: &'static str = "{oth";

    /// What both say, and nothing of ours does.
    pub const MARK: &'static str = "oth";

    /// Whether others may elect over another journal from then on.
    #[must_use]
    pub fn displaces(self) -> bool {
        matches!(self, Self::RemoveJournal | Self::ReplaceJournal | Self::ReplaceDirectory)
    }

    /// The files that it is about.
    #[must_use]
    pub fn names(self) -> Vec<Name> {
        match self {
            Self::RenameLog => vec![Name::Log(0), Name::Log(1)],
            Self::RemoveLog | Self::TruncateLog | Self::AppendToLog | Self::TearLog => vec![Name::Log(0)],
            Self::RemoveJournal | Self::ReplaceJournal => vec![Name::Journal],
            Self::ReplaceDirectory => Vec::new(),
        }
    }
}

impl fmt::Display for Hand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::RemoveLog => "removes realtime.log",
            Self::RenameLog => "renames realtime.log to realtime.log.1",
            Self::TruncateLog => "empties realtime.log",
            Self::AppendToLog => "appends a line to realtime.log",
            Self::TearLog => "appends a line without its end to realtime.log",
            Self::RemoveJournal => "removes the journal",
            Self::ReplaceJournal => "renames the journal and puts an empty file in its place",
            Self::ReplaceDirectory => "renames the election directory and makes an empty one in its place",
        })
    }
}

/// Does it; nothing where there is no such file.
pub fn meddle<O: Objects>(objects: &mut O, hand: Hand, now: Time) {
    objects.directory(|directory, inodes| {
        if hand == Hand::ReplaceDirectory {
            if directory.exists {
                directory.move_away();
                directory.make(inodes, now);
            }
            return;
        }
        let entry = |name: Name| -> std::sync::Arc<str> { name.file_name().into() };
        let [name, rotated] = match hand {
            Hand::RemoveJournal | Hand::ReplaceJournal => [entry(Name::Journal), entry(Name::Journal)],
            _ => [entry(Name::Log(0)), entry(Name::Log(1))],
        };
        let Some(number) = directory.entries.get(&name).copied() else { return };
        let append = |inode: &mut Inode, text: &str| {
            inode.bytes.extend_from_slice(text.as_bytes());
            inode.modified = now;
        };
        match hand {
            Hand::RemoveLog | Hand::RemoveJournal => {
                inodes.with(number, Inode::unlink);
                directory.entries.remove(&name);
            }
            Hand::ReplaceJournal => {
                directory.entries.insert("journal.old".into(), number);
                directory.enter(inodes, &name, &Inode::new(false, now));
            }
            Hand::ReplaceDirectory => {}
            Hand::RenameLog if directory.entries.contains_key(&rotated) => {}
            Hand::RenameLog => {
                directory.entries.remove(&name);
                directory.entries.insert(rotated, number);
            }
            Hand::TruncateLog => inodes.with(number, |inode| inode.bytes.clear()),
            Hand::AppendToLog => inodes.with(number, |inode| {
                if inode.bytes.last().is_none_or(|&byte| byte == b'\n') {
                    append(inode, Hand::LINE);
                }
            }),
            Hand::TearLog => inodes.with(number, |inode| {
                if inode.is_unopened() {
                    append(inode, Hand::TORN);
                }
            }),
        }
    });
}
