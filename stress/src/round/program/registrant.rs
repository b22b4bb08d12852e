//! One running copy of the program: what it is told, what it says, and its end.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group, waitid};

use super::command::{Limits, Program, confine};
use crate::control::stall::Stall;
use crate::control::start_line;
use crate::history::judge::Tenure;
use crate::process;
use crate::process::clock;
use crate::process::spawn::Start;

/// Beyond so much, what a registrant prints is a flood.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// What is longer is no word of the protocol.
const WORD_BYTES_MAX: usize = 64;

/// How much of what it says is taken at once, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// A word of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Primary,
    Secondary,
    Left,
}

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

/// A running copy.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what is done to it and what it is told fall together in any way")]
pub(crate) struct Registrant {
    pub(crate) id: String,
    pid: Pid,
    stdin: Option<File>,
    stdout: Option<File>,
    outbox: VecDeque<u8>,
    line: Vec<u8>,
    line_is_word: bool,
    output_bytes: u64,
    /// When it was last known to have said nothing more.
    silent_ns: u64,
    pub(crate) started_ns: u64,
    pub(crate) words: Vec<(Word, u64)>,
    /// Lines that are no word of the protocol.
    pub(crate) odd_lines: u64,
    /// The tenure that lasts, since when.
    primary_since_ns: Option<u64>,
    pub(crate) tenures: Vec<Tenure>,
    pub(crate) events: Vec<(usize, u64)>,
    pub(crate) quitting: bool,
    pub(crate) stopped: bool,
    /// Whether something was done to it.
    pub(crate) disturbed: bool,
    killed_as: Option<End>,
    pub(crate) end: Option<End>,
    /// The exit code or signal that it ended with.
    pub(crate) status: String,
}

impl Registrant {
    /// Starts one, which does nothing before [`Registrant::release`]. `stderr` gets what it prints there.
    pub(crate) fn start(
        program: &Program,
        id: &str,
        place: &Place<'_>,
        stderr: OwnedFd,
        limits: Limits,
    ) -> io::Result<Self> {
        let [(read, stdin), (stdout, written)] = [pipe_with(PipeFlags::CLOEXEC)?, pipe_with(PipeFlags::CLOEXEC)?];
        for pipe in [&stdin, &stdout] {
            ioctl_fionbio(pipe, true)?;
        }
        let variables =
            [("ELECTION_DIR", place.directory.into()), ("INSTANCE_ID", id.into()), ("REALTIME_LOG", place.log.into())];
        let start = Start { words: program.words(), variables: &variables, streams: [read, written, stderr] };
        let parent = getpid();
        let started_ns = clock::now_ns();
        let pid = start.spawn(move || confine(parent, limits))?;
        Ok(Self {
            id: id.into(),
            pid,
            stdin: Some(stdin.into()),
            stdout: Some(stdout.into()),
            outbox: VecDeque::new(),
            line: Vec::new(),
            line_is_word: true,
            output_bytes: 0,
            silent_ns: started_ns,
            started_ns,
            words: Vec::new(),
            odd_lines: 0,
            primary_since_ns: None,
            tenures: Vec::new(),
            events: Vec::new(),
            quitting: false,
            stopped: false,
            disturbed: limits.file_bytes_max.is_some(),
            killed_as: None,
            end: None,
            status: String::new(),
        })
    }

    /// Whether it runs, as far as is known.
    pub(crate) fn is_running(&self) -> bool {
        self.end.is_none() && self.killed_as.is_none()
    }

    /// Whether it has said that it is primary, and nothing else since.
    pub(crate) fn is_primary(&self) -> bool {
        self.primary_since_ns.is_some()
    }

    /// Whether it has said who is primary.
    pub(crate) fn has_verdict(&self) -> bool {
        self.words.iter().any(|(word, _)| *word != Word::Left)
    }

    /// Whether it has said who is primary, or will not.
    pub(crate) fn is_settled(&self) -> bool {
        self.has_verdict() || !self.is_running()
    }

    /// What it can be waited for by: its output, and its input where something waits to be told.
    pub(crate) fn pipes(&self) -> (Option<&File>, Option<&File>) {
        (self.stdout.as_ref(), self.stdin.as_ref().filter(|_| !self.outbox.is_empty()))
    }

    /// Tells it an event.
    pub(crate) fn deliver(&mut self, event: usize, id: &str) {
        if self.is_running() && self.stdin.is_some() {
            self.events.push((event, clock::now_ns()));
            self.tell(&format!("event {id}\n"));
        }
    }

    /// Tells it to quit, and ends its input.
    pub(crate) fn quit(&mut self) {
        if !self.quitting {
            // From here on it may give up at any moment.
            self.cease(clock::now_ns());
            self.quitting = true;
            self.tell("quit\n");
        }
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

    /// Takes in what it has said.
    pub(crate) fn read(&mut self) {
        let mut chunk = [0; READ_BYTES];
        let drained_ns = clock::now_ns();
        while let Some(stdout) = &mut self.stdout {
            match stdout.read(&mut chunk) {
                Ok(0) => self.stdout = None,
                Ok(count) => {
                    self.output_bytes += count as u64;
                    let now_ns = clock::now_ns();
                    for &byte in &chunk[..count] {
                        self.hear(byte, now_ns);
                    }
                    if self.output_bytes > OUTPUT_BYTES_MAX {
                        self.kill(End::Flood);
                        self.stdout = None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.silent_ns = drained_ns;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.stdout = None,
            }
        }
    }

    fn hear(&mut self, byte: u8, now_ns: u64) {
        if byte != b'\n' {
            if self.line.len() < WORD_BYTES_MAX {
                self.line.push(byte);
            } else {
                self.line_is_word = false;
            }
            return;
        }
        let word = match self.line.trim_ascii() {
            b"primary" if self.line_is_word => Some(Word::Primary),
            b"secondary" if self.line_is_word => Some(Word::Secondary),
            b"left" if self.line_is_word => Some(Word::Left),
            _ => None,
        };
        self.line.clear();
        self.line_is_word = true;
        match word {
            None => self.odd_lines += 1,
            Some(word) => {
                self.words.push((word, now_ns));
                match word {
                    // What it says once it has been told to quit may come from before.
                    Word::Primary if !self.quitting && self.killed_as.is_none() => {
                        self.primary_since_ns.get_or_insert(now_ns);
                    }
                    Word::Primary => {}
                    // It was still primary when nothing had been heard yet: that much is sure.
                    Word::Secondary | Word::Left => self.cease(self.silent_ns),
                }
            }
        }
    }

    /// Ends a tenure at the last moment at which it surely lasted. Where beginning and end were heard at once, no moment of it
    /// is sure.
    fn cease(&mut self, until_ns: u64) {
        if let Some(from_ns) = self.primary_since_ns.take()
            && from_ns < until_ns
        {
            self.tenures.push(Tenure { term: 0, from_ns, until_ns });
        }
    }

    /// Sends SIGSTOP or SIGCONT.
    pub(crate) fn stop(&mut self, stop: bool) {
        if self.is_running() && self.stopped != stop {
            // It may have ended in this moment, which will be seen.
            let _ = kill_process(self.pid, if stop { Signal::STOP } else { Signal::CONT });
            self.stopped = stop;
            self.disturbed = true;
        }
    }

    /// Sends SIGKILL to it and to all that it started.
    pub(crate) fn kill(&mut self, why: End) {
        if self.is_running() {
            self.cease(clock::now_ns());
            self.killed_as = Some(why);
            self.disturbed = true;
            // It may have ended in this moment, which will be seen.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// Looks whether it has ended; then also ends what it has left behind.
    pub(crate) fn reap(&mut self) -> io::Result<bool> {
        if self.end.is_some() {
            return Ok(true);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(self.pid), options)?.is_none() {
            return Ok(false);
        }
        // As long as it is not waited for, its number names its group and no other. Nobody may be left in it.
        let _ = kill_process_group(self.pid, Signal::KILL);
        self.read();
        let status = ExitStatus::from_raw(process::wait(self.pid)?.as_raw());
        self.cease(self.silent_ns);
        self.stdin = None;
        self.status = status.to_string();
        self.end = Some(match self.killed_as {
            Some(why) => why,
            None if !status.success() => End::Failed,
            None if self.quitting => End::Orderly,
            None => End::Early,
        });
        Ok(true)
    }

    /// Lets several begin at once: until then, each is held before its first instruction.
    pub(crate) fn release(all: &mut [Self]) -> io::Result<()> {
        let processes: Vec<_> = all.iter().map(|registrant| registrant.pid).collect();
        start_line::release(&processes, |index| all[index].started_ns = clock::now_ns())
    }

    /// Lets it begin alone, and followed; nothing where it cannot be.
    pub(crate) fn follow(&mut self, place: &Place<'_>) -> io::Result<Option<Stall>> {
        self.started_ns = clock::now_ns();
        Stall::begin(self.pid, place.directory)
    }
}

impl Drop for Registrant {
    /// Nobody outlives the round, however it ends.
    fn drop(&mut self) {
        if self.end.is_none() {
            self.kill(End::Overdue);
            let _ = process::wait(self.pid);
        }
    }
}

/// Where the files of a round lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) log: &'a Path,
}

/// Reads what registrants print on stderr, and keeps the beginning.
#[derive(Debug)]
pub(crate) struct Errors {
    from: File,
    to: OwnedFd,
    kept: Vec<u8>,
}

impl Errors {
    const KEPT_BYTES: usize = 2048;

    pub(crate) fn new() -> io::Result<Self> {
        let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
        ioctl_fionbio(&from, true)?;
        Ok(Self { from: from.into(), to, kept: Vec::new() })
    }

    /// Where a registrant may print.
    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        self.to.try_clone()
    }

    /// Takes in what was printed, so that nobody is blocked by it.
    pub(crate) fn read(&mut self) {
        let mut chunk = [0; READ_BYTES];
        // Once: whoever floods it must not keep its reader from all else.
        if let Ok(count) = self.from.read(&mut chunk) {
            let room = Self::KEPT_BYTES - self.kept.len();
            self.kept.extend_from_slice(&chunk[..count.min(room)]);
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.from
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}
