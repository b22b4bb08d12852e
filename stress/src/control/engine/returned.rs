//! A call has returned: what it has used, and what is to be remembered of it.

use std::cell::Cell;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::rc::Rc;

use nix::libc;
use nix::unistd::Pid;

use super::asked::quoted;
use super::called::Made;
use super::calls::{Kind, Layout};
use super::clock::BEGIN_NS;
use super::descriptors::{Description, Target};
use super::execution::ProcessExecution;
use super::files::{Identity, identity};
use super::memory;
use super::pending::{About, Pending, error_of};
use super::registers::Registers;
use super::status;
use super::thread::{After, For, State, Wait};
use super::tracing::{self, Until};
use super::waiting::{int, time_over};

/// The results with which the kernel says to itself that a call is to be made again, or goes on.
const RESTARTS: std::ops::RangeInclusive<i64> = -516..=-512;

impl ProcessExecution {
    pub(super) fn returned(&mut self, id: Pid) -> io::Result<()> {
        let registers = Registers::of(id)?;
        let thread = self.threads.get_mut(&id).expect("it is known");
        match std::mem::replace(&mut thread.state, State::Running) {
            State::Passing(_, after) => {
                self.after(id, after, registers.result());
                tracing::resume(id, Until::Filtered, 0)
            }
            State::Within(pending) => self.stepped(id, pending, registers),
            State::Waiting(wait) => self.waited(id, wait, registers),
            State::Running => tracing::resume(id, Until::Filtered, 0),
            state => {
                thread.state = state;
                Ok(())
            }
        }
    }

    /// A call that may have waited is over.
    fn waited(&mut self, id: Pid, wait: Wait, registers: Registers) -> io::Result<()> {
        let thread = self.threads.get_mut(&id).expect("it is known");
        let mut registers = registers;
        if wait.is_fired && (RESTARTS.contains(&registers.result()) || registers.result() == -i64::from(libc::EINTR)) {
            registers = registers.with_result(time_over(id, wait.registers, wait.call)?);
        }
        let registers = with_arguments(registers, wait.registers);
        registers.store(id)?;
        thread.state = State::Ready(0);
        let For::Shared(pending) = wait.for_what else { return Ok(()) };
        if RESTARTS.contains(&registers.result()) {
            // It is made again after a signal, and is a step again.
            return Ok(());
        }
        let is_own_step = self.stepping == Some(id);
        self.remember(id, &pending, registers.result())?;
        if is_own_step {
            let footprint = pending.footprint(&mut self.files, Some(registers.result()));
            self.told = pending.told(registers.result());
            let copy = self.threads[&id].agent.copy;
            self.use_up(copy, &footprint);
        } else {
            self.threads.get_mut(&id).expect("it is known").state = State::After(*pending, registers.result());
        }
        Ok(())
    }

    /// A visible call that does not wait is over.
    fn stepped(&mut self, id: Pid, mut pending: Pending, registers: Registers) -> io::Result<()> {
        let result = registers.result();
        let copy = self.threads[&id].agent.copy;
        let refused = [-i64::from(libc::EAGAIN), -i64::from(libc::EACCES)];
        let footprint = pending.footprint(&mut self.files, Some(result));
        self.use_up(copy, &footprint);
        if pending.waits_for_lock() {
            with_arguments(registers, pending.registers).store(id)?;
            if refused.contains(&result) {
                self.told = format!("{} waits", pending.label);
                (pending.is_blocked, pending.was_refused) = (true, true);
                pending.registers = with_arguments(registers, pending.registers);
                self.threads.get_mut(&id).expect("it is known").state = State::Before(pending);
                self.leave(id);
                return Ok(());
            }
        }
        self.told = pending.told(result);
        if let (Kind::ReadSome(..), 1..) = (pending.call.kind, result) {
            let length = usize::try_from(result).unwrap_or_default();
            if let Some(text) = quoted(id, pending.registers.arguments()[1], length) {
                self.told.push(' ');
                self.told.push_str(&text);
            }
        }
        if registers.arguments() != pending.registers.arguments() {
            with_arguments(registers, pending.registers).store(id)?;
        }
        self.remember(id, &pending, result)?;
        tracing::resume(id, Until::Filtered, 0)
    }

    fn after(&mut self, id: Pid, after: After, result: i64) {
        let Ok(descriptor) = i32::try_from(result) else { return };
        if descriptor < 0 {
            return;
        }
        let Some(process) = self.threads.get(&id).and_then(|thread| self.processes.get_mut(&thread.process)) else {
            return;
        };
        match after {
            After::Duplicate(description) => process.descriptors.put(descriptor, description),
            After::Socket => {
                process.descriptors.drop(descriptor);
                if let Target::Socket(socket) = process.descriptors.get(id, descriptor, &self.files).target {
                    self.sockets.made(socket);
                }
            }
        }
    }

    /// Remembers what a visible call has done to files, locks and descriptors.
    fn remember(&mut self, id: Pid, pending: &Pending, result: i64) -> io::Result<()> {
        let thread = &self.threads[&id];
        let (process, copy) = (thread.process, thread.agent.copy);
        let arguments = pending.registers.arguments();
        let made = Made { id, process, copy, call: pending.call, registers: pending.registers, arguments };
        if matches!(pending.about, About::Let(_)) {
            self.close(&made);
        }
        if error_of(result).is_some() {
            return Ok(());
        }
        let now_ns = BEGIN_NS + self.clocks.elapsed_ns(copy);
        match (&pending.about, pending.call.kind) {
            (About::Path(path, _), Kind::Open(..)) => self.has_opened(&made, pending, path, result, now_ns),
            (About::Path(path, _), Kind::Status(_, buffer, layout)) => {
                // What a link leads to elsewhere is not watched.
                if let Some(found) = pending.found[0] {
                    self.rewrite_status(id, arguments[buffer], layout, found, path)?;
                }
            }
            (About::Path(path, _), Kind::Make(_)) => {
                if let Some(made) = identity(path) {
                    self.files.born(made, path, now_ns);
                }
                self.touch_directory(path, now_ns);
            }
            (About::Path(path, _), Kind::Remove(_)) => {
                if let Some(found) = pending.found[0] {
                    self.files.known(found, path).changed_ns = now_ns;
                }
                self.touch_directory(path, now_ns);
            }
            (About::Paths(from, to), _) => {
                for (path, found) in [(from, pending.found[0]), (to, pending.found[1])] {
                    if let Some(found) = found {
                        self.files.known(found, path).changed_ns = now_ns;
                    }
                    self.touch_directory(path, now_ns);
                }
            }
            (About::Path(path, _), Kind::Change(_)) => {
                if let Some(found) = pending.found[0] {
                    self.files.known(found, path).changed_ns = now_ns;
                }
            }
            (About::Path(path, _), Kind::Truncate(_)) => self.modified(pending.found[0], path, now_ns),
            (About::Path(path, _), Kind::Times(_, times, unit_ns)) => {
                let found = pending.found[0];
                self.set_times(&made, found, path, arguments[times], unit_ns, now_ns)?;
            }
            (About::Open(open), kind) => self.has_used(&made, open, kind, pending, now_ns)?,
            (About::Between(_, Some(open)), _) => {
                if let Target::File(identity, path) = &open.target {
                    self.modified(Some(*identity), path, now_ns);
                }
            }
            (About::Address(address, _), kind) => self.has_reached(&made, *address, kind, result),
            _ => {}
        }
        Ok(())
    }

    fn has_opened(&mut self, made: &Made, pending: &Pending, path: &Path, result: i64, now_ns: u64) {
        let Ok(descriptor) = i32::try_from(result) else { return };
        let Ok(status) = std::fs::metadata(format!("/proc/{}/fd/{descriptor}", made.id)) else { return };
        let opened = (status.dev(), status.ino());
        if pending.found[0].is_none() {
            self.files.born(opened, path, now_ns);
            self.touch_directory(path, now_ns);
        } else if pending.flags & libc::O_TRUNC != 0 {
            self.modified(Some(opened), path, now_ns);
        }
        let target = if status.file_type().is_fifo() {
            Target::Fifo(path.to_owned())
        } else {
            Target::File(opened, path.to_owned())
        };
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        process.descriptors.put(descriptor, Rc::new(Description { target, is_locked: Cell::new(false) }));
    }

    fn has_used(
        &mut self,
        made: &Made,
        open: &Rc<Description>,
        kind: Kind,
        pending: &Pending,
        now_ns: u64,
    ) -> io::Result<()> {
        let Target::File(identity, path) = &open.target else { return Ok(()) };
        match kind {
            Kind::Write(_) | Kind::WriteSome(..) | Kind::Resize(_) => self.modified(Some(*identity), path, now_ns),
            Kind::ChangeOf(_) => self.files.known(*identity, path).changed_ns = now_ns,
            Kind::Times(_, times, unit_ns) => {
                self.set_times(made, Some(*identity), path, made.arguments[times], unit_ns, now_ns)?;
            }
            Kind::StatusOf(_, buffer) => {
                self.rewrite_status(made.id, made.arguments[buffer], Layout::Stat, *identity, path)?;
            }
            Kind::Status(_, buffer, layout) => {
                self.rewrite_status(made.id, made.arguments[buffer], layout, *identity, path)?;
            }
            Kind::Flock => open.is_locked.set(pending.flags & libc::LOCK_UN == 0),
            Kind::Fcntl => match pending.flags {
                libc::F_OFD_SETLK | libc::F_OFD_SETLKW => open.is_locked.set(true),
                libc::F_SETLK | libc::F_SETLKW => {
                    let process = self.processes.get_mut(&made.process).expect("a thread has its process");
                    process.locked.insert(*identity);
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn has_reached(&mut self, made: &Made, address: u64, kind: Kind, result: i64) {
        let descriptor = match kind {
            Kind::Accept => i32::try_from(result).unwrap_or(-1),
            Kind::Bind | Kind::Connect => int(made.arguments[0]),
            _ => return,
        };
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        if matches!(kind, Kind::Accept) {
            process.descriptors.drop(descriptor);
        }
        if let Target::Socket(socket) = process.descriptors.get(made.id, descriptor, &self.files).target {
            self.sockets.has(socket, address);
        }
    }

    fn modified(&mut self, file: Option<Identity>, path: &Path, now_ns: u64) {
        if let Some(file) = file {
            let known = self.files.known(file, path);
            (known.modified_ns, known.changed_ns) = (now_ns, now_ns);
        }
    }

    fn touch_directory(&mut self, path: &Path, now_ns: u64) {
        if let Some(directory) = path.parent().filter(|directory| self.files.are_watched(directory)) {
            self.modified(identity(directory), directory, now_ns);
        }
    }

    /// Sets a file's times in virtual time as a call has set them in the kernel's.
    fn set_times(
        &mut self,
        made: &Made,
        file: Option<Identity>,
        path: &Path,
        place: u64,
        unit_ns: u64,
        now_ns: u64,
    ) -> io::Result<()> {
        const SECOND_NS: u64 = 1_000_000_000;
        let Some(file) = file else { return Ok(()) };
        let modified_ns = match (place, unit_ns) {
            (0, _) => Some(now_ns),
            // utime(2) has whole seconds side by side.
            (_, 0) => Some(memory::word(made.id, place + 8)?.saturating_mul(SECOND_NS)),
            _ => {
                let (seconds, rest) = (memory::word(made.id, place + 16)?, memory::word(made.id, place + 24)?);
                match rest.cast_signed() {
                    libc::UTIME_NOW => Some(now_ns),
                    libc::UTIME_OMIT => None,
                    _ => Some(seconds.saturating_mul(SECOND_NS).saturating_add(rest.saturating_mul(unit_ns))),
                }
            }
        };
        let known = self.files.known(file, path);
        known.changed_ns = now_ns;
        known.modified_ns = modified_ns.unwrap_or(known.modified_ns);
        Ok(())
    }

    /// Has the status of a watched file say what does not differ from run to run.
    fn rewrite_status(&mut self, id: Pid, place: u64, layout: Layout, file: Identity, path: &Path) -> io::Result<()> {
        let known = self.files.known(file, path);
        status::rewrite(id, place, layout, known)
    }
}

/// What a call has returned, with the arguments that its thread has given it.
fn with_arguments(mut registers: Registers, made: Registers) -> Registers {
    for (place, argument) in made.arguments().into_iter().enumerate() {
        registers = registers.with_argument(place, argument);
    }
    registers
}
