//! `stress replay`: a kept round's plan, run again.
//!
//! A plan determines who takes part, under which IDs, when they receive what, and in which order they take their steps: as
//! they took them in the round. Where that order leaves something open, as between two calls that overlapped, a race that
//! was lost once is lost again now and then: the plan is run many times and its failures counted.
//!
//! What is run is the plan that the round was shrunk to; one that was not is shrunk now.

use std::path::PathBuf;

use super::exit::Exit;
use crate::campaign::attempt::{Attempts, Outcome};
use crate::campaign::kept;
use crate::campaign::programs;
use crate::campaign::shrink::shrink;
use crate::campaign::{Workplace, side_by_side, workplace_parent};
use crate::failure::Failure;
use crate::plan::Plan;

/// The options of `stress replay`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The directory of a round that a campaign kept, or the schedule of an exploration
    directory: PathBuf,
    /// How often to run its plan
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    times: u64,
    /// Run the round's whole plan, without looking for a smaller one that breaks the same promise
    #[arg(long)]
    no_shrink: bool,
    /// Where the election directories are made [default: /dev/shm, or the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the plan again and again: violated where any run was.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let Arguments { directory, times, no_shrink, dir } = arguments;
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    if directory.is_file() {
        return super::explore::replay(directory, *times, dir.as_deref());
    }
    if programs::is_kept(directory) {
        return programs::replay(directory, *times, &workplace_parent(dir.as_deref()));
    }
    let (whole, promise) = kept::plan(directory)?;
    eprintln!("stress replay --times {times}{} {}", if *no_shrink { " --no-shrink" } else { "" }, directory.display());
    let workplace = Workplace::new(&workplace_parent(dir.as_deref()))?;
    let attempts = Attempts::new(workplace.path(), whole.ids.len(), side_by_side(&whole))?;
    let shrunk = if *no_shrink { None } else { kept::shrunk(directory)? };
    let mut plan = shrunk.as_ref().unwrap_or(&whole).clone();
    if shrunk.is_none()
        && !no_shrink
        && let Some(shrunk) = shrink(&whole, promise, &attempts, || true)?
        && shrunk.plan != whole
    {
        kept::keep_shrunk(directory, &shrunk.plan)?;
        plan = shrunk.plan;
    }
    let outcome = attempts.run(&plan, *times, None)?;
    let Plan { round, seed, ids, events, faults, .. } = &plan;
    let size = format!("{} instances, {} events, {} faults", ids.len(), events.len(), faults.len());
    let shrunk = if plan == whole { "whole" } else { "shrunk" };
    eprintln!("round {round} of seed {seed}, {shrunk}, {size}: {}", tell(&outcome, promise.broken(), promise as usize));
    let Some((_, told)) = outcome.told else { return Ok(Exit::Holds) };
    eprintln!("\n{}", told.story);
    Ok(Exit::Violated)
}

/// `violated in 97 of 100 runs, in 12 by several primaries at one moment`.
fn tell(outcome: &Outcome, broken: &str, promise: usize) -> String {
    let Outcome { runs, violated, broken: counts, told: _ } = outcome;
    format!("violated in {violated} of {runs} runs, in {} by {broken}", counts[promise])
}
