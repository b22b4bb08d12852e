//! What a tracer asks of the kernel and is told by it.
#![allow(unsafe_code, reason = "nix names not all signals that ptrace(2) passes on")]

use std::io;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};

/// All that a followed process leaves to its threads and children: they are followed from birth, and all are killed with
/// the thread that follows them.
pub(super) fn seize(process: Pid) -> io::Result<()> {
    let options = Options::PTRACE_O_EXITKILL
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEVFORKDONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP;
    Ok(ptrace::seize(process, options)?)
}

/// How a stopped thread goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Up to what the filter stops.
    Filtered,
    /// The same, and up to the end of the call that it is in.
    CallEnds,
    /// It stays stopped, as its job is, until that is to go on.
    Continued,
}

/// Lets a stopped thread go on, with a signal or none. Where it was killed in this moment, its end will be seen.
pub(super) fn resume(thread: Pid, until: Until, signal: i32) -> io::Result<()> {
    let request = match until {
        Until::Filtered => libc::PTRACE_CONT,
        Until::CallEnds => libc::PTRACE_SYSCALL,
        Until::Continued => libc::PTRACE_LISTEN,
    };
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take a signal in place of a pointer, and write no memory of this process.
    let done = unsafe { libc::ptrace(request, thread.as_raw(), nothing, libc::c_long::from(signal)) };
    gone_is_fine(nix::errno::Errno::result(done).map(drop))
}

/// Has a thread stop, out of a call that waits.
pub(super) fn interrupt(thread: Pid) -> io::Result<()> {
    gone_is_fine(ptrace::interrupt(thread))
}

fn gone_is_fine(done: nix::Result<()>) -> io::Result<()> {
    match done {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What has happened to a thread. But for its end, it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It is about to make a call that the filter stops.
    Call,
    /// Its call has returned.
    CallEnd,
    /// It has made another thread or process.
    Birth {
        /// The thread that it has made.
        child: Pid,
        /// Whether it waits until that has memory of its own.
        waits: bool,
    },
    /// It waits no longer for what it has made.
    BirthDone,
    /// It runs another program. It was this thread, which may have had another number.
    Program {
        /// Its number before.
        former: Pid,
    },
    /// It was born, interrupted, or its job goes on.
    Halt,
    /// Its job is stopped by a signal.
    JobStop,
    /// It is about to get a signal.
    Signal(i32),
    /// It has ended.
    End(End),
}

/// How a thread or process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// What has happened since, if anything, to a thread that the calling one follows.
pub(super) fn next() -> io::Result<Option<(Pid, Event)>> {
    take(WaitOptions::NOHANG)
}

/// The same, waiting until something happens, or the next tick.
pub(super) fn wait_for_next() -> io::Result<Option<(Pid, Event)>> {
    take(WaitOptions::empty())
}

fn take(how: WaitOptions) -> io::Result<Option<(Pid, Event)>> {
    let all = WaitOptions::from_bits_retain((libc::__WALL | libc::__WNOTHREAD).cast_unsigned());
    let (thread, status) = match wait(how | all) {
        Ok(Some(news)) => news,
        Ok(None) | Err(rustix::io::Errno::INTR | rustix::io::Errno::CHILD) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let thread = Pid::from_raw(thread.as_raw_nonzero().get());
    if let Some(code) = status.exit_status() {
        return Ok(Some((thread, Event::End(End::Exited(code)))));
    }
    if let Some(signal) = status.terminating_signal() {
        return Ok(Some((thread, Event::End(End::Killed(signal)))));
    }
    let signal = status.stopping_signal().unwrap_or_default();
    // A thread that is killed right now tells nothing more.
    let told = || ptrace::getevent(thread).map(|pid| Pid::from_raw(i32::try_from(pid).unwrap_or_default()));
    let event = match status.as_raw() >> 16 {
        0 if signal == libc::SIGTRAP | 0x80 => Event::CallEnd,
        0 => Event::Signal(signal),
        libc::PTRACE_EVENT_SECCOMP => Event::Call,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE => match told() {
            Ok(child) => Event::Birth { child, waits: false },
            Err(_) => return Ok(None),
        },
        libc::PTRACE_EVENT_VFORK => match told() {
            Ok(child) => Event::Birth { child, waits: true },
            Err(_) => return Ok(None),
        },
        libc::PTRACE_EVENT_VFORK_DONE => Event::BirthDone,
        libc::PTRACE_EVENT_EXEC => Event::Program { former: told().unwrap_or(thread) },
        _ if signal == libc::SIGTRAP => Event::Halt,
        _ => Event::JobStop,
    };
    Ok(Some((thread, event)))
}

/// Waits for the end of a process that was killed, and of all that end with it.
pub(super) fn wait_for_end(process: Pid) {
    let begun = std::time::Instant::now();
    // What is not let go of in this time is left to the kernel.
    while begun.elapsed() < std::time::Duration::from_secs(10) {
        match wait_for_next() {
            Ok(Some((ended, Event::End(_)))) if ended == process => return,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
