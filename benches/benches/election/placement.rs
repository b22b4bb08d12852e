//! On which processors the two sides of a measurement run, so that all contestants meet the same ones.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// This thread, kept to one processor for as long as this lives.
pub(crate) struct Placement {
    anywhere: CpuSet,
}

/// Keeps this thread to the first processor that it may use and that process to the last. Where the scheduler puts them
/// decides otherwise whether a signal has to wake a processor up.
pub(crate) fn apart(other: Pid) -> Placement {
    let anywhere = sched_getaffinity(None).expect("a thread may ask where it may run");
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&processor| anywhere.is_set(processor));
    let first = usable.next().expect("this thread runs somewhere");
    let last = usable.next_back().unwrap_or(first);
    place(Some(other), &only(last));
    place(None, &only(first));
    Placement { anywhere }
}

impl Drop for Placement {
    fn drop(&mut self) {
        place(None, &self.anywhere);
    }
}

fn only(processor: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(processor);
    set
}

fn place(process: Option<Pid>, processors: &CpuSet) {
    sched_setaffinity(process, processors).expect("a process may be kept to a processor that it may use");
}
