//! An engine that runs unmodified programs one visible system call at a time, in any order that it is told, the same way in
//! every run.
//!
//! It follows all threads and children of all copies by ptrace(2). The kernel's filter stops them at the calls in `calls`. What
//! others could see of a call makes it a step (`called`, `pending`); everything else just happens, one thread at a time
//! (`settle`). Time is virtual (`clock`), random bytes follow from a seed, and process IDs from the order of births
//! (`launcher`).

mod asked;
mod beginning;
mod births;
mod called;
mod calls;
mod clock;
mod deeds;
mod descriptors;
mod ending;
mod execution;
mod faults;
mod files;
mod filter;
mod launcher;
mod memory;
mod named;
mod opened;
mod pending;
mod program;
mod randomness;
mod registers;
mod returned;
mod settle;
mod sockets;
mod status;
mod steps;
mod streams;
mod template;
mod thread;
mod ticks;
mod timers;
mod tracing;
mod vdso;
mod waiting;

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use crate::explore::execution::{Stop, System};
use crate::failure::Failure;

#[allow(unused_imports, reason = "what an execution comes to is looked at by the search that drives it")]
pub(crate) use execution::{ProcessExecution, Remains};
pub(crate) use faults::Faults;
pub(crate) use launcher::Start;
#[allow(unused_imports, reason = "what an execution comes to is looked at by the search that drives it")]
pub(crate) use tracing::End;

/// What runs, and where.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The copies, each with its program.
    pub(crate) copies: Vec<Start>,
    /// The directory in which they begin. Its contents are removed before each execution.
    pub(crate) directory: PathBuf,
    /// The files and directories whose use others can see, with all below them.
    pub(crate) watched: Vec<PathBuf>,
    /// Files to which lines are only appended and of which nobody sees the order.
    pub(crate) unordered: Vec<PathBuf>,
    /// Which faults are offered.
    pub(crate) faults: Faults,
    /// Fills the directory before each execution.
    pub(crate) prepare: Prepare,
}

/// What fills the directory before each execution.
pub(crate) struct Prepare(pub(crate) Box<Filling>);

type Filling = dyn Fn(&Path) -> io::Result<()>;

impl std::fmt::Debug for Prepare {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Prepare")
    }
}

/// Real processes that can be run again and again. One thread makes it and uses it; both it and the copies keep to one
/// processor from there on, which is what makes a stop cheap.
#[derive(Debug)]
pub(crate) struct Processes {
    host: Rc<RefCell<Host>>,
    setup: Rc<Setup>,
}

/// What all executions share.
#[derive(Debug)]
struct Host {
    templates: Templates,
    launcher: launcher::Launcher,
    _ticks: ticks::Ticks,
    streams: Vec<streams::Streams>,
}

/// The copies with which executions begin, where they may be kept.
#[derive(Debug, Default)]
struct Templates {
    /// What their random bytes follow from; none before the first execution.
    seed: Option<u64>,
    of: Vec<Option<template::Template>>,
    /// Whether copies ask for one another by process IDs, which children of those that are kept do not bear.
    are_refused: bool,
}

impl Processes {
    /// Gets ready to run these.
    ///
    /// # Errors
    /// Where programs cannot be followed here, or one is not to be found.
    pub(crate) fn new(mut setup: Setup) -> Result<Self, Failure> {
        let remedy = "see whether this user may follow programs by ptrace(2) here";
        let place = setup.directory.display().to_string();
        let canonical = |path: &Path| -> Result<PathBuf, Failure> {
            let make = "name a directory that can be made";
            fs::create_dir_all(&setup.directory).map_err(Failure::environment(&place, "mkdir", make))?;
            let base = fs::canonicalize(&setup.directory).map_err(Failure::environment(&place, "realpath", make))?;
            Ok(match path.strip_prefix(&setup.directory) {
                Ok(below) => base.join(below).components().collect(),
                Err(_) => fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            })
        };
        let watched = setup.watched.iter().map(|path| canonical(path)).collect::<Result<_, _>>()?;
        let unordered = setup.unordered.iter().map(|path| canonical(path)).collect::<Result<_, _>>()?;
        let directory = canonical(&setup.directory)?;
        (setup.watched, setup.unordered, setup.directory) = (watched, unordered, directory);
        for start in &setup.copies {
            let program = start.words.first().cloned().unwrap_or_default();
            let failed = Failure::environment(program.display(), "execve", "name a program that can be run");
            launcher::find(start).map_err(failed)?;
        }
        let mut only = CpuSet::new();
        only.set(sched_getcpu());
        sched_setaffinity(None, &only).map_err(Failure::environment("this thread", "sched_setaffinity", remedy))?;
        let filter = filter::program().map_err(Failure::environment("the filter of calls", "seccomp", remedy))?;
        let streams: Vec<_> = (setup.copies.iter())
            .map(|_| streams::Streams::new())
            .collect::<io::Result<_>>()
            .map_err(Failure::environment("the copies' standard streams", "pipe", "allow more descriptors"))?;
        let ticks = ticks::Ticks::start().map_err(Failure::environment("this thread", "timer_create", remedy))?;
        let launcher = launcher::Launcher::start(&setup.copies, &setup.directory, filter, &streams)
            .map_err(Failure::environment("the copies", "clone", remedy))?;
        Ok(Self {
            host: Rc::new(RefCell::new(Host { templates: Templates::default(), launcher, _ticks: ticks, streams })),
            setup: Rc::new(setup),
        })
    }

    /// What differs from run to run here, for want of namespaces.
    pub(crate) fn unfixed(&self) -> Vec<String> {
        self.host.borrow().launcher.unfixed.clone()
    }
}

impl System for Processes {
    type Execution = ProcessExecution;

    fn start(&mut self, seed: u64) -> Result<ProcessExecution, Stop> {
        ProcessExecution::start(self.host.clone(), self.setup.clone(), seed)
    }
}

/// Removes all that is in a directory.
fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
