//! A round of forked instances: its processes are released together, disturbed, waited for, and what they left behind is
//! gathered.

pub(crate) mod calls;
mod disturbance;
mod gather;
mod heir;
mod host;
pub(crate) mod instance;
mod interference;
mod recorder;
mod stage;
pub(crate) mod trace;
mod turns;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::process::{Pid, Signal};

use self::disturbance::Done;
use self::heir::Heir;
use self::instance::Place;
use self::stage::Stage;
use self::trace::Region;
use crate::failure::Failure;
use crate::history::format::Line;
use crate::plan::Plan;
use crate::plan::boundary::Boundary;
use crate::plan::order::Act;
use crate::process;
use crate::process::clock;
use crate::process::meeting::Meeting;
use crate::process::shared_memory;

/// How much of an instance's trace is kept, for each sixteen that take part up to 64: far more than an election takes, in
/// which each reads what all of them have written.
const TRACE_WORDS: usize = 16 * 1024;

/// How many words the processes of a round share beside one for each instance.
const STAGE_WORDS: usize = 6;

/// What a worker needs for its rounds, one after the other.
#[derive(Debug)]
pub(crate) struct Rig {
    stage: Stage,
    regions: Vec<Region>,
    directory: PathBuf,
    past: PathBuf,
    turns: turns::Words,
}

/// A round that is over, with its files still there.
#[derive(Debug)]
pub(crate) struct Ran {
    /// When the processes were released.
    pub(crate) released_ns: u64,
    /// What its instances did and believed, and what happened to them.
    pub(crate) history: Vec<Line>,
    /// How long its traces took to follow.
    pub(crate) validation_ns: u64,
    /// How many traces were followed to their end.
    pub(crate) traces: u64,
    /// How many were too long to be kept whole.
    pub(crate) cut_traces: u64,
    /// The boundaries that the plan aimed at, and whether an instance died there.
    pub(crate) boundaries: Vec<(Boundary, bool)>,
    /// How much of its time went by because the plan says so, in nanoseconds.
    pub(crate) waited_ns: u64,
    /// What its worker did to it.
    pub(crate) acts: Vec<Act>,
}

impl Rig {
    /// Takes memory for rounds of at most so many instances, whose files will lie under `base`, a directory that it makes.
    pub(crate) fn new(base: &Path, instances: usize) -> Result<Self, Failure> {
        let remedy = "give a directory to write in by --dir";
        fs::create_dir(base).map_err(Failure::environment(base.display(), "mkdir", remedy))?;
        let failure = |error| {
            Failure::environment("shared memory", "mmap", "free memory or give fewer --registrants or --jobs")(error)
        };
        let trace_words = TRACE_WORDS * (instances / 16).clamp(1, 4);
        let traces: &'static [AtomicU64] = shared_memory::map(instances * trace_words).map_err(failure)?;
        let released: &'static [AtomicU64] = shared_memory::map(1).map_err(failure)?;
        let words: &'static [AtomicU32] =
            shared_memory::map(STAGE_WORDS + instances + turns::Words::count(instances)).map_err(failure)?;
        let (words, turns) = words.split_at(STAGE_WORDS + instances);
        let heir = Heir::new().map_err(Failure::environment(
            "a pipe",
            "pipe",
            "raise the limit of open files, or give fewer --jobs",
        ))?;
        Ok(Self {
            stage: Stage {
                start: Meeting::new(&words[0]),
                ending: Meeting::new(&words[1]),
                strike: Meeting::new(&words[2]),
                has_heir: &words[3],
                claimed: &words[4],
                changed: &words[5],
                heir,
                statuses: &words[STAGE_WORDS..],
                released_ns: &released[0],
            },
            regions: traces.chunks_exact(trace_words).map(Region::new).collect(),
            directory: base.join("election"),
            past: base.join("past"),
            turns: turns::Words::new(turns),
        })
    }

    /// The election directory of the round that was run last.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the journals are that were emptied during it.
    pub(crate) fn past(&self) -> &Path {
        &self.past
    }

    fn place(&self) -> Place<'_> {
        Place { directory: &self.directory, past: &self.past, claimed: self.stage.claimed, turns: self.turns }
    }

    /// The traces of its instances.
    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Runs a round, and gathers what it left behind. Its files stay until [`Rig::clean`].
    pub(crate) fn run(&self, plan: &Plan) -> Result<Ran, Failure> {
        let Stage { start, ending, strike, released_ns, has_heir, heir: _, claimed, statuses, changed: _ } = self.stage;
        self.turns.clear();
        for meeting in [start, ending, strike] {
            meeting.clear();
        }
        for word in [has_heir, claimed].into_iter().chain(statuses) {
            word.store(0, Ordering::Relaxed);
        }
        let mut done = Done::prepare(plan, &self.directory).map_err(Failure::environment(
            self.directory.display(),
            "preparing the round's faults",
            "keep others from writing there",
        ))?;
        let epoch_ns = clock::now_ns();
        for region in &self.regions {
            region.clear(epoch_ns);
        }
        let place = self.place();
        let mut children = Vec::with_capacity(plan.processes());
        for index in 0..plan.processes() {
            match process::fork(|| host::run(plan, index, place, self.stage, &self.regions)) {
                Ok(child) => children.push(child),
                Err(error) => {
                    kill(&children);
                    let remedy = "raise the limit of processes, or give fewer --registrants or --jobs";
                    return Err(Failure::environment("a process of the round", "fork", remedy)(error));
                }
            }
        }
        released_ns.store(clock::now_ns(), Ordering::Release);
        start.arrive(1);
        done.carry_out(plan, self.stage, place, &children).map_err(Failure::environment(
            "a round",
            "kill, wait or write",
            "keep others from signalling its processes and from writing to its files",
        ))?;
        self.gather(plan, done)
    }

    /// Removes the files of the last round.
    pub(crate) fn clean(&self) -> Result<(), Failure> {
        for directory in [&self.directory, &self.past] {
            remove(directory).map_err(Failure::environment(
                directory.display(),
                "removing the round's files",
                "keep others from writing there",
            ))?;
        }
        Ok(())
    }
}

/// Kills processes of ours, and waits until they are gone.
fn kill(children: &[Pid]) {
    for child in children {
        // One that has ended already is only waited for.
        let _ = rustix::process::kill_process(*child, Signal::KILL);
        let _ = process::wait(*child);
    }
}

/// Removes a directory with the files in it, if there is one.
fn remove(directory: &Path) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(CWD, directory, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in rustix::fs::Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match rustix::fs::unlinkat(&opened, name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR | rustix::io::Errno::PERM) => {
                remove(&directory.join(std::ffi::OsStr::new(name.to_string_lossy().as_ref())))?;
            }
            removed => removed?,
        }
    }
    Ok(rustix::fs::rmdir(directory)?)
}
