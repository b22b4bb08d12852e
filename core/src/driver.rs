//! Carries an election's machine out: a call asked for, a call made, until it waits.

use std::sync::{Arc, Weak};

use crate::call::{Call, Name, Time};
use crate::error::{Cause, Fault};
use crate::id::InstanceId;
use crate::kernel::{Bell, Kernel, Monitor, Word};
use crate::machine::Machine;
use crate::role::{Role, Setup};
use crate::step::{Step, Wait};

/// A machine with the kernel under it, shared by the threads that use the election and the one that watches for it.
pub(crate) struct Driver<K: Kernel> {
    role: K::Word,
    machine: K::Monitor<Machine>,
    bell: Arc<K::Monitor<Bell>>,
    kernel: K,
}

impl<K: Kernel> Driver<K> {
    pub(crate) fn new(setup: Setup, kernel: K) -> Self {
        let machine = Machine::new(setup);
        Self {
            role: K::Word::new(word(machine.role())),
            machine: K::Monitor::new(machine),
            bell: Arc::new(K::Monitor::new(Bell::default())),
            kernel,
        }
    }

    #[inline]
    pub(crate) fn is_primary(&self) -> bool {
        self.role.load() == PRIMARY && self.kernel.is_original()
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    /// How often a wait was ended so far.
    pub(crate) fn rings(&self) -> u64 {
        self.bell.with(|bell| bell.rings())
    }

    /// Ends every wait.
    pub(crate) fn ring(&self) {
        Bell::ring(&*self.bell);
    }

    /// Waits until there was another ring than those heard.
    pub(crate) fn await_ring(&self, heard: u64) {
        self.bell.wait_while(|bell| bell.rings() == heard);
    }

    /// Has every wait end once the primary's seat is free, which may already have made this instance primary.
    pub(crate) fn watch(self: &Arc<Self>, primary: &InstanceId) -> Result<(), Fault> {
        let driver = Arc::downgrade(self);
        self.kernel.watch(primary, &self.bell, move || take_over(&driver)).map_err(|reply| Fault {
            name: Name::Seat(primary.clone()),
            call: "flock",
            cause: Cause::of(&reply),
        })
    }

    /// Runs alone with the machine.
    pub(crate) fn with<R>(&self, run: impl FnOnce(&mut Machine) -> R) -> R {
        self.machine.with(run)
    }

    /// Goes on as far as that needs no waiting.
    pub(crate) fn advance(&self) -> Result<(Role, Wait), Fault> {
        self.machine.with(|machine| {
            let wait = self.drive(machine)?;
            Ok((machine.role().clone(), wait))
        })
    }

    /// Wakes the machine and carries calls out until it waits.
    pub(crate) fn drive(&self, machine: &mut Machine) -> Result<Wait, Fault> {
        let now = self.kernel.now();
        machine.wake(now);
        self.drive_from(machine, now)
    }

    /// Carries calls out until the machine waits.
    pub(crate) fn drive_from(&self, machine: &mut Machine, now: Time) -> Result<Wait, Fault> {
        let end = self.carry_out(machine, now);
        if let Some(fault) = machine.take_log_fault() {
            return Err(fault);
        }
        match (end, machine.role()) {
            (Some(wait), _) => Ok(wait),
            (None, Role::Failed(fault)) => Err(fault.clone()),
            (None, _) => Err(Fault { name: Name::Directory, call: "leave", cause: Cause::Left }),
        }
    }

    /// What the machine waits for in the end, if it has not ended.
    fn carry_out(&self, machine: &mut Machine, mut now: Time) -> Option<Wait> {
        loop {
            // Before the next call, not after it: who is no longer primary must not be taken for it while it gives up its seat.
            self.role.store(word(machine.role()));
            match machine.next() {
                Step::Call(call) => now = self.step(machine, &call, now),
                Step::Wait(wait) => return Some(wait),
                Step::Ended => return None,
            }
        }
    }

    /// Carries out one call and returns what time it is, as far as that matters: a look at the clock costs as much as some
    /// of the calls do.
    fn step(&self, machine: &mut Machine, call: &Call, now: Time) -> Time {
        let reply = self.kernel.perform(call);
        let now = if call.is_timed() { self.kernel.now() } else { now };
        machine.reply(reply, now);
        now
    }

    /// Whether this instance is preferred to all others that it knows, but for the primary.
    fn is_next(&self) -> bool {
        self.machine.with(|machine| {
            let fold = machine.fold();
            fold.candidates().find(|id| fold.primary() != Some(id)).as_ref() == Some(&machine.setup().id)
        })
    }
}

/// Goes on where the primary's seat has been found free, on the thread that found it: whoever is to be primary now need not
/// wait for another thread to wake up.
///
/// What goes wrong stays with the machine, and is told to whoever goes on with it next.
fn take_over<K: Kernel>(driver: &Weak<Driver<K>>) {
    let Some(driver) = driver.upgrade() else { return };
    // All who wait are woken at once: those who cannot be primary let the one go first that can.
    if !driver.is_next() {
        driver.kernel.pause(0, None);
    }
    driver.machine.with(|machine| {
        let now = driver.kernel.now();
        machine.wake(now);
        driver.carry_out(machine, now);
    });
}

const PRIMARY: u64 = 1;

/// The part of a role that other threads read.
fn word(role: &Role) -> u64 {
    match role {
        Role::Primary { .. } => PRIMARY,
        Role::Undecided | Role::Secondary { .. } | Role::Left | Role::Failed(_) => 0,
    }
}
