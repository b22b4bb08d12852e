//! A thread has stopped before a call: what is to become of it.

use std::io;

use nix::libc;
use nix::unistd::Pid;

use super::calls::{self, Call, Flags, Kind, Place, Timeout};
use super::descriptors::Target;
use super::execution::ProcessExecution;
use super::memory;
use super::named::open_flags;
use super::pending::{About, Pending};
use super::registers::Registers;
use super::sockets;
use super::thread::{After, For, State, Wait};
use super::tracing::{self, Until};
use super::waiting::{Patience, int, patience};

/// What becomes of a call.
pub(super) enum Fate {
    /// Nobody else can tell: it takes place.
    Passes,
    /// The same, and at its end something is to be done.
    PassesTo(After),
    /// It does not take place; this is its result.
    Skipped(i64),
    /// It may wait for somebody in its copy.
    Waits(Timeout),
    /// It waits as before.
    WaitsOn,
    /// It waits for a time.
    Sleeps(u64, String),
    /// Others can tell: it is a step.
    Steps(About, i32, String),
}

/// A call that a thread is about to make.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) id: Pid,
    pub(super) process: Pid,
    pub(super) copy: u16,
    pub(super) call: &'static Call,
    pub(super) registers: Registers,
    pub(super) arguments: [u64; 6],
}

impl ProcessExecution {
    pub(super) fn called(&mut self, id: Pid) -> io::Result<()> {
        let registers = Registers::of(id)?;
        let thread = self.threads.get_mut(&id).expect("it is known");
        // One that tries again to get a lock.
        if matches!(thread.state, State::Within(_)) {
            let State::Within(mut pending) = std::mem::replace(&mut thread.state, State::Running) else {
                return Ok(());
            };
            pending.registers = registers;
            return self.make(id, pending);
        }
        thread.state = State::Running;
        self.running = Some(id);
        let Some(call) = calls::find(registers.number()) else { return tracing::resume(id, Until::Filtered, 0) };
        let (process, copy, arguments) = (thread.process, thread.agent.copy, registers.arguments());
        let made = Made { id, process, copy, call, registers, arguments };
        let fate = match self.fate(&made) {
            // What its arguments point to is not there, which the kernel will say.
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Fate::Passes,
            fate => fate?,
        };
        self.let_be(&made, fate)
    }

    fn let_be(&mut self, made: &Made, fate: Fate) -> io::Result<()> {
        let Made { id, copy, call, registers, .. } = *made;
        let thread = self.threads.get_mut(&id).expect("it is known");
        match fate {
            Fate::Passes => tracing::resume(id, Until::Filtered, 0),
            Fate::PassesTo(after) => {
                thread.state = State::Passing(registers, after);
                tracing::resume(id, Until::CallEnds, 0)
            }
            Fate::Skipped(result) => {
                registers.skipped(result).store(id)?;
                tracing::resume(id, Until::Filtered, 0)
            }
            Fate::Waits(timeout) => {
                let elapsed_ns = self.clocks.elapsed_ns(copy);
                let (patience, endless) = patience(id, registers, timeout, elapsed_ns)?;
                let due_ns = match patience {
                    Patience::None => return tracing::resume(id, Until::Filtered, 0),
                    Patience::Endless => None,
                    Patience::Until(due_ns) => {
                        self.reads_time();
                        endless.store(id)?;
                        Some(due_ns)
                    }
                };
                self.wait(id, registers, call, due_ns)
            }
            Fate::WaitsOn => match thread.waited {
                Some((registers, call, due_ns)) => self.wait(id, registers, call, due_ns),
                None => tracing::resume(id, Until::Filtered, 0),
            },
            Fate::Sleeps(due_ns, label) => {
                self.reads_time();
                let thread = self.threads.get_mut(&id).expect("it is known");
                thread.state = State::Sleeping(registers, due_ns, label);
                self.leave(id);
                Ok(())
            }
            Fate::Steps(about, flags, label) => {
                let pending = Pending {
                    call,
                    registers,
                    about,
                    flags,
                    label,
                    is_blocked: false,
                    was_refused: false,
                    found: [None, None],
                    found_fifo: false,
                };
                thread.state = State::Before(pending);
                self.leave(id);
                Ok(())
            }
        }
    }

    fn wait(&mut self, id: Pid, registers: Registers, call: &'static Call, due_ns: Option<u64>) -> io::Result<()> {
        let thread = self.threads.get_mut(&id).expect("it is known");
        thread.waited = Some((registers, call, due_ns));
        thread.state = State::Waiting(Wait { registers, for_what: For::Own, due_ns, is_fired: false, call });
        self.leave(id);
        tracing::resume(id, Until::CallEnds, 0)
    }

    fn fate(&mut self, made: &Made) -> io::Result<Fate> {
        let Made { id, call, arguments, .. } = *made;
        match call.kind {
            Kind::Open(place, flags) => {
                let flags = match flags {
                    Flags::In(place) => int(arguments[place]),
                    Flags::At(place) => int(memory::word(id, arguments[place])?),
                    Flags::Fixed(flags) => flags,
                };
                let follows = flags & libc::O_NOFOLLOW == 0 && flags & libc::O_EXCL == 0;
                self.names(made, place, follows, flags, &open_flags(flags))
            }
            Kind::Status(place, ..) | Kind::Times(place, ..) if arguments[place.path] == 0 => {
                self.opened(made, place.at.unwrap_or_default(), "")
            }
            Kind::Status(place, ..) => {
                let flags = if call.number == libc::SYS_newfstatat { int(arguments[3]) } else { int(arguments[2]) };
                let has_flags = call.number == libc::SYS_newfstatat || call.number == libc::SYS_statx;
                let follows = call.number != libc::SYS_lstat && !(has_flags && flags & libc::AT_SYMLINK_NOFOLLOW != 0);
                self.names(made, place, follows, 0, "")
            }
            Kind::Look(place) => {
                let follows = ![libc::SYS_readlink, libc::SYS_readlinkat, libc::SYS_lgetxattr].contains(&call.number);
                self.names(made, place, follows, 0, "")
            }
            Kind::Change(place) | Kind::Times(place, ..) | Kind::Truncate(place) => {
                self.names(made, place, true, 0, "")
            }
            Kind::Make(place) | Kind::Remove(place) => self.names(made, place, false, 0, ""),
            Kind::Rename(from, to) | Kind::Link(from, to) => self.renames(made, from, to),
            Kind::Read(_)
            | Kind::ReadSome(..)
            | Kind::Write(_)
            | Kind::WriteSome(..)
            | Kind::Resize(_)
            | Kind::Sync(_)
            | Kind::List(_)
            | Kind::StatusOf(..)
            | Kind::ChangeOf(_)
            | Kind::Seek(_)
            | Kind::Transfer(..) => self.uses(made),
            Kind::Flock | Kind::Fcntl => self.locks(made),
            Kind::Close | Kind::CloseRange | Kind::Duplicate | Kind::DuplicateTo => Ok(self.changes_descriptors(made)),
            Kind::Map => {
                let open = self.description(made, 4);
                if let (Target::File(_, path), false) = (&open.target, int(arguments[4]) < 0) {
                    let path = self.files.short(path);
                    self.doubts
                        .insert(format!("{path} is mapped and shared: what is done to it by memory is not seen"));
                }
                Ok(Fate::Passes)
            }
            Kind::ChangeDirectory => {
                if let Some(process) = self.processes.get_mut(&made.process) {
                    process.directory = None;
                }
                Ok(Fate::Passes)
            }
            Kind::Socket => {
                let is_reachable = sockets::is_reachable(arguments[0]);
                Ok(if is_reachable { Fate::PassesTo(After::Socket) } else { Fate::Passes })
            }
            Kind::Bind | Kind::Connect | Kind::Listen | Kind::Accept | Kind::Exchange => self.reaches(made),
            Kind::Wait(timeout) => Ok(Fate::Waits(timeout)),
            Kind::WaitOn => Ok(Fate::WaitsOn),
            Kind::Sleep | Kind::SleepByClock | Kind::Clock | Kind::DayTime | Kind::Seconds | Kind::Ticks => {
                self.asks_time(made)
            }
            Kind::Random => {
                let length = usize::try_from(arguments[1]).unwrap_or(usize::MAX).min(1 << 20);
                self.fill(id, arguments[0], length)
            }
            Kind::Alarm => self.sets_alarm(made),
            Kind::Signal => Ok(self.signals(made)),
            Kind::Exit | Kind::ExitAll => {
                if !self.ends_process(id, call.kind) {
                    return Ok(Fate::Passes);
                }
                let about = self.end_of_process(id);
                let is_seen = !matches!(&about, About::End(None, objects) if objects.is_empty());
                let label = format!("exit({})", int(arguments[0]));
                Ok(if is_seen { Fate::Steps(about, 0, label) } else { Fate::Passes })
            }
            Kind::Refused => Ok(Fate::Skipped(-i64::from(libc::ENOSYS))),
            Kind::Uncontrolled => {
                self.doubts.insert(format!("{} is used, whose effects are not seen", call.name));
                Ok(Fate::Passes)
            }
            Kind::Watch(place) => {
                let path = self.path(made, Place { at: None, path: place })?;
                if path.is_some_and(|path| self.files.are_watched(&path)) {
                    self.doubts.insert("inotify watches a file that copies share: when it tells is not fixed".into());
                }
                Ok(Fate::Passes)
            }
        }
    }

    /// Random bytes from the thread's stream.
    pub(super) fn fill(&mut self, id: Pid, place: u64, length: usize) -> io::Result<Fate> {
        let mut bytes = vec![0; length];
        self.threads.get_mut(&id).expect("it is known").random.fill(&mut bytes);
        memory::write(id, place, &bytes)?;
        Ok(Fate::Skipped(i64::try_from(length).unwrap_or_default()))
    }
}
