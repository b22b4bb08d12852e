//! Schedules, written down as they are chosen, and run again.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::threads::bounds::Bounds;

/// What was chosen in one execution, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Choice {
    /// The thread that went on.
    Task(usize),
    /// A random number.
    Random(u64),
}

/// A failing schedule with all that it takes to run it again.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) protocol: String,
    pub(super) bounds: Bounds,
    pub(super) scheduler: String,
    pub(super) why: String,
    pub(super) choices: Vec<Choice>,
}

impl Saved {
    /// Writes it into the directory, and says where it is.
    pub(super) fn save(&self, directory: &Path) -> io::Result<PathBuf> {
        let path = directory.join(format!("{}-{}.schedule.json", self.protocol, self.scheduler));
        fs::create_dir_all(directory).map_err(|error| named(directory, &error))?;
        fs::write(&path, serde_json::to_vec(self)?).map_err(|error| named(&path, &error))?;
        Ok(path)
    }

    /// Reads one that was saved.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let text = fs::read(path).map_err(|error| named(path, &error))?;
        serde_json::from_slice(&text).map_err(|error| invalid(path, &format!("not a saved schedule: {error}")))
    }
}

/// The file is there, but is not what it should be.
pub(super) fn invalid(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

thread_local! {
    /// The choices of the execution that runs on this thread, or that was the last to.
    static CHOICES: RefCell<Vec<Choice>> = const { RefCell::new(Vec::new()) };
}

/// What was chosen so far in the execution that runs on this thread, or in the last that did.
pub(super) fn choices() -> Vec<Choice> {
    CHOICES.with_borrow(Clone::clone)
}

/// Passes on what a scheduler chooses, and writes it down.
pub(super) struct Recording<S, C> {
    /// Never dropped: one that is dropped before its last schedule prints a seed that would replay nothing here.
    scheduler: ManuallyDrop<S>,
    /// Asked before each execution.
    goes_on: C,
}

impl<S: Scheduler, C: FnMut() -> bool> Recording<S, C> {
    pub(super) fn new(scheduler: S, goes_on: C) -> Self {
        Self { scheduler: ManuallyDrop::new(scheduler), goes_on }
    }
}

impl<S: Scheduler, C: FnMut() -> bool> Scheduler for Recording<S, C> {
    fn new_execution(&mut self) -> Option<Schedule> {
        if !(self.goes_on)() {
            return None;
        }
        CHOICES.with_borrow_mut(Vec::clear);
        self.scheduler.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let task = self.scheduler.next_task(runnable, current, is_yielding)?;
        CHOICES.with_borrow_mut(|choices| choices.push(Choice::Task(task.into())));
        Some(task)
    }

    fn next_u64(&mut self) -> u64 {
        let number = self.scheduler.next_u64();
        CHOICES.with_borrow_mut(|choices| choices.push(Choice::Random(number)));
        number
    }
}

/// Chooses what was chosen before, once.
pub(super) struct Replay {
    choices: std::vec::IntoIter<Choice>,
    started: bool,
    /// Whether what happened asked for something else than what was written down.
    strayed: Rc<RefCell<bool>>,
}

impl Replay {
    pub(super) fn new(choices: Vec<Choice>, strayed: Rc<RefCell<bool>>) -> Self {
        Self { choices: choices.into_iter(), started: false, strayed }
    }
}

impl Scheduler for Replay {
    fn new_execution(&mut self) -> Option<Schedule> {
        (!std::mem::replace(&mut self.started, true)).then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], _current: Option<TaskId>, _is_yielding: bool) -> Option<TaskId> {
        if let Some(Choice::Task(task)) = self.choices.next()
            && let Some(task) = runnable.iter().map(|runnable| runnable.id()).find(|id| usize::from(*id) == task)
        {
            return Some(task);
        }
        *self.strayed.borrow_mut() = true;
        None
    }

    fn next_u64(&mut self) -> u64 {
        if let Some(Choice::Random(number)) = self.choices.next() {
            return number;
        }
        *self.strayed.borrow_mut() = true;
        0
    }
}
