//! What is explored: all that a replay needs to begin in the same way.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::commands::{self, CommandRun, Commands, Invariant};
use super::election::{Election, Elections};
use super::execution::{Agent, Choice, Execution, Step, Stop, System, Transition};
use super::outcome::Outcome;
use super::rules::{FaultKind, Rules};
use crate::control::engine::{Faults, Prepare, Processes, Setup, Start};
use crate::failure::Failure;

/// Programs, and what of them is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) subject: Subject,
    pub(crate) rules: Rules,
    /// All that is drawn at random in an execution follows from it.
    pub(crate) seed: u64,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// Copies of a program that elect among themselves.
    Election {
        /// The program and its arguments.
        program: Vec<String>,
        registrants: u16,
        events: usize,
    },
    /// Any programs.
    Commands {
        commands: Vec<Vec<String>>,
        /// What fills the directory before.
        setup: Option<Vec<String>>,
        invariant: Vec<String>,
        /// Whether it must hold at every rest, and not only at the end.
        always: bool,
    },
}

impl Scenario {
    /// What the copies are called.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.subject {
            Subject::Election { registrants, .. } => (0..*registrants).map(id).collect(),
            Subject::Commands { commands, .. } => commands.iter().map(|words| words.join(" ")).collect(),
        }
    }

    /// Gets ready to run it, in a directory of its own.
    ///
    /// # Errors
    /// Where programs cannot be controlled here, or cannot be started.
    pub(crate) fn prepare(&self, workplace: &Path) -> Result<AnySystem, Failure> {
        let directory = workplace.join("explored");
        let kinds = &self.rules.faults;
        let has = |kind| self.rules.fault_budget > 0 && kinds.contains(&kind);
        let faults = Faults {
            crash: has(FaultKind::Crash),
            error: has(FaultKind::Error),
            short: has(FaultKind::Short),
            interrupt: has(FaultKind::Interrupt),
        };
        let (copies, unordered, prepare) = match &self.subject {
            Subject::Election { program, registrants, .. } => {
                let start = |copy: u16| {
                    start(
                        program,
                        &directory,
                        &[
                            ("ELECTION_DIR", directory.join("election").into()),
                            ("REALTIME_LOG", directory.join("realtime.log").into()),
                            ("INSTANCE_ID", id(copy).into()),
                        ],
                    )
                };
                let prepare: Prepare = Prepare(Box::new(|directory| fs::create_dir(directory.join("election"))));
                ((0..*registrants).map(start).collect(), vec![directory.join("realtime.log")], prepare)
            }
            Subject::Commands { commands, setup, .. } => {
                let start =
                    |words: &Vec<String>| start(words, &directory, &[(commands::VARIABLE, directory.clone().into())]);
                let setup = setup.as_ref().map(|words| placed(words, &directory));
                let prepare = move |directory: &Path| match &setup {
                    None => Ok(()),
                    Some(words) => set_up(words, directory),
                };
                (commands.iter().map(start).collect(), Vec::new(), Prepare(Box::new(prepare)))
            }
        };
        // What else lies in the directory is nobody's.
        let watched = match &self.subject {
            Subject::Election { .. } => vec![directory.join("election"), directory.join("realtime.log")],
            Subject::Commands { .. } => vec![directory.clone()],
        };
        let processes =
            Processes::new(Setup { copies, directory: directory.clone(), watched, unordered, faults, prepare })?;
        Ok(match &self.subject {
            Subject::Election { registrants, events, .. } => AnySystem::Elections(Elections {
                processes,
                ids: (0..*registrants).map(id).collect(),
                events: (1..=*events).map(|event| format!("event-{event:03}")).collect(),
                log: directory.join("realtime.log"),
            }),
            Subject::Commands { commands, invariant, always, .. } => AnySystem::Commands(Commands {
                processes,
                count: u16::try_from(commands.len()).unwrap_or(u16::MAX),
                invariant: Invariant { words: placed(invariant, &directory), directory, always: *always },
            }),
        })
    }
}

/// `a`, `b`, …
fn id(copy: u16) -> String {
    match u8::try_from(copy) {
        Ok(copy @ 0..26) => char::from(b'a' + copy).into(),
        _ => format!("z{copy}"),
    }
}

fn start(words: &[String], directory: &Path, variables: &[(&str, OsString)]) -> Start {
    let own = variables.iter().map(|(name, value)| (OsString::from(name), value.clone()));
    let inherited = std::env::vars_os().filter(|(name, _)| variables.iter().all(|(own, _)| name != own));
    let words = placed(words, directory).into_iter().map(OsString::from).collect();
    Start { words, environment: inherited.chain(own).collect() }
}

/// The words with the directory in place of `{dir}`.
fn placed(words: &[String], directory: &Path) -> Vec<String> {
    words.iter().map(|word| word.replace("{dir}", &directory.display().to_string())).collect()
}

fn set_up(words: &[String], directory: &Path) -> std::io::Result<()> {
    let failed = |why: String| Err(std::io::Error::other(why));
    match commands::run(words, directory) {
        Ok((status, _)) if status.success() => Ok(()),
        Ok((status, printed)) => failed(format!("the setup ended with {status}: {}", printed.trim())),
        Err(Stop::Failed(failure)) => failed(failure.to_string()),
        Err(Stop::Uncontrolled(why) | Stop::Diverged(why)) => failed(why),
    }
}

/// Either kind of what runs.
#[derive(Debug)]
pub(crate) enum AnySystem {
    Elections(Elections),
    Commands(Commands),
}

impl AnySystem {
    /// What differs from run to run here, for want of namespaces.
    pub(crate) fn unfixed(&self) -> Vec<String> {
        match self {
            Self::Elections(elections) => elections.processes.unfixed(),
            Self::Commands(commands) => commands.processes.unfixed(),
        }
    }
}

/// Either kind of run.
#[derive(Debug)]
pub(crate) enum AnyRun {
    Election(Box<Election>),
    Command(Box<CommandRun>),
}

impl System for AnySystem {
    type Execution = AnyRun;

    fn start(&mut self, seed: u64) -> Result<AnyRun, Stop> {
        Ok(match self {
            Self::Elections(elections) => AnyRun::Election(Box::new(elections.start(seed)?)),
            Self::Commands(commands) => AnyRun::Command(Box::new(commands.start(seed)?)),
        })
    }
}

impl Execution for AnyRun {
    type End = Outcome;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        match self {
            Self::Election(run) => run.pending(),
            Self::Command(run) => run.pending(),
        }
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        match self {
            Self::Election(run) => run.step(agent, choice),
            Self::Command(run) => run.step(agent, choice),
        }
    }

    fn is_broken(&mut self) -> Result<bool, Stop> {
        match self {
            Self::Election(run) => run.is_broken(),
            Self::Command(run) => run.is_broken(),
        }
    }

    fn finish(self, is_end: bool) -> Result<Outcome, Stop> {
        match self {
            Self::Election(run) => run.finish(is_end),
            Self::Command(run) => run.finish(is_end),
        }
    }
}
