//! The election as a program uses it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::call::Name;
use crate::driver::{Driver, Work};
use crate::entry;
use crate::error::{Cause, Error, Fault};
use crate::event_ids::EventId;
use crate::fold::Fold;
use crate::id::InstanceId;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::options::Options;
use crate::os::{Os, Paths};
use crate::role::{Role, Setup};
use crate::step::Wait;

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
    driver: Driver<K>,
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
        let election = Self { driver: Driver::new(setup, kernel), id, paths, pending_max };
        match election.advance() {
            // What does not end it is told by whatever goes on with it.
            Err(error) if election.driver.is_over() => Err(error),
            _ => Ok(election),
        }
    }

    /// Whether this instance is primary. Costs a memory read; no call is needed to stay primary.
    #[inline]
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.driver.is_primary()
    }

    /// Goes on with the election as far as that needs no waiting, and tells the role. To be called every few milliseconds
    /// until there is a verdict, and from then on as often as a dead primary is to be noticed.
    ///
    /// Of the journal and realtime.log, one call reads at most 1 MiB or writes at most 64 entries; what is left is done by the
    /// calls that follow. Only to begin in a directory in which nobody lives is not divided, as everyone waits for that: it
    /// takes a read for each 512 records and a call for each seat that the last who lived have left.
    ///
    /// # Errors
    /// Whatever ended this instance; see [`Cause`]. It is not primary. Once it is registered, a call that fails, as on a full disk,
    /// does not end it: [`Election::role`] says so, and the next poll tries again. A failure of realtime.log is none of
    /// these: see [`Election::log_error`].
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
                // There is more to do.
                (Role::Undecided, Wait::Nothing) => {}
                (Role::Undecided, Wait::Registrations { until }) => self.kernel().pause(attempt, Some(until)),
                (Role::Undecided, _) => self.kernel().pause(attempt, None),
                (role, _) => return Ok(role),
            }
        }
        unreachable!("the attempts are counted without end")
    }

    /// Blocks until this instance is primary, and returns its term: a fencing token. Another thread ends the wait by
    /// [`Election::leave`].
    ///
    /// It is the calling thread that waits, and then takes over. On Linux the kernel wakes it when the primary's seat is closed;
    /// where that is not to be had (elsewhere, or with more instances waiting than the user may have inotify instances), it looks
    /// every 5 ms at the latest. What was pending is written, or has met an error ([`Election::log_error`]), before the wait
    /// has ended.
    ///
    /// # Errors
    /// Whatever ended this instance; [`Cause::Left`] where another thread left. What does not end it, as a full disk at the
    /// moment of taking over, does not end the wait either: it tries again until that is over.
    pub fn wait(&self) -> Result<u64, Error> {
        let mut setbacks = 0;
        loop {
            self.check_process("wait")?;
            match self.decided() {
                Ok(Role::Primary { .. }) if self.driver.has_more_to_do() => {}
                Ok(Role::Primary { term }) => return Ok(term),
                Ok(Role::Secondary { primary, .. }) => {
                    setbacks = 0;
                    self.driver.await_vacancy(&primary);
                }
                Ok(_) => {}
                Err(error) if *error.cause() == Cause::Forked || self.driver.is_over() => return Err(error),
                Err(_) => {
                    self.kernel().pause(setbacks, None);
                    setbacks += 1;
                }
            }
        }
    }

    /// Has exactly one entry for the event in realtime.log: at once where this instance is primary, else it is kept until
    /// it is, or until it is found in the log. All instances must be given the same events under the same IDs.
    ///
    /// It does as much as [`Election::poll`] at a time: where more than that is pending at a new primary, the event may be
    /// [`Recorded::Pending`] until further calls have come to it.
    ///
    /// `event` is 1 to 256 bytes of text, `payload` one JSON value without line breaks, of at most 1 MiB.
    ///
    /// # Errors
    /// [`Cause::Event`] and [`Cause::PendingFull`] refuse the event. Where this instance is primary and the log keeps the
    /// event from being written, that is told, and the event stays pending: the next call that goes on with the election
    /// tries again. Else as [`Election::poll`].
    pub fn record(&self, event: &str, payload: &str) -> Result<Recorded, Error> {
        if !self.kernel().is_original() {
            return Err(self.error(Fault { name: Name::Directory, call: "record", cause: Cause::Forked }));
        }
        let refuse = |cause| self.error(Fault { name: Name::Log(0), call: "record", cause });
        entry::check_id(event).map_err(|why| refuse(Cause::Event(why)))?;
        let id = EventId::of(event);
        self.driver.with(|machine| {
            // Asked first though it matters last: what is known is far away in memory, and the payload is checked meanwhile.
            let is_new = machine.logbook().is_new(&id);
            entry::check_payload(payload).map_err(|why| refuse(Cause::Event(why)))?;
            let is_full = |machine: &Machine| machine.logbook().pending_count() >= self.pending_max;
            if is_new && is_full(machine) {
                machine.look_for_pending();
                self.go_on(machine)?;
                if is_full(machine) {
                    return Err(refuse(Cause::PendingFull));
                }
            }
            if is_new {
                machine.deliver_new(id, payload);
            }
            self.go_on(machine)?;
            if !machine.logbook().is_pending(event) {
                return Ok(Recorded::Written);
            }
            match machine.logbook().fault() {
                Some(fault) if matches!(machine.role(), Role::Primary { .. }) => Err(self.error(fault.clone())),
                _ => Ok(Recorded::Pending),
            }
        })
    }

    fn go_on(&self, machine: &mut Machine) -> Result<(), Error> {
        let gone_on = if matches!(machine.role(), Role::Primary { .. }) {
            // A primary waits for nothing that the time could end, and a look at the clock costs as much as a call.
            machine.try_log_again();
            self.driver.drive_from(machine, machine.now(), Work::BOUNDED)
        } else {
            self.driver.drive(machine, Work::BOUNDED)
        };
        gone_on.map(drop).map_err(|fault| self.error(fault))
    }

    /// Leaves: stops being primary, says so in the journal, gives up the seat. Leaving twice does nothing more.
    ///
    /// # Errors
    /// Where pending entries could not be written first, or in a forked copy. The instance has left all the same; the
    /// copy has never been in.
    pub fn leave(&self) -> Result<(), Error> {
        self.check_process("leave")?;
        let finished = self.driver.with(|machine| {
            let is_primary = matches!(machine.role(), Role::Primary { .. });
            let finished = if is_primary {
                let driven = self.driver.drive(machine, Work::ALL).map(drop);
                let unwritten = machine.logbook().fault().filter(|_| machine.logbook().pending_count() > 0);
                driven.and(unwritten.map_or(Ok(()), |fault| Err(fault.clone())))
            } else {
                Ok(())
            };
            machine.leave();
            finished.and(match self.driver.drive(machine, Work::ALL) {
                Err(Fault { cause: Cause::Left, .. }) => Ok(()),
                left => left.map(drop),
            })
        });
        finished.map_err(|fault| self.error(fault))
    }

    /// The ID of this join.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.id
    }

    /// The role, as far as this instance knows without looking. In a forked copy it is [`Role::Failed`], by [`Cause::Forked`].
    #[must_use]
    pub fn role(&self) -> Role {
        match self.of_original("role") {
            Ok(()) => self.driver.with(|machine| machine.role().clone()),
            Err(fault) => Role::Failed(fault),
        }
    }

    /// What this instance has read of the journal: nothing, in a forked copy.
    #[must_use]
    pub fn fold(&self) -> Fold {
        self.of_original("fold")
            .map_or_else(|_| Fold::default(), |()| self.driver.with(|machine| machine.fold().clone()))
    }

    /// How many events this instance keeps, not knowing them to be in the log: none, in a forked copy.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.of_original("pending").map_or(0, |()| self.driver.with(|machine| machine.logbook().pending_count()))
    }

    /// What went wrong with realtime.log last, as long as it lasts: what keeps entries from being written or found, or a
    /// full log from being rotated. It is tried again by every call that goes on with the election, and is over as soon as
    /// its cause is.
    #[must_use]
    pub fn log_error(&self) -> Option<Error> {
        self.of_original("log_error").ok()?;
        self.driver.with(|machine| machine.logbook().fault().cloned()).map(|fault| self.error(fault))
    }

    /// The election directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.paths.directory
    }

    /// The kernel under this instance.
    #[must_use]
    pub fn kernel(&self) -> &K {
        self.driver.kernel()
    }

    fn advance(&self) -> Result<(Role, Wait), Error> {
        self.driver.advance().map_err(|fault| self.error(fault))
    }

    fn check_process(&self, call: &'static str) -> Result<(), Error> {
        self.of_original(call).map_err(|fault| self.error(fault))
    }

    /// Refuses a forked copy, before anything is waited for there: a mutex that another thread held at the fork stays locked
    /// in the copy.
    fn of_original(&self, call: &'static str) -> Result<(), Fault> {
        if self.kernel().is_original_process() {
            Ok(())
        } else {
            Err(Fault { name: Name::Directory, call, cause: Cause::Forked })
        }
    }

    fn error(&self, fault: Fault) -> Error {
        Error::new(self.paths.of(&fault.name), fault.call, fault.cause)
    }
}

impl<K: Kernel> Drop for Election<K> {
    /// Leaves. What goes wrong has nobody to be told to: [`Election::leave`] tells it. A forked copy does nothing but close its
    /// descriptors, which leaves the locks to the process that joined.
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

impl<K: Kernel> fmt::Debug for Election<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Election").field("id", &self.id).field("role", &self.role()).finish_non_exhaustive()
    }
}
