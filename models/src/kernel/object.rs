//! The kernel's objects, and how a system call gets at those that it touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::kernel::file::Inode;

/// Access to the kernel's objects. Where each has a mutex, a call locks only what it touches, in one order: the directory,
/// then one inode after another, never two inodes at once.
pub trait Objects {
    /// Access to the inodes.
    type Inodes: Inodes;
    /// Runs alone with the directory, and may reach for inodes meanwhile.
    fn directory<R>(&mut self, run: impl FnOnce(&mut Directory, &mut Self::Inodes) -> R) -> R;
    /// The inodes, where no name has to be looked up.
    fn inodes(&mut self) -> &mut Self::Inodes;
    /// Runs alone with the process table.
    fn processes<R>(&mut self, run: impl FnOnce(&mut Processes) -> R) -> R;
}

/// Access to the inodes.
pub trait Inodes {
    /// Runs alone with an inode. One that nothing refers to is [`Inode::default`].
    fn with<R>(&mut self, number: u64, run: impl FnOnce(&mut Inode) -> R) -> R;
}

/// The election directory and the place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Directory {
    /// Whether it has been made.
    pub exists: bool,
    /// The inode of each name.
    pub entries: BTreeMap<Arc<str>, u64>,
    /// What is in the directories that were in this place before somebody moved them away.
    pub(crate) moved: Vec<BTreeMap<Arc<str>, u64>>,
}

impl Directory {
    /// The inode number of the election directory itself, unless somebody has moved one away.
    pub const INODE: u64 = 1;

    /// The inode number of the directory in this place.
    #[must_use]
    pub fn inode(&self) -> u64 {
        Self::INODE + self.moved.len() as u64
    }

    /// The inode number of a name in a directory of that number, which may have been moved away.
    #[must_use]
    pub fn number_in(&self, directory: u64, name: &str) -> Option<u64> {
        let entries =
            if directory == self.inode() { Some(&self.entries) } else { self.moved.get(place_of(directory)?) };
        entries?.get(name).copied()
    }

    /// The directory is moved away.
    pub(super) fn move_away(&mut self) {
        self.moved.push(std::mem::take(&mut self.entries));
        self.exists = false;
    }

    /// Runs with a directory of that number in this place; `None` where there never was one.
    pub(super) fn within<R>(&mut self, directory: u64, run: impl FnOnce(&mut Self) -> R) -> Option<R> {
        if directory == self.inode() {
            return Some(run(self));
        }
        let place = place_of(directory).filter(|place| *place < self.moved.len())?;
        let exists = std::mem::replace(&mut self.exists, true);
        std::mem::swap(&mut self.entries, &mut self.moved[place]);
        let result = run(self);
        std::mem::swap(&mut self.entries, &mut self.moved[place]);
        self.exists = exists;
        Some(result)
    }
}

fn place_of(directory: u64) -> Option<usize> {
    usize::try_from(directory.checked_sub(Directory::INODE)?).ok()
}

/// Which processes there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Processes {
    /// The IDs of those alive. Nothing keeps the ID of a dead one from coming back.
    pub alive: BTreeSet<u32>,
}

/// The objects as plain memory of one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The election directory.
    pub directory: Directory,
    /// The inodes that something refers to.
    pub inodes: BTreeMap<u64, Inode>,
    /// The process table.
    pub processes: Processes,
}

impl Objects for Memory {
    type Inodes = BTreeMap<u64, Inode>;

    fn directory<R>(&mut self, run: impl FnOnce(&mut Directory, &mut Self::Inodes) -> R) -> R {
        run(&mut self.directory, &mut self.inodes)
    }

    fn inodes(&mut self) -> &mut Self::Inodes {
        &mut self.inodes
    }

    fn processes<R>(&mut self, run: impl FnOnce(&mut Processes) -> R) -> R {
        run(&mut self.processes)
    }
}

impl Inodes for BTreeMap<u64, Inode> {
    fn with<R>(&mut self, number: u64, run: impl FnOnce(&mut Inode) -> R) -> R {
        let inode = self.entry(number).or_default();
        let result = run(inode);
        if inode.is_free() {
            self.remove(&number);
        }
        result
    }
}
