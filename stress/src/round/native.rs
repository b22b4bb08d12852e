//! One round: its processes are forked, released together, waited for, and what they left behind is gathered.

mod attended;
pub(crate) mod calls;
mod disturbance;
mod gather;
mod heir;
mod host;
pub(crate) mod instance;
mod interference;
mod recorder;
pub(crate) mod trace;
mod turns;
mod validation;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::process::{Pid, Signal};

use self::disturbance::Done;
use self::heir::Heir;
use self::host::{PATIENCE, Stage};
use self::instance::Place;
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

/// How often the worker looks for processes that ended before their time.
const LOOK: Duration = Duration::from_millis(20);

/// What a worker needs for its rounds, one after the other.
#[derive(Debug)]
pub(crate) struct Rig {
    stage: Stage,
    regions: Vec<Region>,
    directory: PathBuf,
    past: PathBuf,
    turns: turns::Words,
}

/// A round whose processes are there and wait for its start.
#[derive(Debug)]
pub(crate) struct Prepared {
    children: Vec<Pid>,
    done: Done,
}

/// A round whose processes run.
#[derive(Debug)]
pub(crate) struct Started {
    children: Vec<Pid>,
    done: Done,
}

/// A round whose processes have done all that they do in it.
#[derive(Debug)]
pub(crate) struct Ended {
    released_ns: u64,
    done: Done,
    /// Those that are left to the kernel to end.
    children: Vec<Pid>,
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
        Ok(Self::several(&[base.to_owned()], instances)?.remove(0))
    }

    /// One for each base. They share what a process inherits at a price: mappings and open files.
    pub(crate) fn several(bases: &[PathBuf], instances: usize) -> Result<Vec<Self>, Failure> {
        let remedy = "give a directory to write in by --dir";
        for base in bases {
            fs::create_dir(base).map_err(Failure::environment(base.display(), "mkdir", remedy))?;
        }
        let failure = |error| {
            Failure::environment("shared memory", "mmap", "free memory or give fewer --registrants or --jobs")(error)
        };
        let statuses_end = 7 + instances;
        let meetings_each = statuses_end + turns::Words::count(instances);
        let trace_words = TRACE_WORDS * (instances / 16).clamp(1, 4);
        let meetings: &'static [AtomicU32] = shared_memory::map(bases.len() * meetings_each).map_err(failure)?;
        let released: &'static [AtomicU64] = shared_memory::map(bases.len()).map_err(failure)?;
        let traces: &'static [AtomicU64] =
            shared_memory::map(bases.len() * instances * trace_words).map_err(failure)?;
        let heir = Heir::new().map_err(Failure::environment(
            "a pipe",
            "pipe",
            "raise the limit of open files, or give fewer --jobs",
        ))?;
        let rig = |(rig, base): (usize, &PathBuf)| {
            let meetings = &meetings[rig * meetings_each..][..meetings_each];
            let traces = &traces[rig * instances * trace_words..][..instances * trace_words];
            Self {
                stage: Stage {
                    start: Meeting::new(&meetings[0]),
                    settled: Meeting::new(&meetings[1]),
                    finished: Meeting::new(&meetings[2]),
                    ending: Meeting::new(&meetings[3]),
                    strike: Meeting::new(&meetings[4]),
                    has_heir: &meetings[5],
                    claimed: &meetings[6],
                    heir,
                    statuses: &meetings[7..statuses_end],
                    released_ns: &released[rig],
                },
                regions: traces.chunks_exact(trace_words).map(Region::new).collect(),
                directory: base.join("election"),
                past: base.join("past"),
                turns: turns::Words::new(&meetings[statuses_end..]),
            }
        };
        Ok(bases.iter().enumerate().map(rig).collect())
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

    /// Forks the processes of a round, which then wait for [`Rig::release`].
    pub(crate) fn prepare(&self, plan: &Plan) -> Result<Prepared, Failure> {
        let Stage { start, settled, finished, ending, strike, released_ns: _, has_heir, heir: _, claimed, statuses } =
            self.stage;
        self.turns.clear();
        for meeting in [start, settled, finished, ending, strike] {
            meeting.clear();
        }
        for word in [has_heir, claimed].into_iter().chain(statuses) {
            word.store(0, Ordering::Relaxed);
        }
        let done = Done::prepare(plan, &self.directory).map_err(Failure::environment(
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
        Ok(Prepared { children, done })
    }

    /// Starts a round: its processes run from here on.
    pub(crate) fn release(&self, prepared: Prepared) -> Started {
        let Prepared { children, done } = prepared;
        self.stage.released_ns.store(clock::now_ns(), Ordering::Release);
        self.stage.start.arrive(1);
        Started { children, done }
    }

    /// Waits until all processes of a round have done what they do in it.
    pub(crate) fn wait(&self, plan: &Plan, started: Started) -> Result<Ended, Failure> {
        let Started { mut children, mut done } = started;
        let released_ns = self.stage.released_ns.load(Ordering::Acquire);
        if !plan.faults.is_empty() {
            let place = self.place();
            let remedy = "keep others from signalling its processes and from writing to its files";
            done.carry_out(plan, self.stage, place, &children).map_err(Failure::environment(
                "a round with faults",
                "kill, wait or write",
                remedy,
            ))?;
            return Ok(Ended { released_ns, done, children: Vec::new() });
        }
        let deadline = Instant::now() + plan.window() * 2 + PATIENCE * 4;
        let failure = || Failure::environment::<rustix::io::Errno>("a process of the round", "wait", "report this");
        let mut dead = 0;
        while !self.stage.finished.wait(plan.processes(), LOOK) {
            let mut alive = Vec::with_capacity(children.len());
            for child in children {
                match rustix::process::waitpid(Some(child), rustix::process::WaitOptions::NOHANG) {
                    Ok(None) => alive.push(child),
                    Ok(Some((_, status))) => dead += usize::from(status.exit_status() != Some(0)),
                    Err(error) => return Err(failure()(error)),
                }
            }
            children = alive;
            if Instant::now() > deadline {
                kill(&children);
                return Ok(Ended { released_ns, done, children: Vec::new() });
            }
            if children.is_empty() {
                break;
            }
            // Those who wait for the dead must go on.
            for _ in 0..dead {
                self.stage.settled.arrive(plan.ids.len());
                self.stage.finished.arrive(plan.processes());
            }
            dead = 0;
        }
        // To wait for their ends as well would be to sleep and be woken once for each.
        Ok(Ended { released_ns, done, children })
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
