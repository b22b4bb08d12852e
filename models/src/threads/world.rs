//! The simulated kernel's objects with a mutex of the checker's each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use single_primary::call::{Call as ElectionCall, Handle, Mode, Name};
use single_primary::kernel::Mutex as _;

use crate::call::Call;
use crate::kernel::{Description, Directory, Inode, Inodes, Objects, Processes};
use crate::threads::engine::{Atomic, Bell, Engine};
use crate::threads::observer::Observer;

/// Everything that the instances of one execution share.
pub(crate) struct World<E: Engine> {
    names: Names<E>,
    /// The election directory itself. What instances do with it (open, fstat, a shared lock) commutes with whatever else
    /// they do, so that its order needs no exploring and no mutex that the checker sees.
    root: Mutex<Inode>,
    inodes: Mutex<BTreeMap<u64, Arc<File<E>>>>,
    processes: E::Monitor<Processes>,
    watchers: Mutex<BTreeMap<u64, Vec<Shared<E, Bell>>>>,
    /// The journal's name, as calls that look it up read it and those that change it write it.
    journal_name: E::Atomic,
    /// The journal's inode number and what it holds: a copy that the observer may read without being seen.
    journal: Mutex<(u64, Vec<u8>)>,
    pub(crate) observer: Arc<Observer>,
    /// How many faults may still happen by chance.
    pub(crate) crashes_left: AtomicU32,
    pub(crate) io_errors_left: AtomicU32,
    pub(crate) jumps_left: AtomicU32,
}

/// A file, as the objects that a kernel makes of it: what concerns different ones is independent.
struct File<E: Engine> {
    /// Whatever is done with it is done with those of the mutexes held that it concerns, and at once.
    inode: Mutex<Inode>,
    /// The locks of either kind.
    locks: E::Monitor<()>,
    /// What it holds, its size and when that changed.
    contents: E::Monitor<()>,
    /// Its names and descriptions.
    references: E::Monitor<()>,
}

type Shared<E, T> = Arc<<E as Engine>::Monitor<T>>;

/// The directory's names.
enum Names<E: Engine> {
    /// Behind one mutex, and each file behind one.
    Together(Shared<E, Directory>),
    /// Each behind one, as the entries of a directory cache are, and each part of a file: what concerns different ones is
    /// independent. Reading the directory takes all names.
    Each { directory: Mutex<Directory>, locks: BTreeMap<Arc<str>, Shared<E, ()>> },
}

impl<E: Engine> World<E> {
    /// An election directory with nothing in it, and as many processes as are named. Where all names that will ever be
    /// used are given, each gets a mutex of its own.
    pub(crate) fn new(observer: Arc<Observer>, processes: impl Iterator<Item = u32>, names: Option<Vec<Name>>) -> Self {
        let directory = Directory { exists: true, ..Directory::default() };
        let names = match names {
            None => Names::Together(Arc::new(E::Monitor::new(directory))),
            Some(names) => {
                let lock = |name: Name| (Arc::from(name.file_name()), Arc::new(E::Monitor::new(())));
                Names::Each { directory: Mutex::new(directory), locks: names.into_iter().map(lock).collect() }
            }
        };
        let none = || AtomicU32::new(0);
        Self {
            names,
            root: Mutex::new(Inode::new(true, single_primary::call::Time::default())),
            inodes: Mutex::default(),
            processes: E::Monitor::new(Processes { alive: processes.collect() }),
            watchers: Mutex::default(),
            journal_name: E::Atomic::new(0),
            journal: Mutex::default(),
            observer,
            crashes_left: none(),
            io_errors_left: none(),
            jumps_left: none(),
        }
    }

    /// A process is gone.
    pub(crate) fn end_process(&self, process: u32) {
        self.processes.with(|processes| processes.alive.remove(&process));
    }

    fn file(&self, number: u64) -> Arc<File<E>> {
        let new = || {
            let part = || E::Monitor::new(());
            Arc::new(File { inode: Mutex::default(), locks: part(), contents: part(), references: part() })
        };
        plain(&self.inodes).entry(number).or_insert_with(new).clone()
    }

    /// Has the bell rung once nobody holds the exclusive lock of the file, which may be at once.
    pub(crate) fn watch(&self, number: u64, bell: &Shared<E, Bell>) {
        let file = self.file(number);
        let part = if let Names::Together(_) = self.names { &file.references } else { &file.locks };
        let is_free = part.with(|()| {
            plain(&self.watchers).entry(number).or_default().push(bell.clone());
            !is_locked_alone(&plain(&file.inode))
        });
        if is_free {
            self.ring(number);
        }
    }

    fn ring(&self, number: u64) {
        let bells = plain(&self.watchers).remove(&number).unwrap_or_default();
        for bell in bells {
            Bell::ring(&*bell);
        }
    }

    /// Ends every wait.
    pub(crate) fn ring_all(&self) {
        let watched: Vec<u64> = plain(&self.watchers).keys().copied().collect();
        for number in watched {
            self.ring(number);
        }
    }

    /// Says which file the journal is from here on.
    pub(crate) fn note_journal(&self, number: u64) {
        *plain(&self.journal) = (number, plain(&self.file(number).inode).bytes.clone());
    }

    /// What the journal holds.
    pub(crate) fn journal(&self) -> Vec<u8> {
        plain(&self.journal).1.clone()
    }

    /// Whether a description holds the file's lock in another mode. Nobody but its owner changes that, so that looking is no
    /// point at which the checker could switch threads.
    pub(crate) fn is_held_otherwise(&self, number: u64, description: Description, mode: Mode) -> bool {
        let file = self.file(number);
        let inode = plain(&file.inode);
        inode.locks().any(|(holder, held)| holder == description && held != mode)
    }

    /// The inode that a name stands for.
    pub(crate) fn number(&self, name: &Name) -> Option<u64> {
        let find = |directory: &Directory| directory.entries.get(name.file_name().as_str()).copied();
        match &self.names {
            Names::Together(directory) => directory.with(|directory| find(directory)),
            Names::Each { directory, .. } => find(&plain(directory)),
        }
    }

    /// What a file holds; nothing where there is none.
    pub(crate) fn contents(&self, name: &Name) -> Vec<u8> {
        self.number(name).map_or_else(Vec::new, |number| plain(&self.file(number).inode).bytes.clone())
    }
}

/// The objects, as one call of one instance reaches them.
pub(crate) struct View<'a, E: Engine> {
    world: &'a World<E>,
    instance: u8,
    names: Option<Vec<Arc<str>>>,
    changes_names: bool,
    concerns: Concerns,
}

/// Which parts of a file a call is about.
#[derive(Clone, Copy, Debug)]
struct Concerns {
    locks: bool,
    contents: bool,
    references: bool,
}

impl Concerns {
    fn of(call: &Call) -> Self {
        let concerns = |locks, contents, references| Self { locks, contents, references };
        match call {
            Call::Election(call) => match call {
                ElectionCall::Lock(..) | ElectionCall::Unlock(_) => concerns(true, false, false),
                ElectionCall::Read { .. } | ElectionCall::Append { .. } | ElectionCall::Truncate { .. } => {
                    concerns(false, true, false)
                }
                // By the size of the log it is told whether somebody else wrote to it.
                ElectionCall::Inspect(Handle::LOG) | ElectionCall::Look(Name::Log(_)) => concerns(false, true, true),
                // They tell the size as well, on which no protocol here acts but to see that the journal did not shrink, which
                // it cannot under the lock that is held then.
                ElectionCall::Inspect(_)
                | ElectionCall::Look(_)
                | ElectionCall::LookByPath(_)
                | ElectionCall::Open { .. } => concerns(false, false, true),
                _ => concerns(true, true, true),
            },
            Call::RecordLock(_) => concerns(true, false, false),
            _ => concerns(true, true, true),
        }
    }
}

impl<'a, E: Engine> View<'a, E> {
    pub(crate) fn new(world: &'a World<E>, instance: u8, call: &Call) -> Self {
        let logs = || -> Option<Vec<Arc<str>>> {
            let (Call::Election(ElectionCall::ListLogs), Names::Each { locks, .. }) = (call, &world.names) else {
                return None;
            };
            let current = Name::Log(0).file_name();
            let is_log = |name: &&Arc<str>| Name::parse_log(name.as_bytes(), current.as_bytes()).is_some();
            Some(locks.keys().filter(is_log).cloned().collect())
        };
        let own = names_of(call).map(|names| names.map(|name| name.file_name().into()).collect());
        let names = logs().or(own).map(|mut names: Vec<Arc<str>>| {
            // One order for all, so that nobody waits in a circle.
            names.sort_unstable();
            names
        });
        Self { world, instance, names, changes_names: changes_names(call), concerns: Concerns::of(call) }
    }
}

/// Whether a call lets a name that there is stand for another file, or for none.
fn changes_names(call: &Call) -> bool {
    matches!(call, Call::Election(ElectionCall::Remove(_) | ElectionCall::Rename(..) | ElectionCall::RenameNew(..)))
}

/// The names that a call looks up; `None` where it may be any.
fn names_of(call: &Call) -> Option<impl Iterator<Item = &Name>> {
    let (first, second) = match call {
        Call::Election(call) => match call {
            ElectionCall::Open { name, .. }
            | ElectionCall::Look(name)
            | ElectionCall::LookByPath(name)
            | ElectionCall::Remove(name) => (Some(name), None),
            ElectionCall::Rename(from, to) | ElectionCall::RenameNew(from, to) => (Some(from), Some(to)),
            ElectionCall::List | ElectionCall::ListLogs => return None,
            _ => (None, None),
        },
        Call::CreateNew(_, name) | Call::MakeDirectory(name) | Call::RemoveDirectory(name) | Call::Modified(name) => {
            (Some(name), None)
        }
        Call::ListFiles => return None,
        Call::RecordLock(_) | Call::ProcessId | Call::IsAlive(_) => (None, None),
    };
    Some(first.into_iter().chain(second).filter(|name| **name != Name::Directory))
}

impl<E: Engine> Objects for View<'_, E> {
    type Inodes = Self;

    fn directory<R>(&mut self, run: impl FnOnce(&mut Directory, &mut Self) -> R) -> R {
        let world = self.world;
        match &world.names {
            Names::Together(directory) => directory.clone().with(|directory| {
                world.observer.accessed(0, self.instance);
                run(directory, self)
            }),
            Names::Each { directory, locks } => {
                let names = match self.names.clone() {
                    Some(names) => names,
                    None => locks.keys().cloned().collect(),
                };
                // To open or make the journal, or to look at it, comes to the same in any order; to replace it does not.
                if names.iter().any(|name| name.as_ref() == JOURNAL) {
                    if self.changes_names {
                        world.journal_name.store(1);
                    } else {
                        world.journal_name.load();
                    }
                }
                let ordered = names.iter().filter(|name| name.as_ref() != JOURNAL);
                let locked: Vec<_> = ordered
                    .clone()
                    .map(|name| &**locks.get(name).expect("every name that is used was foreseen"))
                    .collect();
                hold::<E, R>(&locked, || {
                    for name in ordered {
                        world.observer.accessed(object_of(name), self.instance);
                    }
                    // The names that this call is about are its own meanwhile; the others may change under it.
                    let mut copy = plain(directory).clone();
                    let result = run(&mut copy, self);
                    let mut directory = plain(directory);
                    for name in &names {
                        match copy.entries.get(name) {
                            Some(number) => directory.entries.insert(name.clone(), *number),
                            None => directory.entries.remove(name),
                        };
                    }
                    result
                })
            }
        }
    }

    fn inodes(&mut self) -> &mut Self {
        self
    }

    fn processes<R>(&mut self, run: impl FnOnce(&mut Processes) -> R) -> R {
        self.world.processes.with(|processes| {
            self.world.observer.accessed(1, self.instance);
            run(processes)
        })
    }
}

impl<E: Engine> Inodes for View<'_, E> {
    fn with<R>(&mut self, number: u64, run: impl FnOnce(&mut Inode) -> R) -> R {
        if number == Directory::INODE {
            return run(&mut plain(&self.world.root));
        }
        let file = self.world.file(number);
        let Concerns { mut locks, mut contents, mut references } = self.concerns;
        if let Names::Together(_) = self.world.names {
            (references, contents, locks) = (true, false, false);
        } else {
            references &= !self.names.as_ref().is_some_and(|names| names.iter().any(|name| name.as_ref() == JOURNAL))
                && plain(&self.world.journal).0 != number;
        }
        let parts = [(references, &file.references, 0), (contents, &file.contents, 1), (locks, &file.locks, 2)];
        let concerned: Vec<_> = parts.iter().filter(|(concerned, ..)| *concerned).collect();
        let held: Vec<_> = concerned.iter().map(|(_, part, _)| *part).collect();
        let (result, is_free) = hold::<E, _>(&held, || {
            for (.., part) in concerned {
                self.world.observer.accessed(number * 4 + part, self.instance);
            }
            let inode = &mut *plain(&file.inode);
            let was_locked = is_locked_alone(inode);
            let result = run(inode);
            let mut journal = plain(&self.world.journal);
            if journal.0 == number && journal.1.len() != inode.bytes.len() {
                journal.1.clone_from(&inode.bytes);
            }
            (result, was_locked && !is_locked_alone(inode))
        });
        if is_free {
            self.world.ring(number);
        }
        result
    }
}

/// Runs with all of the locks held, taken one after another.
fn hold<E: Engine, R>(locks: &[&E::Monitor<()>], run: impl FnOnce() -> R) -> R {
    match locks {
        [] => run(),
        [first, rest @ ..] => first.with(|()| hold::<E, R>(rest, run)),
    }
}

/// The journal's name, as in [`Name::Journal`].
const JOURNAL: &str = "journal";

fn is_locked_alone(inode: &Inode) -> bool {
    inode.locks().any(|(_, mode)| mode == Mode::Exclusive)
}

fn object_of(name: &str) -> u64 {
    name.bytes().fold(2, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn plain<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one of what is left, if anything is.
pub(crate) fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
