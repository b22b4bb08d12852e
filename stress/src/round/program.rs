//! One election of foreign registrants: started, told events, disturbed, told to quit, and cleared away.

pub(crate) mod command;
pub(crate) mod ground;
pub(crate) mod load;
pub(crate) mod orphan;
pub(crate) mod registrant;

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use self::command::{Limits, Program};
use self::ground::{Ground, count};
use self::registrant::{End, Errors, Place, Registrant};
use crate::control::stall::Followed;
use crate::failure::Failure;
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::process::clock;

/// How long a wait lasts at most before all is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// The same where a process is about to end, which nothing tells.
const LOOK_FOR_END: Duration = Duration::from_micros(100);

/// What a round needs beside its plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) program: Program,
    pub(crate) settle: Duration,
    pub(crate) patience: Duration,
    /// Whether any registrant has ever said who is primary.
    #[serde(skip)]
    pub(crate) speaks: Arc<AtomicBool>,
    /// Whether it is to end early.
    #[serde(skip)]
    pub(crate) interrupt: Arc<AtomicBool>,
}

/// What a round left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) registrants: Vec<Registrant>,
    /// When one was taken away, stopped or held.
    pub(crate) disturbed_ns: Option<u64>,
    /// Before which call one was held.
    pub(crate) held_before: Option<String>,
    /// When the events after that began.
    pub(crate) resumed_ns: Option<u64>,
    /// How many lines of the log hold each event.
    pub(crate) entries: Vec<u64>,
    /// Whether the log had any line at all.
    pub(crate) has_log: bool,
    pub(crate) log_too_long: bool,
    pub(crate) errors: String,
}

impl Ran {
    /// Whether the plan's fault has happened: a registrant may have ended before.
    pub(crate) fn is_exercised(&self, plan: &Plan) -> bool {
        let needs_victim = matches!(plan.fault, Some(Fault::Kill | Fault::Restart | Fault::Stop | Fault::Stall));
        !needs_victim || self.disturbed_ns.is_some()
    }
}

/// Runs a round; its files stay.
fn run(plan: &Plan, conditions: &Conditions, ground: &Ground) -> io::Result<Ran> {
    let place = ground.place();
    let mut random = fastrand::Rng::with_seed(plan.chance);
    let registrants = plan.registrants();
    let starters = registrants - usize::from(plan.fault == Some(Fault::Late) && registrants > 1);
    let full = (plan.fault == Some(Fault::Full)).then(|| random.usize(..starters));
    if plan.unprivileged {
        ground.give_away()?;
    }
    if plan.fault == Some(Fault::Permissions) {
        ground.close()?;
    }
    let interrupt = conditions.interrupt.clone();
    let mut stage = Stage { registrants: Vec::with_capacity(plan.ids.len()), errors: Errors::new()?, interrupt };
    let start = |stage: &mut Stage, index: usize| -> io::Result<()> {
        let limits = Limits { file_bytes_max: (full == Some(index)).then_some(0), unprivileged: plan.unprivileged };
        let errors = stage.errors.writer()?;
        stage.registrants.push(Registrant::start(&conditions.program, &plan.ids[index], &place, errors, limits)?);
        Ok(())
    };
    for index in 0..starters {
        start(&mut stage, index)?;
        for event in 0..plan.early {
            stage.registrants[index].deliver(event, &plan.events[event]);
        }
    }
    let (mut disturbed_ns, mut resumed_ns, mut held_before) = (None, None, None);
    let rest = plan.early..plan.events.len();
    let middle = rest.start + rest.len() / 2;
    if plan.fault == Some(Fault::Stall) {
        if let Some((at_ns, call)) = stage.stall(plan, conditions, &place, rest.start..middle)? {
            (disturbed_ns, held_before) = (Some(at_ns), Some(call));
        }
    } else {
        Registrant::release(&mut stage.registrants)?;
    }
    stage.settle(conditions)?;

    match plan.fault {
        Some(Fault::Kill | Fault::Restart) => {
            if let Some(victim) = stage.victim(&mut random) {
                disturbed_ns = Some(clock::now_ns());
                stage.registrants[victim].kill(End::Fault);
                // On a busy machine it holds what it has for a while longer, and nobody can succeed it yet.
                stage.pump(conditions.patience, |stage| stage.registrants[victim].end.is_some())?;
                stage.deliver(plan, rest.start..middle);
                if plan.fault == Some(Fault::Restart) {
                    start(&mut stage, registrants)?;
                    stage.release_last()?;
                    stage.settle(conditions)?;
                }
                stage.pump(conditions.settle, |stage| stage.registrants.iter().any(Registrant::is_primary))?;
            }
        }
        Some(Fault::Stop) => {
            if let Some(victim) = stage.victim(&mut random) {
                disturbed_ns = Some(clock::now_ns());
                stage.registrants[victim].stop(true);
                stage.deliver(plan, rest.start..middle);
                stage.pump(conditions.settle, |_| false)?;
                stage.registrants[victim].stop(false);
                stage.pump(conditions.settle / 10, |_| false)?;
            }
        }
        Some(Fault::Late) if starters < registrants => {
            start(&mut stage, starters)?;
            stage.release_last()?;
            stage.settle(conditions)?;
        }
        _ => {}
    }
    if disturbed_ns.is_some() {
        resumed_ns = Some(clock::now_ns());
        stage.deliver(plan, middle..rest.end);
    } else {
        stage.deliver(plan, rest);
    }
    // A handover is not what this is about: whoever is primary stays until the others have ended, unless they do not end.
    for registrant in stage.registrants.iter_mut().filter(|registrant| !registrant.is_primary()) {
        registrant.quit();
    }
    stage.pump(conditions.settle, |stage| {
        stage.registrants.iter().all(|registrant| registrant.is_primary() || registrant.end.is_some())
    })?;
    for registrant in &mut stage.registrants {
        registrant.quit();
    }
    if !stage.pump(conditions.patience, Stage::is_over)? {
        for registrant in &mut stage.registrants {
            registrant.kill(End::Overdue);
        }
        stage.pump(conditions.patience, Stage::is_over)?;
    }
    let (entries, has_log, log_too_long) = count(place.log, &plan.events)?;
    let Stage { registrants, errors, .. } = stage;
    let errors = errors.text();
    Ok(Ran { registrants, disturbed_ns, held_before, resumed_ns, entries, has_log, log_too_long, errors })
}

/// Removes what a round has left.
pub(crate) fn clear(ground: &Ground, base: &Path) -> Result<(), Failure> {
    ground.clear().map_err(Failure::environment(base.display(), "removing a round's files", FREE_SPACE))
}

const FREE_SPACE: &str = "free space there, or give another --dir";

impl Conditions {
    /// Runs a round in a directory of its own, which stays; nothing comes of one that is interrupted.
    pub(crate) fn run(&self, plan: &Plan, base: &Path) -> Result<Option<(Ground, Ran)>, Failure> {
        let failure = Failure::environment(base.display(), "mkdir", FREE_SPACE);
        let ground = Ground::new(base, &format!("{}-{:08x}", plan.round, fastrand::u32(..))).map_err(failure)?;
        orphan::adopt();
        let ran = run(plan, self, &ground);
        orphan::end(Some(ground.place().directory));
        match ran {
            Err(_) if self.interrupt.load(Ordering::Relaxed) => clear(&ground, base).map(|()| None),
            ran => Ok(Some((ground, ran.map_err(|error| self.cannot_start(error))?))),
        }
    }

    /// The failure where the program cannot be started.
    pub(crate) fn cannot_start(&self, error: io::Error) -> Failure {
        let name = self.program.name();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "install it, or give the path of a program that is there by --registrant",
            io::ErrorKind::PermissionDenied => "make it executable, or name its interpreter in --registrant",
            _ => "raise the limits of files and processes, or give fewer --registrants or --jobs",
        };
        Failure::environment(name, "starting a registrant", remedy)(error)
    }
}

struct Stage {
    registrants: Vec<Registrant>,
    errors: Errors,
    interrupt: Arc<AtomicBool>,
}

impl Stage {
    fn release_last(&mut self) -> io::Result<()> {
        let last = self.registrants.len().saturating_sub(1);
        Registrant::release(&mut self.registrants[last..])
    }

    /// Has the first one run alone until it is about to touch the election directory for the n-th time, and holds it there
    /// while the others start, are told events and come to their verdicts. When and before which call that was; nothing
    /// where it did not come so far.
    fn stall(
        &mut self,
        plan: &Plan,
        conditions: &Conditions,
        place: &Place<'_>,
        events: std::ops::Range<usize>,
    ) -> io::Result<Option<(u64, String)>> {
        let Some(mut stall) = self.registrants[0].follow(place)? else {
            Registrant::release(&mut self.registrants)?;
            return Ok(None);
        };
        let deadline = Instant::now() + conditions.settle.max(conditions.patience);
        let (victim, errors, interrupt) = (&mut self.registrants[0], &mut self.errors, &self.interrupt);
        let followed = stall.follow(plan.touch, || {
            victim.read();
            errors.read();
            victim.has_verdict()
                || !victim.is_running()
                || Instant::now() > deadline
                || interrupt.load(Ordering::Relaxed)
        })?;
        let Followed::Held(call) = followed else {
            stall.end()?;
            Registrant::release(&mut self.registrants[1..])?;
            return Ok(None);
        };
        let at_ns = clock::now_ns();
        self.registrants[0].disturbed = true;
        Registrant::release(&mut self.registrants[1..])?;
        self.deliver(plan, events);
        // The one that is held may keep the others from their verdicts, which is its right.
        self.pump(conditions.settle, |stage| stage.registrants[1..].iter().all(Registrant::is_settled))?;
        stall.end()?;
        Ok(Some((at_ns, call)))
    }

    /// Waits until every one that runs has said who is primary: long enough for a slow one where it is known that they
    /// do say it.
    fn settle(&mut self, conditions: &Conditions) -> io::Result<()> {
        let is_settled = self.pump(conditions.settle, Self::is_settled)?;
        if self.registrants.iter().any(Registrant::has_verdict) {
            conditions.speaks.store(true, Ordering::Relaxed);
        }
        if !is_settled && conditions.speaks.load(Ordering::Relaxed) {
            self.pump(conditions.patience, Self::is_settled)?;
        }
        Ok(())
    }

    /// Whether every one that runs has said who is primary.
    fn is_settled(&self) -> bool {
        self.registrants.iter().all(Registrant::is_settled)
    }

    fn is_over(&self) -> bool {
        self.registrants.iter().all(|registrant| registrant.end.is_some())
    }

    /// The primary; any that runs where none has said that it is.
    fn victim(&self, random: &mut fastrand::Rng) -> Option<usize> {
        let running = |index: &usize| self.registrants[*index].is_running();
        let all = 0..self.registrants.len();
        all.clone()
            .filter(running)
            .find(|index| self.registrants[*index].is_primary())
            .or_else(|| random.choice(all.filter(running).collect::<Vec<_>>()))
    }

    fn deliver(&mut self, plan: &Plan, events: std::ops::Range<usize>) {
        for event in events {
            for registrant in &mut self.registrants {
                registrant.deliver(event, &plan.events[event]);
            }
        }
    }

    /// Listens until all is as wanted, or for so long; whether it is as wanted. An interrupt is an error.
    fn pump(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) -> io::Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let mut ending = false;
            for registrant in self.registrants.iter_mut().filter(|registrant| registrant.end.is_none()) {
                registrant.read();
                registrant.write();
                if registrant.pipes().0.is_none() || !registrant.is_running() {
                    ending |= !registrant.reap()?;
                }
            }
            if is_done(self) {
                return Ok(true);
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if self.wait(left.min(if ending { LOOK_FOR_END } else { LOOK }))? == 0 {
                // One whose output is held open by another that it started ends without a sign.
                for registrant in &mut self.registrants {
                    registrant.reap()?;
                }
            } else {
                self.errors.read();
            }
        }
    }

    /// Waits until something can be read or written; how much that is.
    fn wait(&self, limit: Duration) -> io::Result<usize> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.errors.file().as_fd(), PollFlags::IN)];
        for registrant in &self.registrants {
            let (stdout, stdin) = registrant.pipes();
            fds.extend(stdout.map(|stdout| PollFd::new(stdout, PollFlags::IN)));
            fds.extend(stdin.map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        }
        let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => Ok(0),
            ready => Ok(ready?),
        }
    }
}
