//! Inodes and open file descriptions, with the locks on them.

use std::collections::BTreeMap;

use single_primary::call::{FileKind, Handle, Identity, Mode, Status, Time};

/// Names an open file description: whose it is, and by which handle. Nobody shares one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Description {
    /// The instance that opened it.
    pub instance: u8,
    /// Its handle.
    pub handle: Handle,
}

/// The open files of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Files([Option<OpenFile>; Handle::COUNT]);

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenFile {
    /// The inode's number.
    pub inode: u64,
    /// Whether it was opened for appending as well.
    pub writable: bool,
}

impl Files {
    /// What the handle stands for, if it is open.
    #[must_use]
    pub fn get(&self, handle: Handle) -> Option<OpenFile> {
        self.0.get(usize::from(handle.0)).copied().flatten()
    }

    /// Lets the handle stand for something else, and returns what it stood for.
    pub fn replace(&mut self, handle: Handle, file: Option<OpenFile>) -> Option<OpenFile> {
        let slot = self.0.get_mut(usize::from(handle.0))?;
        std::mem::replace(slot, file)
    }

    /// Every handle that is open.
    pub fn open(&self) -> impl Iterator<Item = (Handle, OpenFile)> {
        (0..).map(Handle).zip(self.0).filter_map(|(handle, file)| Some((handle, file?)))
    }
}

/// A file or directory, whatever its name. One without a name and without a description is free to become another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Whether it is a directory; else a regular file.
    pub is_directory: bool,
    /// The contents of a regular file.
    pub bytes: Vec<u8>,
    /// How many names it has.
    pub links: u8,
    /// When its contents last changed.
    pub modified: Time,
    descriptions: u8,
    locks: BTreeMap<Description, LockMode>,
    record_lock: Option<u32>,
}

/// [`Mode`], in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum LockMode {
    Shared,
    Exclusive,
}

impl Inode {
    /// An empty file or directory with one name.
    #[must_use]
    pub fn new(is_directory: bool, now: Time) -> Self {
        Self { is_directory, links: 1, modified: now, ..Self::default() }
    }

    /// Whether nothing refers to it any more.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.links == 0 && self.descriptions == 0
    }

    /// Whether no description refers to it.
    #[must_use]
    pub fn is_unopened(&self) -> bool {
        self.descriptions == 0
    }

    /// One more description refers to it.
    pub fn open(&mut self) {
        self.descriptions += 1;
    }

    /// A description is closed by a process: its lock goes, and so does every record lock of the process on the file,
    /// whichever description it was taken through.
    pub fn close(&mut self, description: Description, process: u32) {
        self.descriptions -= 1;
        self.locks.remove(&description);
        if self.record_lock == Some(process) {
            self.record_lock = None;
        }
        self.forget_if_free();
    }

    /// A name of it is removed.
    pub fn unlink(&mut self) {
        self.links -= 1;
        self.forget_if_free();
    }

    /// flock(2) without waiting: whether it was granted. A conversion gives the old lock up first, and it stays lost where
    /// the new one is refused.
    pub fn lock(&mut self, description: Description, mode: Mode) -> bool {
        let mode = match mode {
            Mode::Shared => LockMode::Shared,
            Mode::Exclusive => LockMode::Exclusive,
        };
        if self.locks.get(&description) == Some(&mode) {
            return true;
        }
        self.locks.remove(&description);
        let granted = match mode {
            LockMode::Shared => self.locks.values().all(|held| *held == LockMode::Shared),
            LockMode::Exclusive => self.locks.is_empty(),
        };
        if granted {
            self.locks.insert(description, mode);
        }
        granted
    }

    /// flock(2) to unlock.
    pub fn unlock(&mut self, description: Description) {
        self.locks.remove(&description);
    }

    /// The locks of the flock(2) kind that are held on it.
    pub fn locks(&self) -> impl Iterator<Item = (Description, Mode)> {
        self.locks.iter().map(|(description, mode)| {
            let mode = match mode {
                LockMode::Shared => Mode::Shared,
                LockMode::Exclusive => Mode::Exclusive,
            };
            (*description, mode)
        })
    }

    /// fcntl(2) for a write lock on the whole file, without waiting: whether it was granted. It is the process's, so that
    /// whoever asks within the same process gets it as well.
    pub fn record_lock(&mut self, process: u32) -> bool {
        let granted = self.record_lock.is_none_or(|holder| holder == process);
        if granted {
            self.record_lock = Some(process);
        }
        granted
    }

    /// The process that holds the record lock.
    #[must_use]
    pub fn record_lock_holder(&self) -> Option<u32> {
        self.record_lock
    }

    /// What fstat(2) tells of it.
    #[must_use]
    pub fn status(&self, number: u64) -> Status {
        Status {
            identity: Identity { device: 1, inode: number },
            kind: if self.is_directory { FileKind::Directory } else { FileKind::Regular },
            owned: true,
            mode: if self.is_directory { 0o700 } else { 0o600 },
            size: self.bytes.len() as u64,
            links: u64::from(self.links),
        }
    }

    /// So that free inodes are equal, whatever they were.
    fn forget_if_free(&mut self) {
        if self.is_free() {
            *self = Self::default();
        }
    }
}
