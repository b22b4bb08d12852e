//! The copies of a round while it runs: listened to, told, followed, and waited for.

use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use regex::bytes::Regex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Conditions;
use super::acts::ActsFile;
use super::command::Limits;
use super::ground::Log;
use super::registrant::{Place, Registrant};
use crate::control::touch::Watched;
use crate::plan::program::Plan;
use crate::process::clock;
use crate::process::patience::{Patience, Waiting};

/// How long a wait lasts at most before all is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// The same where a process is about to end, which nothing tells, or is followed.
const LOOK_CLOSELY: Duration = Duration::from_micros(100);

/// A pause in which this process did not run is not counted in full.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// How long a copy that is followed has the word before all others are listened to, and how long it may be quiet meanwhile.
const FOLLOWED_MAX: Duration = Duration::from_millis(5);
const QUIET: Duration = Duration::from_micros(200);

/// How many events are told at most to find out whether somebody writes them.
const PROBES: u32 = 24;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    Done,
    /// All had the time for it.
    Over,
    /// The machine did not let them run.
    Starved,
}

pub(super) struct Stage<'a> {
    pub(super) conditions: &'a Conditions,
    pub(super) place: Place<'a>,
    pub(super) registrants: Vec<Registrant>,
    /// What events are called: those of the plan, and those that were told to find something out.
    pub(super) events: Vec<String>,
    /// Why nothing follows from what was not seen.
    pub(super) unjudged: Option<String>,
    /// The time in which nobody became primary, though somebody lived who could, and when that was known.
    pub(super) nobody_within: Option<(Duration, u64)>,
    pattern: Option<Regex>,
    files: Vec<ActsFile>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(conditions: &'a Conditions, place: Place<'a>, plan: &Plan) -> Self {
        let acts = &conditions.acts;
        Self {
            conditions,
            place,
            registrants: Vec::with_capacity(plan.ids.len()),
            events: plan.events.clone(),
            unjudged: None,
            nobody_within: None,
            // It was read before the campaign began.
            pattern: acts.pattern().unwrap_or_default(),
            files: acts.file.iter().flat_map(|file| ActsFile::of(file, &place, &plan.ids)).collect(),
        }
    }

    /// Starts one more, which is held before its first instruction.
    pub(super) fn start(&mut self, id: &str, limits: Limits) -> io::Result<()> {
        self.registrants.push(Registrant::start(&self.conditions.program, id, &self.place, limits)?);
        Ok(())
    }

    /// Lets the last one begin.
    pub(super) fn release_last(&mut self) -> io::Result<()> {
        let last = self.registrants.len().saturating_sub(1);
        Registrant::release(&mut self.registrants[last..])
    }

    /// Has one begin and follows it to its aim; where it cannot be followed, it just begins.
    pub(super) fn follow(&mut self, index: usize, plan: &Plan) -> io::Result<bool> {
        let watch: Vec<_> =
            (self.conditions.watch.iter()).map(|watched| super::command::filled_in(watched, &self.place, "")).collect();
        let watched = Watched::new(self.place.directory, &watch)?;
        let follows = self.registrants[index].follow(watched, plan.aim)?;
        if !follows {
            Registrant::release(&mut self.registrants[index..=index])?;
        }
        Ok(follows)
    }

    /// Tells all copies these events of the plan.
    pub(super) fn deliver(&mut self, events: std::ops::Range<usize>) {
        for event in events {
            for registrant in &mut self.registrants {
                registrant.deliver(event, &self.events[event]);
            }
        }
    }

    /// Waits until every one that runs has said who is primary: long enough for a slow one where it is known that they
    /// do say it, and for any sign where it is not.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let Conditions { patience, speaks, acts, .. } = self.conditions;
        let is_settled = self.pump_to_rest(Self::is_settled)?;
        if self.registrants.iter().any(Registrant::has_verdict) {
            speaks.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let speaks = speaks.load(std::sync::atomic::Ordering::Relaxed) && !acts.are_seen();
        if !is_settled && speaks {
            self.pump(*patience, Self::is_settled)?;
        } else if !self.has_shown() && self.registrants.iter().any(|one| !one.events.is_empty()) {
            self.pump(*patience, |stage| stage.has_shown() || !stage.is_any_running())?;
        }
        Ok(())
    }

    /// Waits until somebody is primary, where somebody lives who has said that it is not: for so long.
    pub(super) fn wait_for_primary(&mut self, within: Duration) -> io::Result<()> {
        let is_done = |stage: &Self| stage.registrants.iter().any(Registrant::is_primary) || !stage.is_any_running();
        if self.conditions.acts.are_seen() {
            self.pump(self.conditions.settle, is_done)?;
            return Ok(());
        }
        if !self.registrants.iter().any(Registrant::has_verdict) {
            return self.probe(within);
        }
        match self.pump_fairly(within, is_done)? {
            Waited::Done => {}
            Waited::Over => self.nobody_within = Some((within, clock::now_ns())),
            Waited::Starved => self.note_starved("take over"),
        }
        Ok(())
    }

    /// Tells those who say nothing one event after the other until somebody writes one.
    fn probe(&mut self, within: Duration) -> io::Result<()> {
        if !self.is_log_written()? {
            self.pump(self.conditions.settle, |stage| !stage.is_any_running())?;
            return Ok(());
        }
        for _ in 0..PROBES {
            let event = self.add_event();
            self.deliver(event..event + 1);
            let place = self.place;
            let waited = self.pump_fairly(within / PROBES, |stage| {
                is_written(&place, &stage.events[event]) || !stage.is_any_running()
            })?;
            match waited {
                Waited::Done => break,
                Waited::Over => {}
                Waited::Starved => {
                    self.note_starved("take over");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells one alone an event; whether it writes that. Where another is primary, it must stay so meanwhile.
    pub(super) fn acts_alone(&mut self, index: usize, is_beside: bool) -> io::Result<bool> {
        let primary =
            (0..self.registrants.len()).find(|other| *other != index && self.registrants[*other].is_primary());
        if is_beside && primary.is_none() {
            return Ok(false);
        }
        let is_in_office = |stage: &Self| primary.is_none_or(|primary| stage.registrants[primary].is_primary());
        let event = self.add_event();
        let id = self.events[event].clone();
        self.registrants[index].deliver(event, &id);
        let place = self.place;
        self.pump(self.conditions.settle, |stage| !is_in_office(stage) || is_written(&place, &id))?;
        Ok(is_written(&self.place, &id) && is_in_office(self))
    }

    fn add_event(&mut self) -> usize {
        let event = self.events.len();
        self.events.push(format!("probe-{event:04}-{:08x}", fastrand::u32(..)));
        event
    }

    pub(super) fn note_starved(&mut self, what: &str) {
        self.unjudged.get_or_insert_with(|| {
            format!("the machine did not let the registrants run that were to {what}; try again when it is less busy")
        });
    }

    /// Whether anybody has said who is primary, or written anything.
    pub(super) fn has_shown(&self) -> bool {
        self.registrants.iter().any(Registrant::has_verdict) || self.is_log_written().unwrap_or(false)
    }

    fn is_log_written(&self) -> io::Result<bool> {
        match std::fs::metadata(self.place.log) {
            Ok(status) => Ok(status.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether every one that runs has said who is primary.
    pub(super) fn is_settled(&self) -> bool {
        self.registrants.iter().all(Registrant::is_settled)
    }

    pub(super) fn is_any_running(&self) -> bool {
        self.registrants.iter().any(Registrant::is_running)
    }

    pub(super) fn is_over(&self) -> bool {
        self.registrants.iter().all(|registrant| registrant.end.is_some())
    }

    /// The primary; any that runs where none has said that it is.
    pub(super) fn victim(&self, random: &mut fastrand::Rng) -> Option<usize> {
        let running = |index: &usize| self.registrants[*index].is_running();
        let all = 0..self.registrants.len();
        all.clone()
            .filter(running)
            .find(|index| self.registrants[*index].is_primary())
            .or_else(|| random.choice(all.filter(running).collect::<Vec<_>>()))
    }

    /// What the log holds of the events.
    pub(super) fn log(&self) -> io::Result<Log> {
        Log::read(self.place.log, &self.events)
    }

    /// Listens until all is as wanted, or for so long; whether it is as wanted. An interrupt is an error. Nothing may be
    /// held against those who have not done in this time what they might have.
    pub(super) fn pump(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) -> io::Result<bool> {
        let (mut left, mut looked) = (limit, Instant::now());
        loop {
            let is_ending = self.listen()?;
            if is_done(self) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            self.rest(is_ending, left)?;
            let now = Instant::now();
            left = left.saturating_sub(now.saturating_duration_since(looked).min(LOOK_MAX));
            looked = now;
        }
    }

    /// Listens until all is as wanted, or all who run have slept for the time in which they are to settle; whether it is as
    /// wanted. Those who work are waited for a while longer.
    pub(super) fn pump_to_rest(&mut self, is_done: impl Fn(&Self) -> bool) -> io::Result<bool> {
        let Conditions { settle, patience, .. } = self.conditions;
        Ok(self.pump_with(Patience::at_rest(*settle, *patience), is_done)? == Waited::Done)
    }

    /// The same, for so long as all could have done what is waited for.
    pub(super) fn pump_fairly(&mut self, limit: Duration, is_done: impl Fn(&Self) -> bool) -> io::Result<Waited> {
        self.pump_with(Patience::new(limit), is_done)
    }

    fn pump_with(&mut self, mut patience: Patience, is_done: impl Fn(&Self) -> bool) -> io::Result<Waited> {
        loop {
            let is_ending = self.listen()?;
            if is_done(self) {
                return Ok(Waited::Done);
            }
            let waiting = patience.look(self.registrants.iter().flat_map(Registrant::processes));
            match waiting {
                Waiting::On => self.rest(is_ending, LOOK)?,
                Waiting::Over => return Ok(Waited::Over),
                Waiting::Starved => return Ok(Waited::Starved),
            }
        }
    }

    /// Takes in all that is to be heard, tells what is to be told, and sees who has ended; whether somebody is about to.
    fn listen(&mut self) -> io::Result<bool> {
        if self.conditions.interrupt.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.step()?;
        let mut is_ending = false;
        for registrant in &mut self.registrants {
            registrant.read(self.pattern.as_ref());
            registrant.write();
            let ([stdout, _], _) = registrant.pipes();
            if registrant.end.is_none() && (stdout.is_none() || !registrant.is_running()) {
                is_ending |= !registrant.reap()?;
            }
        }
        for file in &mut self.files {
            file.look(&mut self.registrants);
        }
        Ok(is_ending)
    }

    /// Has those who are followed go on, until they are quiet.
    fn step(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let mut stopped = begun;
        while self.registrants.iter().any(|one| one.is_followed() && one.held_at().is_none()) {
            let mut has_stopped = false;
            for registrant in &mut self.registrants {
                has_stopped |= registrant.step()?;
            }
            let now = Instant::now();
            if has_stopped {
                stopped = now;
            } else {
                std::thread::yield_now();
            }
            if now - stopped > QUIET || now - begun > FOLLOWED_MAX {
                return Ok(());
            }
        }
        for registrant in &mut self.registrants {
            registrant.step()?;
        }
        Ok(())
    }

    /// Waits until there is something to be heard or told, or for a moment.
    fn rest(&mut self, is_ending: bool, limit: Duration) -> io::Result<()> {
        let is_close = is_ending || self.registrants.iter().any(Registrant::is_followed);
        let limit = limit.min(if is_close { LOOK_CLOSELY } else { LOOK });
        let ready = {
            let mut fds = Vec::new();
            for registrant in &self.registrants {
                let (outputs, stdin) = registrant.pipes();
                fds.extend(
                    outputs.into_iter().flatten().map(|output| PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)),
                );
                fds.extend(stdin.map(|stdin| PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::OUT)));
            }
            let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
            match poll(&mut fds, Some(&limit)) {
                Err(rustix::io::Errno::INTR) => 1,
                ready => ready?,
            }
        };
        if ready == 0 {
            // One whose output is held open by another that it started ends without a sign.
            for registrant in &mut self.registrants {
                registrant.reap()?;
            }
        }
        Ok(())
    }
}

/// Whether the log has an entry of an event.
fn is_written(place: &Place<'_>, event: &str) -> bool {
    let bytes = std::fs::read(place.log).unwrap_or_default();
    memchr::memmem::find(&bytes, event.as_bytes()).is_some()
}
