//! Processes made by fork(2), without exec: each runs a closure and ends.
#![allow(unsafe_code, reason = "fork(2) and _exit(2) have no safe wrapper")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::{SigHandler, Signal as NixSignal, signal};
use nix::unistd::ForkResult;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

/// The exit code of a child that panicked.
const PANICKED: i32 = 101;

/// Forks a child that runs the closure and ends at once with the code that it returns: nothing that it inherited is
/// dropped or flushed. It is killed when its parent dies.
///
/// The caller must have no other thread: in the child, only the calling thread exists, and a lock that another one held
/// stays locked for ever.
pub(crate) fn fork(run: impl FnOnce() -> i32) -> std::io::Result<Pid> {
    let parent = rustix::process::getpid();
    // SAFETY: the process has one thread, as the contract of this function says, so the child's memory is consistent.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Pid::from_raw(child.as_raw()).expect("fork returns a positive ID")),
        ForkResult::Child => {
            let orphaned = die_with_parent(parent).is_err();
            end(if orphaned { PANICKED } else { catch_unwind(AssertUnwindSafe(run)).unwrap_or(PANICKED) })
        }
    }
}

/// Ends the process without running anything that it registered or would flush.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: _exit(2) only ends the process.
    unsafe { nix::libc::_exit(code) }
}

/// Lets a signal pass without effect, in this process and in those it forks.
pub(crate) fn ignore(number: NixSignal) -> std::io::Result<()> {
    // SAFETY: no handler is installed that could run at an unsafe moment.
    unsafe { signal(number, SigHandler::SigIgn) }?;
    Ok(())
}

/// Waits for the end of a child.
pub(crate) fn wait(child: Pid) -> rustix::io::Result<WaitStatus> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Has the kernel kill this process with its parent; fails where the parent is gone already.
#[cfg(target_os = "linux")]
fn die_with_parent(parent: Pid) -> rustix::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH) }
}

/// Elsewhere nothing does that: instances end at their own deadline.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_parent: Pid) -> rustix::io::Result<()> {
    Ok(())
}
