//! A thread has stopped before a call: what is to become of it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::libc;
use nix::unistd::Pid;

use super::asked::preview;
use super::calls::{self, Call, Flags, Kind, Place, Timeout};
use super::descriptors::{Description, Target};
use super::execution::{ProcessExecution, goes_with, lock};
use super::files::absolute;
use super::memory;
use super::pending::{About, Pending};
use super::registers::Registers;
use super::sockets;
use super::thread::{After, For, State, Wait};
use super::tracing::{self, Until};
use super::waiting::{Patience, int, patience};

/// Longer chains of links are not followed.
const LINKS_MAX: usize = 16;

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
            Kind::Timer => Ok(self.sets_timer(made)),
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
    fn fill(&mut self, id: Pid, place: u64, length: usize) -> io::Result<Fate> {
        let mut bytes = vec![0; length];
        self.threads.get_mut(&id).expect("it is known").random.fill(&mut bytes);
        memory::write(id, place, &bytes)?;
        Ok(Fate::Skipped(i64::try_from(length).unwrap_or_default()))
    }

    /// What a descriptor among the arguments is open on.
    pub(super) fn description(&mut self, made: &Made, place: usize) -> Rc<Description> {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        process.descriptors.get(made.id, int(made.arguments[place]), &self.files)
    }

    /// Where relative paths begin.
    pub(super) fn here(&mut self, made: &Made) -> io::Result<PathBuf> {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        if process.directory.is_none() {
            process.directory = Some(std::fs::read_link(format!("/proc/{}/cwd", made.id))?);
        }
        Ok(process.directory.clone().unwrap_or_default())
    }

    /// The path that a call names; none where it names only a descriptor.
    pub(super) fn path(&mut self, made: &Made, place: Place) -> io::Result<Option<PathBuf>> {
        let path = memory::path(made.id, made.arguments[place.path])?;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        if path.is_absolute() {
            return Ok(Some(absolute(&path, &path)));
        }
        let from = match place.at.map(|place| int(made.arguments[place])) {
            None | Some(libc::AT_FDCWD) => self.here(made)?,
            Some(descriptor) => std::fs::read_link(format!("/proc/{}/fd/{descriptor}", made.id))?,
        };
        Ok(Some(absolute(&from, &path)))
    }

    fn names(&mut self, made: &Made, place: Place, follows: bool, flags: i32, more: &str) -> io::Result<Fate> {
        let Some(mut path) = self.path(made, place)? else {
            return match place.at {
                Some(at) => self.opened(made, at, more),
                None => Ok(Fate::Passes),
            };
        };
        if !self.files.are_watched(&path) {
            return Ok(self.names_outside(made, &path, flags));
        }
        let label = format!("{}({}{more})", made.call.name, self.files.short(&path));
        let mut links = Vec::new();
        while follows && links.len() < LINKS_MAX {
            let Ok(to) = std::fs::read_link(&path) else { break };
            let from = path.parent().unwrap_or(&path).to_owned();
            links.push(std::mem::replace(&mut path, absolute(&from, &to)));
        }
        Ok(Fate::Steps(About::Path(path, links), flags, label))
    }

    /// A path that is not watched. Where one copy writes and another looks, they share what is not seen.
    fn names_outside(&mut self, made: &Made, path: &Path, flags: i32) -> Fate {
        if let Some(process) =
            path.to_str().and_then(|path| path.strip_prefix("/proc/")?.split('/').next()?.parse().ok())
        {
            let others = self.copies_of(made, process);
            let label = format!("{}({})", made.call.name, path.display());
            self.wants_own_ids |= !others.is_empty();
            return if others.is_empty() { Fate::Passes } else { Fate::Steps(About::Copies(others), 0, label) };
        }
        let is_opened = matches!(made.call.kind, Kind::Open(..));
        let writes = flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT) != 0
            || matches!(made.call.kind, Kind::Make(_) | Kind::Remove(_) | Kind::Rename(..) | Kind::Link(..));
        if path.starts_with("/dev") && !path.starts_with("/dev/shm") || !(is_opened || writes) {
            return Fate::Passes;
        }
        let uses = self.outside.entry(path.to_owned()).or_default();
        let bit = 1_u64 << (made.copy % 64);
        uses.opened_by |= bit;
        uses.is_written |= writes;
        if uses.is_written && uses.opened_by.count_ones() > 1 {
            self.doubts.insert(format!("{} is shared by copies and not watched", path.display()));
        }
        Fate::Passes
    }

    fn renames(&mut self, made: &Made, from: Place, to: Place) -> io::Result<Fate> {
        let (Some(from), Some(to)) = (self.path(made, from)?, self.path(made, to)?) else {
            return Ok(Fate::Passes);
        };
        if !self.files.are_watched(&from) && !self.files.are_watched(&to) {
            self.names_outside(made, &from, 0);
            return Ok(self.names_outside(made, &to, 0));
        }
        let label = format!("{}({}, {})", made.call.name, self.files.short(&from), self.files.short(&to));
        Ok(Fate::Steps(About::Paths(from, to), 0, label))
    }

    fn uses(&mut self, made: &Made) -> io::Result<Fate> {
        match made.call.kind {
            Kind::Transfer(from, to) => {
                let (from, to) = (self.description(made, from), self.description(made, to));
                let watched =
                    |open: Rc<Description>| matches!(open.target, Target::File(..) | Target::Fifo(_)).then_some(open);
                let (from, to) = (watched(from), watched(to));
                if from.is_none() && to.is_none() {
                    return Ok(Fate::Waits(Timeout::Never));
                }
                Ok(Fate::Steps(About::Between(from, to), 0, format!("{}()", made.call.name)))
            }
            Kind::Read(place)
            | Kind::ReadSome(place, _)
            | Kind::Write(place)
            | Kind::WriteSome(place, _)
            | Kind::Resize(place)
            | Kind::Sync(place)
            | Kind::List(place)
            | Kind::StatusOf(place, _)
            | Kind::ChangeOf(place)
            | Kind::Seek(place) => {
                let more = preview(made);
                self.opened(made, place, &more)
            }
            _ => Ok(Fate::Passes),
        }
    }

    /// A call that uses what a descriptor is open on.
    fn opened(&mut self, made: &Made, place: usize, more: &str) -> io::Result<Fate> {
        let open = self.description(made, place);
        let reads = matches!(made.call.kind, Kind::Read(_) | Kind::ReadSome(..));
        let writes = matches!(made.call.kind, Kind::Write(_) | Kind::WriteSome(..));
        let name = match &open.target {
            Target::File(_, path) | Target::Fifo(path) => {
                let label = format!("{}({}{more})", made.call.name, self.files.short(path));
                return Ok(Fate::Steps(About::Open(open), 0, label));
            }
            Target::Random if reads => {
                let Kind::ReadSome(_, count) = made.call.kind else { return Ok(Fate::Passes) };
                let length = usize::try_from(made.arguments[count]).unwrap_or(usize::MAX).min(1 << 20);
                return self.fill(made.id, made.arguments[1], length);
            }
            Target::Socket(socket) if reads || writes => {
                let Some(address) = self.sockets.address(*socket) else { return Ok(Fate::Waits(Timeout::Never)) };
                let label = format!("{}(socket{more})", made.call.name);
                return Ok(Fate::Steps(About::Address(address, None), 0, label));
            }
            Target::Pipe(pipe) if writes => self.prints(made.copy, *pipe),
            _ => None,
        };
        match name {
            Some(copy) => Ok(Fate::Steps(About::Print(copy), 0, format!("{}(standard output{more})", made.call.name))),
            None if matches!(open.target, Target::Other) || !(reads || writes) => Ok(Fate::Passes),
            None => Ok(Fate::Waits(Timeout::Never)),
        }
    }

    /// The copy whose standard output a pipe is.
    fn prints(&self, copy: u16, pipe: u64) -> Option<u16> {
        let host = self.host.borrow();
        (host.streams.get(usize::from(copy))?.pipes[1] == pipe).then_some(copy)
    }

    fn changes_descriptors(&mut self, made: &Made) -> Fate {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        let [first, second, ..] = made.arguments.map(int);
        let (from, to) = match made.call.kind {
            Kind::Close => (first, first),
            Kind::CloseRange if made.arguments[2] & u64::from(libc::CLOSE_RANGE_CLOEXEC) != 0 => return Fate::Passes,
            Kind::CloseRange => (first, if second < 0 { i32::MAX } else { second }),
            Kind::DuplicateTo if first == second => return Fate::Passes,
            Kind::DuplicateTo => (second, second),
            _ => return duplicates(process.descriptors.known(first)),
        };
        let last = process.descriptors.last(|descriptor| (from..=to).contains(&descriptor));
        let mut objects = goes_with(&last, &mut self.files, &self.sockets);
        // Closing any descriptor of a file lets go of the locks that the process has on it by fcntl(2).
        let closed = (from..=to.min(from.saturating_add(1024))).filter_map(|closed| process.descriptors.known(closed));
        for description in closed {
            if let Target::File(identity, _) = &description.target
                && process.locked.contains(identity)
            {
                objects.push(lock(*identity, &mut self.files));
            }
        }
        if objects.is_empty() {
            self.close(made);
            return Fate::Passes;
        }
        let label = format!("{}({first})", made.call.name);
        Fate::Steps(About::Let(objects), 0, label)
    }

    /// What a call closes is open no more.
    pub(super) fn close(&mut self, made: &Made) {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        let [first, second, ..] = made.arguments.map(int);
        match made.call.kind {
            Kind::Close => process.descriptors.drop(first),
            Kind::CloseRange => {
                process.descriptors.drop_range(first, if second < 0 { i32::MAX } else { second });
            }
            Kind::DuplicateTo => {
                process.descriptors.drop(second);
                if let Some(description) = process.descriptors.known(first).cloned() {
                    process.descriptors.put(second, description);
                }
            }
            _ => {}
        }
    }
}

fn duplicates(known: Option<&Rc<Description>>) -> Fate {
    match known {
        Some(description) if !matches!(description.target, Target::Other) => {
            Fate::PassesTo(After::Duplicate(description.clone()))
        }
        _ => Fate::Passes,
    }
}

/// The flags of an open that matter, as a person would write them.
fn open_flags(flags: i32) -> String {
    let mut text = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => ", O_WRONLY",
        libc::O_RDWR => ", O_RDWR",
        _ => ", O_RDONLY",
    }
    .to_owned();
    let names = [
        (libc::O_CREAT, "|O_CREAT"),
        (libc::O_EXCL, "|O_EXCL"),
        (libc::O_TRUNC, "|O_TRUNC"),
        (libc::O_APPEND, "|O_APPEND"),
        (libc::O_DIRECTORY, "|O_DIRECTORY"),
    ];
    for (_, name) in names.iter().filter(|(flag, _)| flags & flag == *flag) {
        text.push_str(name);
    }
    text
}
