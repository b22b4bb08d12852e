//! What a copy asks the kernel that is no file: the time, a lock, another by socket or by signal.

use std::io;

use nix::libc;
use nix::unistd::Pid;

use crate::explore::execution::{Access, Object};

use super::called::{Fate, Made};
use super::calls::{Kind, Timeout};
use super::clock::{BEGIN_NS, BOOT_NS};
use super::descriptors::Target;
use super::execution::ProcessExecution;
use super::memory;
use super::pending::About;
use super::sockets;
use super::waiting::{beginning, int};

const SECOND_NS: u64 = 1_000_000_000;
const TICK_NS: u64 = 10_000_000;

/// So much of what is written is told.
const PREVIEW_BYTES: usize = 40;

impl ProcessExecution {
    /// The step that is under way depends on the time.
    pub(super) fn reads_time(&mut self) {
        self.used.add(Object::Time, Access::Read);
    }

    pub(super) fn asks_time(&mut self, made: &Made) -> io::Result<Fate> {
        let Made { id, copy, arguments, .. } = *made;
        let put = |place: u64, seconds: u64, rest: u64| {
            if place == 0 {
                return Ok(());
            }
            let bytes = [seconds.to_ne_bytes(), rest.to_ne_bytes()].concat();
            memory::write(id, place, &bytes)
        };
        if matches!(made.call.kind, Kind::Sleep | Kind::SleepByClock) {
            let (clock, flags, place) = match made.call.kind {
                Kind::Sleep => (libc::CLOCK_MONOTONIC, 0, arguments[0]),
                _ => (int(arguments[0]), int(arguments[1]), arguments[2]),
            };
            let Some(wanted_ns) = memory::time_ns(id, place, 1)? else { return Ok(Fate::Passes) };
            let elapsed_ns = self.clocks.elapsed_ns(copy);
            let due_ns = if flags & libc::TIMER_ABSTIME == 0 {
                elapsed_ns.saturating_add(wanted_ns)
            } else {
                wanted_ns.saturating_sub(beginning(clock))
            };
            let label = format!("{} until {}", made.call.name, seconds(due_ns));
            return Ok(if due_ns <= elapsed_ns { Fate::Skipped(0) } else { Fate::Sleeps(due_ns, label) });
        }
        self.reads_time();
        let elapsed_ns = self.clocks.look(copy);
        let date_ns = BEGIN_NS + elapsed_ns;
        Ok(Fate::Skipped(match made.call.kind {
            Kind::Clock => {
                let time_ns = beginning(int(arguments[0])) + elapsed_ns;
                put(arguments[1], time_ns / SECOND_NS, time_ns % SECOND_NS)?;
                0
            }
            Kind::DayTime => {
                put(arguments[0], date_ns / SECOND_NS, date_ns % SECOND_NS / 1_000)?;
                // Time zones are the C library's.
                put(arguments[1], 0, 0).map(|()| 0)?
            }
            Kind::Ticks => {
                let ticks = (BOOT_NS + elapsed_ns) / TICK_NS;
                if arguments[0] != 0 {
                    memory::write(id, arguments[0], &[0; 32])?;
                }
                ticks.cast_signed()
            }
            _ => {
                let now = date_ns / SECOND_NS;
                if arguments[0] != 0 {
                    memory::write(id, arguments[0], &now.to_ne_bytes())?;
                }
                now.cast_signed()
            }
        }))
    }

    pub(super) fn locks(&mut self, made: &Made) -> io::Result<Fate> {
        let operation = int(made.arguments[1]);
        let open = self.description(made, 0);
        if matches!(made.call.kind, Kind::Fcntl) && [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC].contains(&operation) {
            let after = super::thread::After::Duplicate(open.clone());
            return Ok(if matches!(open.target, Target::Other) { Fate::Passes } else { Fate::PassesTo(after) });
        }
        let Target::File(_, path) = &open.target else { return Ok(Fate::Passes) };
        let path = self.files.short(path);
        let name = match made.call.kind {
            Kind::Flock => flock_name(operation),
            _ => fcntl_name(operation, made)?,
        };
        Ok(Fate::Steps(About::Open(open), operation, format!("{}({path}, {name})", made.call.name)))
    }

    pub(super) fn reaches(&mut self, made: &Made) -> io::Result<Fate> {
        let open = self.description(made, 0);
        let Target::Socket(socket) = open.target else { return Ok(Fate::Passes) };
        let name = made.call.name;
        if matches!(made.call.kind, Kind::Bind | Kind::Connect) {
            let here = self.here(made)?;
            let Some(address) = sockets::address(made.id, made.arguments[1], made.arguments[2], &here)? else {
                return Ok(Fate::Waits(Timeout::Never));
            };
            let is_watched = address.path.as_ref().is_none_or(|path| self.files.are_watched(path));
            if !is_watched && matches!(made.call.kind, Kind::Connect) {
                // A service of the system.
                return Ok(Fate::Waits(Timeout::Never));
            }
            if !is_watched {
                self.doubts.insert(format!("{} is a socket that is not watched", address.name));
            }
            let label = match &address.path {
                Some(path) => format!("{name}({})", self.files.short(path)),
                None => format!("{name}({})", address.name.trim_end_matches('\0')),
            };
            let path = address.path.filter(|_| is_watched);
            return Ok(Fate::Steps(About::Address(address.number, path), 0, label));
        }
        Ok(match self.sockets.address(socket) {
            Some(address) => Fate::Steps(About::Address(address, None), 0, format!("{name}()")),
            None => Fate::Waits(Timeout::Never),
        })
    }

    pub(super) fn signals(&mut self, made: &Made) -> Fate {
        let target = int(made.arguments[0]);
        let signal = if made.call.number == libc::SYS_tgkill { made.arguments[2] } else { made.arguments[1] };
        let others = self.copies_of(made, target);
        if others.is_empty() {
            return Fate::Passes;
        }
        self.wants_own_ids = true;
        Fate::Steps(About::Copies(others), int(signal), format!("{}({target}, {})", made.call.name, int(signal)))
    }

    /// The copies that a process ID, as a copy knows it, may mean, but for its own: all, where it is nobody's right now.
    pub(super) fn copies_of(&self, made: &Made, target: i32) -> Vec<u16> {
        let is_it = |process: &Pid| inner_id(*process) == Some(target);
        match self.processes.iter().find(|(id, _)| is_it(id)) {
            Some((_, process)) if process.copy == made.copy => Vec::new(),
            Some((_, process)) => vec![process.copy],
            // A group of its own, or itself as the whole of it.
            None if target == 0 => Vec::new(),
            None if self.is_group_of(made, -target) => Vec::new(),
            None => (0..u16::try_from(self.copies.len()).unwrap_or(u16::MAX)).collect(),
        }
    }

    fn is_group_of(&self, made: &Made, group: i32) -> bool {
        let own = self.processes.iter().filter(|(_, process)| process.copy == made.copy);
        group > 1 && own.map(|(id, _)| inner_id(*id)).any(|id| id == Some(group))
    }
}

/// What a call writes, as far as it is told.
pub(super) fn preview(made: &Made) -> String {
    let Kind::WriteSome(_, count) = made.call.kind else { return String::new() };
    let length = usize::try_from(made.arguments[count]).unwrap_or(usize::MAX);
    quoted(made.id, made.arguments[1], length).map_or(String::new(), |text| format!(", {text}"))
}

/// The beginning of some bytes of a thread's memory, for people.
pub(super) fn quoted(id: Pid, place: u64, length: usize) -> Option<String> {
    let mut bytes = vec![0; length.min(PREVIEW_BYTES)];
    memory::read(id, place, &mut bytes).ok()?;
    let more = if length > PREVIEW_BYTES { "…" } else { "" };
    Some(format!("{:?}{more}", String::from_utf8_lossy(&bytes)))
}

/// A time since the start, for people.
fn seconds(elapsed_ns: u64) -> String {
    format!("{}.{:06} s", elapsed_ns / SECOND_NS, elapsed_ns % SECOND_NS / 1_000)
}

/// The ID of a process in its innermost namespace.
fn inner_id(process: Pid) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_ascii_whitespace().last()?.parse().ok()
}

fn flock_name(operation: i32) -> String {
    let name = match operation & !libc::LOCK_NB {
        libc::LOCK_SH => "LOCK_SH",
        libc::LOCK_EX => "LOCK_EX",
        libc::LOCK_UN => "LOCK_UN",
        _ => "?",
    };
    if operation & libc::LOCK_NB == 0 { name.into() } else { format!("{name}|LOCK_NB") }
}

fn fcntl_name(operation: i32, made: &Made) -> io::Result<String> {
    let name = match operation {
        libc::F_GETLK => "F_GETLK",
        libc::F_SETLK => "F_SETLK",
        libc::F_SETLKW => "F_SETLKW",
        libc::F_OFD_GETLK => "F_OFD_GETLK",
        libc::F_OFD_SETLK => "F_OFD_SETLK",
        libc::F_OFD_SETLKW => "F_OFD_SETLKW",
        libc::F_SETLEASE => "F_SETLEASE",
        _ => "?",
    };
    let mut kind = [0; 2];
    memory::read(made.id, made.arguments[2], &mut kind)?;
    let kind = match i32::from(i16::from_ne_bytes(kind)) {
        libc::F_RDLCK => "F_RDLCK",
        libc::F_WRLCK => "F_WRLCK",
        libc::F_UNLCK => "F_UNLCK",
        _ => "?",
    };
    Ok(format!("{name}, {kind}"))
}
