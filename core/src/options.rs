//! How one instance joins an election.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::call::Name;
use crate::election::Election;
use crate::error::{Cause, Error};
use crate::id::InstanceId;
use crate::kernel::Kernel;
use crate::logbook::LogOptions;
use crate::os::{Os, Paths, reply_of};
use crate::role::{Role, Setup};

/// The window of an election that is not told otherwise.
pub const WINDOW: Duration = Duration::from_millis(150);

/// How one instance joins an election.
#[derive(Clone, Debug)]
pub struct Options {
    directory: PathBuf,
    id: Option<InstanceId>,
    window: Duration,
    expect: Option<usize>,
    allow_any_file_system: bool,
    log_path: Option<PathBuf>,
    log: LogOptions,
    pending_max: usize,
}

impl Options {
    /// Elects among the instances that give the same directory. It must cover exactly those that receive the same events.
    /// It is created with mode 0700 where only its last component is missing.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            id: None,
            window: WINDOW,
            expect: None,
            allow_any_file_system: false,
            log_path: None,
            log: LogOptions::default(),
            pending_max: 65_536,
        }
    }

    /// The ID of this join, in place of a generated one. It must never have been used here before.
    #[must_use]
    pub fn id(mut self, id: InstanceId) -> Self {
        self.id = Some(id);
        self
    }

    /// How long the first term after nobody lived stays open for registration, from the first one (150 ms unless told
    /// otherwise). Zero: the first to come is primary. The window only influences *who* is elected; that it is one rests on
    /// nothing timed.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// So many registrations close the window at once.
    #[must_use]
    pub fn expect(mut self, instances: usize) -> Self {
        self.expect = Some(instances);
        self
    }

    /// Joins whatever the file system is. Else one on which the election is known not to hold, such as a network file system,
    /// is refused ([`Cause::FileSystem`]); [`FileSystem::refused`](crate::FileSystem::refused) says which those are, and why.
    #[must_use]
    pub fn allow_any_file_system(mut self, allow: bool) -> Self {
        self.allow_any_file_system = allow;
        self
    }

    /// Where realtime.log is, in place of the election directory. All instances must give the same path.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_path = Some(path.into());
        self
    }

    /// From this size on, in bytes, realtime.log is renamed before the next entry, and a new one begun (16 MiB unless told
    /// otherwise). The new name is realtime.log with the number after the highest that there is: realtime.log.1,
    /// realtime.log.2 and so on, of which the last is the latest. Of those that begin with an entry of ours, the latest `keep`
    /// are kept (3, at least one).
    ///
    /// An event that arrives again is recognised in the current log and in the one before it; one that is kept by an
    /// instance, in all that there are.
    #[must_use]
    pub fn rotate(mut self, bytes: u64, keep: u8) -> Self {
        self.log = LogOptions { rotate_keep: keep.max(1), ..self.log }.rotated_at(bytes);
        self
    }

    /// Follows every entry by fdatasync(2), so that it survives a power loss. Costs about 100 µs an entry.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.log.durable = durable;
        self
    }

    /// How many events this instance keeps while it is not primary (65,536 unless told otherwise).
    #[must_use]
    pub fn pending_max(mut self, events: usize) -> Self {
        self.pending_max = events;
        self
    }

    /// Joins, and blocks until there is a verdict.
    ///
    /// # Errors
    /// Whatever keeps this instance from taking part; see [`Cause`].
    pub fn join(self) -> Result<Election, Error> {
        let election = self.start()?;
        // Whoever has just been told its role need not ask for it again.
        if election.role() == Role::Undecided {
            election.decided()?;
        }
        Ok(election)
    }

    /// Joins without blocking: the election goes on with each [`Election::poll`].
    ///
    /// # Errors
    /// Where no ID can be generated, and what the first steps meet.
    pub fn start(self) -> Result<Election, Error> {
        let paths = self.paths();
        let kernel = Os::new(paths.clone());
        self.start_in(paths, kernel)
    }

    /// Where the files of this election lie: by absolute paths, so that a working directory that changes changes nothing.
    /// Relative ones remain where the working directory is gone; nobody joins by them.
    #[must_use]
    pub fn paths(&self) -> Paths {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
        let directory = absolute(&self.directory);
        let log = self.log_path.as_deref().map_or_else(|| directory.join(Name::Log(0).file_name()), absolute);
        Paths { directory, log }
    }

    /// [`Options::start`] on another kernel than the operating system, such as a recording or a simulated one.
    ///
    /// # Errors
    /// As [`Options::start`].
    pub fn start_on<K: Kernel>(self, kernel: K) -> Result<Election<K>, Error> {
        let paths = self.paths();
        self.start_in(paths, kernel)
    }

    fn start_in<K: Kernel>(self, paths: Paths, kernel: K) -> Result<Election<K>, Error> {
        let Self { directory: _, id, window, expect, allow_any_file_system, log_path: _, log, pending_max } = self;
        if let Some(relative) = [&paths.directory, &paths.log].into_iter().find(|path| !path.is_absolute()) {
            return Err(Error::new(relative.clone(), "getcwd", Cause::NoDirectory));
        }
        let id = match id {
            Some(id) => id,
            None => InstanceId::generate()
                .map_err(|error| Error::new(paths.directory.clone(), "getrandom", Cause::of(&reply_of(&error))))?,
        };
        Election::begin(Setup { id, window, expect, allow_any_file_system, log }, kernel, paths, pending_max)
    }
}
