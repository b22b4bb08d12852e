//! The simulated kernel as one instance on its thread sees it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use single_primary::InstanceId;
use single_primary::call::{Call as ElectionCall, Failure, Handle, Name, Reply as ElectionReply, Time};
use single_primary::kernel::{Kernel, Mutex as _, Word};

use crate::call::{Call, Reply};
use crate::kernel::{Caller, Description, Fate, Files, exit, perform};
use crate::threads::bounds::FaultKind;
use crate::threads::engine::{Atomic, Bell, Engine, Monitor as _};
use crate::threads::execution::Execution;
use crate::threads::world::{View, take};
use crate::verdict::What;

/// So many looks at something that changes with time are taken at most before the time passes.
const LOOKS_MAX: u32 = 20;

/// The kernel under one instance.
pub(crate) struct ThreadKernel<E: Engine> {
    execution: Arc<Execution<E>>,
    instance: u8,
    process: u32,
    local: Arc<Local>,
    /// Rung to have those look again who wait for the primary's seat.
    waits: Arc<E::Monitor<Bell>>,
}

/// What belongs to one instance alone. Never locked across anything that the checker sees.
#[derive(Debug, Default)]
pub(crate) struct Local {
    files: Mutex<Files>,
    now: Mutex<Time>,
    /// The file on which a lock was refused last.
    refused: Mutex<Option<u64>>,
    out: AtomicBool,
    failed_call: AtomicBool,
}

impl Local {
    /// From now on no call reaches the kernel: the instance has crashed, or its part is over.
    pub(crate) fn put_out(&self) {
        self.out.store(true, Ordering::Relaxed);
    }

    /// Whether a call of the instance was made to fail.
    pub(crate) fn has_failed_call(&self) -> bool {
        self.failed_call.load(Ordering::Relaxed)
    }
}

impl<E: Engine> ThreadKernel<E> {
    pub(crate) fn new(execution: &Arc<Execution<E>>, instance: u8) -> Self {
        let local = Arc::new(Local::default());
        *plain(&local.now) = Time::from_micros(1_000_000);
        let waits = Arc::new(E::Monitor::new(Bell::default()));
        Self { process: execution.bounds.process(instance), execution: execution.clone(), instance, local, waits }
    }

    pub(crate) fn local(&self) -> Arc<Local> {
        self.local.clone()
    }

    pub(crate) fn is_out(&self) -> bool {
        self.local.out.load(Ordering::Relaxed) || self.execution.world.observer.is_violated() || thread::panicking()
    }

    pub(crate) fn perform_any(&self, call: &Call) -> Reply {
        let failure = Failure(Errno::IO.raw_os_error());
        let world = &self.execution.world;
        if self.is_out() {
            return Reply::Election(ElectionReply::Failed(failure));
        }
        let fate = match self.fault(world.observer.calls(self.instance)) {
            Some(FaultKind::Crash) => {
                self.crash();
                return Reply::Election(ElectionReply::Failed(failure));
            }
            Some(FaultKind::IoError) => {
                self.local.failed_call.store(true, Ordering::Relaxed);
                Fate::Fail(failure)
            }
            Some(FaultKind::Jump) => {
                let mut now = plain(&self.local.now);
                *now = now.after(self.execution.bounds.clock_jump);
                world.observer.happened(self.instance, *now, What::Jump);
                Fate::Normal
            }
            None => Fate::Normal,
        };
        let now = self.now();
        let mut files = std::mem::take(&mut *plain(&self.local.files));
        let mut caller = Caller { instance: self.instance, process: self.process, files: &mut files, now };
        if let Call::Election(ElectionCall::Lock(handle, mode)) = call
            && let Some(file) = caller.files.get(*handle)
            && world.is_held_otherwise(file.inode, Description { instance: self.instance, handle: *handle }, *mode)
        {
            // A conversion has two steps, between which others may get in.
            let unlock = Call::Election(ElectionCall::Unlock(*handle));
            perform(&mut View::new(world, self.instance, &unlock), &mut caller, &unlock, Fate::Normal);
        }
        let reply = perform(&mut View::new(world, self.instance, call), &mut caller, call, fate);
        let journal = match call {
            Call::Election(ElectionCall::Open { handle, name: Name::Journal, .. }) => files.get(*handle),
            Call::Election(ElectionCall::Rename(Name::NextJournal, Name::Journal)) => files.get(Handle::NEXT_JOURNAL),
            _ => None,
        };
        if let Some(journal) = journal.filter(|_| reply == Reply::Election(ElectionReply::Done)) {
            world.note_journal(journal.inode);
        }
        if let (Call::Election(ElectionCall::Lock(handle, _)), Reply::Election(ElectionReply::Busy)) = (call, &reply) {
            *plain(&self.local.refused) = files.get(*handle).map(|file| file.inode);
        }
        *plain(&self.local.files) = files;
        if world.observer.keeps_moments() {
            world.observer.happened(self.instance, now, What::Call(call.clone(), reply.clone()));
        }
        reply
    }

    /// What goes wrong at this call, by plan or by chance.
    fn fault(&self, call: u32) -> Option<FaultKind> {
        let execution = &self.execution;
        let planned = execution.faults.iter().find(|fault| fault.instance == self.instance && fault.call == call);
        if let Some(fault) = planned {
            return Some(fault.kind);
        }
        if !execution.by_chance {
            return None;
        }
        let world = &execution.world;
        // One choice a call, as each costs as much as a switch.
        let chosen = E::choose(ODDS);
        if chosen == 0 {
            for _ in 0..E::choose(STALL_MAX) {
                E::yield_now();
            }
        }
        let faults = [
            (&world.crashes_left, FaultKind::Crash),
            (&world.io_errors_left, FaultKind::IoError),
            (&world.jumps_left, FaultKind::Jump),
        ];
        let (left, kind) = faults.get(usize::try_from(chosen.checked_sub(1)?).ok()?)?;
        take(left).then_some(*kind)
    }

    fn crash(&self) {
        let world = &self.execution.world;
        // Dead from here on: who finds its locks free may be primary at once.
        world.observer.crashed(self.instance);
        self.local.put_out();
        let now = self.now();
        world.observer.happened(self.instance, now, What::Crash);
        let mut files = std::mem::take(&mut *plain(&self.local.files));
        let mut caller = Caller { instance: self.instance, process: self.process, files: &mut files, now };
        exit(&mut View::new(world, self.instance, &Call::ProcessId), &mut caller);
        world.end_process(self.process);
    }
}

/// One call in so many comes after a stall, which lets others run up to so often; as many meet each kind of fault that is
/// left to happen.
const ODDS: u32 = 24;
const STALL_MAX: u32 = 64;

impl<E: Engine> Kernel for ThreadKernel<E> {
    type Mutex<T: Send + 'static> = E::Monitor<T>;
    type Word = RoleWord<E>;

    fn perform(&self, call: &ElectionCall) -> ElectionReply {
        match self.perform_any(&Call::Election(call.clone())) {
            Reply::Election(reply) => reply,
            Reply::Time(_) | Reply::Process(_) | Reply::Files(_) => ElectionReply::Exists,
        }
    }

    fn now(&self) -> Time {
        *plain(&self.local.now)
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        match until {
            Some(until) if attempt > LOOKS_MAX || attempt >= self.execution.patience && E::choose(3) == 0 => {
                let mut now = plain(&self.local.now);
                *now = until.max(*now);
            }
            Some(_) => E::yield_now(),
            // What is waited for is a lock. To look again and again would make schedules without end.
            None => {
                let refused = plain(&self.local.refused).take();
                if let Some(number) = refused.filter(|_| !self.is_out()) {
                    let bell = Arc::new(E::Monitor::new(Bell::default()));
                    self.execution.world.watch(number, &bell);
                    bell.wait_while(|bell| bell.rings() == 0);
                } else {
                    E::yield_now();
                }
            }
        }
    }

    fn await_vacancy(&self, seat: &InstanceId, mut look: impl FnMut() -> bool) {
        loop {
            let heard = self.waits.with(|bell| bell.rings());
            // The bell is rung once the seat is free, if it is not already, or there will be none to wait for.
            match self.execution.world.number(&Name::Seat(seat.clone())).filter(|_| !self.is_out()) {
                Some(number) => self.execution.world.watch(number, &self.waits),
                None => Bell::ring(&*self.waits),
            }
            if look() {
                return;
            }
            self.waits.wait_while(|bell| bell.rings() == heard);
        }
    }

    fn end_waits(&self) {
        Bell::ring(&*self.waits);
    }

    fn is_original(&self) -> bool {
        !self.is_out()
    }
}

impl<E: Engine> fmt::Debug for ThreadKernel<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ThreadKernel").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// Learns what an instance believes from the word that other threads read.
pub(crate) trait Beliefs: Send + Sync {
    /// The word says from now on whether this instance is primary.
    fn is_primary(&self, instance: u8, primary: bool);
}

thread_local! {
    /// Whose word is made next. A checker runs all threads of its model on one of the operating system's.
    static OWNER: RefCell<Option<(Arc<dyn Beliefs>, u8)>> = const { RefCell::new(None) };
}

/// Names the instance whose word is made next on this thread.
pub(crate) fn own_next_word(beliefs: Arc<dyn Beliefs>, instance: u8) {
    OWNER.with_borrow_mut(|owner| *owner = Some((beliefs, instance)));
}

/// The word that tells threads whether an instance is primary; the observer is told as well.
pub(crate) struct RoleWord<E: Engine> {
    visible: E::Atomic,
    /// What was written last, by the only thread that writes at a time.
    written: Mutex<u64>,
    owner: Option<(Arc<dyn Beliefs>, u8)>,
}

impl<E: Engine> Word for RoleWord<E> {
    fn new(value: u64) -> Self {
        let owner = OWNER.with_borrow_mut(Option::take);
        Self { visible: E::Atomic::new(value), written: Mutex::new(value), owner }
    }

    fn load(&self) -> u64 {
        self.visible.load()
    }

    fn store(&self, value: u64) {
        // Writing what is there already changes nothing that anyone could see.
        if *plain(&self.written) == value {
            return;
        }
        self.visible.store(value);
        *plain(&self.written) = value;
        if let Some((beliefs, instance)) = &self.owner {
            beliefs.is_primary(*instance, value != 0);
        }
    }
}

fn plain<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of the election directory never matters: the simulated kernel has one.
pub(crate) const DIRECTORY: &str = "/election";

/// How long the window is; it passes when an instance waits for it to.
pub(crate) const WINDOW: Duration = Duration::from_millis(150);
