//! The operating system behind every protocol: the calls of the election as the library carries them out, and the others.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};
use single_primary::call::{Handle, Name, Reply as ElectionReply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Os, Paths, reply_of};

use crate::call::{Call, Reply};

/// The files of one instance of any protocol.
#[derive(Debug)]
pub struct RealKernel {
    os: Os,
}

impl RealKernel {
    /// An instance's view of the election directory, with no file open yet.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self { os: Os::new(paths) }
    }

    /// What carries out the calls of the election.
    #[must_use]
    pub fn os(&self) -> &Os {
        &self.os
    }

    /// Carries out one system call. None of them waits.
    #[must_use]
    pub fn perform(&self, call: &Call) -> Reply {
        if let Call::Election(call) = call {
            return Reply::Election(self.os.perform(call));
        }
        loop {
            match self.carry_out(call) {
                Ok(reply) => return reply,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Reply::Election(reply_of(&error)),
            }
        }
    }

    /// The clock that participants are told.
    #[must_use]
    pub fn now(&self) -> Time {
        self.os.now()
    }

    /// Gives the processor up between two looks at something that changes soon; see [`Kernel::pause`].
    pub fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn carry_out(&self, call: &Call) -> io::Result<Reply> {
        match call {
            Call::Election(call) => return Ok(Reply::Election(self.os.perform(call))),
            Call::CreateNew(handle, name) => {
                let flags = OFlags::RDWR
                    | OFlags::APPEND
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::CLOEXEC
                    | OFlags::NOFOLLOW
                    | OFlags::NONBLOCK;
                let file =
                    self.at(name, |directory, path| fs::openat(directory, path, flags, Mode::RUSR | Mode::WUSR))?;
                self.os.adopt(*handle, File::from(file));
            }
            Call::MakeDirectory(name) => self.at(name, |directory, path| fs::mkdirat(directory, path, Mode::RWXU))?,
            Call::RemoveDirectory(name) => {
                self.at(name, |directory, path| fs::unlinkat(directory, path, AtFlags::REMOVEDIR))?;
            }
            Call::Modified(name) => {
                let stat = self.at(name, |directory, path| fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW))?;
                return Ok(Reply::Time(self.since_boot(stat.st_mtime, stat.st_mtime_nsec)));
            }
            Call::RecordLock(handle) => self.os.with_file(*handle, |file| {
                match fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
                    // POSIX lets a system say either where another has it.
                    Err(Errno::ACCESS) => Err(Errno::AGAIN.into()),
                    locked => Ok(locked?),
                }
            })?,
            Call::ProcessId => return Ok(Reply::Process(std::process::id())),
            Call::IsAlive(process) => match i32::try_from(*process).ok().and_then(Pid::from_raw).map(test_kill_process)
            {
                // There is one, of another user.
                Some(Ok(()) | Err(Errno::PERM)) => {}
                Some(Err(Errno::SRCH)) | None => return Ok(Reply::Election(ElectionReply::Missing)),
                Some(Err(error)) => return Err(error.into()),
            },
            Call::ListFiles => return Ok(Reply::Files(self.list_files()?)),
        }
        Ok(Reply::Election(ElectionReply::Done))
    }

    /// Runs with the election directory and a name in it.
    fn at<R>(&self, name: &Name, run: impl FnOnce(BorrowedFd<'_>, &Path) -> rustix::io::Result<R>) -> io::Result<R> {
        self.os.with_file(Handle::DIRECTORY, |file| Ok(run(file.as_fd(), Path::new(&name.file_name()))?))
    }

    fn list_files(&self) -> io::Result<Vec<Arc<str>>> {
        self.os.with_file(Handle::DIRECTORY, |directory| {
            let mut files = Vec::new();
            for entry in fs::Dir::read_from(directory)? {
                let entry = entry?;
                if let Ok(name) = entry.file_name().to_str()
                    && !matches!(name, "." | "..")
                {
                    files.push(name.into());
                }
            }
            files.sort_unstable();
            Ok(files)
        })
    }

    /// A file's time is one of the wall clock; how long ago it was is the same on both clocks, unless the wall clock was
    /// set in between: that is what breaks the protocols that ask.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the types of these fields differ between systems"
    )]
    fn since_boot(&self, seconds: i64, nanoseconds: impl TryInto<u64>) -> Time {
        let micros = |seconds: i64, nanoseconds: u64| {
            u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000).saturating_add(nanoseconds / 1000)
        };
        let wall = clock_gettime(ClockId::Realtime);
        let age = micros(wall.tv_sec, u64::try_from(wall.tv_nsec).unwrap_or(0))
            .saturating_sub(micros(seconds, nanoseconds.try_into().unwrap_or(0)));
        Time::from_micros(self.now().as_micros().saturating_sub(age))
    }
}
