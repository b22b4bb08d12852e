//! One running copy of the program: what it is told, what it says, and its end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use regex::bytes::Regex;
use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process, kill_process_group, waitid,
};

use super::command::{Limits, Program, confine};
use super::family;
use super::speech::{Lines, Speech, Word};
use crate::control::follower::{Aim, Called, Follower};
use crate::control::start_line;
use crate::control::touch::Watched;
use crate::process::clock;
use crate::process::spawn::Start;

/// Beyond so much, what a registrant prints is a flood.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// How much of what it says is taken at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// How much of what it prints on standard error is kept.
const ERRORS_BYTES_MAX: usize = 1024;

/// How long the system may take to end one that was killed. One that it cannot end is left to it.
const END_MAX: Duration = Duration::from_secs(30);

/// How a registrant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, after it was told to quit.
    Orderly,
    /// By itself, before that, with the exit code zero.
    Early,
    /// By itself, with another exit code, or by a signal that was not sent here.
    Failed,
    /// Killed as the fault of the round.
    Fault,
    /// Killed because it had not ended in time.
    Overdue,
    /// Killed because it would not stop printing.
    Flood,
}

/// Where the files of a round lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) log: &'a Path,
}

/// A running copy.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what is done to it and what it is told fall together in any way")]
pub(crate) struct Registrant {
    pub(crate) id: String,
    pid: Pid,
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    outbox: VecDeque<u8>,
    printed: [Lines; 2],
    output_bytes: u64,
    /// The beginning of what it printed on standard error.
    pub(crate) errors: Vec<u8>,
    pub(crate) started_ns: u64,
    pub(crate) speech: Speech,
    pub(crate) events: Vec<(usize, u64)>,
    pub(crate) quitting: bool,
    stopped: bool,
    /// When something was done to it.
    pub(crate) disturbed_ns: Option<u64>,
    /// Whether it was asked to end by a signal.
    asked_by_signal: bool,
    /// What is left of it once its first process has ended goes on until the end of the round.
    pub(crate) spared: bool,
    killed_as: Option<End>,
    pub(crate) end: Option<End>,
    /// Whether its first process has ended and has not been waited for.
    is_zombie: bool,
    /// The exit code or signal that it ended with.
    pub(crate) status: String,
    follower: Option<Follower>,
    /// What was seen of its calls.
    pub(crate) calls: Vec<Called>,
}

impl Registrant {
    /// Starts one, which does nothing before [`Registrant::release`] or [`Registrant::follow`].
    pub(crate) fn start(program: &Program, id: &str, place: &Place<'_>, limits: Limits) -> io::Result<Self> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC);
        let ((read, stdin), (stdout, written), (stderr, complained)) = (pipe()?, pipe()?, pipe()?);
        for pipe in [&stdin, &stdout, &stderr] {
            ioctl_fionbio(pipe, true)?;
        }
        let words = program.words_of(place, id);
        let variables =
            [("ELECTION_DIR", place.directory.into()), ("INSTANCE_ID", id.into()), ("REALTIME_LOG", place.log.into())];
        let start = Start { words: &words, variables: &variables, streams: [read, written, complained] };
        let parent = getpid();
        let started_ns = clock::now_ns();
        let pid = start.spawn(move || confine(parent, limits))?;
        Ok(Self {
            id: id.into(),
            pid,
            stdin: Some(stdin.into()),
            stdout: Some(stdout.into()),
            stderr: Some(stderr.into()),
            outbox: VecDeque::new(),
            printed: Default::default(),
            output_bytes: 0,
            errors: Vec::new(),
            started_ns,
            speech: Speech::since(started_ns),
            events: Vec::new(),
            quitting: false,
            stopped: false,
            disturbed_ns: limits.file_bytes_max.map(|_| started_ns),
            asked_by_signal: false,
            spared: false,
            killed_as: None,
            end: None,
            is_zombie: false,
            status: String::new(),
            follower: None,
            calls: Vec::new(),
        })
    }

    /// Its first process, as long as it has not been waited for.
    pub(crate) fn process(&self) -> Option<Pid> {
        (self.end.is_none() || self.is_zombie).then_some(self.pid)
    }

    /// Whether it runs, as far as is known.
    pub(crate) fn is_running(&self) -> bool {
        self.end.is_none() && self.killed_as.is_none()
    }

    /// Whether it has said that it is primary, and nothing else since.
    pub(crate) fn is_primary(&self) -> bool {
        self.speech.is_primary()
    }

    /// Whether it has said who is primary.
    pub(crate) fn has_verdict(&self) -> bool {
        self.speech.has_verdict()
    }

    /// Whether it has said who is primary, or will not.
    pub(crate) fn is_settled(&self) -> bool {
        self.has_verdict() || !self.is_running()
    }

    /// What it can be waited for by: its outputs, and its input where something waits to be told.
    pub(crate) fn pipes(&self) -> ([Option<&File>; 2], Option<&File>) {
        let stdin = self.stdin.as_ref().filter(|_| !self.outbox.is_empty());
        ([self.stdout.as_ref(), self.stderr.as_ref()], stdin)
    }

    /// Tells it an event.
    pub(crate) fn deliver(&mut self, event: usize, id: &str) {
        if (self.is_running() || self.spared) && self.stdin.is_some() {
            self.events.push((event, clock::now_ns()));
            self.tell(&format!("event {id}\n"));
        }
    }

    /// Tells it to quit, and ends its input.
    pub(crate) fn quit(&mut self) {
        if !self.quitting {
            self.begin_end();
            self.tell("quit\n");
        }
    }

    /// Asks it to end by a signal, which says no more than that.
    pub(crate) fn terminate(&mut self) {
        if self.is_running() {
            self.begin_end();
            self.asked_by_signal = true;
            self.stdin = None;
            // It may have ended in this moment, which will be seen.
            let _ = kill_process_group(self.pid, Signal::TERM);
        }
    }

    /// From here on it may give up at any moment.
    fn begin_end(&mut self) {
        self.speech.cease(clock::now_ns());
        self.speech.is_ending = true;
        self.quitting = true;
    }

    fn tell(&mut self, line: &str) {
        self.outbox.extend(line.as_bytes());
        self.write();
    }

    /// Writes what it has not been told yet, as far as its pipe takes it.
    pub(crate) fn write(&mut self) {
        while let Some(stdin) = &mut self.stdin
            && !self.outbox.is_empty()
        {
            match stdin.write(self.outbox.make_contiguous()) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It does not listen any more.
                Err(_) => self.stdin = None,
            }
        }
        if self.quitting {
            self.stdin = None;
        }
    }

    /// Takes in what it has said. A line that `acts` matches says that it acts.
    pub(crate) fn read(&mut self, acts: Option<&Regex>) {
        let mut chunk = [0; READ_BYTES];
        let drained_ns = clock::now_ns();
        while let Some(stdout) = &mut self.stdout {
            match stdout.read(&mut chunk) {
                Ok(0) => self.stdout = None,
                Ok(count) => {
                    self.output_bytes += count as u64;
                    let now_ns = clock::now_ns();
                    for &byte in &chunk[..count] {
                        if let Some((line, is_whole)) = self.printed[0].take(byte) {
                            self.speech.hear(&line, is_whole, acts, now_ns);
                        }
                    }
                    if self.output_bytes > OUTPUT_BYTES_MAX {
                        self.kill(End::Flood);
                        self.stdout = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.speech.silent_ns = drained_ns;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.stdout = None,
            }
        }
        // Once: whoever floods it must not keep its reader from all else.
        let Some(stderr) = &mut self.stderr else { return };
        match stderr.read(&mut chunk) {
            Ok(0) => self.stderr = None,
            Ok(count) => {
                let room = ERRORS_BYTES_MAX - self.errors.len();
                self.errors.extend_from_slice(&chunk[..count.min(room)]);
                let now_ns = clock::now_ns();
                for &byte in &chunk[..count] {
                    if let Some((line, _)) = self.printed[1].take(byte)
                        && acts.is_some_and(|acts| acts.is_match(&line))
                    {
                        self.speech.say(Word::Acts, now_ns);
                    }
                }
            }
            Err(_) => {}
        }
    }

    /// Sends SIGSTOP or SIGCONT to it and to all of its group.
    pub(crate) fn stop(&mut self, stop: bool) {
        if self.is_running() && self.stopped != stop {
            // It may have ended in this moment, which will be seen.
            let _ = kill_process_group(self.pid, if stop { Signal::STOP } else { Signal::CONT });
            self.stopped = stop;
        }
    }

    /// Sends SIGKILL to it and to all that it started.
    pub(crate) fn kill(&mut self, why: End) {
        if self.is_running() {
            self.note_kill(why);
            // It may have ended in this moment, which will be seen.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Sends SIGKILL to one of its processes, and lets the others be.
    pub(crate) fn kill_one(&mut self, process: Pid) {
        self.spared = true;
        if process == self.pid {
            self.note_kill(End::Fault);
        } else {
            // Whatever it said may have been for the one that dies.
            self.speech.cease(clock::now_ns());
            self.disturb(clock::now_ns());
        }
        // It may have ended in this moment, which will be seen.
        let _ = kill_process(process, Signal::KILL);
    }

    fn note_kill(&mut self, why: End) {
        self.speech.cease(clock::now_ns());
        self.speech.is_ending = true;
        self.killed_as = Some(why);
        if why == End::Fault {
            self.disturb(clock::now_ns());
        }
    }

    /// Notes that something was done to it.
    pub(crate) fn disturb(&mut self, at_ns: u64) {
        self.disturbed_ns.get_or_insert(at_ns);
    }

    /// Looks whether it has ended; then also ends what it has left behind, unless that is spared.
    pub(crate) fn reap(&mut self) -> io::Result<bool> {
        if self.end.is_some() {
            return Ok(true);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // Of one that is followed, its stops are told as well.
        let Some(status) = waitid(WaitId::Pid(self.pid), options)?.and_then(ended) else { return Ok(false) };
        self.is_zombie = true;
        if !self.spared {
            self.clear_away();
        }
        self.speech.cease(self.speech.silent_ns);
        self.status = status.to_string();
        self.end = Some(match self.killed_as {
            Some(why) => why,
            // Each has its own way of ending by it.
            None if self.asked_by_signal => End::Orderly,
            None if !status.success() => End::Failed,
            None if self.quitting => End::Orderly,
            None => End::Early,
        });
        Ok(true)
    }

    /// Ends whatever is left of it.
    pub(crate) fn clear_away(&mut self) {
        if self.process().is_none() {
            return;
        }
        // As long as it is not waited for, its number names its group and no other. Nobody may be left in it.
        let _ = kill_process_group(self.pid, Signal::KILL);
        if let Some(mut follower) = self.follower.take() {
            self.calls.append(&mut follower.take_calls());
        }
        self.read(None);
        self.stdin = None;
        let begun = Instant::now();
        while begun.elapsed() < END_MAX {
            match waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
                // What was followed may still be seen to stop.
                Ok(Some(status)) if ended(status).is_none() => {}
                Ok(None) => std::thread::sleep(Duration::from_micros(100)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
        self.is_zombie = false;
    }

    /// Lets several begin at once: until then, each is held before its first instruction.
    pub(crate) fn release(all: &mut [Self]) -> io::Result<()> {
        let processes: Vec<_> = all.iter().map(|registrant| registrant.pid).collect();
        start_line::release(&processes, |index| all[index].started_ns = clock::now_ns())
    }

    /// Lets it begin, and follows it; whether it can be.
    pub(crate) fn follow(&mut self, watched: Watched, aim: Aim) -> io::Result<bool> {
        self.started_ns = clock::now_ns();
        self.follower = Follower::begin(self.pid, watched, aim)?;
        Ok(self.follower.is_some())
    }

    /// The touch at which it is held.
    pub(crate) fn held_at(&self) -> Option<&Called> {
        self.follower.as_ref()?.held_at()
    }

    /// How many of its touches have counted.
    pub(crate) fn counted(&self) -> u32 {
        self.follower.as_ref().map_or(0, Follower::counted)
    }

    /// Lets it go on as if nobody had followed it.
    pub(crate) fn let_go(&mut self) -> io::Result<()> {
        self.follower.as_mut().map_or(Ok(()), Follower::let_go)
    }

    /// Has those of it go on that stopped because it is followed; whether there were any.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        let Some(follower) = &mut self.follower else { return Ok(false) };
        let has_stopped = follower.step()?;
        if follower.is_over() {
            self.calls.append(&mut follower.take_calls());
            self.follower = None;
        }
        Ok(has_stopped)
    }

    /// Whether it is followed.
    pub(crate) fn is_followed(&self) -> bool {
        self.follower.is_some()
    }

    /// One of its processes that others of it depend on.
    pub(crate) fn parent_process(&self, random: &mut fastrand::Rng) -> Pid {
        random.choice(family::parents(self.pid)).unwrap_or(self.pid)
    }

    /// All of its processes that could go on: none while it is stopped or held.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        if self.process().is_none() || self.stopped || self.held_at().is_some() {
            return Vec::new();
        }
        family::members(self.pid).iter().map(|member| member.process).collect()
    }
}

impl Drop for Registrant {
    /// Nobody outlives the round, however it ends.
    fn drop(&mut self) {
        self.clear_away();
    }
}

/// How a process ended, if it is that what its status tells.
fn ended(status: WaitIdStatus) -> Option<ExitStatus> {
    let number = |number: i32| u32::try_from(number).unwrap_or_default();
    if let Some(code) = status.exit_status() {
        Some(ExitStatus::from_raw(i32::try_from(number(code)).unwrap_or_default() << 8))
    } else {
        status.terminating_signal().map(ExitStatus::from_raw)
    }
}
