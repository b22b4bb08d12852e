//! Programs that know nothing of us, side by side in one directory, and a command that says whether all is well there.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::execution::{Access, Agent, Choice, Execution, Object, Step, Stop, System, Transition};
use super::outcome::{Broken, Outcome};
use crate::control::engine::{End, ProcessExecution, Processes};
use crate::failure::Failure;

/// Where the directory is, for the programs and the invariant.
pub(crate) const VARIABLE: &str = "EXPLORE_DIR";

/// How long an invariant or a setup may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Programs that run side by side, again and again.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) processes: Processes,
    pub(crate) count: u16,
    pub(crate) invariant: Invariant,
}

/// What must hold.
#[derive(Clone, Debug)]
pub(crate) struct Invariant {
    pub(crate) words: Vec<String>,
    pub(crate) directory: PathBuf,
    /// Whether it must hold at every rest, and not only at the end.
    pub(crate) always: bool,
}

/// One run of the programs.
#[derive(Debug)]
pub(crate) struct CommandRun {
    execution: ProcessExecution,
    invariant: Invariant,
    broken: Option<String>,
    ends: Vec<Option<End>>,
    /// Whether anything has changed since the invariant was asked.
    is_changed: bool,
}

impl System for Commands {
    type Execution = CommandRun;

    fn start(&mut self, seed: u64) -> Result<CommandRun, Stop> {
        let mut execution = self.processes.start(seed)?;
        for copy in 0..self.count {
            execution.close_input(copy)?;
        }
        let ends = vec![None; usize::from(self.count)];
        Ok(CommandRun { execution, invariant: self.invariant.clone(), broken: None, ends, is_changed: true })
    }
}

impl Execution for CommandRun {
    type End = Outcome;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        self.execution.pending()
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        let mut step = self.execution.step(agent, choice)?;
        for (copy, known) in (0..).zip(&mut self.ends) {
            let end = self.execution.end_of(copy);
            if end != *known {
                *known = end;
                step.effects.extend(end.map(|end| match end {
                    End::Exited(code) => format!("ends with {code}"),
                    End::Killed(signal) => format!("ends by signal {signal}"),
                }));
            }
        }
        if step.footprint.changes() {
            self.is_changed = true;
            if self.invariant.always {
                // What the invariant sees between two changes is another thing in another order of them.
                step.footprint.add(Object::Observed, Access::Write);
            }
        }
        Ok(step)
    }

    fn is_broken(&mut self) -> Result<bool, Stop> {
        if self.invariant.always && self.is_changed && self.broken.is_none() {
            self.broken = self.invariant.ask()?;
            self.is_changed = false;
        }
        Ok(self.broken.is_some())
    }

    fn finish(mut self, is_end: bool) -> Result<Outcome, Stop> {
        let pending = self.execution.pending()?;
        let waiting = pending.iter().find(|one| one.choice == Choice::Run);
        let unjudged = waiting
            .filter(|_| self.broken.is_none() && is_end)
            .map(|one| format!("{} of the programs still waited at the end, in {}", one.agent.copy + 1, one.label));
        let end = format!("{:?}", self.ends);
        let remains = self.execution.finish(is_end)?;
        if self.broken.is_none() && is_end {
            self.broken = self.invariant.ask()?;
        }
        let broken = self.broken.map(|text| Broken { promise: None, text });
        Ok(Outcome { broken, unjudged, doubts: remains.doubts, end })
    }
}

impl Invariant {
    /// Asks it: nothing where all is well, else what it printed or how it ended.
    fn ask(&self) -> Result<Option<String>, Stop> {
        let (status, printed) = run(&self.words, &self.directory)?;
        if status.success() {
            return Ok(None);
        }
        let line = printed.lines().next().unwrap_or_default().trim();
        Ok(Some(if line.is_empty() { format!("the invariant ended with {status}") } else { line.to_owned() }))
    }
}

/// Runs a command in the directory to its end, and takes what it printed.
pub(crate) fn run(words: &[String], directory: &Path) -> Result<(ExitStatus, String), Stop> {
    let place = words.join(" ");
    let failure = |call| Failure::environment::<std::io::Error>(&place, call, "name a program that can be run");
    let mut printed = tempfile::tempfile().map_err(failure("open"))?;
    let output = || printed.try_clone().map(Stdio::from);
    let (stdout, stderr) = (output().map_err(failure("dup"))?, output().map_err(failure("dup"))?);
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(directory)
        .env(VARIABLE, directory)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(failure("execve"))?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failure("waitpid"))? {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().and_then(|()| child.wait()).map_err(failure("kill"))?;
            return Err(Stop::Uncontrolled(format!("{place} did not end within {} s", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    let mut text = String::new();
    std::io::Seek::rewind(&mut printed).map_err(failure("lseek"))?;
    // Of what is no text, and of what is endless, the beginning is enough.
    let mut bytes = Vec::new();
    printed.take(1 << 16).read_to_end(&mut bytes).map_err(failure("read"))?;
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok((status, text))
}
