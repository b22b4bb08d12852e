//! Processes made by fork(2), without exec: each runs a closure and ends.
#![allow(unsafe_code, reason = "fork(2) and _exit(2) have no safe wrapper")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;

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

/// As [`fork`], with a stack for the child that is its own from the start: of the one that it would inherit, the kernel
/// copies each page that it uses, and after that each that the parent uses. It lies in memory that both share, and only the
/// child may touch it while it lives. It must be long enough: nothing guards its end.
#[cfg(target_os = "linux")]
pub(crate) fn fork_onto(stack: &'static [AtomicU64], run: impl Fn() -> i32) -> std::io::Result<Pid> {
    extern "C" fn start<F: Fn() -> i32>(run: *mut nix::libc::c_void) -> i32 {
        // SAFETY: it is the closure of the call below, in the child's copy of its parent's memory.
        let run = unsafe { &*run.cast::<F>() };
        end(catch_unwind(AssertUnwindSafe(run)).unwrap_or(PANICKED))
    }
    fn entry<F: Fn() -> i32>(_: &F) -> extern "C" fn(*mut nix::libc::c_void) -> i32 {
        start::<F>
    }
    let parent = rustix::process::getpid();
    let run = || if die_with_parent(parent).is_ok() { run() } else { PANICKED };
    let top = stack.as_ptr_range().end.cast_mut().cast();
    // SAFETY: as in `fork`. The words of the stack are mapped for ever, end where a page does, and may be written to, as they
    // are atomics; nobody but the child uses them, as the contract of this function says. `run` outlives the call, at whose
    // end the child has its copy.
    let child =
        unsafe { nix::libc::clone(entry(&run), top, nix::libc::SIGCHLD, std::ptr::from_ref(&run).cast_mut().cast()) };
    if child < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(Pid::from_raw(child).expect("clone returns a positive ID"))
}

/// Elsewhere a child has the stack that it inherits.
#[cfg(not(target_os = "linux"))]
pub(crate) fn fork_onto(_stack: &'static [AtomicU64], run: impl Fn() -> i32) -> std::io::Result<Pid> {
    fork(run)
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
