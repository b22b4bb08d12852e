//! How a command ends: its exit codes.

use std::process::ExitCode;

use models::verdict::Verdict;

use crate::failure::Failure;

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

impl Exit {
    /// How a run ends whose verdict was reached before something else failed: a violation stands.
    pub(crate) fn after(verdict: Verdict, rest: Result<(), Failure>) -> Result<Self, Failure> {
        match (verdict, rest) {
            (Verdict::Violated, Err(failure)) => {
                eprintln!("error: {failure}");
                Ok(Self::Violated)
            }
            (verdict, rest) => rest.map(|()| verdict.into()),
        }
    }
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

impl From<&Failure> for Exit {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Usage(_) => Self::Usage,
            Failure::Environment { .. } | Failure::Worker(_) => Self::Environment,
        }
    }
}
