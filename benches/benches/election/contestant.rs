//! Who answers the question "am I it?": the election, the bare lock under it, and what else a user could have picked.

use std::any::Any;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;
use single_primary::call::Name;
use single_primary::{Election, Os, Record, Role};

use crate::crew::now;
use crate::floor::{self, Seat};
use crate::timed::{Timed, primary_since};

/// Longer than any measurement: a race ends because everybody is there.
const WINDOW: Duration = Duration::from_mins(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Election,
    /// The election, as a thread sees it that waits to be primary while another takes over.
    ElectionWait,
    BareFlock,
    /// The bare system calls of an election by registration, up to where all registrations can be read.
    BareCalls,
    StdTryLock,
    FdLock,
    Fslock,
    NamedLock,
    SingleInstance,
    Pidlock,
}

/// What a contestant found out, and what it holds for as long as that is to stay true.
pub(crate) struct Claim {
    pub(crate) primary: bool,
    /// The one that is primary, where the contestant can tell.
    pub(crate) of: Option<String>,
    pub(crate) held: Held,
}

pub(crate) enum Held {
    Election(Box<Election<Timed>>),
    Descriptor(std::os::fd::OwnedFd),
    Other { _guard: Box<dyn Any> },
}

impl Contestant {
    pub(crate) const ALL: [Self; 8] = [
        Self::BareFlock,
        Self::Election,
        Self::StdTryLock,
        Self::FdLock,
        Self::Fslock,
        Self::NamedLock,
        Self::SingleInstance,
        Self::Pidlock,
    ];

    /// Its name in reports; the bare lock is what the others are compared with.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Election => "election",
            Self::ElectionWait => "wait",
            Self::BareFlock => "floor",
            Self::BareCalls => "calls",
            Self::StdTryLock => "std",
            Self::FdLock => "fd-lock",
            Self::Fslock => "fslock",
            Self::NamedLock => "named-lock",
            Self::SingleInstance => "single-instance",
            Self::Pidlock => "pidlock",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::ElectionWait, Self::BareCalls]).find(|contestant| contestant.name() == name)
    }

    /// Whether it can be refused as often as a measurement refuses it: single-instance 0.3.3 leaks a socket each time.
    pub(crate) fn can_be_refused(self) -> bool {
        self != Self::SingleInstance
    }

    /// Whether a race of it has one winner: pidlock 0.2.2 lets several acquire a lock that they create at the same time.
    pub(crate) fn can_be_raced(self) -> bool {
        self.can_be_refused() && self != Self::Pidlock
    }

    /// Finds out whether this process is it, among `expect` that ask at the same time (1: it waits for nobody).
    pub(crate) fn claim(self, directory: &Path, expect: usize) -> Claim {
        let lock = directory.join("lock");
        let (primary, held) = match self {
            Self::Election | Self::ElectionWait => {
                let options = Election::options(directory);
                let options =
                    if expect > 1 { options.window(WINDOW).expect(expect) } else { options.window(Duration::ZERO) };
                let kernel = Timed(Os::new(options.paths()));
                let election = options.start_on(kernel).expect("the election can be joined");
                let decided = match election.role() {
                    Role::Undecided => election.decided().expect("nothing ends it"),
                    role => role,
                };
                let (primary, of) = match decided {
                    Role::Primary { .. } => (true, election.id().to_string()),
                    Role::Secondary { primary, .. } => (false, primary.to_string()),
                    role => panic!("joined without a verdict: {role:?}"),
                };
                return Claim { primary, of: Some(of), held: Held::Election(Box::new(election)) };
            }
            Self::BareFlock => {
                let (file, primary) = floor::claim_lock(&lock).expect("the lock can be tried");
                (primary, Held::Descriptor(file))
            }
            Self::BareCalls => {
                let Seat { id, name, record } = Seat::new();
                let (held, journal) = floor::register(directory, &name, &record, expect).expect("the calls succeed");
                let (records, _) = journal.as_chunks();
                let ids = records.iter().map(|record| Record::decode(record).expect("all registered in order").id);
                let first = ids.min().expect("this process has registered");
                return Claim {
                    primary: first == id,
                    of: Some(first.to_string()),
                    held: Held::Other { _guard: Box::new(held) },
                };
            }
            Self::StdTryLock => {
                let file = File::create(&lock).expect("the lock file can be opened");
                (file.try_lock().is_ok(), Held::Other { _guard: Box::new(file) })
            }
            Self::FdLock => {
                let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
                let mut file = fd_lock::RwLock::new(file.expect("the lock file can be opened"));
                // Forgotten, the guard leaves the lock to the file, which outlives it.
                let primary = file.try_write().map(std::mem::forget).is_ok();
                (primary, Held::Other { _guard: Box::new(file) })
            }
            Self::Fslock => {
                let mut file = fslock::LockFile::open(&lock).expect("the lock file can be opened");
                (file.try_lock().expect("the lock can be tried"), Held::Other { _guard: Box::new(file) })
            }
            Self::NamedLock => {
                let file = named_lock::NamedLock::with_path(&lock).expect("the lock file can be opened");
                let guard = file.try_lock();
                (guard.is_ok(), Held::Other { _guard: Box::new(guard) })
            }
            Self::SingleInstance => {
                let name = directory.to_str().expect("a temporary path is text");
                let instance = single_instance::SingleInstance::new(name).expect("the socket can be bound");
                (instance.is_single(), Held::Other { _guard: Box::new(instance) })
            }
            Self::Pidlock => {
                let mut file = pidlock::Pidlock::new_validated(&lock).expect("the path is valid");
                (file.acquire().is_ok(), Held::Other { _guard: Box::new(file) })
            }
        };
        Claim { primary, of: None, held }
    }

    /// Finds out that the election's primary lives, to wait for its death.
    pub(crate) fn stand_by(self, directory: &Path) -> Claim {
        if self != Self::BareFlock {
            return self.claim(directory, 1);
        }
        let seats = fs::read_dir(directory).expect("the election has a directory").filter_map(|entry| {
            let name = entry.expect("a directory can be listed").file_name().into_string().ok()?;
            Some(name.strip_suffix(".seat")?.to_owned())
        });
        let of = seats.min().expect("the primary has a seat");
        let (file, primary) =
            floor::claim_lock(&directory.join(Claim::contested_file(Some(&of)))).expect("the lock can be tried");
        Claim { primary, of: Some(of), held: Held::Descriptor(file) }
    }
}

impl Claim {
    /// Blocks until this process is primary, and returns since when it is. Only the election and the bare lock can.
    pub(crate) fn wait(&self) -> Duration {
        match &self.held {
            Held::Election(election) => {
                election.wait().expect("it becomes primary in the end");
                assert!(election.is_primary());
                primary_since()
            }
            Held::Descriptor(file) => {
                floor::lock(file, FlockOperation::LockExclusive).expect("the lock is free in the end");
                now()
            }
            Held::Other { .. } => unreachable!("{self:?} cannot wait"),
        }
    }

    /// The file whose lock those wait for who are not primary.
    pub(crate) fn contested_file(of: Option<&str>) -> String {
        match of {
            Some(id) => Name::Seat(id.parse().expect("an election's own ID")).file_name(),
            None => "lock".into(),
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Claim").field("primary", &self.primary).field("of", &self.of).finish_non_exhaustive()
    }
}
