//! A common start for programs that know nothing of one another: each is held where exec(2) ends, as a tracer would hold it,
//! and all are let go at once.

use std::io;

use rustix::process::Pid;

#[cfg(target_os = "linux")]
pub(crate) use linux::{hold, is_held, release};

/// Elsewhere there is no such stop: a race is then seen less often, and nothing else changes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn hold() -> io::Result<()> {
    Ok(())
}

/// Elsewhere none is held.
#[cfg(not(target_os = "linux"))]
pub(crate) fn release(_processes: &[Pid], _released: impl FnMut(usize)) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::{Duration, Instant};

    use nix::sys::ptrace;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

    use super::{Pid, io};

    /// How long a process takes at most, on a busy machine, from exec(2) to the stop that it causes.
    const HOLD_MAX: Duration = Duration::from_secs(10);

    /// After so long without a stop it is looked up whether one is to come.
    const HOLD_USUALLY: Duration = Duration::from_millis(2);

    /// Has the calling process stop at its next exec(2). Makes one system call.
    pub(crate) fn hold() -> io::Result<()> {
        Ok(ptrace::traceme()?)
    }

    /// Lets those go that are held; the calling thread must have started them. Each is told with its place in the list
    /// right before. They are spread over the processors, and those that share one with this thread come last, as they
    /// cannot run before it sleeps.
    pub(crate) fn release(processes: &[Pid], mut released: impl FnMut(usize)) -> io::Result<()> {
        let all = sched_getaffinity(None)?;
        let usable: Vec<_> = (0..CpuSet::MAX_CPU).filter(|&processor| all.is_set(processor)).collect();
        let here = sched_getcpu();
        let mut held = Vec::with_capacity(processes.len());
        for (index, &process) in processes.iter().enumerate() {
            if is_held(process)? {
                let processor = usable[index % usable.len()];
                let mut only = CpuSet::new();
                only.set(processor);
                sched_setaffinity(Some(process), &only)?;
                held.push((processor == here, index, process));
            }
        }
        held.sort_unstable_by_key(|&(is_here, index, _)| (is_here, index));
        for &(_, index, process) in &held {
            released(index);
            ptrace::detach(nix::unistd::Pid::from_raw(process.as_raw_nonzero().get()), None)?;
        }
        // Only where they begin is decided for them.
        for &(_, _, process) in &held {
            match sched_setaffinity(Some(process), &all) {
                // It has ended already.
                Err(rustix::io::Errno::SRCH) => {}
                set => set?,
            }
        }
        Ok(())
    }

    /// Waits until the process is held; whether it is. exec(2) has succeeded, so the stop is near or has been forbidden.
    pub(crate) fn is_held(process: Pid) -> io::Result<bool> {
        // Not taken off the queue: should it have ended, its end is still to be seen by whoever waits for it.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let begun = Instant::now();
        while begun.elapsed() < HOLD_MAX {
            if let Some(status) = waitid(WaitId::Pid(process), options)? {
                return Ok(status.trapped());
            }
            if begun.elapsed() > HOLD_USUALLY && !is_traced(process) {
                break;
            }
            std::thread::yield_now();
        }
        Ok(false)
    }

    /// Whether the process has a tracer, which it asked for unless that is forbidden.
    fn is_traced(process: Pid) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero()));
        status.is_ok_and(|status| {
            status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
        })
    }
}
