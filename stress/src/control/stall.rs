//! A stall where it hurts: one registrant is followed from call to call until it is about to touch the election directory
//! for the n-th time, and is held there while the others run.

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::{Stall, why_impossible};
#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) use other::{Stall, why_impossible};

/// How the following of a registrant ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It is held before this call.
    Held(String),
    /// It did not come so far.
    Over,
}

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    #![allow(unsafe_code, reason = "nix names neither tkill(2) nor all signals that ptrace(2) passes on")]

    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::libc;
    use nix::sys::ptrace::{self, Options};
    use nix::unistd::Pid;
    use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};

    use super::Followed;
    use crate::control::start_line;
    use crate::control::touch::Watched;

    /// How long it takes at most to let a registrant go.
    const LET_GO_MAX: Duration = Duration::from_secs(10);

    /// How often it is looked up whether to give up.
    const LOOK: Duration = Duration::from_millis(1);

    /// After so long without news the processor is left to others.
    const RESTLESS: Duration = Duration::from_micros(200);
    const NAP: Duration = Duration::from_micros(50);

    const SYSTEM_CALL: i32 = libc::SIGTRAP | 0x80;

    /// A registrant that is followed, with all its threads and children. The thread that has started it must do so; when
    /// that one ends, the kernel kills what is still followed.
    #[derive(Debug)]
    pub(crate) struct Stall {
        leader: Pid,
        threads: Vec<Thread>,
        watched: Watched,
        is_letting_go: bool,
    }

    #[derive(Clone, Copy, Debug)]
    struct Thread {
        id: Pid,
        /// Whether the SIGSTOP with which a new one begins is still to come.
        is_new: bool,
        is_held: bool,
    }

    /// What a thread has stopped for.
    enum Stop {
        SystemCall,
        Event,
        Signal(i32),
    }

    impl Stall {
        /// Begins to follow a process that is held at the start line; nothing where it is not held.
        pub(crate) fn begin(leader: rustix::process::Pid, directory: &Path) -> io::Result<Option<Self>> {
            if !start_line::is_held(leader)? {
                return Ok(None);
            }
            let leader = Pid::from_raw(leader.as_raw_nonzero().get());
            let watched = Watched::new(directory)?;
            let options = Options::PTRACE_O_EXITKILL
                | Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACEEXEC;
            ptrace::setoptions(leader, options)?;
            let threads = vec![Thread { id: leader, is_new: false, is_held: false }];
            let stall = Self { leader, threads, watched, is_letting_go: false };
            go_on(leader, libc::PTRACE_SYSCALL, 0)?;
            Ok(Some(stall))
        }

        /// Follows it to its n-th touch, from 1.
        pub(crate) fn follow(&mut self, touch: u32, mut gives_up: impl FnMut() -> bool) -> io::Result<Followed> {
            let (mut touches, mut looked, mut busy) = (0, Instant::now(), Instant::now());
            while !self.threads.is_empty() {
                let stopped = self.stopped()?;
                if stopped.is_empty() {
                    if busy.elapsed() < RESTLESS { std::thread::yield_now() } else { std::thread::sleep(NAP) }
                } else {
                    busy = Instant::now();
                }
                for (thread, stop) in stopped {
                    match stop {
                        Stop::SystemCall => {
                            // A thread may be killed while it is looked at.
                            if let Ok(Some(call)) = self.watched.touch(thread) {
                                touches += 1;
                                if touches == touch {
                                    self.hold(thread);
                                    return Ok(Followed::Held(call));
                                }
                            }
                            go_on(thread, libc::PTRACE_SYSCALL, 0)?;
                        }
                        Stop::Event => go_on(thread, libc::PTRACE_SYSCALL, 0)?,
                        Stop::Signal(signal) => go_on(thread, libc::PTRACE_SYSCALL, signal)?,
                    }
                }
                if looked.elapsed() > LOOK {
                    looked = Instant::now();
                    if gives_up() {
                        break;
                    }
                }
            }
            Ok(Followed::Over)
        }

        /// Lets it go: from here on it is like any other. Nothing happens to a thread that does not stop for it.
        pub(crate) fn end(mut self) -> io::Result<()> {
            self.is_letting_go = true;
            for thread in &self.threads {
                if thread.is_held {
                    go_on(thread.id, libc::PTRACE_DETACH, 0)?;
                } else if !thread.is_new {
                    stop(thread.id);
                }
            }
            self.threads.retain(|thread| !thread.is_held);
            let begun = Instant::now();
            while !self.threads.is_empty() {
                if begun.elapsed() > LET_GO_MAX {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "a registrant could not be let go"));
                }
                for (thread, why) in self.stopped()? {
                    match why {
                        // The one that was sent for this, or that a new thread begins with.
                        Stop::Signal(libc::SIGSTOP) => {
                            go_on(thread, libc::PTRACE_DETACH, 0)?;
                            self.threads.retain(|one| one.id != thread);
                        }
                        Stop::Signal(signal) => go_on(thread, libc::PTRACE_CONT, signal)?,
                        Stop::SystemCall | Stop::Event => go_on(thread, libc::PTRACE_CONT, 0)?,
                    }
                }
                std::thread::yield_now();
            }
            Ok(())
        }

        fn hold(&mut self, thread: Pid) {
            for one in self.threads.iter_mut().filter(|one| one.id == thread) {
                one.is_held = true;
            }
        }

        /// The threads that have stopped. Those that have ended are followed no more, and new ones are.
        fn stopped(&mut self) -> io::Result<Vec<(Pid, Stop)>> {
            let mut stopped = Vec::new();
            for thread in self.threads.clone().into_iter().filter(|thread| !thread.is_held) {
                let forget = |threads: &mut Vec<Thread>| threads.retain(|one| one.id != thread.id);
                // Its end, where it is the registrant itself, is still to be seen by whoever waits for that.
                let Some(status) = look(thread.id, WaitIdOptions::NOWAIT)? else { continue };
                let Some(signal) = status.trapping_signal() else {
                    if thread.id != self.leader {
                        look(thread.id, WaitIdOptions::empty())?;
                    }
                    forget(&mut self.threads);
                    continue;
                };
                look(thread.id, WaitIdOptions::empty())?;
                let event = signal >> 8;
                let stop = if signal == SYSTEM_CALL {
                    Stop::SystemCall
                } else if [libc::PTRACE_EVENT_CLONE, libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK].contains(&event)
                {
                    if let Ok(id) = ptrace::getevent(thread.id) {
                        let id = Pid::from_raw(i32::try_from(id).unwrap_or_default());
                        self.threads.push(Thread { id, is_new: true, is_held: false });
                    }
                    Stop::Event
                } else if event != 0 {
                    Stop::Event
                } else if signal == libc::SIGSTOP && thread.is_new && !self.is_letting_go {
                    for one in self.threads.iter_mut().filter(|one| one.id == thread.id) {
                        one.is_new = false;
                    }
                    Stop::Event
                } else {
                    Stop::Signal(signal)
                };
                stopped.push((thread.id, stop));
            }
            Ok(stopped)
        }
    }

    impl Drop for Stall {
        /// Whatever is still followed ends: nothing is left stopped. The registrant itself is waited for by its owner.
        fn drop(&mut self) {
            for thread in &self.threads {
                let _ = nix::sys::signal::kill(thread.id, nix::sys::signal::Signal::SIGKILL);
            }
            let begun = Instant::now();
            while self.threads.iter().any(|thread| thread.id != self.leader) && begun.elapsed() < LET_GO_MAX {
                self.threads.retain(|thread| thread.id != self.leader && !matches!(has_ended(thread.id), Ok(true)));
                std::thread::yield_now();
            }
        }
    }

    /// Whether a thread has ended, which is then seen.
    fn has_ended(thread: Pid) -> io::Result<bool> {
        Ok(look(thread, WaitIdOptions::empty())?.is_none_or(|status| !status.trapped()))
    }

    /// What has become of a thread, if anything.
    fn look(thread: Pid, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
        let Some(id) = rustix::process::Pid::from_raw(thread.as_raw()) else { return Ok(None) };
        let options = options | WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(id), options) {
            // It ended and has been waited for, or is not to be seen yet.
            Err(rustix::io::Errno::CHILD) => Ok(None),
            status => Ok(status?),
        }
    }

    /// Lets a thread that has stopped go on in some way, with a signal or none.
    fn go_on(thread: Pid, how: libc::c_uint, signal: i32) -> io::Result<()> {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: these requests take a signal in place of a pointer, and write no memory of this process.
        let done = unsafe { libc::ptrace(how, thread.as_raw(), nothing, libc::c_long::from(signal)) };
        match nix::errno::Errno::result(done) {
            // It was killed in this moment, which will be seen.
            Ok(_) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Has a thread stop. It may have ended in this moment, which will be seen.
    fn stop(thread: Pid) {
        // SAFETY: the call takes two numbers. That of a followed thread is not used again before its end has been seen.
        unsafe { libc::syscall(libc::SYS_tkill, thread.as_raw(), libc::SIGSTOP) };
    }

    /// Why registrants cannot be followed here, if they cannot.
    pub(crate) fn why_impossible() -> Option<String> {
        let follow = || -> io::Result<bool> {
            let mut command = Command::new("/proc/self/exe");
            command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // SAFETY: the closure makes one system call, which is allowed after fork(2).
            unsafe { command.pre_exec(start_line::hold) };
            let mut child = command.spawn()?;
            let begun = Stall::begin(rustix::process::Pid::from_child(&child), Path::new("/"));
            let followed = match begun {
                Ok(Some(mut stall)) => stall.follow(1, || false).map(|followed| followed != Followed::Over),
                begun => begun.map(|_| false),
            };
            let _ = child.kill();
            child.wait()?;
            followed
        };
        match follow() {
            Ok(true) => None,
            Ok(false) => Some("this machine does not let programs be followed (ptrace)".into()),
            Err(error) => Some(format!("following a program failed: {error}")),
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod other {
    use std::io;
    use std::path::Path;

    use super::Followed;

    /// Nothing is followed here.
    #[derive(Debug)]
    pub(crate) struct Stall;

    impl Stall {
        pub(crate) fn begin(_: rustix::process::Pid, _: &Path) -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(crate) fn follow(&mut self, _: u32, _: impl FnMut() -> bool) -> io::Result<Followed> {
            Ok(Followed::Over)
        }

        pub(crate) fn end(self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn why_impossible() -> Option<String> {
        Some("programs can be followed on Linux with glibc alone, on x86-64 and ARM64".into())
    }
}
