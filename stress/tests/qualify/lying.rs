//! A file system in user space, kept in memory: honest, or lying about one thing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

/// What it does not do as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    /// It has no locks, and says so.
    NoLocks,
    /// It grants every lock to everyone.
    AllLocks,
    /// It forgets one append of a hundred.
    LostAppends,
}

/// Nothing is cached by the kernel.
const AT_ONCE: Duration = Duration::ZERO;

/// Mounts it, until what is returned is dropped.
pub(crate) fn mount(lie: Lie, place: &Path) -> std::io::Result<BackgroundSession> {
    let root = Node { links: 2, content: Content::Directory(BTreeMap::new()) };
    let nodes = BTreeMap::from([(INodeNo::ROOT.0, root)]);
    let state = State { nodes, last: INodeNo::ROOT.0, appends: 0 };
    fuser::spawn_mount(Memory { lie, state: Mutex::new(state) }, place, &Config::default())
}

struct Memory {
    lie: Lie,
    state: Mutex<State>,
}

struct State {
    nodes: BTreeMap<u64, Node>,
    last: u64,
    appends: u64,
}

struct Node {
    links: u32,
    content: Content,
}

enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<OsString, u64>),
}

impl State {
    fn entries(&mut self, directory: INodeNo) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match self.nodes.get_mut(&directory.0).map(|node| &mut node.content) {
            Some(Content::Directory(entries)) => Ok(entries),
            Some(Content::File(_)) => Err(Errno::ENOTDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn bytes(&mut self, file: INodeNo) -> Result<&mut Vec<u8>, Errno> {
        match self.nodes.get_mut(&file.0).map(|node| &mut node.content) {
            Some(Content::File(bytes)) => Ok(bytes),
            Some(Content::Directory(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        }
    }

    fn find(&mut self, parent: INodeNo, name: &OsStr) -> Result<u64, Errno> {
        self.entries(parent)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn make(&mut self, parent: INodeNo, name: &OsStr, links: u32, content: Content) -> Result<u64, Errno> {
        if self.entries(parent)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        self.last += 1;
        let made = self.last;
        self.entries(parent)?.insert(name.to_owned(), made);
        self.nodes.insert(made, Node { links, content });
        Ok(made)
    }

    /// Takes a name away. What it named stays, for it may be open.
    fn remove(&mut self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let removed = self.entries(parent)?.remove(name).ok_or(Errno::ENOENT)?;
        if let Some(node) = self.nodes.get_mut(&removed) {
            node.links = 0;
        }
        Ok(())
    }

    fn attributes(&self, node: u64) -> Result<FileAttr, Errno> {
        let Node { links, content } = self.nodes.get(&node).ok_or(Errno::ENOENT)?;
        let (kind, perm, size) = match content {
            Content::File(bytes) => (FileType::RegularFile, 0o600, bytes.len() as u64),
            Content::Directory(_) => (FileType::Directory, 0o700, 0),
        };
        let now = SystemTime::UNIX_EPOCH;
        Ok(FileAttr {
            ino: INodeNo(node),
            size,
            blocks: size.div_ceil(512),
            atime: now,
            mtime: now,
            ctime: now,
            crtime: now,
            kind,
            perm,
            nlink: *links,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entered(found: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match found {
        Ok(attributes) => reply.entry(&AT_ONCE, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attributed(found: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&AT_ONCE, &attributes),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Memory {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        if matches!(self.lie, Lie::NoLocks | Lie::AllLocks) {
            // Else the kernel keeps the locks itself.
            config.add_capabilities(InitFlags::FUSE_FLOCK_LOCKS).map_err(|_| std::io::ErrorKind::Unsupported)?;
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let found = state.find(parent, name).and_then(|node| state.attributes(node));
        entered(found, reply);
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributed(self.state().attributes(node.0), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        if let Some(size) = size.and_then(|size| usize::try_from(size).ok())
            && let Ok(bytes) = state.bytes(node)
        {
            bytes.resize(size, 0);
        }
        attributed(state.attributes(node.0), reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let mut state = self.state();
        let made = state.make(parent, name, 2, Content::Directory(BTreeMap::new()));
        entered(made.and_then(|node| state.attributes(node)), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        told(self.state().remove(parent, name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        told(self.state().remove(parent, name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let done = state.find(parent, name).and_then(|node| {
            // What had the new name loses it in the same step, as nobody else sees the state now.
            let _ = state.remove(new_parent, new_name);
            state.entries(parent)?.remove(name);
            state.entries(new_parent)?.insert(new_name.to_owned(), node);
            Ok(())
        });
        told(done, reply);
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut state = self.state();
        let made = state.make(parent, name, 1, Content::File(Vec::new())).and_then(|node| state.attributes(node));
        match made {
            Ok(attributes) => {
                reply.created(&AT_ONCE, &attributes, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.state();
        match state.bytes(node) {
            Ok(bytes) => {
                let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                let to = from.saturating_add(size as usize).min(bytes.len());
                reply.data(&bytes[from..to]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.state();
        state.appends += 1;
        let is_lost = self.lie == Lie::LostAppends && state.appends.is_multiple_of(100);
        match (state.bytes(node), usize::try_from(offset)) {
            (Ok(bytes), Ok(from)) => {
                if !is_lost {
                    bytes.resize(bytes.len().max(from + data.len()), 0);
                    bytes[from..from + data.len()].copy_from_slice(data);
                }
                reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
            }
            (Err(error), _) => reply.error(error),
            (_, Err(_)) => reply.error(Errno::EFBIG),
        }
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.state();
        match state.entries(node) {
            Ok(entries) => {
                let all: Vec<_> = entries.iter().map(|(name, node)| (name.clone(), *node)).collect();
                for (place, (name, node)) in (1..).zip(all).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
                    let kind = state.attributes(node).map_or(FileType::RegularFile, |attributes| attributes.kind);
                    if reply.add(INodeNo(node), place, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        _: bool,
        reply: ReplyEmpty,
    ) {
        match self.lie {
            Lie::AllLocks => reply.ok(),
            _ => reply.error(Errno::ENOLCK),
        }
    }
}
