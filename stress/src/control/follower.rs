//! Follows a copy of a program from call to call, until it is about to touch what the copies elect over, or has just done so,
//! for the n-th time; and holds the thread that does it, while all others run.

use serde::{Deserialize, Serialize};

#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::{Follower, why_impossible};
#[cfg(not(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) use other::{Follower, why_impossible};

/// Which touches count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Which {
    All,
    /// Those that change anything.
    Changes,
    /// Those that take a file's name away.
    Removals,
}

/// The touch at which a copy is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aim {
    /// Its number among those that count, from 1.
    pub(crate) number: u32,
    pub(crate) which: Which,
    /// Whether it is carried out before.
    pub(crate) after: bool,
}

/// A touch that was made, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) at_ns: u64,
    pub(crate) call: String,
    /// What the kernel answered; errors are negative.
    pub(crate) result: Option<i64>,
}

impl std::fmt::Display for Called {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.call)?;
        match self.result {
            None => Ok(()),
            Some(result) if result < 0 => {
                let error = i32::try_from(-result).unwrap_or_default();
                write!(formatter, " = -1 ({})", std::io::Error::from_raw_os_error(error))
            }
            Some(result) => write!(formatter, " = {result}"),
        }
    }
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

    use super::{Aim, Called, Which};
    use crate::control::start_line;
    use crate::control::touch::{Effect, Stage, Touch, Watched};
    use crate::process::clock;

    /// How long the threads of one that is given up may take to end.
    const END_MAX: Duration = Duration::from_secs(10);

    /// How many touches are told.
    const CALLS_MAX: usize = 1_000;

    const SYSTEM_CALL: i32 = libc::SIGTRAP | 0x80;

    /// A copy that is followed, with all its threads and children. The thread that has started it must do so, by
    /// [`Follower::step`] again and again: what is followed waits for it at each call. When that thread ends, the kernel kills
    /// whatever is still followed.
    #[derive(Debug)]
    pub(crate) struct Follower {
        leader: Pid,
        threads: Vec<Thread>,
        watched: Watched,
        aim: Aim,
        /// How many touches have counted.
        counted: u32,
        held_at: Option<Called>,
        calls: Vec<Called>,
        is_letting_go: bool,
    }

    #[derive(Clone, Copy, Debug)]
    struct Thread {
        id: Pid,
        /// Whether the SIGSTOP with which a new one begins is still to come.
        is_new: bool,
        is_held: bool,
        /// The touch that it is in, and whether it is to be held after it.
        touching: Option<(usize, bool)>,
        /// Whether it was sent the SIGSTOP at which it is let go.
        is_called: bool,
    }

    impl Thread {
        fn new(id: Pid, is_new: bool) -> Self {
            Self { id, is_new, is_held: false, touching: None, is_called: false }
        }
    }

    impl Follower {
        /// Begins to follow a process that is held at the start line; nothing where it is not held.
        pub(crate) fn begin(leader: rustix::process::Pid, watched: Watched, aim: Aim) -> io::Result<Option<Self>> {
            if !start_line::is_held(leader)? {
                return Ok(None);
            }
            let leader = Pid::from_raw(leader.as_raw_nonzero().get());
            let options = Options::PTRACE_O_EXITKILL
                | Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACEEXEC;
            ptrace::setoptions(leader, options)?;
            let follower = Self {
                leader,
                threads: vec![Thread::new(leader, false)],
                watched,
                aim,
                counted: 0,
                held_at: None,
                calls: Vec::new(),
                is_letting_go: false,
            };
            follower.go_on(leader, 0)?;
            Ok(Some(follower))
        }

        /// The touch before or after which a thread is held, or was.
        pub(crate) fn held_at(&self) -> Option<&Called> {
            self.held_at.as_ref()
        }

        /// How many touches have counted.
        pub(crate) fn counted(&self) -> u32 {
            self.counted
        }

        /// The touches so far.
        pub(crate) fn take_calls(&mut self) -> Vec<Called> {
            std::mem::take(&mut self.calls)
        }

        /// Whether nothing is followed any more.
        pub(crate) fn is_over(&self) -> bool {
            self.threads.is_empty()
        }

        /// Has those go on who have stopped since; whether there were any. Waits for nothing.
        pub(crate) fn step(&mut self) -> io::Result<bool> {
            let mut has_stopped = false;
            let threads: Vec<_> = self.threads.iter().map(|thread| thread.id).collect();
            for thread in threads {
                // Its end, where it is the copy itself, is still to be seen by whoever waits for that.
                match look(thread, WaitIdOptions::NOWAIT)? {
                    Seen::Nothing => continue,
                    Seen::Gone => self.forget(thread),
                    Seen::Ended => {
                        if thread != self.leader {
                            look(thread, WaitIdOptions::empty())?;
                        }
                        self.forget(thread);
                    }
                    Seen::Stopped(signal) => {
                        look(thread, WaitIdOptions::empty())?;
                        self.answer(thread, signal)?;
                    }
                }
                has_stopped = true;
            }
            Ok(has_stopped)
        }

        /// Begins to let it go: once no thread is followed any more, it is like any other. That comes with later steps, when
        /// each thread has stopped for it.
        pub(crate) fn let_go(&mut self) -> io::Result<()> {
            if std::mem::replace(&mut self.is_letting_go, true) {
                return Ok(());
            }
            for thread in &mut self.threads {
                if thread.is_held {
                    request(thread.id, libc::PTRACE_DETACH, 0)?;
                } else if !thread.is_new {
                    call_to_stop(thread.id);
                    thread.is_called = true;
                }
            }
            self.threads.retain(|thread| !thread.is_held);
            Ok(())
        }

        fn answer(&mut self, thread: Pid, signal: i32) -> io::Result<()> {
            let event = signal >> 8;
            if signal == SYSTEM_CALL {
                if self.is_watching() && self.at_call(thread) {
                    return Ok(());
                }
                return self.go_on(thread, 0);
            }
            if [libc::PTRACE_EVENT_CLONE, libc::PTRACE_EVENT_FORK, libc::PTRACE_EVENT_VFORK].contains(&event) {
                if let Ok(id) = ptrace::getevent(thread) {
                    self.threads.push(Thread::new(Pid::from_raw(i32::try_from(id).unwrap_or_default()), true));
                }
                return self.go_on(thread, 0);
            }
            if event == libc::PTRACE_EVENT_EXEC {
                // Whichever thread has called it, it goes on under the number of the first one, and no other does.
                if let Ok(id) = ptrace::getevent(thread)
                    && let former = Pid::from_raw(i32::try_from(id).unwrap_or_default())
                    && former != thread
                {
                    self.forget(former);
                }
                return self.go_on(thread, 0);
            }
            if event != 0 {
                return self.go_on(thread, 0);
            }
            if signal == libc::SIGSTOP
                && let Some(one) = self.threads.iter_mut().find(|one| one.id == thread)
                && (one.is_new || one.is_called)
            {
                one.is_new = false;
                if self.is_letting_go {
                    self.forget(thread);
                    return request(thread, libc::PTRACE_DETACH, 0);
                }
                return self.go_on(thread, 0);
            }
            self.go_on(thread, signal)
        }

        /// Notes what a thread does that has stopped for a call; whether it is held there.
        fn at_call(&mut self, thread: Pid) -> bool {
            // A thread may be killed while it is looked at.
            let Ok(Some(stage)) = self.watched.stage(thread) else { return false };
            let Some(index) = self.threads.iter().position(|one| one.id == thread) else { return false };
            match stage {
                Stage::Entry(None) => false,
                Stage::Entry(Some(touch)) => {
                    let is_aim = self.counts(&touch) && {
                        self.counted += 1;
                        self.counted == self.aim.number
                    };
                    let call = Called { at_ns: clock::now_ns(), call: touch.to_string(), result: None };
                    let number = self.calls.len();
                    if number < CALLS_MAX {
                        self.calls.push(call.clone());
                    }
                    self.threads[index].touching = Some((number, is_aim));
                    let holds = is_aim && !self.aim.after;
                    if holds {
                        self.hold(index, call);
                    }
                    holds
                }
                Stage::Exit(result) => {
                    let Some((number, is_aim)) = self.threads[index].touching.take() else { return false };
                    let Some(called) = self.calls.get_mut(number) else { return false };
                    called.result = Some(result);
                    if is_aim {
                        let call = Called { at_ns: clock::now_ns(), ..called.clone() };
                        self.hold(index, call);
                    }
                    is_aim
                }
            }
        }

        fn counts(&self, touch: &Touch) -> bool {
            match self.aim.which {
                Which::All => true,
                Which::Changes => touch.effect != Effect::Looks,
                Which::Removals => touch.effect == Effect::Removes,
            }
        }

        fn hold(&mut self, index: usize, call: Called) {
            self.threads[index].is_held = true;
            self.held_at = Some(call);
        }

        /// Whether calls are still of interest. The others of one that is held run as if nobody followed them.
        fn is_watching(&self) -> bool {
            self.held_at.is_none() && !self.is_letting_go
        }

        fn go_on(&self, thread: Pid, signal: i32) -> io::Result<()> {
            request(thread, if self.is_watching() { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT }, signal)
        }

        fn forget(&mut self, thread: Pid) {
            self.threads.retain(|one| one.id != thread);
        }
    }

    impl Drop for Follower {
        /// Whatever is still followed ends: nothing is left stopped. The copy itself is waited for by its owner.
        fn drop(&mut self) {
            for thread in &self.threads {
                let _ = nix::sys::signal::kill(thread.id, nix::sys::signal::Signal::SIGKILL);
            }
            let begun = Instant::now();
            while self.threads.iter().any(|thread| thread.id != self.leader) && begun.elapsed() < END_MAX {
                if !matches!(self.step(), Ok(true)) {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// What has become of a thread.
    enum Seen {
        /// It runs, or has ended and others of its process have not.
        Nothing,
        /// It has stopped, with this signal and event.
        Stopped(i32),
        Ended,
        /// It has ended and been waited for.
        Gone,
    }

    fn look(thread: Pid, options: WaitIdOptions) -> io::Result<Seen> {
        let Some(id) = rustix::process::Pid::from_raw(thread.as_raw()) else { return Ok(Seen::Gone) };
        let options = options | WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let stopped = |status: WaitIdStatus| status.trapping_signal().or_else(|| status.stopping_signal());
        match waitid(WaitId::Pid(id), options) {
            Err(rustix::io::Errno::CHILD) => Ok(Seen::Gone),
            Ok(None) => Ok(Seen::Nothing),
            Ok(Some(status)) => Ok(stopped(status).map_or(Seen::Ended, Seen::Stopped)),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets a thread that has stopped go on in some way, with a signal or none.
    fn request(thread: Pid, how: libc::c_uint, signal: i32) -> io::Result<()> {
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
    fn call_to_stop(thread: Pid) {
        // SAFETY: the call takes two numbers. That of a followed thread is not used again before its end has been seen.
        unsafe { libc::syscall(libc::SYS_tkill, thread.as_raw(), libc::SIGSTOP) };
    }

    /// Why programs cannot be followed here, if they cannot.
    pub(crate) fn why_impossible() -> Option<String> {
        let follow = || -> io::Result<bool> {
            let mut command = Command::new("/proc/self/exe");
            command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // SAFETY: the closure makes one system call, which is allowed after fork(2).
            unsafe { command.pre_exec(start_line::hold) };
            let mut child = command.spawn()?;
            let aim = Aim { number: 1, which: Which::All, after: false };
            let leader = rustix::process::Pid::from_child(&child);
            let begun = Watched::new(Path::new("/"), &[]).and_then(|watched| Follower::begin(leader, watched, aim));
            let followed = begun.and_then(|follower| {
                let Some(mut follower) = follower else { return Ok(false) };
                while follower.held_at().is_none() && !follower.is_over() {
                    if !follower.step()? {
                        std::thread::yield_now();
                    }
                }
                Ok(follower.held_at().is_some())
            });
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

    use super::{Aim, Called};
    use crate::control::touch::Watched;

    /// Nothing is followed here.
    #[derive(Debug)]
    pub(crate) struct Follower;

    impl Follower {
        pub(crate) fn begin(_: rustix::process::Pid, _: Watched, _: Aim) -> io::Result<Option<Self>> {
            Ok(None)
        }

        pub(crate) fn held_at(&self) -> Option<&Called> {
            None
        }

        pub(crate) fn counted(&self) -> u32 {
            0
        }

        pub(crate) fn take_calls(&mut self) -> Vec<Called> {
            Vec::new()
        }

        pub(crate) fn is_over(&self) -> bool {
            true
        }

        pub(crate) fn step(&mut self) -> io::Result<bool> {
            Ok(false)
        }

        pub(crate) fn let_go(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    pub(crate) fn why_impossible() -> Option<String> {
        Some("programs can be followed on Linux with glibc alone, on x86-64 and ARM64".into())
    }
}
