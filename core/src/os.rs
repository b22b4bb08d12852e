//! The operating system behind the election.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fs2::FileExt;
use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, Mode as Permissions, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::time::{ClockId, clock_gettime};

use crate::call::{Access, Call, Failure, FileKind, Handle, Identity, Mode, Name, Reply, Status, Time};
use crate::file_system::FileSystem;
use crate::id::InstanceId;
use crate::kernel::{Kernel, Mutex, Word};
use crate::os::watch::{Noticed, Watches};

mod watch;

#[cfg(any(target_os = "solaris", target_os = "illumos"))]
compile_error!("flock is emulated there by record locks, which two handles of one process both get");

/// How often the primary's seat is looked at after something was noticed there: the kernel tells of the last close just before
/// the lock is free, and whoever closes it may have to wait for the processor in between. It is for a fifth of a second; the next
/// look after those comes when a watch has blocked for its longest time.
const LOOKS: u32 = 100;

/// How often the processor is only offered to others before the first nap: those who race register within microseconds,
/// and the shortest nap takes several times as long as it says.
const YIELDS: u32 = 32;

/// The first nap between two looks at the journal. Four naps later it is twice as long, up to [`PAUSE_MAX`], so that what is
/// waited for has been there for no more than a fifth of the time that it took.
const PAUSE_MIN: Duration = Duration::from_micros(20);
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// Where the files of an election lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The election directory.
    pub directory: PathBuf,
    /// realtime.log, which may be elsewhere.
    pub log: PathBuf,
}

impl Paths {
    /// Where a file of the election lies.
    #[must_use]
    pub fn of(&self, name: &Name) -> PathBuf {
        match name {
            Name::Directory => self.directory.clone(),
            Name::Log(0) => self.log.clone(),
            Name::Log(number) => {
                let mut path = OsString::from(&self.log);
                path.push(".");
                path.push(itoa::Buffer::new().format(*number));
                path.into()
            }
            name => self.directory.join(name.file_name()),
        }
    }
}

/// The files of one instance, opened relative to its election directory.
#[derive(Debug)]
pub struct Os {
    paths: Paths,
    /// The journal's path, which is looked at before each entry.
    journal: PathBuf,
    files: StdMutex<[Option<File>; Handle::COUNT]>,
    watches: Watches,
    copy_guard: forkguard::atfork::Guard,
    process: rustix::process::Pid,
    user: u32,
}

impl Os {
    /// An instance's view of the election, with no file open yet.
    #[must_use]
    pub fn new(paths: Paths) -> Self {
        Self {
            journal: paths.of(&Name::Journal),
            paths,
            files: StdMutex::default(),
            watches: Watches::default(),
            copy_guard: forkguard::atfork::Guard::default(),
            process: rustix::process::getpid(),
            user: geteuid().as_raw(),
        }
    }

    /// Runs with the open file behind a handle, for calls beyond those of [`Call`].
    ///
    /// # Errors
    /// EBADF where the handle is not open, and what `run` returns.
    pub fn with_file<R>(&self, handle: Handle, run: impl FnOnce(&File) -> io::Result<R>) -> io::Result<R> {
        match self.files().get(usize::from(handle.0)) {
            Some(Some(file)) => run(file),
            _ => Err(Errno::BADF.into()),
        }
    }

    /// Lets the handle stand for a file opened elsewhere.
    pub fn adopt(&self, handle: Handle, file: File) {
        if let Some(slot) = self.files().get_mut(usize::from(handle.0)) {
            *slot = Some(file);
        }
    }

    fn files(&self) -> MutexGuard<'_, [Option<File>; Handle::COUNT]> {
        self.files.lock()
    }

    fn open(&self, name: &Name, access: Access) -> io::Result<File> {
        // A device or pipe in the place of a file must not block the opening.
        let always = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = always
            | match access {
                Access::Directory => OFlags::DIRECTORY | OFlags::RDONLY,
                Access::Read => OFlags::RDONLY,
                Access::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            };
        let private = Permissions::RUSR | Permissions::WUSR;
        self.at(name, |directory, path| fs::openat(directory, path, flags, private)).map(Into::into)
    }

    /// Names are resolved in the opened directory, whatever its path has come to mean; the logs have paths of their own.
    fn at<R>(&self, name: &Name, run: impl FnOnce(BorrowedFd<'_>, &Path) -> rustix::io::Result<R>) -> io::Result<R> {
        match name {
            Name::Directory => Ok(run(fs::CWD, &self.paths.directory)?),
            Name::Log(0) => Ok(run(fs::CWD, &self.paths.log)?),
            Name::Log(_) => Ok(run(fs::CWD, &self.paths.of(name))?),
            name => self.with_file(Handle::DIRECTORY, |file| Ok(run(file.as_fd(), Path::new(&name.file_name()))?)),
        }
    }

    fn carry_out(&self, call: &Call) -> io::Result<Reply> {
        match call {
            Call::Open { handle, name, access } => {
                let file = self.open(name, *access)?;
                self.adopt(*handle, file);
            }
            Call::Close(handle) => {
                self.files().get_mut(usize::from(handle.0)).map(Option::take);
            }
            Call::CloseAll => *self.files() = Default::default(),
            Call::MakeDirectory => fs::mkdir(&self.paths.directory, Permissions::RWXU)?,
            Call::Inspect(handle) => {
                return self.with_file(*handle, |file| Ok(Reply::Status(self.status(&fs::fstat(file)?))));
            }
            Call::FileSystem(handle) => return self.with_file(*handle, file_system),
            Call::Look(name) => {
                let stat = self.at(name, |directory, path| fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW))?;
                return Ok(Reply::Status(self.status(&stat)));
            }
            Call::LookByPath(name) => {
                let stat =
                    if *name == Name::Journal { fs::lstat(&self.journal) } else { fs::lstat(self.paths.of(name)) }?;
                return Ok(Reply::Status(self.status(&stat)));
            }
            Call::Lock(handle, mode) => self.with_file(*handle, |file| match mode {
                Mode::Shared => FileExt::try_lock_shared(file),
                Mode::Exclusive => FileExt::try_lock_exclusive(file),
            })?,
            Call::Unlock(handle) => self.with_file(*handle, FileExt::unlock)?,
            Call::Read { handle, offset, length } => {
                return self.with_file(*handle, |file| Ok(Reply::Bytes(read(file, *offset, *length)?)));
            }
            Call::Append { handle, bytes } => {
                return self.with_file(*handle, |file| Ok(Reply::Wrote(rustix::io::write(file, bytes)?)));
            }
            Call::Truncate { handle, size } => self.with_file(*handle, |file| file.set_len(*size))?,
            Call::Sync(handle) => self.with_file(*handle, File::sync_data)?,
            Call::List => return Ok(Reply::Names(self.list_seats()?)),
            Call::ListLogs => return Ok(Reply::Names(self.list_logs()?)),
            Call::SyncLogDirectory => fs::fsync(self.open_log_directory()?)?,
            Call::Remove(name) => self.at(name, |directory, path| fs::unlinkat(directory, path, AtFlags::empty()))?,
            Call::Rename(from, to) => match from {
                Name::Log(_) => fs::rename(self.paths.of(from), self.paths.of(to))?,
                from => self.at(from, |directory, path| fs::renameat(directory, path, directory, to.file_name()))?,
            },
            Call::RenameNew(from, to) => match from {
                Name::Log(_) => rename_new(fs::CWD, &self.paths.of(from), &self.paths.of(to))?,
                from => self.at(from, |directory, path| rename_new(directory, path, Path::new(&to.file_name())))?,
            },
        }
        Ok(Reply::Done)
    }

    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the types of these fields differ between systems"
    )]
    fn status(&self, stat: &Stat) -> Status {
        Status {
            identity: Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 },
            kind: match fs::FileType::from_raw_mode(stat.st_mode) {
                fs::FileType::Directory => FileKind::Directory,
                fs::FileType::RegularFile => FileKind::Regular,
                _ => FileKind::Other,
            },
            owned: stat.st_uid == self.user,
            mode: stat.st_mode as u32 & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: stat.st_nlink as u64,
        }
    }

    fn list_seats(&self) -> io::Result<Vec<Name>> {
        self.with_file(Handle::DIRECTORY, |directory| {
            let mut seats = Vec::new();
            for entry in fs::Dir::read_from(directory)? {
                seats.extend(entry?.file_name().to_str().ok().and_then(Name::parse_seat));
            }
            Ok(seats)
        })
    }

    fn list_logs(&self) -> io::Result<Vec<Name>> {
        let current = self.paths.log.file_name().unwrap_or_default().as_bytes();
        let mut logs = Vec::new();
        for entry in fs::Dir::new(self.open_log_directory()?)? {
            logs.extend(Name::parse_log(entry?.file_name().to_bytes(), current));
        }
        Ok(logs)
    }

    /// Whoever names the log's place may name it by a link.
    fn open_log_directory(&self) -> rustix::io::Result<OwnedFd> {
        let directory =
            self.paths.log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::open(directory, OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY, Permissions::empty())
    }
}

/// Renames, unless something has the other name.
fn rename_new(directory: BorrowedFd<'_>, from: &Path, to: &Path) -> rustix::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match fs::renameat_with(directory, from, directory, to, fs::RenameFlags::NOREPLACE) {
        // This file system, or this kernel, cannot.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        renamed => return renamed,
    }
    // Only the primary renames a log of ours; what somebody else puts there in between is lost.
    match fs::statat(directory, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => fs::renameat(directory, from, directory, to),
        Err(error) => Err(error),
    }
}

/// Reads up to `length` bytes, or as many as there are: a regular file gives no fewer.
fn read(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    // Most reads bring in a record or two of the many that there is room for: room that is not worth an allocation.
    let mut start = [MaybeUninit::<u8>::uninit(); 2 * 1024];
    let room = length.min(start.len());
    let (read, _) = rustix::io::pread(file, &mut start[..room], offset)?;
    let mut bytes = Vec::with_capacity(if read.len() < room { read.len() } else { length });
    bytes.extend_from_slice(read);
    if bytes.len() == room && room < length {
        rustix::io::pread(file, spare_capacity(&mut bytes), offset + room as u64)?;
    }
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn file_system(file: &File) -> io::Result<Reply> {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the width of this field differs between systems, the number has 32 bits"
    )]
    Ok(Reply::FileSystem(FileSystem(fs::fstatfs(file)?.f_type as u32)))
}

#[cfg(not(target_os = "linux"))]
fn file_system(_file: &File) -> io::Result<Reply> {
    Ok(Reply::FileSystem(FileSystem::UNKNOWN))
}

/// The reply that an I/O error is.
#[must_use]
pub fn reply_of(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::NotFound => Reply::Missing,
        io::ErrorKind::AlreadyExists => Reply::Exists,
        io::ErrorKind::WouldBlock => Reply::Busy,
        _ => Reply::Failed(Failure(error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()))),
    }
}

impl Kernel for Os {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        loop {
            match self.carry_out(call) {
                Ok(reply) => return reply,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return reply_of(&error),
            }
        }
    }

    fn now(&self) -> Time {
        // Time since boot goes on while the machine sleeps, so that a window does not outlast a nap of the lid.
        #[cfg(target_os = "linux")]
        let clock = ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Monotonic;
        let now = clock_gettime(clock);
        let micros =
            now.tv_sec.unsigned_abs().saturating_mul(1_000_000).saturating_add(now.tv_nsec.unsigned_abs() / 1000);
        Time::from_micros(micros)
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        let Some(nap) = attempt.checked_sub(YIELDS) else { return thread::yield_now() };
        let pause = PAUSE_MIN.saturating_mul(1 << (nap / 4).min(16)).min(PAUSE_MAX);
        let left = until.map_or(Duration::MAX, |until| {
            Duration::from_micros(until.as_micros().saturating_sub(self.now().as_micros()))
        });
        thread::sleep(pause.min(left));
    }

    fn await_vacancy(&self, seat: &InstanceId, mut look: impl FnMut() -> bool) {
        let mut watch = self.watches.begin(seat, &self.paths.of(&Name::Seat(seat.clone())));
        // Looked at behind the beginning of the watch, so that nothing goes unnoticed in between.
        let mut looks_max = 1;
        let mut looks = 0_u32;
        while !look() {
            looks = looks.saturating_add(1);
            match &mut watch {
                Some(watch) if looks >= looks_max => {
                    looks = 0;
                    looks_max = match watch.block() {
                        Noticed::Something => LOOKS,
                        Noticed::Nothing => 1,
                    };
                }
                Some(_) | None => self.pause(looks, None),
            }
        }
        if let Some(watch) = watch {
            self.watches.end(watch);
        }
    }

    fn end_waits(&self) {
        self.watches.close();
    }

    fn is_original(&self) -> bool {
        !self.copy_guard.clone().detected_fork()
    }

    fn is_original_process(&self) -> bool {
        self.is_original() && rustix::process::getpid() == self.process
    }
}

/// [`Mutex`] of the standard library.
#[derive(Debug, Default)]
pub struct StdMutex<T>(std::sync::Mutex<T>);

impl<T> StdMutex<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send> Mutex<T> for StdMutex<T> {
    fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R {
        run(&mut self.lock())
    }
}

impl Word for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.store(value, Ordering::Release);
    }
}
