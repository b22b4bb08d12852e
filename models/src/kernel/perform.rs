//! What each system call does to the kernel's objects.

use std::sync::Arc;

use rustix::io::Errno;
use single_primary::call::{Access, Call as ElectionCall, Failure, Handle, Name, Reply as ElectionReply, Time};
use single_primary::{FileSystem, InstanceId};

use crate::call::{Call, Reply};
use crate::kernel::file::{Description, Files, Inode, OpenFile};
use crate::kernel::object::{Directory, Inodes, Objects};

/// Who calls, and when.
#[derive(Debug)]
pub struct Caller<'a> {
    /// The instance, by its number among all.
    pub instance: u8,
    /// The process that hosts it.
    pub process: u32,
    /// Its open files.
    pub files: &'a mut Files,
    /// The moment, for modification times.
    pub now: Time,
}

/// What is to become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// What the kernel makes of it.
    Normal,
    /// It changes nothing and fails so.
    Fail(Failure),
    /// An append writes at most so many bytes, as where the disk is full; any other call is carried out.
    Short(usize),
}

/// Carries out one system call.
pub fn perform<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, call: &Call, fate: Fate) -> Reply {
    if let Fate::Fail(failure) = fate {
        return Reply::Election(ElectionReply::Failed(failure));
    }
    let reply = match call {
        Call::Election(call) => perform_election(objects, caller, call, fate),
        Call::CreateNew(handle, name) => create_new(objects, caller, *handle, name),
        Call::MakeDirectory(name) => make_directory(objects, caller, name),
        Call::RemoveDirectory(name) => remove(objects, caller, name, true),
        Call::Modified(name) => match modified(objects, caller, name) {
            Ok(modified) => return Reply::Time(modified),
            Err(reply) => Err(reply),
        },
        Call::RecordLock(handle) => record_lock(objects, caller, *handle),
        Call::ProcessId => return Reply::Process(caller.process),
        Call::IsAlive(process) => Ok(if objects.processes(|processes| processes.alive.contains(process)) {
            ElectionReply::Done
        } else {
            ElectionReply::Missing
        }),
        Call::ListFiles => match list(objects, caller, |name| Some(name.clone())) {
            Ok(names) => return Reply::Files(names),
            Err(reply) => Err(reply),
        },
    };
    Reply::Election(reply.unwrap_or_else(|reply| reply))
}

/// The first of the two steps of a lock's conversion: where the call asks for a lock on a description that holds it in the
/// other mode, that one is given up, and whether this was so. Then the call is yet to be carried out, and others may get in
/// between, as in flock(2).
pub fn begin_conversion<O: Objects>(objects: &mut O, caller: &Caller<'_>, call: &Call) -> bool {
    let Call::Election(ElectionCall::Lock(handle, mode)) = call else { return false };
    let Some(file) = caller.files.get(*handle) else { return false };
    let description = caller.description(*handle);
    objects.inodes().with(file.inode, |inode| {
        let converts = inode.locks().any(|(holder, held)| holder == description && held != *mode);
        if converts {
            inode.unlock(description);
        }
        converts
    })
}

/// An instance's process dies: the kernel closes the instance's files, one after another.
pub fn exit<O: Objects>(objects: &mut O, caller: &mut Caller<'_>) {
    for (handle, _) in caller.files.clone().open() {
        close(objects, caller, handle);
    }
}

/// A reply; `Err` where the call ended early.
type Result<T = ElectionReply> = std::result::Result<T, ElectionReply>;

fn perform_election<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, call: &ElectionCall, fate: Fate) -> Result {
    use ElectionCall as Call;
    Ok(match call {
        Call::Open { handle, name, access } => return open(objects, caller, *handle, name, *access),
        Call::Close(handle) => {
            close(objects, caller, *handle);
            ElectionReply::Done
        }
        Call::CloseAll => {
            exit(objects, caller);
            ElectionReply::Done
        }
        Call::MakeDirectory => objects.directory(|directory, inodes| {
            if directory.exists {
                return ElectionReply::Exists;
            }
            directory.make(inodes, caller.now);
            ElectionReply::Done
        }),
        Call::Inspect(handle) => {
            let number = caller.file(*handle)?.inode;
            ElectionReply::Status(objects.inodes().with(number, |inode| inode.status(number)))
        }
        Call::FileSystem(handle) => {
            caller.file(*handle)?;
            ElectionReply::FileSystem(FileSystem::UNKNOWN)
        }
        Call::Look(name) => {
            ElectionReply::Status(look(objects, caller.base(name)?, name, |number, inode| inode.status(number))?)
        }
        Call::LookByPath(name) => {
            ElectionReply::Status(look(objects, Base::Path, name, |number, inode| inode.status(number))?)
        }
        Call::Lock(handle, mode) => {
            let (file, description) = (caller.file(*handle)?, caller.description(*handle));
            granted(objects.inodes().with(file.inode, |inode| inode.lock(description, *mode)))
        }
        Call::Unlock(handle) => {
            let (file, description) = (caller.file(*handle)?, caller.description(*handle));
            objects.inodes().with(file.inode, |inode| inode.unlock(description));
            ElectionReply::Done
        }
        Call::Read { handle, offset, length } => {
            let file = caller.file(*handle)?;
            return objects.inodes().with(file.inode, |inode| {
                if inode.is_directory {
                    return Err(failed(Errno::ISDIR));
                }
                let start = usize::try_from(*offset).unwrap_or(usize::MAX).min(inode.bytes.len());
                let end = start.saturating_add(*length).min(inode.bytes.len());
                Ok(ElectionReply::Bytes(inode.bytes[start..end].to_vec()))
            });
        }
        Call::Append { handle, bytes } => {
            let file = caller.writable(*handle, Errno::BADF)?;
            let written = match fate {
                Fate::Short(at_most) => bytes.len().min(at_most),
                Fate::Normal | Fate::Fail(_) => bytes.len(),
            };
            objects.inodes().with(file.inode, |inode| {
                inode.bytes.extend_from_slice(&bytes[..written]);
                if written > 0 {
                    inode.modified = caller.now;
                }
            });
            ElectionReply::Wrote(written)
        }
        Call::Truncate { handle, size } => {
            let file = caller.writable(*handle, Errno::INVAL)?;
            let size = usize::try_from(*size).map_err(|_| failed(Errno::FBIG))?;
            objects.inodes().with(file.inode, |inode| {
                inode.bytes.resize(size, 0);
                inode.modified = caller.now;
            });
            ElectionReply::Done
        }
        Call::Sync(handle) => {
            caller.file(*handle)?;
            ElectionReply::Done
        }
        Call::List => ElectionReply::Names(list(objects, caller, |name| {
            InstanceId::new(name.strip_suffix(".seat")?).ok().map(Name::Seat)
        })?),
        Call::ListLogs => ElectionReply::Names(list_logs(objects)?),
        Call::SyncLogDirectory => objects
            .directory(|directory, _| if directory.exists { ElectionReply::Done } else { ElectionReply::Missing }),
        Call::Remove(name) => return remove(objects, caller, name, false),
        Call::Rename(from, to) => return rename(objects, caller, from, to, true),
        Call::RenameNew(from, to) => return rename(objects, caller, from, to, false),
    })
}

impl Caller<'_> {
    fn description(&self, handle: Handle) -> Description {
        Description { instance: self.instance, handle }
    }

    fn file(&self, handle: Handle) -> Result<OpenFile> {
        self.files.get(handle).ok_or(failed(Errno::BADF))
    }

    fn writable(&self, handle: Handle, otherwise: Errno) -> Result<OpenFile> {
        let file = self.file(handle)?;
        if file.writable { Ok(file) } else { Err(failed(otherwise)) }
    }

    /// Names of the election are resolved in the directory as it was opened; the directory's own and the log's are paths.
    fn base(&self, name: &Name) -> Result<Base> {
        match name {
            Name::Directory | Name::Log(_) => Ok(Base::Path),
            _ => Ok(Base::Opened(self.file(Handle::DIRECTORY)?.inode)),
        }
    }
}

/// Where a name is looked up.
#[derive(Clone, Copy, Debug)]
enum Base {
    /// In whatever directory is in the election's place.
    Path,
    /// In the directory of that inode number.
    Opened(u64),
}

impl Base {
    fn directory<O: Objects, T>(
        self,
        objects: &mut O,
        run: impl FnOnce(&mut Directory, &mut O::Inodes) -> Result<T>,
    ) -> Result<T> {
        objects.directory(|directory, inodes| match self {
            Self::Path => run(directory, inodes),
            Self::Opened(number) => {
                directory.within(number, |directory| run(directory, inodes)).unwrap_or(Err(failed(Errno::NOTDIR)))
            }
        })
    }
}

impl Directory {
    fn find(&self, name: &Name) -> Result<u64> {
        let number = match name {
            Name::Directory => self.exists.then_some(self.inode()),
            name => self.entries.get(name.file_name().as_str()).copied(),
        };
        number.ok_or(ElectionReply::Missing)
    }

    /// Makes the election directory.
    pub(super) fn make(&mut self, inodes: &mut impl Inodes, now: Time) {
        self.exists = true;
        inodes.with(self.inode(), |inode| *inode = Inode::new(true, now));
    }

    /// Enters a new file or directory, and opens it where asked to.
    fn create(
        &mut self,
        inodes: &mut impl Inodes,
        name: &Name,
        is_directory: bool,
        opened: bool,
        now: Time,
    ) -> Result<u64> {
        if !self.exists {
            return Err(ElectionReply::Missing);
        }
        let mut inode = Inode::new(is_directory, now);
        if opened {
            inode.open();
        }
        self.enter(inodes, &name.file_name(), &inode).ok_or(failed(Errno::NOSPC))
    }

    /// Enters a new inode under a name, and returns its number; nothing where there is no room for more of that name.
    ///
    /// The number depends on the name and not on the order of creation, so that it tells no histories apart; as in file
    /// systems, it comes back once nothing refers to the inode any more.
    pub(super) fn enter(&mut self, inodes: &mut impl Inodes, name: &str, new: &Inode) -> Option<u64> {
        let first = first_number(name);
        let number = (first..first + INODES_PER_NAME).find(|number| {
            inodes.with(*number, |inode| {
                let free = inode.is_free();
                if free {
                    *inode = new.clone();
                }
                free
            })
        })?;
        self.entries.insert(name.into(), number);
        Some(number)
    }
}

fn open<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, handle: Handle, name: &Name, access: Access) -> Result {
    let inode = caller.base(name)?.directory(objects, |directory, inodes| {
        let number = match directory.find(name) {
            Ok(number) => number,
            Err(ElectionReply::Missing) if access == Access::Append => {
                return directory.create(inodes, name, false, true, caller.now);
            }
            Err(reply) => return Err(reply),
        };
        inodes.with(number, |inode| match (access, inode.is_directory) {
            (Access::Directory, false) => Err(failed(Errno::NOTDIR)),
            (Access::Append, true) => Err(failed(Errno::ISDIR)),
            _ => {
                inode.open();
                Ok(number)
            }
        })
    })?;
    adopt(objects, caller, handle, OpenFile { inode, writable: access == Access::Append });
    Ok(ElectionReply::Done)
}

fn create_new<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, handle: Handle, name: &Name) -> Result {
    let inode = caller.base(name)?.directory(objects, |directory, inodes| match directory.find(name) {
        Ok(_) => Err(ElectionReply::Exists),
        Err(_) => directory.create(inodes, name, false, true, caller.now),
    })?;
    adopt(objects, caller, handle, OpenFile { inode, writable: true });
    Ok(ElectionReply::Done)
}

fn make_directory<O: Objects>(objects: &mut O, caller: &Caller<'_>, name: &Name) -> Result {
    caller.base(name)?.directory(objects, |directory, inodes| match directory.find(name) {
        Ok(_) => Err(ElectionReply::Exists),
        Err(_) => directory.create(inodes, name, true, false, caller.now).map(|_| ElectionReply::Done),
    })
}

/// The new file takes the handle's place, which closes what was there.
fn adopt<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, handle: Handle, file: OpenFile) {
    close(objects, caller, handle);
    if usize::from(handle.0) < Handle::COUNT {
        caller.files.replace(handle, Some(file));
    } else {
        let description = caller.description(handle);
        objects.inodes().with(file.inode, |inode| inode.close(description, caller.process));
    }
}

fn close<O: Objects>(objects: &mut O, caller: &mut Caller<'_>, handle: Handle) {
    if let Some(file) = caller.files.replace(handle, None) {
        let description = caller.description(handle);
        objects.inodes().with(file.inode, |inode| inode.close(description, caller.process));
    }
}

fn modified<O: Objects>(objects: &mut O, caller: &Caller<'_>, name: &Name) -> Result<Time> {
    look(objects, caller.base(name)?, name, |_, inode| inode.modified)
}

fn look<O: Objects, T>(objects: &mut O, base: Base, name: &Name, read: impl FnOnce(u64, &Inode) -> T) -> Result<T> {
    base.directory(objects, |directory, inodes| {
        let number = directory.find(name)?;
        Ok(inodes.with(number, |inode| read(number, inode)))
    })
}

fn record_lock<O: Objects>(objects: &mut O, caller: &Caller<'_>, handle: Handle) -> Result {
    let file = caller.writable(handle, Errno::BADF)?;
    Ok(granted(objects.inodes().with(file.inode, |inode| inode.record_lock(caller.process))))
}

fn list<O: Objects, T>(
    objects: &mut O,
    caller: &Caller<'_>,
    mut admit: impl FnMut(&Arc<str>) -> Option<T>,
) -> Result<Vec<T>> {
    let base = caller.base(&Name::Journal)?;
    base.directory(objects, |directory, _| Ok(directory.entries.keys().filter_map(&mut admit).collect()))
}

/// Names of logs are paths, so that no directory need be open.
fn list_logs<O: Objects>(objects: &mut O) -> Result<Vec<Name>> {
    let current = Name::Log(0).file_name();
    objects.directory(|directory, _| {
        let logs = directory.entries.keys().filter_map(|name| Name::parse_log(name.as_bytes(), current.as_bytes()));
        if directory.exists { Ok(logs.collect()) } else { Err(ElectionReply::Missing) }
    })
}

fn remove<O: Objects>(objects: &mut O, caller: &Caller<'_>, name: &Name, wants_directory: bool) -> Result {
    caller.base(name)?.directory(objects, |directory, inodes| {
        let number = directory.find(name)?;
        inodes.with(number, |inode| match (wants_directory, inode.is_directory) {
            (true, false) => Err(failed(Errno::NOTDIR)),
            (false, true) => Err(failed(Errno::ISDIR)),
            // The election directory stays as long as there are instances; see the module's documentation.
            (true, true) if number == directory.inode() => Err(failed(Errno::BUSY)),
            _ => {
                inode.unlink();
                Ok(())
            }
        })?;
        directory.entries.remove(name.file_name().as_str());
        Ok(ElectionReply::Done)
    })
}

fn rename<O: Objects>(objects: &mut O, caller: &Caller<'_>, from: &Name, to: &Name, replaces: bool) -> Result {
    caller.base(from)?.directory(objects, |directory, inodes| {
        let number = directory.find(from)?;
        if number == directory.inode() || *to == Name::Directory {
            return Err(failed(Errno::BUSY));
        }
        if let Ok(replaced) = directory.find(to) {
            if !replaces {
                return Err(ElectionReply::Exists);
            }
            if replaced == number {
                return Ok(ElectionReply::Done);
            }
            let is_directory = inodes.with(number, |inode| inode.is_directory);
            inodes.with(replaced, |inode| match (is_directory, inode.is_directory) {
                (true, false) => Err(failed(Errno::NOTDIR)),
                (false, true) => Err(failed(Errno::ISDIR)),
                _ => {
                    inode.unlink();
                    Ok(())
                }
            })?;
        }
        directory.entries.remove(from.file_name().as_str());
        directory.entries.insert(to.file_name().into(), number);
        Ok(ElectionReply::Done)
    })
}

fn granted(granted: bool) -> ElectionReply {
    if granted { ElectionReply::Done } else { ElectionReply::Busy }
}

fn failed(errno: Errno) -> ElectionReply {
    ElectionReply::Failed(Failure(errno.raw_os_error()))
}

const INODES_PER_NAME: u64 = 256;

/// Where the search for an inode number begins: FNV-1a of the name.
fn first_number(name: &str) -> u64 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    u64::from(hash) * INODES_PER_NAME
}
