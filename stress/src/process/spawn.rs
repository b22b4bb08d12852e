//! Starts a program without copying its parent's memory for it: fork(2) copies the tables of all that a campaign has mapped,
//! and the kernel then each page that either writes to, only for exec(2) to throw it all away.
#![allow(unsafe_code, reason = "clone(2) and execvpe(3) have no safe wrapper")]

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Pid;

/// A program, what it is told by its arguments and in its environment beside what this process was told, and its standard
/// input, output and error.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) words: &'a [String],
    pub(crate) variables: &'a [(&'a str, OsString)],
    pub(crate) streams: [OwnedFd; 3],
}

#[cfg(target_os = "linux")]
impl Start<'_> {
    /// Starts it as the leader of a process group of its own, looked for as a shell would. `prepare` runs in the new process
    /// before the program does; it makes system calls and allocates nothing.
    pub(crate) fn spawn(self, prepare: impl Fn() -> io::Result<()>) -> io::Result<Pid> {
        use std::collections::BTreeMap;
        use std::ffi::{CString, c_char};
        use std::os::unix::ffi::OsStringExt as _;
        use std::sync::atomic::{AtomicI32, Ordering};
        use std::{env, ptr};

        use nix::libc::execvpe;
        use nix::sched::{CloneFlags, clone};
        use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};

        use crate::process;

        /// More than setting up and looking for the program take.
        const STACK_BYTES: usize = 64 << 10;

        let Self { words, variables, streams: [stdin, stdout, stderr] } = self;
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let words: Vec<_> = words.iter().map(|word| CString::new(word.as_str())).collect::<Result<_, _>>()?;
        let mut environment: BTreeMap<OsString, OsString> = env::vars_os().collect();
        environment.extend(variables.iter().map(|(name, value)| (OsString::from(name), value.clone())));
        let environment: Vec<_> = (environment.into_iter())
            .map(|(mut assignment, value)| {
                assignment.push("=");
                assignment.push(value);
                CString::new(assignment.into_vec())
            })
            .collect::<Result<_, _>>()?;
        let (words, environment) = (pointers(&words), pointers(&environment));
        let failed = AtomicI32::new(0);
        let become_it = || -> io::Result<()> {
            rustix::stdio::dup2_stdin(&stdin)?;
            rustix::stdio::dup2_stdout(&stdout)?;
            rustix::stdio::dup2_stderr(&stderr)?;
            rustix::process::setpgid(None, None)?;
            prepare()?;
            // What this process catches or ignores is not the program's to know.
            for number in [Signal::SIGPIPE, Signal::SIGINT, Signal::SIGTERM] {
                // SAFETY: no handler is installed.
                unsafe { signal(number, SigHandler::SigDfl) }?;
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
            // SAFETY: both end with a null pointer, and what they point to lives until this process has its own memory.
            unsafe { execvpe(words[0], words.as_ptr(), environment.as_ptr()) };
            Err(io::Error::last_os_error())
        };
        let run = || {
            let error = become_it().err();
            failed.store(error.and_then(|error| error.raw_os_error()).unwrap_or(nix::libc::EINVAL), Ordering::Relaxed);
            process::end(127)
        };
        let mut stack = Vec::with_capacity(STACK_BYTES);
        let mut caught = SigSet::empty();
        // No handler is to run in the new process, whose memory is this one's.
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut caught))?;
        // SAFETY: this thread sleeps until the new process has memory of its own or has ended. Until then that process does
        // to the memory of both what this thread could do: it makes system calls, and writes to its stack, to the number of
        // the last error, and to `failed`. The stack is as long as said, and bytes need no value before they are written.
        let started = unsafe {
            let stack = std::slice::from_raw_parts_mut(stack.as_mut_ptr(), STACK_BYTES);
            clone(Box::new(run), stack, CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK, Some(Signal::SIGCHLD as i32))
        };
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&caught), None)?;
        let pid = Pid::from_raw(started?.as_raw()).expect("clone returns a positive ID");
        match failed.into_inner() {
            0 => Ok(pid),
            error => {
                process::wait(pid)?;
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Start<'_> {
    /// Starts it as the leader of a process group of its own, looked for as a shell would. `prepare` runs in the new process
    /// before the program does; it makes system calls and allocates nothing.
    pub(crate) fn spawn(self, prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> io::Result<Pid> {
        use std::os::unix::process::CommandExt as _;
        use std::process::Command;

        let Self { words, variables, streams: [stdin, stdout, stderr] } = self;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(stdin).stdout(stdout).stderr(stderr).process_group(0);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        // SAFETY: `prepare` allocates nothing, as the contract of this function says.
        unsafe { command.pre_exec(prepare) };
        Ok(Pid::from_child(&command.spawn()?))
    }
}
