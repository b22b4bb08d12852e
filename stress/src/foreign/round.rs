//! One election of foreign registrants: started, told events, disturbed, told to quit, and cleared away.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Settings;
use super::fault::Fault;
use super::registrant::{End, Errors, Place, Registrant};
use crate::clock;

/// How long a wait lasts at most before all is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// The same where a process is about to end, which nothing tells.
const LOOK_FOR_END: Duration = Duration::from_micros(100);

/// What a round is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) round: u64,
    /// The IDs in the order of their start, and one more for whoever is started later.
    pub(crate) ids: Vec<String>,
    /// What events are called. No name is a part of another.
    pub(crate) events: Vec<String>,
    /// How many events are told at once, before anyone can have a verdict.
    pub(crate) early: usize,
    pub(crate) fault: Option<Fault>,
    /// What is drawn from for whatever depends on how the round goes.
    pub(crate) chance: u64,
}

impl Plan {
    /// The plan of a round: the same for the same seed and number.
    pub(crate) fn draw(settings: &Settings, round: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(settings.seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Sorted by a random part first, so that the smallest is not the first to start.
        let mut ids: Vec<_> =
            (0..=settings.registrants).map(|index| format!("{:06x}-{index}", random.u32(..1 << 24))).collect();
        let events = (0..settings.events).map(|event| format!("event-{event:04}-{:08x}", random.u32(..))).collect();
        let faults: Vec<_> = settings.faults.iter().copied().filter(|fault| *fault != Fault::Load).collect();
        let fault = random.choice(faults);
        if fault == Some(Fault::Late) {
            // The smallest of all comes last: who elects by a list of the present lets it unseat the primary.
            let smallest = (0..settings.registrants).min_by_key(|index| &ids[*index]).unwrap_or_default();
            ids.swap(smallest, settings.registrants - 1);
        }
        Self { round, ids, events, early: settings.early.min(settings.events), fault, chance: random.u64(..) }
    }
}

/// What a round left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) registrants: Vec<Registrant>,
    /// When one was taken away or stopped.
    pub(crate) disturbed_ns: Option<u64>,
    /// When the events after that began.
    pub(crate) resumed_ns: Option<u64>,
    /// How many lines of the log hold each event.
    pub(crate) entries: Vec<u64>,
    /// Whether the log had any line at all.
    pub(crate) has_log: bool,
    pub(crate) log_too_long: bool,
    pub(crate) errors: String,
}

/// More than this of a log is not looked through.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// The directory of a round.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) directory: PathBuf,
    election: PathBuf,
    log: PathBuf,
}

impl Ground {
    /// Makes it, below a directory of the campaign.
    pub(crate) fn new(base: &Path, name: &str) -> io::Result<Self> {
        let directory = base.join(name);
        let election = directory.join("election");
        fs::create_dir(&directory)?;
        fs::create_dir(&election)?;
        fs::set_permissions(&election, Permissions::from_mode(0o700))?;
        Ok(Self { log: directory.join("realtime.log"), directory, election })
    }

    /// Where its registrants find their files.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { directory: &self.election, log: &self.log }
    }

    /// Removes it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        fs::set_permissions(&self.election, Permissions::from_mode(0o700))?;
        fs::remove_dir_all(&self.directory)
    }
}

/// Runs a round; its files stay.
pub(crate) fn run(plan: &Plan, settings: &Settings, ground: &Ground) -> io::Result<Ran> {
    let place = ground.place();
    let mut random = fastrand::Rng::with_seed(plan.chance);
    let starters = settings.registrants - usize::from(plan.fault == Some(Fault::Late) && settings.registrants > 1);
    let full = (plan.fault == Some(Fault::Full)).then(|| random.usize(..starters));
    if plan.fault == Some(Fault::Permissions) {
        fs::set_permissions(&ground.election, Permissions::from_mode(0o500))?;
    }
    let mut stage = Stage { registrants: Vec::with_capacity(plan.ids.len()), errors: Errors::new()? };
    let start = |stage: &mut Stage, index: usize| -> io::Result<()> {
        let limit = (full == Some(index)).then_some(0);
        let errors = stage.errors.writer()?;
        stage.registrants.push(Registrant::start(&settings.program, &plan.ids[index], &place, errors, limit)?);
        Ok(())
    };
    for index in 0..starters {
        start(&mut stage, index)?;
        for event in 0..plan.early {
            stage.registrants[index].deliver(event, &plan.events[event]);
        }
    }
    Registrant::release(&mut stage.registrants)?;
    stage.settle(settings)?;

    let (mut disturbed_ns, mut resumed_ns) = (None, None);
    let rest = plan.early..plan.events.len();
    let middle = rest.start + rest.len() / 2;
    match plan.fault {
        Some(Fault::Kill | Fault::Restart) => {
            if let Some(victim) = stage.victim(&mut random) {
                disturbed_ns = Some(clock::now_ns());
                stage.registrants[victim].kill(End::Fault);
                stage.deliver(plan, rest.start..middle);
                if plan.fault == Some(Fault::Restart) {
                    start(&mut stage, settings.registrants)?;
                    stage.release_last()?;
                    stage.settle(settings)?;
                }
                stage.pump(settings.settle, |stage| stage.registrants.iter().any(Registrant::is_primary))?;
            }
        }
        Some(Fault::Stop) => {
            if let Some(victim) = stage.victim(&mut random) {
                disturbed_ns = Some(clock::now_ns());
                stage.registrants[victim].stop(true);
                stage.deliver(plan, rest.start..middle);
                stage.pump(settings.settle, |_| false)?;
                stage.registrants[victim].stop(false);
                stage.pump(settings.settle / 10, |_| false)?;
            }
        }
        Some(Fault::Late) if starters < settings.registrants => {
            start(&mut stage, starters)?;
            stage.release_last()?;
            stage.settle(settings)?;
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
    stage.pump(settings.settle, |stage| {
        stage.registrants.iter().all(|registrant| registrant.is_primary() || registrant.end.is_some())
    })?;
    for registrant in &mut stage.registrants {
        registrant.quit();
    }
    if !stage.pump(settings.patience, Stage::is_over)? {
        for registrant in &mut stage.registrants {
            registrant.kill(End::Overdue);
        }
        stage.pump(settings.patience, Stage::is_over)?;
    }
    let (entries, has_log, log_too_long) = count(place.log, &plan.events)?;
    let Stage { registrants, errors } = stage;
    let errors = errors.text();
    Ok(Ran { registrants, disturbed_ns, resumed_ns, entries, has_log, log_too_long, errors })
}

struct Stage {
    registrants: Vec<Registrant>,
    errors: Errors,
}

impl Stage {
    fn release_last(&mut self) -> io::Result<()> {
        let last = self.registrants.len().saturating_sub(1);
        Registrant::release(&mut self.registrants[last..])
    }

    /// Waits until every one that runs has said who is primary: long enough for a slow one where it is known that they
    /// do say it.
    fn settle(&mut self, settings: &Settings) -> io::Result<()> {
        let is_settled = self.pump(settings.settle, Self::is_settled)?;
        if self.registrants.iter().any(Registrant::has_verdict) {
            settings.speaks.store(true, Ordering::Relaxed);
        }
        if !is_settled && settings.speaks.load(Ordering::Relaxed) {
            self.pump(settings.patience, Self::is_settled)?;
        }
        Ok(())
    }

    /// Whether every one that runs has said who is primary.
    fn is_settled(&self) -> bool {
        self.registrants.iter().all(|registrant| registrant.has_verdict() || !registrant.is_running())
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

    /// Listens until all is as wanted, or for so long; whether it is as wanted.
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

/// Counts the lines of the log that hold each event.
fn count(log: &Path, events: &[String]) -> io::Result<(Vec<u64>, bool, bool)> {
    let mut entries = vec![0; events.len()];
    let size = match fs::metadata(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((entries, false, false)),
        status => status?.len(),
    };
    if size > LOG_BYTES_MAX {
        return Ok((entries, true, true));
    }
    let bytes = fs::read(log)?;
    for line in bytes.split(|&byte| byte == b'\n') {
        for (event, entries) in events.iter().zip(&mut entries) {
            *entries += u64::from(memchr::memmem::find(line, event.as_bytes()).is_some());
        }
    }
    Ok((entries, !bytes.is_empty(), false))
}
