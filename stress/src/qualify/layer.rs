//! What lies between the checks and the kernel: nothing, or something that breaks one property on purpose.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use models::call::{Call, Reply};
use models::real::RealKernel;
use rustix::fs::{FlockOperation, flock};
use single_primary::call::{Access, Call as FileCall, Handle, Identity, Mode, Name, Reply as FileReply, Status, Time};
use single_primary::{Election, FileSystem, reply_of};

use super::property::Property;

/// What statfs(2) tells of NFS.
const NFS: FileSystem = FileSystem(0x6969);

/// The files of one process under test.
#[derive(Debug)]
pub(crate) struct Layer {
    kernel: RealKernel,
    broken: Option<Property>,
    appended: std::cell::Cell<u32>,
}

impl Layer {
    pub(crate) fn new(directory: &Path, broken: Option<Property>) -> Self {
        let paths = Election::options(directory).paths();
        Self { kernel: RealKernel::new(paths), broken, appended: std::cell::Cell::new(0) }
    }

    /// The clock that elections read.
    pub(crate) fn now(&self) -> Time {
        let now = self.kernel.now();
        if self.broken == Some(Property::Clock) {
            now.after(Duration::from_secs(u64::from(std::process::id())))
        } else {
            now
        }
    }

    /// Takes a lock alone, however long that takes.
    pub(crate) fn lock_waiting(&self, handle: Handle) -> FileReply {
        loop {
            match self.perform(FileCall::Lock(handle, Mode::Exclusive)) {
                FileReply::Busy => {}
                reply => return reply,
            }
            // Where the lock is not the kernel's, the kernel cannot wait for it.
            if self.broken.is_none() {
                return self.wait_for(handle);
            }
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Creates a file that must not exist yet.
    pub(crate) fn create_new(&self, handle: Handle, name: Name) -> FileReply {
        if self.broken == Some(Property::ExclusiveCreate) {
            return self.honest(FileCall::Open { handle, name, access: Access::Append });
        }
        match self.kernel.perform(&Call::CreateNew(handle, name)) {
            Reply::Election(reply) => reply,
            _ => unreachable!("creating a file is answered as opening it is"),
        }
    }

    /// Carries a call out, or something in its place.
    pub(crate) fn perform(&self, call: FileCall) -> FileReply {
        let Some(broken) = self.broken else { return self.honest(call) };
        match (broken, call) {
            (Property::FileSystem, FileCall::FileSystem(_)) => FileReply::FileSystem(NFS),
            (Property::ExclusiveLock, FileCall::Lock(_, Mode::Exclusive)) => FileReply::Done,
            (Property::SharedLock, FileCall::Lock(_, Mode::Shared)) => FileReply::Done,
            (Property::DirectoryLock, FileCall::Lock(Handle::DIRECTORY, _)) => FileReply::Done,
            // As NFS has it: locks of the process, not of the open file.
            (Property::LockPerOpen, FileCall::Lock(handle, _)) => {
                match self.kernel.perform(&Call::RecordLock(handle)) {
                    Reply::Election(reply) => reply,
                    _ => unreachable!("a record lock is answered as a lock is"),
                }
            }
            // A lock by the existence of a file outlives its holder.
            (Property::ReleaseOnKill, FileCall::Lock(handle, Mode::Exclusive)) => {
                match self.create_new(Handle(7), Name::Other(format!("lock-of-{}", handle.0).into())) {
                    FileReply::Exists => FileReply::Busy,
                    reply => reply,
                }
            }
            (Property::AppendWhole, FileCall::Append { handle, bytes }) => {
                self.append_in_two(handle, &bytes, Duration::ZERO)
            }
            // Whole, for no other process writes meanwhile, but in two steps.
            (Property::AppendAtOnce, FileCall::Append { handle, bytes }) => {
                let guarded = self.wait_for(handle);
                let reply = self.append_in_two(handle, &bytes, Duration::from_micros(20));
                match guarded {
                    FileReply::Done => self.honest(FileCall::Unlock(handle)),
                    failed => return failed,
                };
                reply
            }
            // As NFS has it when two clients choose the same offset.
            (Property::AppendKept, FileCall::Append { handle, bytes }) => {
                self.appended.set(self.appended.get() + 1);
                if self.appended.get().is_multiple_of(100) {
                    FileReply::Wrote(bytes.len())
                } else {
                    self.honest(FileCall::Append { handle, bytes })
                }
            }
            (Property::Visibility, call @ FileCall::Read { .. }) => match self.honest(call) {
                FileReply::Bytes(mut bytes) => {
                    bytes.truncate(bytes.len() - bytes.len().min(single_primary::RECORD_BYTES));
                    FileReply::Bytes(bytes)
                }
                reply => reply,
            },
            (Property::Truncation, FileCall::Truncate { .. }) => FileReply::Done,
            (Property::Rename, FileCall::Rename(from, to)) => {
                self.honest(FileCall::Remove(to.clone()));
                thread::sleep(Duration::from_micros(20));
                self.honest(FileCall::Rename(from, to))
            }
            (Property::Identity, call @ FileCall::Inspect(_)) => self.edit(call, |status| Status {
                identity: Identity { inode: status.identity.inode + 1, ..status.identity },
                ..status
            }),
            (Property::LinkCount, call @ FileCall::Inspect(_)) => {
                self.edit(call, |status| Status { links: 1, ..status })
            }
            (_, call) => self.honest(call),
        }
    }

    fn wait_for(&self, handle: Handle) -> FileReply {
        let lock = |file: &std::fs::File| Ok(flock(file, FlockOperation::LockExclusive)?);
        loop {
            match self.kernel.os().with_file(handle, lock) {
                Ok(()) => return FileReply::Done,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return reply_of(&error),
            }
        }
    }

    fn honest(&self, call: FileCall) -> FileReply {
        match self.kernel.perform(&Call::Election(call)) {
            Reply::Election(reply) => reply,
            _ => unreachable!("calls of the election are answered in kind"),
        }
    }

    fn edit(&self, call: FileCall, edit: impl FnOnce(Status) -> Status) -> FileReply {
        match self.honest(call) {
            FileReply::Status(status) => FileReply::Status(edit(status)),
            reply => reply,
        }
    }

    fn append_in_two(&self, handle: Handle, bytes: &Arc<[u8]>, between: Duration) -> FileReply {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let mut written = 0;
        for half in [first, second] {
            match self.honest(FileCall::Append { handle, bytes: half.into() }) {
                FileReply::Wrote(more) => written += more,
                reply => return reply,
            }
            thread::sleep(between);
        }
        FileReply::Wrote(written)
    }
}
