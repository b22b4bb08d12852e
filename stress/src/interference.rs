//! Faults that happen to an instance at its system calls.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::fault::{Fault, Kind};
use crate::plan::Plan;
use crate::trace::{Entry, Tracer};

/// What is to happen to one instance, by the number of the call.
#[derive(Debug)]
pub(crate) struct Interference {
    calls: AtomicU32,
    kill: Option<(u32, bool)>,
    stall: Option<(u32, Duration)>,
}

impl Interference {
    /// What the plan has for an instance.
    pub(crate) fn new(plan: &Plan, index: usize) -> Self {
        let mut interference = Self { calls: AtomicU32::new(0), kill: None, stall: None };
        for fault in &plan.faults {
            match fault {
                Fault::KillAtCall { instance, call, after } if *instance == index => {
                    interference.kill = Some((*call, *after));
                }
                Fault::Stall { instance, call, for_us } if *instance == index => {
                    interference.stall = Some((*call, Duration::from_micros(*for_us)));
                }
                _ => {}
            }
        }
        interference
    }

    /// Before a call, whose number it returns.
    pub(crate) fn before(&self, tracer: &Tracer) -> u32 {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        if let Some((call, span)) = self.stall
            && call == number
        {
            tracer.write(&Entry::Fault(Kind::Stall.name()));
            std::thread::sleep(span);
        }
        if self.kill == Some((number, false)) {
            die(tracer);
        }
        number
    }

    /// After the call of that number.
    pub(crate) fn after(&self, number: u32, tracer: &Tracer) {
        if self.kill == Some((number, true)) {
            die(tracer);
        }
    }
}

fn die(tracer: &Tracer) {
    tracer.write(&Entry::Fault(Kind::KillAtCall.name()));
    kill_self();
}

/// Dies as by a signal from elsewhere, without a chance to do anything more.
pub(crate) fn kill_self() -> ! {
    loop {
        // It takes effect before the call returns; where it cannot be sent, there is nothing to go on with.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
