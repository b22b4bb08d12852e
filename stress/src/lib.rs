//! Elections among real processes, under faults, counted and judged.
//!
//! In reading order: a `plan` says what is to happen in a round, a `round` runs it among real processes, which `control`
//! follows where a fault needs it; what the round leaves is its `history`, which is judged and told there. A `campaign` runs
//! many rounds, `audit` reads logs that are there already, `qualify` tries file systems, and `cli` has a file for each command.

/// As that of the standard library, where nobody may be left to read standard error: what was found is in the exit code, too.
macro_rules! eprintln {
    ($($told:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($told)*);
    }};
}

/// The same without the end of a line.
macro_rules! eprint {
    ($($told:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stderr(), $($told)*);
    }};
}

mod audit;
mod campaign;
mod cli;
mod control;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod explore;
mod failure;
mod history;
mod plan;
mod process;
mod qualify;
mod round;

use std::process::ExitCode;

/// Runs the command of this process's command line.
#[must_use = "the exit code tells whether what was checked holds"]
pub fn main() -> ExitCode {
    cli::main().into()
}
