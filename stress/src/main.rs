//! Elections among real processes, under faults, counted and judged: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    stress::main()
}
