//! Carries an election's machine out: a call asked for, a call made, until it waits.

use crate::call::{Call, Name, Time};
use crate::error::{Cause, Fault};
use crate::id::InstanceId;
use crate::kernel::{Kernel, Mutex, Word};
use crate::machine::Machine;
use crate::role::{Role, Setup};
use crate::step::{Step, Wait};

/// A machine with the kernel under it, shared by the threads that use the election.
pub(crate) struct Driver<K: Kernel> {
    role: K::Word,
    machine: K::Mutex<Machine>,
    kernel: K,
}

impl<K: Kernel> Driver<K> {
    pub(crate) fn new(setup: Setup, kernel: K) -> Self {
        let machine = Machine::new(setup);
        Self { role: K::Word::new(word(machine.role())), machine: K::Mutex::new(machine), kernel }
    }

    #[inline]
    pub(crate) fn is_primary(&self) -> bool {
        self.role.load() == PRIMARY && self.kernel.is_original()
    }

    pub(crate) fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Goes on with the election, on this thread, whenever the primary's seat may be free, until this instance no longer defers
    /// to that primary.
    pub(crate) fn await_vacancy(&self, primary: &InstanceId) {
        self.kernel.await_vacancy(primary, || {
            // All who wait are woken at once: those who cannot be primary let the one go first that can.
            if !self.is_next() {
                self.kernel.pause(0, None);
            }
            // What goes wrong stays with the machine, and is told to whoever goes on with it next.
            !matches!(self.advance(), Ok((Role::Secondary { primary: current, .. }, _)) if current == *primary)
        });
    }

    /// Whether this instance takes no part any more.
    pub(crate) fn is_over(&self) -> bool {
        self.machine.with(|machine| matches!(machine.role(), Role::Left | Role::Failed(_)))
    }

    /// Runs alone with the machine.
    pub(crate) fn with<R>(&self, run: impl FnOnce(&mut Machine) -> R) -> R {
        self.machine.with(run)
    }

    /// Goes on as far as that needs no waiting and no more than a bounded look at the journal and the log.
    pub(crate) fn advance(&self) -> Result<(Role, Wait), Fault> {
        self.machine.with(|machine| {
            let wait = self.drive(machine, Work::BOUNDED)?;
            Ok((machine.role().clone(), wait))
        })
    }

    /// Whether there is more to do that need not wait.
    pub(crate) fn has_more_to_do(&self) -> bool {
        self.machine.with(|machine| machine.may_go_on_later() && matches!(machine.next(), Step::Call(_)))
    }

    /// Wakes the machine and carries calls out until it waits, or has done that much.
    pub(crate) fn drive(&self, machine: &mut Machine, bound: Work) -> Result<Wait, Fault> {
        let now = self.kernel.now();
        machine.wake(now);
        self.drive_from(machine, now, bound)
    }

    /// Carries calls out until the machine waits, or has done that much.
    pub(crate) fn drive_from(&self, machine: &mut Machine, now: Time, bound: Work) -> Result<Wait, Fault> {
        match (self.carry_out(machine, now, bound), machine.role()) {
            (Some(_), _) if let Some(fault) = machine.setback() => Err(fault.clone()),
            (Some(wait), _) => Ok(wait),
            (None, Role::Failed(fault)) => Err(fault.clone()),
            (None, _) => Err(Fault { name: Name::Directory, call: "leave", cause: Cause::Left }),
        }
    }

    /// What the machine waits for in the end, if it has not ended: for nothing, where it has more to do.
    fn carry_out(&self, machine: &mut Machine, mut now: Time, Work(mut left): Work) -> Option<Wait> {
        loop {
            // Before the next call, not after it: who is no longer primary must not be taken for it while it gives up its seat.
            self.role.store(word(machine.role()));
            match machine.next() {
                Step::Call(call) => {
                    if machine.may_go_on_later() {
                        let Some(rest) = left.checked_sub(Work::of(&call)) else { return Some(Wait::Nothing) };
                        left = rest;
                    }
                    now = self.step(machine, &call, now);
                }
                Step::Wait(wait) => return Some(wait),
                Step::Ended => {
                    self.kernel.end_waits();
                    return None;
                }
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

/// How much is done at once about the journal and the log, in calls; a read counts for several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(u32);

impl Work {
    /// 1 MiB is read, or 64 entries of three calls each are written.
    pub(crate) const BOUNDED: Self = Self(16 * Self::READ);
    /// All that there is to do.
    pub(crate) const ALL: Self = Self(u32::MAX);

    const READ: u32 = 12;

    fn of(call: &Call) -> u32 {
        if matches!(call, Call::Read { .. }) { Self::READ } else { 1 }
    }
}

const PRIMARY: u64 = 1;

/// The part of a role that other threads read.
fn word(role: &Role) -> u64 {
    match role {
        Role::Primary { .. } => PRIMARY,
        Role::Undecided | Role::Secondary { .. } | Role::Left | Role::Failed(_) => 0,
    }
}
