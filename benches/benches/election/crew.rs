//! Processes that do the same thing from a common start, again and again, so that starting them is not measured.
//!
//! The crew's three pipes have names. A member waits for `start` to hold a byte and takes one: all wait in poll(2), which
//! one write ends for all of them. It then says what it found on `report` and when, and gives it up when it gets a byte
//! from `leave`. Two pipes take turns so that a fast member cannot take the byte of a slow one.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use crate::contestant::{Claim, Contestant};
use crate::scratch;

/// The flag that makes this program a member.
pub(crate) const MEMBER: &str = "--crew-member";

/// Nothing that a crew does takes so long, unless one of it is dead.
const PATIENCE: Duration = Duration::from_secs(20);

const TASK_CLAIM: &str = "claim";
const TASK_SURVIVE: &str = "survive";

/// Some processes of one contestant.
pub(crate) struct Crew {
    members: Vec<Child>,
    start: File,
    leave: File,
    report: BufReader<File>,
    rounds: PathBuf,
    _pipes: TempDir,
}

/// What a member says.
#[derive(Debug)]
pub(crate) struct Report {
    /// When, on the monotonic clock of all processes.
    pub(crate) at: Duration,
    pub(crate) primary: bool,
    pub(crate) of: Option<String>,
}

impl Report {
    /// How long after that moment it was.
    pub(crate) fn after(&self, from: Duration) -> Duration {
        self.at.checked_sub(from).expect("nobody reports before the start")
    }
}

impl Crew {
    /// Starts processes that claim to be primary, in each round anew.
    pub(crate) fn claimants(contestant: Contestant, size: usize, rounds: &Path) -> Self {
        Self::start(contestant, size, rounds, TASK_CLAIM)
    }

    /// Starts processes that find out that an election's primary lives, and wait until they are primary, or until they hold
    /// the lock of its seat.
    pub(crate) fn survivors(contestant: Contestant, size: usize, rounds: &Path) -> Self {
        Self::start(contestant, size, rounds, TASK_SURVIVE)
    }

    fn start(contestant: Contestant, size: usize, rounds: &Path, task: &str) -> Self {
        let pipes = scratch::directory();
        let pipe = |name: &str| {
            let path = pipes.path().join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe can be made");
            OpenOptions::new().read(true).write(true).open(&path).expect("a pipe can be opened")
        };
        let (start, leave, report) = (pipe("start"), pipe("leave"), pipe("report"));
        let program = std::env::current_exe().expect("this program has a path");
        let member = |_| {
            Command::new(&program)
                .arg(MEMBER)
                .args([pipes.path(), rounds])
                .args([contestant.name(), task, &size.to_string()])
                .stdin(Stdio::null())
                .spawn()
                .expect("a process can be started")
        };
        let members = (0..size).map(member).collect();
        let mut crew =
            Self { members, start, leave, report: BufReader::new(report), rounds: rounds.into(), _pipes: pipes };
        // Each says so once it is there, so that the first round finds all of them waiting.
        crew.reports();
        crew
    }

    /// Starts everybody at once in that round, and returns when.
    pub(crate) fn go(&mut self, round: u64) -> Duration {
        // The reports of the last round came before their writers were back in poll(2).
        self.await_sleep();
        let tokens: Vec<u8> = self.members.iter().map(|_| u8::try_from(round % 256).expect("less than 256")).collect();
        let from = now();
        self.start.write_all(&tokens).expect("a pipe takes a byte for each");
        from
    }

    /// Has all of them give up what they hold.
    pub(crate) fn give_up(&mut self) {
        let tokens = vec![0; self.members.len()];
        self.leave.write_all(&tokens).expect("a pipe takes a byte for each");
    }

    /// Has the one give up that is waiting for that.
    pub(crate) fn give_up_one(&mut self) {
        self.leave.write_all(&[0]).expect("a pipe takes a byte");
    }

    /// What each of them has to say next.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        (0..self.members.len()).map(|_| self.report()).collect()
    }

    /// What the next of them has to say.
    pub(crate) fn report(&mut self) -> Report {
        if self.report.buffer().is_empty() {
            let wait = Timespec::try_from(PATIENCE).expect("a short time");
            let ready = poll(&mut [PollFd::new(self.report.get_ref(), PollFlags::IN)], Some(&wait));
            assert_eq!(ready, Ok(1), "no member has said anything for {PATIENCE:?}");
        }
        let mut line = String::new();
        self.report.read_line(&mut line).expect("a member's report is text");
        let mut fields = line.split_whitespace();
        let mut field = || fields.next().expect("a member's report has three fields");
        Report {
            at: Duration::from_nanos(field().parse().expect("a number")),
            primary: field() == "primary",
            of: Some(field().to_owned()).filter(|of| of != "-"),
        }
    }

    /// How many they are.
    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// The process of a crew of one.
    pub(crate) fn process(&self) -> Pid {
        let [member] = &self.members[..] else { panic!("a crew of {}", self.members.len()) };
        Pid::from_child(member)
    }

    /// Kills everybody, and returns when the signal was sent.
    pub(crate) fn kill(&mut self) -> Duration {
        let from = now();
        self.members.iter_mut().for_each(|member| member.kill().expect("a child can be killed"));
        from
    }

    /// Where everybody meets in that round.
    pub(crate) fn directory(&self, round: u64) -> PathBuf {
        directory(&self.rounds, round)
    }

    /// Waits until as many processes as are in the crew are blocked in flock(2) on that file, or sleep until something happens to
    /// it.
    pub(crate) fn await_blocked(&self, file: &Path) {
        let inode = fs::metadata(file).expect("the contested file is there").ino();
        let blocked = |locks: &str| {
            let waits = |line: &&str| line.contains(" -> ") && line.contains(&format!(":{inode} "));
            locks.lines().filter(waits).count()
        };
        let until = Instant::now() + PATIENCE;
        // Where the kernel does not list its locks, time must do.
        while let Ok(locks) = fs::read_to_string("/proc/locks") {
            let watches = |member: &&Child| sleeps(member.id()) && watches(member.id(), inode);
            if blocked(&locks).max(self.members.iter().filter(watches).count()) >= self.members.len() {
                break;
            }
            assert!(Instant::now() < until, "not everybody waits for {}:\n{locks}", file.display());
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(Duration::from_millis(1));
    }

    fn await_sleep(&self) {
        for member in &self.members {
            while !sleeps(member.id()) {
                thread::yield_now();
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.kill().expect("a child can be killed");
            member.wait().expect("a child can be waited for");
        }
    }
}

/// Whether a process sleeps, as far as the kernel tells.
fn sleeps(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).map_or(true, |text| text.contains(") S "))
}

/// Whether a process has the kernel tell it what happens to a file.
fn watches(process: u32, inode: u64) -> bool {
    let watch = format!("inotify wd:1 ino:{inode:x} ");
    let descriptors = fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten().flatten();
    descriptors.into_iter().any(|one| fs::read_to_string(one.path()).is_ok_and(|text| text.contains(&watch)))
}

/// A member's whole life. It ends when the crew's pipes do.
pub(crate) fn serve(arguments: &[String]) {
    let [pipes, rounds, contestant, task, size] = arguments else { panic!("unknown arguments: {arguments:?}") };
    let contestant = Contestant::of_name(contestant).expect("a contestant's name");
    let size: usize = size.parse().expect("the size of the crew");
    let pipe = |name: &str| Path::new(pipes).join(name);
    let open = |name: &str| File::open(pipe(name)).expect("the crew's pipe is there");
    let (mut start, mut leave) = (open("start"), open("leave"));
    let mut report = OpenOptions::new().write(true).open(pipe("report")).expect("the crew's pipe is there");
    let mut say = |at: Duration, primary: bool, of: Option<&str>| {
        let belief = if primary { "primary" } else { "secondary" };
        let line = format!("{} {belief} {}\n", at.as_nanos(), of.unwrap_or("-"));
        report.write_all(line.as_bytes()).expect("the crew reads its reports");
    };
    say(now(), false, None);
    while let Some(round) = token(&mut start) {
        let directory = directory(Path::new(rounds), round.into());
        let claim = if task == TASK_CLAIM {
            let claim = contestant.claim(&directory, size);
            say(now(), claim.primary, claim.of.as_deref());
            claim
        } else {
            let claim = contestant.stand_by(&directory);
            say(now(), claim.primary, claim.of.as_deref());
            let since = claim.wait();
            say(if contestant == Contestant::ElectionWait { now() } else { since }, true, None);
            claim
        };
        if token(&mut leave).is_none() {
            return;
        }
        drop::<Claim>(claim);
        say(now(), false, None);
    }
}

fn token(pipe: &mut File) -> Option<u8> {
    poll(&mut [PollFd::new(pipe, PollFlags::IN)], None).ok()?;
    let mut byte = [0];
    pipe.read_exact(&mut byte).ok().map(|()| byte[0])
}

fn directory(rounds: &Path, round: u64) -> PathBuf {
    rounds.join((round % 256).to_string())
}

pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().expect("the monotonic clock is never negative")
}
