//! Timers that send SIGALRM, in virtual time: whether and when one fires is a step like any other.

use std::io;

use nix::libc;
use nix::unistd::Pid;

use crate::explore::execution::Access::{Read, Write};
use crate::explore::execution::{Agent, Choice, Footprint, Object, Stop, Transition};

use super::called::{Fate, Made};
use super::execution::{ProcessExecution, lost};
use super::memory;
use super::pending::within;
use super::thread::State;
use super::waiting::int;

const SECOND_NS: u64 = 1_000_000_000;
const MICROSECOND_NS: u64 = 1_000;

/// The timer of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// A number of its own among the threads of its copy.
    pub(super) agent: Agent,
    process: Pid,
    due_ns: u64,
    /// After how long it fires again; zero for never.
    every_ns: u64,
}

impl ProcessExecution {
    /// Sets the timer of a process as a call wants it.
    pub(super) fn sets_alarm(&mut self, made: &Made) -> io::Result<Fate> {
        let elapsed_ns = self.clocks.elapsed_ns(made.copy);
        let before = self.timers.iter().find(|timer| timer.process == made.process).copied();
        let left_ns = before.map_or(0, |timer| timer.due_ns.saturating_sub(elapsed_ns).max(MICROSECOND_NS));
        self.reads_time();
        let (after_ns, every_ns, result) = if made.call.number == libc::SYS_alarm {
            (made.arguments[0].saturating_mul(SECOND_NS), 0, left_ns.div_ceil(SECOND_NS).cast_signed())
        } else {
            if int(made.arguments[0]) != libc::ITIMER_REAL {
                self.doubts.insert("a timer of computing time is used, which nobody can repeat".into());
                return Ok(Fate::Passes);
            }
            let [_, new, old, ..] = made.arguments;
            let wanted = |place| memory::time_ns(made.id, place, MICROSECOND_NS).map(Option::unwrap_or_default);
            let (every_ns, after_ns) = if new == 0 { (0, 0) } else { (wanted(new)?, wanted(new + 16)?) };
            if old != 0 {
                let words = [before.map_or(0, |timer| timer.every_ns), left_ns];
                let bytes: Vec<u8> = (words.iter())
                    .flat_map(|time_ns| [time_ns / SECOND_NS, time_ns % SECOND_NS / MICROSECOND_NS])
                    .flat_map(u64::to_ne_bytes)
                    .collect();
                memory::write(made.id, old, &bytes)?;
            }
            (after_ns, every_ns, 0)
        };
        self.timers.retain(|timer| timer.process != made.process);
        if after_ns > 0 {
            let number = &mut self.copies[usize::from(made.copy)].threads;
            let agent = Agent { copy: made.copy, thread: *number };
            *number = number.saturating_add(1);
            let due_ns = elapsed_ns.saturating_add(after_ns);
            self.timers.push(Timer { agent, process: made.process, due_ns, every_ns });
        }
        Ok(Fate::Skipped(result))
    }

    /// The timers that may fire.
    pub(super) fn alarms(&self) -> impl Iterator<Item = Transition> + '_ {
        self.timers.iter().map(|timer| Transition {
            agent: timer.agent,
            choice: Choice::Fire,
            is_enabled: true,
            may_wait: false,
            footprint: Footprint::default().with(Object::Time, Write).with(within(timer.agent.copy), Write),
            due_ns: Some(timer.due_ns),
            label: "SIGALRM".into(),
        })
    }

    /// Has a timer fire, if that is one.
    pub(super) fn fire_alarm(&mut self, agent: Agent) -> Result<bool, Stop> {
        let Some(place) = self.timers.iter().position(|timer| timer.agent == agent) else { return Ok(false) };
        let timer = self.timers[place];
        self.clocks.fire(agent.copy, timer.due_ns);
        self.used.add(Object::Time, Write);
        self.used.add(Object::Time, Read);
        self.told = "SIGALRM".into();
        if timer.every_ns == 0 {
            self.timers.remove(place);
        } else {
            self.timers[place].due_ns = timer.due_ns.saturating_add(timer.every_ns);
        }
        // A sleep that is held here knows nothing of signals.
        let sleeps = |thread: &&mut super::thread::Thread| {
            thread.process == timer.process && matches!(thread.state, State::Sleeping(..))
        };
        let (mut threads, interrupted) = (self.threads.iter_mut(), -i64::from(libc::EINTR));
        if let Some((id, thread)) = threads.find(|(_, thread)| sleeps(thread))
            && let State::Sleeping(registers, ..) = &thread.state
        {
            registers.skipped(interrupted).store(*id).map_err(lost("ptrace"))?;
            thread.state = State::Ready(0);
        }
        if let Some(process) = rustix::process::Pid::from_raw(timer.process.as_raw()) {
            rustix::process::kill_process(process, rustix::process::Signal::ALARM)
                .map_err(|error| lost("kill")(error.into()))?;
        }
        Ok(true)
    }

    /// A process has ended, and its timer with it.
    pub(super) fn drop_timer(&mut self, process: Pid) {
        self.timers.retain(|timer| timer.process != process);
    }
}
