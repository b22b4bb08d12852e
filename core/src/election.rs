//! The election as a program uses it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::call::{Call, Name, Time};
use crate::entry;
use crate::error::{Cause, Error, Fault};
use crate::fold::Fold;
use crate::id::InstanceId;
use crate::kernel::{Bell, Kernel, Monitor, Word};
use crate::machine::Machine;
use crate::options::Options;
use crate::os::{Os, Paths};
use crate::role::{Role, Setup};
use crate::step::{Step, Wait};

/// What became of an event given to [`Election::record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recorded {
    /// Its entry is in realtime.log, by this instance or by an earlier primary.
    Written,
    /// This instance keeps it until it is primary or finds it in the log.
    Pending,
}

/// An instance's part in an election. It is given up by [`Election::leave`], by dropping it, or by death.
///
/// All methods take `&self`: any number of threads may share it.
pub struct Election<K: Kernel = Os> {
    role: K::Word,
    machine: K::Monitor<Machine>,
    bell: Arc<K::Monitor<Bell>>,
    kernel: K,
    id: InstanceId,
    paths: Paths,
    pending_max: usize,
}

impl Election {
    /// How to join.
    pub fn options(directory: impl Into<PathBuf>) -> Options {
        Options::new(directory)
    }
}

impl<K: Kernel> Election<K> {
    /// Takes the first steps.
    pub(crate) fn begin(setup: Setup, kernel: K, paths: Paths, pending_max: usize) -> Result<Self, Error> {
        let id = setup.id.clone();
        let machine = Machine::new(setup);
        let election = Self {
            role: K::Word::new(word(machine.role())),
            machine: K::Monitor::new(machine),
            bell: Arc::new(K::Monitor::new(Bell::default())),
            kernel,
            id,
            paths,
            pending_max,
        };
        election.advance()?;
        Ok(election)
    }

    /// Whether this instance is primary. Costs a memory read; no call is needed to stay primary.
    #[inline]
    pub fn is_primary(&self) -> bool {
        self.role.load() == PRIMARY && self.kernel.is_original()
    }

    /// Goes on with the election as far as that needs no waiting, and tells the role. To be called every few milliseconds
    /// until there is a verdict, and from then on as often as a dead primary is to be noticed.
    ///
    /// # Errors
    /// Whatever ended this instance; see [`Cause`]. It is not primary.
    pub fn poll(&self) -> Result<Role, Error> {
        self.check_process("poll")?;
        self.advance().map(|(role, _)| role)
    }

    /// Blocks until there is a verdict: until this instance is primary or knows another that is.
    ///
    /// # Errors
    /// As [`Election::poll`].
    pub fn decided(&self) -> Result<Role, Error> {
        self.check_process("join")?;
        for attempt in 0.. {
            match self.advance()? {
                (Role::Undecided, Wait::Registrations { until }) => self.kernel.pause(attempt, Some(until)),
                (Role::Undecided, _) => self.kernel.pause(attempt, None),
                (role, _) => return Ok(role),
            }
        }
        unreachable!("the attempts are counted without end")
    }

    /// Blocks until this instance is primary, and returns its term: a fencing token. Another thread ends the wait by
    /// [`Election::leave`].
    ///
    /// # Errors
    /// As [`Election::poll`]; [`Cause::Left`] where another thread left.
    pub fn wait(&self) -> Result<u64, Error> {
        let mut looks = 0;
        let mut watched = None;
        loop {
            let heard = self.bell.with(|bell| bell.rings());
            match self.decided()? {
                Role::Primary { term } => return Ok(term),
                Role::Secondary { primary, .. } => {
                    // A bell that rings early, again and again, must not make this a loop that spins.
                    looks = if watched.as_ref() == Some(&primary) { looks + 1 } else { 0 };
                    if looks > 0 {
                        self.kernel.pause(looks, None);
                    }
                    self.kernel.watch(&primary, &self.bell).map_err(|reply| {
                        self.error(Fault { name: Name::Seat(primary.clone()), call: "flock", cause: Cause::of(&reply) })
                    })?;
                    watched = Some(primary);
                    self.bell.wait_while(|bell| bell.rings() == heard);
                    // All who wait are woken at once: those who cannot be primary let the one go first that can.
                    if !self.is_next() {
                        self.kernel.pause(0, None);
                    }
                }
                _ => {}
            }
        }
    }

    /// Has exactly one entry for the event in realtime.log: at once where this instance is primary, else it is kept until
    /// it is, or until it is found in the log. All instances must be given the same events under the same IDs.
    ///
    /// `event` is 1 to 256 bytes of text, `payload` one JSON value without line breaks, of at most 1 MiB.
    ///
    /// # Errors
    /// [`Cause::Event`] and [`Cause::PendingFull`] refuse the event. An I/O error of the log is told, and the event stays
    /// pending: the next call that goes on with the election tries again. Else as [`Election::poll`].
    pub fn record(&self, event: &str, payload: &str) -> Result<Recorded, Error> {
        if !self.kernel.is_original() {
            return Err(self.error(Fault { name: Name::Directory, call: "record", cause: Cause::Forked }));
        }
        let refuse = |cause| self.error(Fault { name: Name::Log(0), call: "record", cause });
        entry::check(event, payload).map_err(|why| refuse(Cause::Event(why)))?;
        self.machine.with(|machine| {
            if machine.logbook().pending_count() >= self.pending_max {
                return Err(refuse(Cause::PendingFull));
            }
            machine.deliver_text(event, payload);
            if matches!(machine.role(), Role::Primary { .. }) {
                // A primary waits for nothing that the time could end, and a look at the clock costs as much as a call.
                self.drive_from(machine, machine.now())?;
            } else {
                self.drive(machine)?;
            }
            Ok(if machine.logbook().is_pending(event) { Recorded::Pending } else { Recorded::Written })
        })
    }

    /// Leaves: stops being primary, says so in the journal, gives up the seat. Leaving twice does nothing more.
    ///
    /// # Errors
    /// Where pending entries could not be written first, or in a forked copy. The instance has left all the same; the
    /// copy has never been in.
    pub fn leave(&self) -> Result<(), Error> {
        self.check_process("leave")?;
        let finished = self.machine.with(|machine| {
            let finished =
                if matches!(machine.role(), Role::Primary { .. }) { self.drive(machine).map(drop) } else { Ok(()) };
            machine.leave();
            let left = self.drive(machine);
            finished.and(match left {
                Err(error) if *error.cause() == Cause::Left => Ok(()),
                left => left.map(drop),
            })
        });
        Bell::ring(&*self.bell);
        finished
    }

    /// The ID of this join.
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// The role, as far as this instance knows without looking.
    pub fn role(&self) -> Role {
        self.machine.with(|machine| machine.role().clone())
    }

    /// What this instance has read of the journal.
    pub fn fold(&self) -> Fold {
        self.machine.with(|machine| machine.fold().clone())
    }

    /// How many events this instance keeps, not knowing them to be in the log.
    pub fn pending(&self) -> usize {
        self.machine.with(|machine| machine.logbook().pending_count())
    }

    /// The election directory.
    pub fn directory(&self) -> &Path {
        &self.paths.directory
    }

    /// The kernel under this instance.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// Whether this instance is preferred to all others that it knows, but for the primary.
    fn is_next(&self) -> bool {
        self.machine.with(|machine| {
            let fold = machine.fold();
            fold.candidates().find(|id| fold.primary() != Some(id)).as_ref() == Some(&self.id)
        })
    }

    fn advance(&self) -> Result<(Role, Wait), Error> {
        self.machine.with(|machine| {
            let wait = self.drive(machine)?;
            Ok((machine.role().clone(), wait))
        })
    }

    /// Wakes the machine and carries calls out until it waits.
    fn drive(&self, machine: &mut Machine) -> Result<Wait, Error> {
        let now = self.kernel.now();
        machine.wake(now);
        self.drive_from(machine, now)
    }

    fn drive_from(&self, machine: &mut Machine, mut now: Time) -> Result<Wait, Error> {
        let end = loop {
            // Before the next call, not after it: who is no longer primary must not be taken for it while it gives up its seat.
            self.role.store(word(machine.role()));
            match machine.next() {
                Step::Call(call) => now = self.step(machine, &call, now),
                Step::Wait(wait) => break Some(wait),
                Step::Ended => break None,
            }
        };
        if let Some(fault) = machine.take_log_fault() {
            return Err(self.error(fault));
        }
        match (end, machine.role()) {
            (Some(wait), _) => Ok(wait),
            (None, Role::Failed(fault)) => Err(self.error(fault.clone())),
            (None, _) => Err(self.error(Fault { name: Name::Directory, call: "leave", cause: Cause::Left })),
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

    fn check_process(&self, call: &'static str) -> Result<(), Error> {
        if self.kernel.is_original_process() {
            Ok(())
        } else {
            Err(self.error(Fault { name: Name::Directory, call, cause: Cause::Forked }))
        }
    }

    fn error(&self, fault: Fault) -> Error {
        Error::new(self.paths.of(&fault.name), fault.call, fault.cause)
    }
}

impl<K: Kernel> Drop for Election<K> {
    /// Leaves. What goes wrong has nobody to be told to: [`Election::leave`] tells it.
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

impl<K: Kernel> fmt::Debug for Election<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Election").field("id", &self.id).field("role", &self.role()).finish_non_exhaustive()
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
