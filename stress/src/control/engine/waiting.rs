//! How long a call waits, and how it is made to wait for as long as the schedule wants.

use std::io;

use nix::libc;
use nix::unistd::Pid;

use super::calls::{Call, Kind, Timeout};
use super::clock::{BEGIN_NS, BOOT_NS};
use super::memory;
use super::registers::Registers;

/// Calls in which a copy may wait for its input.
pub(super) const LISTENING: &[&str] = &[
    "read",
    "readv",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "recvfrom",
    "recvmsg",
    "splice",
];

const MILLISECOND_NS: u64 = 1_000_000;

/// How a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not at all.
    None,
    /// Until something happens.
    Endless,
    /// Until something happens or it is this time, since the start.
    Until(u64),
}

/// How long a call waits that its copy makes at this time, and the registers with which it waits for ever.
pub(super) fn patience(
    thread: Pid,
    registers: Registers,
    timeout: Timeout,
    elapsed_ns: u64,
) -> io::Result<(Patience, Registers)> {
    let arguments = registers.arguments();
    let after = |place: usize, nanoseconds: Option<u64>| match nanoseconds {
        None => (Patience::Endless, registers),
        Some(0) => (Patience::None, registers),
        Some(wait) => (Patience::Until(elapsed_ns.saturating_add(wait)), registers.with_argument(place, 0)),
    };
    let until = |place: usize, begin_ns: u64, time_ns: Option<u64>| match time_ns {
        None => (Patience::Endless, registers),
        Some(time_ns) => (Patience::Until(time_ns.saturating_sub(begin_ns)), registers.with_argument(place, 0)),
    };
    Ok(match timeout {
        Timeout::Never => (Patience::Endless, registers),
        Timeout::Unless(place, bit) if arguments[place] & u64::from(bit.unsigned_abs()) != 0 => {
            (Patience::None, registers)
        }
        Timeout::Unless(..) => (Patience::Endless, registers),
        Timeout::Milliseconds(place) => match int(arguments[place]) {
            ..0 => (Patience::Endless, registers),
            0 => (Patience::None, registers),
            milliseconds => {
                let wait = u64::from(milliseconds.unsigned_abs()) * MILLISECOND_NS;
                let endless = registers.with_argument(place, u64::from(u32::MAX));
                (Patience::Until(elapsed_ns.saturating_add(wait)), endless)
            }
        },
        Timeout::Nanoseconds(place) => after(place, memory::time_ns(thread, arguments[place], 1)?),
        Timeout::Microseconds(place) => after(place, memory::time_ns(thread, arguments[place], 1_000)?),
        Timeout::Date(place) => until(place, BEGIN_NS, memory::time_ns(thread, arguments[place], 1)?),
        Timeout::Clock(place) => {
            let time = memory::time_ns(thread, arguments[place], 1)?;
            until(place, beginning(int(arguments[place + 1])), time)
        }
        Timeout::Futex => {
            let operation = int(arguments[1]);
            let time = |unit| memory::time_ns(thread, arguments[3], unit);
            match operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) {
                libc::FUTEX_WAIT => after(3, time(1)?),
                libc::FUTEX_LOCK_PI => until(3, BEGIN_NS, time(1)?),
                libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAIT_REQUEUE_PI => {
                    let is_date = operation & libc::FUTEX_CLOCK_REALTIME != 0;
                    until(3, if is_date { BEGIN_NS } else { BOOT_NS }, time(1)?)
                }
                _ => (Patience::None, registers),
            }
        }
    })
}

/// What a call returns whose time is over, after what it leaves behind was written.
pub(super) fn time_over(thread: Pid, registers: Registers, call: &Call) -> io::Result<i64> {
    let arguments = registers.arguments();
    match call.kind {
        Kind::Wait(Timeout::Futex | Timeout::Clock(_) | Timeout::Date(_)) => Ok(-i64::from(libc::ETIMEDOUT)),
        Kind::Wait(_) if [libc::SYS_rt_sigtimedwait, libc::SYS_semtimedop].contains(&call.number) => {
            Ok(-i64::from(libc::EAGAIN))
        }
        _ if [libc::SYS_select, libc::SYS_pselect6].contains(&call.number) => {
            let bytes = usize::try_from(int(arguments[0]).max(0)).unwrap_or_default().div_ceil(64) * 8;
            for set in arguments[1..4].iter().filter(|set| **set != 0) {
                memory::write(thread, *set, &vec![0; bytes])?;
            }
            Ok(0)
        }
        _ => Ok(0),
    }
}

/// When a clock began.
pub(super) fn beginning(clock: i32) -> u64 {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => BEGIN_NS,
        _ => BOOT_NS,
    }
}

/// An argument that is an `int`: the lower half of its register.
#[expect(clippy::cast_possible_truncation, reason = "the upper half says nothing")]
pub(super) fn int(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
