//! How a command ends: its exit codes, and the errors that keep it from a verdict.

use std::process::ExitCode;

use models::export::Unwritable;
use models::verdict::Verdict;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was checked holds.
    Holds = 0,
    /// It was seen violated.
    Violated = 1,
    /// The command line cannot be understood; clap ends with the same code.
    Usage = 2,
    /// Nothing was exercised, or too little of what was asked for.
    Inconclusive = 3,
    /// The environment failed: an I/O error, a missing program.
    Environment = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Holds => Self::Holds,
            Verdict::Violated => Self::Violated,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// Why a command has no verdict. The message names the path or option, the call and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The options contradict one another or cannot be had here.
    #[error("{0}")]
    Usage(String),
    /// A process of the campaign failed, and said this.
    #[error("{0}")]
    Worker(String),
    /// A system call failed.
    #[error("{place}: {call}: {source}; {remedy}")]
    Environment {
        /// The path, or what else the call was about.
        place: String,
        /// The system call or operation.
        call: &'static str,
        /// What it said.
        source: std::io::Error,
        /// What a person can do about it.
        remedy: &'static str,
    },
}

impl From<Unwritable> for Failure {
    fn from(Unwritable { place, call, source, remedy }: Unwritable) -> Self {
        Self::Environment { place, call, source, remedy }
    }
}

impl Failure {
    /// The exit code that it ends in.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Environment { .. } | Self::Worker(_) => Exit::Environment,
        }
    }

    /// For `map_err` on system calls.
    pub(crate) fn environment<E: Into<std::io::Error>>(
        place: impl std::fmt::Display,
        call: &'static str,
        remedy: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let place = place.to_string();
        move |source| Self::Environment { place, call, source: source.into(), remedy }
    }
}
