//! The command line: one subcommand per module, each with its arguments and its `run`.

mod check;
pub(crate) mod exit;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod explore;
pub(crate) mod export;
pub(crate) mod interrupt;
mod merge;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod registrant;
mod replay;
pub(crate) mod span;

use clap::{Parser, Subcommand};

use self::exit::Exit;
use crate::failure::Failure;
use crate::{audit, campaign, qualify};

/// Elections among real processes, under faults, counted and judged.
///
/// Without a command: `campaign`. Ends in 0 where what was checked holds, 1 where it was violated, 2 for a command line
/// that cannot be understood, 3 where the run shows nothing, 4 where the environment failed.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    campaign: Box<campaign::Arguments>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run elections among real processes and count what came of them.
    Campaign(Box<campaign::Arguments>),
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    /// Run unmodified programs in every order of their system calls.
    Explore(Box<explore::Arguments>),
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    #[command(hide = true)]
    Registrant(registrant::Arguments),
    /// Count how many entries each event has in a log that is there already.
    Audit(audit::Arguments),
    /// Check whether a file system keeps what the election stands on.
    Qualify(qualify::Arguments),
    #[command(hide = true)]
    QualifyWorker(qualify::worker::Arguments),
    /// Judge a history, of a campaign or of another program.
    Check(check::Arguments),
    /// Join the reports of a campaign's shards.
    Merge(merge::Arguments),
    /// Run the plan of a kept round again, and tell how often it fails.
    Replay(replay::Arguments),
}

/// Runs the command of this process's command line, and says how it ended. Errors are told on stderr.
pub(crate) fn main() -> Exit {
    let CommandLine { command, campaign } = CommandLine::parse();
    match run(command.unwrap_or(Command::Campaign(campaign))) {
        Ok(exit) => exit,
        Err(failure) => {
            eprintln!("error: {failure}");
            Exit::from(&failure)
        }
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Campaign(arguments) => campaign::run(&arguments),
        #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
        Command::Explore(arguments) => explore::run(&arguments),
        #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
        Command::Registrant(arguments) => registrant::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Qualify(arguments) => qualify::run(&arguments),
        Command::QualifyWorker(arguments) => qualify::worker::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
    }
}
