//! The files of the model: which there are, what is in each, and which of them a call depends on.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use single_primary::call::{Call as ElectionCall, Handle, Name, Time};

use crate::call::Call;
use crate::kernel::{Directory, Files, Hand, Inode, Inodes, Objects, Processes};
use crate::states::oracle::{self, Entries, History};
use crate::states::reduction;

/// The names and which inodes and processes there are, without what is in the inodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) directory: Directory,
    pub(super) processes: Processes,
    /// The numbers of the inodes, ascending.
    pub(super) inodes: Vec<u64>,
}

/// What of a shape is asked at every step.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShapeGlance {
    /// Where in a state the journal and all files of realtime.log are.
    pub(super) told_apart: [Option<u8>; 1 + LOGS_MAX],
}

/// How many files of realtime.log there can be at a time.
const LOGS_MAX: usize = 5;

/// Whether a file of that name is one of realtime.log.
pub(super) fn is_log(name: &str) -> bool {
    let current = Name::Log(0).file_name();
    name.strip_prefix(&current).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl ShapeGlance {
    pub(super) fn of(shape: &Shape) -> Self {
        let find =
            |number: &u64| shape.inodes.binary_search(number).ok().map(|at| u8::try_from(at).expect("few inodes"));
        let entries = &shape.directory.entries;
        let logs = entries.iter().filter(|(name, _)| is_log(name)).map(|(_, number)| number);
        let mut told_apart = [None; 1 + LOGS_MAX];
        told_apart[0] = entries.get(Name::Journal.file_name().as_str()).and_then(find);
        assert!(logs.clone().count() <= LOGS_MAX, "at most {LOGS_MAX} files of realtime.log at a time");
        for (place, log) in told_apart[1..].iter_mut().zip(logs) {
            *place = find(log);
        }
        Self { told_apart }
    }

    /// Where in a state the journal is.
    pub(super) fn journal(self) -> Option<usize> {
        self.told_apart[0].map(usize::from)
    }
}

/// What is in a file, apart from who has it open and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Contents {
    is_directory: bool,
    pub(super) bytes: Vec<u8>,
    modified: Time,
}

impl Contents {
    /// The same file, with other bytes in it.
    pub(super) fn with(&self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..*self }
    }
}

/// What of the contents is asked at every step.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentsGlance {
    /// How many bytes there are.
    pub(super) length: u32,
    /// Whether there are registrations in it side by side that are out of order.
    pub(super) is_out_of_order: bool,
}

impl ContentsGlance {
    pub(super) fn of(contents: &Contents) -> Self {
        Self {
            length: u32::try_from(contents.bytes.len()).expect("no space has so long a file"),
            is_out_of_order: reduction::in_order(&contents.bytes, 0).is_some(),
        }
    }
}

/// What the contents say, once somebody has asked.
#[derive(Debug, Default)]
pub(super) struct ContentsFacts {
    history: OnceLock<History>,
    entries: OnceLock<Entries>,
}

impl ContentsFacts {
    pub(super) fn history(&self, contents: &Contents) -> &History {
        self.history.get_or_init(|| oracle::history(&contents.bytes))
    }

    pub(super) fn entries(&self, contents: &Contents) -> &Entries {
        self.entries.get_or_init(|| oracle::entries(&contents.bytes))
    }
}

/// The two parts of an inode, kept apart because most calls depend on one of them only: its contents, and what holds it
/// (names, descriptions, locks), which is an inode without contents.
pub(super) fn parts(mut inode: Inode) -> (Inode, Contents) {
    let bytes = std::mem::take(&mut inode.bytes);
    let modified = std::mem::take(&mut inode.modified);
    let contents = Contents { is_directory: inode.is_directory, bytes, modified };
    (inode, contents)
}

/// An inode of the parts that are given. One whose holders are not is held by a name.
pub(super) fn whole(holders: Option<&Inode>, contents: Option<&Contents>) -> Inode {
    let mut inode = holders.cloned().unwrap_or_else(|| {
        let is_directory = contents.is_some_and(|contents| contents.is_directory);
        Inode::new(is_directory, Time::default())
    });
    if let Some(Contents { bytes, modified, .. }) = contents {
        inode.bytes.clone_from(bytes);
        inode.modified = *modified;
    }
    inode
}

/// What the outcome of a call depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Footprint {
    pub(super) needs: Needs,
    /// On which inodes, by open files; the election directory is always the same one.
    opened: Vec<u64>,
    /// On which inodes, by names: each in the directory of that number, or by its path.
    named: Vec<(Option<u64>, String)>,
}

/// What kinds of things the outcome of a call depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Needs {
    /// Whether on the names and processes.
    pub(super) shape: bool,
    /// Whether on what holds the inodes.
    pub(super) holders: bool,
    /// Whether on the inodes' contents.
    pub(super) contents: bool,
}

/// As many inodes as a call can depend on.
pub(super) const FOOTPRINT_MAX: usize = Handle::COUNT + 2;

/// An inode that a call depends on, and where in the state it is, if there is one of that number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    pub(super) number: u64,
    pub(super) place: Option<usize>,
}

/// Where in a state the inodes are that a call depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) needs: Needs,
    count: u8,
    /// One above the place; zero where there is no inode of that number.
    above: [u8; FOOTPRINT_MAX],
}

impl Places {
    /// All of them, one for each spot.
    pub(super) fn all(&self) -> impl Iterator<Item = Option<usize>> {
        self.above[..usize::from(self.count)].iter().map(|above| usize::from(*above).checked_sub(1))
    }

    /// The place of one spot.
    pub(super) fn get(&self, spot: usize) -> Option<usize> {
        usize::from(self.above[spot]).checked_sub(1)
    }
}

impl Footprint {
    /// What the start of an instance depends on.
    pub(super) fn of_start() -> Self {
        Self { needs: Needs { shape: true, ..Needs::default() }, ..Self::default() }
    }

    /// What comes of what somebody else does depends on.
    pub(super) fn of_hand(hand: Hand) -> Self {
        Self {
            needs: Needs { shape: true, holders: true, contents: true },
            opened: Vec::new(),
            named: hand.names().iter().map(|name| (None, name.file_name())).collect(),
        }
    }

    /// What the death of an instance depends on that has these files open.
    pub(super) fn of_death(files: &Files) -> Self {
        Self {
            needs: Needs { shape: true, holders: true, contents: false },
            opened: files.open().map(|(_, file)| file.inode).collect(),
            named: Vec::new(),
        }
    }

    /// The inodes.
    pub(super) fn spots(&self, shape: &Shape) -> Vec<Spot> {
        let directory = &shape.directory;
        let find = |(base, name): &(Option<u64>, String)| {
            if *name == Name::Directory.file_name() {
                return directory.exists.then_some(directory.inode());
            }
            directory.number_in(base.unwrap_or(directory.inode()), name)
        };
        let mut spots: Vec<Spot> = Vec::new();
        for number in self.opened.iter().copied().chain(self.named.iter().filter_map(find)) {
            if spots.iter().all(|spot| spot.number != number) {
                spots.push(Spot { number, place: shape.inodes.binary_search(&number).ok() });
            }
        }
        spots
    }

    /// Where they are.
    pub(super) fn places(&self, shape: &Shape) -> Places {
        let spots = self.spots(shape);
        let small = |number: usize| u8::try_from(number).expect("few inodes");
        let mut above = [0; FOOTPRINT_MAX];
        for (above, spot) in above.iter_mut().zip(&spots) {
            *above = spot.place.map_or(0, |place| small(place + 1));
        }
        Places { needs: self.needs, count: small(spots.len()), above }
    }
}

/// What the outcome of a call depends on, made by whoever has these files open.
pub(super) fn footprint_of(files: &Files, call: &Call) -> Footprint {
    let (handles, names, shape): (Vec<Handle>, Vec<&Name>, bool) = match call {
        Call::Election(call) => match call {
            ElectionCall::Open { handle, name, .. } => (vec![*handle], vec![name], true),
            ElectionCall::Close(handle) => (vec![*handle], vec![], true),
            ElectionCall::CloseAll => (files.open().map(|(handle, _)| handle).collect(), vec![], true),
            ElectionCall::MakeDirectory => (vec![], vec![&Name::Directory], true),
            ElectionCall::Inspect(handle)
            | ElectionCall::FileSystem(handle)
            | ElectionCall::Lock(handle, _)
            | ElectionCall::Unlock(handle)
            | ElectionCall::Read { handle, .. }
            | ElectionCall::Append { handle, .. }
            | ElectionCall::Truncate { handle, .. }
            | ElectionCall::Sync(handle) => (vec![*handle], vec![], false),
            ElectionCall::Look(name) | ElectionCall::LookByPath(name) | ElectionCall::Remove(name) => {
                (vec![], vec![name], true)
            }
            ElectionCall::List | ElectionCall::ListLogs | ElectionCall::SyncLogDirectory => (vec![], vec![], true),
            ElectionCall::Rename(from, to) | ElectionCall::RenameNew(from, to) => (vec![], vec![from, to], true),
        },
        Call::CreateNew(handle, name) => (vec![*handle], vec![name], true),
        Call::MakeDirectory(name) | Call::RemoveDirectory(name) | Call::Modified(name) => (vec![], vec![name], true),
        Call::RecordLock(handle) => (vec![*handle], vec![], false),
        Call::ProcessId => (vec![], vec![], false),
        Call::IsAlive(_) | Call::ListFiles => (vec![], vec![], true),
    };
    let is_path = |name: &Name| {
        matches!(call, Call::Election(ElectionCall::LookByPath(_))) || matches!(name, Name::Directory | Name::Log(_))
    };
    let base = files.get(Handle::DIRECTORY).map(|directory| directory.inode);
    let (holders, contents) = match call {
        Call::Election(
            ElectionCall::Read { .. }
            | ElectionCall::Append { .. }
            | ElectionCall::Truncate { .. }
            | ElectionCall::Sync(_)
            | ElectionCall::FileSystem(_),
        ) => (false, true),
        Call::Election(ElectionCall::Inspect(_) | ElectionCall::Look(_) | ElectionCall::LookByPath(_))
        | Call::Modified(_) => (true, true),
        _ => (true, false),
    };
    Footprint {
        needs: Needs { shape, holders, contents },
        opened: handles.into_iter().filter_map(|handle| files.get(handle).map(|file| file.inode)).collect(),
        named: names.into_iter().map(|name| (base.filter(|_| !is_path(name)), name.file_name())).collect(),
    }
}

/// The objects that one call touches, as copies.
#[derive(Debug)]
pub(super) struct View {
    pub(super) directory: Directory,
    pub(super) processes: Processes,
    pub(super) inodes: Touched,
}

/// The inodes among them.
#[derive(Debug)]
pub(super) struct Touched {
    pub(super) loaded: BTreeMap<u64, Inode>,
    /// All that there were before the call.
    pub(super) elsewhere: Vec<u64>,
}

impl Objects for View {
    type Inodes = Touched;

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

impl Inodes for Touched {
    fn with<R>(&mut self, number: u64, run: impl FnOnce(&mut Inode) -> R) -> R {
        if !self.loaded.contains_key(&number) && self.elsewhere.binary_search(&number).is_ok() {
            // A new file's number is looked for among those of its name; one that is taken has something that refers to it,
            // and whatever that is stays as it is.
            let mut taken = Inode::new(false, Time::default());
            let result = run(&mut taken);
            assert_eq!(
                taken,
                Inode::new(false, Time::default()),
                "a call changes an inode that its outcome does not depend on"
            );
            return result;
        }
        run(self.loaded.entry(number).or_default())
    }
}
