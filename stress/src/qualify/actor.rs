//! The processes of a check, as the one that asks them sees them.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::property::Property;
use super::worker::{Answer, Request};

const ENDED: &str = "a process of the check ended early";
/// How often an interrupt is looked for.
const LOOK: Duration = Duration::from_millis(50);
const REAP_FOR: Duration = Duration::from_secs(2);

/// Why a check has no figure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The property was seen violated.
    Violated(String),
    /// Nobody can tell.
    Unknown(String),
}

/// Where checks find processes to ask.
#[derive(Debug)]
pub(crate) struct Field<'a> {
    /// The directory under test.
    pub(crate) directory: &'a Path,
    pub(crate) broken: Option<Property>,
    /// How long an answer may take.
    pub(crate) timeout: Duration,
    /// Whether no answer is wanted any more.
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl Field<'_> {
    /// A new process.
    pub(crate) fn actor(&self) -> Result<Actor, Stop> {
        let unknown = |error: std::io::Error| Stop::Unknown(format!("no process could be started: {error}"));
        let program = std::env::current_exe().map_err(unknown)?;
        let mut command = Command::new(program);
        command.arg("qualify-worker").arg(self.directory).arg(std::process::id().to_string());
        if let Some(broken) = self.broken.and_then(|broken| clap::ValueEnum::to_possible_value(&broken)) {
            command.arg("--broken").arg(broken.get_name());
        }
        // What a terminal sends to all on Ctrl-C is not meant for it: it ends with this process.
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(unknown)?;
        let (give, answers) = channel();
        let requests = child.stdin.take();
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()) {
                let answer = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                if answer.is_none_or(|answer| give.send(answer).is_err()) {
                    return;
                }
            }
        });
        Ok(Actor { child, requests, answers, timeout: self.timeout, interrupt: self.interrupt.clone() })
    }

    /// Several new processes.
    pub(crate) fn actors<const N: usize>(&self) -> Result<[Actor; N], Stop> {
        let actors: Vec<_> = std::iter::repeat_with(|| self.actor()).take(N).collect::<Result<_, _>>()?;
        Ok(actors.try_into().expect("as many as were taken"))
    }
}

/// A process. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Receiver<Answer>,
    timeout: Duration,
    interrupt: Arc<AtomicBool>,
}

impl Actor {
    /// Asks without waiting for the answer.
    pub(crate) fn begin(&mut self, request: &Request) -> Result<(), Stop> {
        let text = serde_json::to_string(request).expect("a request is plain data");
        let written = self.requests.as_mut().is_some_and(|requests| writeln!(requests, "{text}").is_ok());
        if written { Ok(()) } else { Err(Stop::Unknown(ENDED.into())) }
    }

    /// The answer to the earliest request that has none yet.
    pub(crate) fn finish(&mut self) -> Result<Answer, Stop> {
        let begun = Instant::now();
        loop {
            let left = self.timeout.saturating_sub(begun.elapsed());
            return match self.answers.recv_timeout(left.min(LOOK)) {
                Ok(answer) => Ok(answer),
                Err(RecvTimeoutError::Disconnected) => Err(Stop::Unknown(ENDED.into())),
                Err(RecvTimeoutError::Timeout) if self.interrupt.load(Ordering::Relaxed) => {
                    Err(Stop::Unknown("interrupted".into()))
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    Err(Stop::Unknown(format!("no answer within {:?}", self.timeout)))
                }
                Err(RecvTimeoutError::Timeout) => continue,
            };
        }
    }

    /// Asks and waits.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer, Stop> {
        self.begin(request)?;
        self.finish()
    }

    /// Asks for what must come out so; otherwise `what` is wrong.
    pub(crate) fn expect(&mut self, request: &Request, expected: &Answer, what: &str) -> Result<(), Stop> {
        let answer = self.ask(request)?;
        if answer == *expected { Ok(()) } else { Err(differs(what, &answer)) }
    }

    /// Sends it SIGKILL. It may be gone already, which is all that is wanted.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
        // A process that the file system does not let go, not even when it is killed, is left to the kernel.
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < REAP_FOR {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// The verdict on an answer that should have been another.
pub(crate) fn differs(what: &str, answer: &Answer) -> Stop {
    if let Answer::NoRoom(failure) = answer {
        return Stop::Unknown(format!("there is no room: {failure}; free space there"));
    }
    Stop::Violated(match answer {
        Answer::Failed(failure) => format!("{what}: {failure}"),
        answer => format!("{what}: {}", format!("{answer:?}").to_lowercase()),
    })
}
