//! Elections among real processes, under faults, counted and judged.

mod attempt;
mod attended;
mod audit;
mod bound;
mod campaign;
mod check;
mod child_memory;
mod clock;
mod command_line;
mod describe;
mod disturbance;
mod exit;
mod export;
mod fault;
mod findings;
mod foreign;
mod history;
mod host;
mod instance;
mod interference;
mod interrupt;
mod judge;
mod kept;
mod meeting;
mod merge;
mod plan;
mod process;
mod qualify;
mod recorder;
mod replay;
mod round;
mod shared_memory;
mod shrink;
mod span;
mod story;
mod trace;
mod validation;

use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::main().into()
}
