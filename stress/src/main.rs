//! Elections among real processes, under faults, counted and judged.

mod attempt;
mod attended;
mod audit;
mod bound;
mod boundary;
mod campaign;
mod check;
mod child_memory;
mod clock;
mod command_line;
mod describe;
mod distribution;
mod disturbance;
mod exit;
#[allow(dead_code, reason = "the engine that it drives uses it")]
mod explore;
mod export;
mod failover;
mod fault;
mod findings;
mod foreign;
mod heir;
mod history;
mod host;
mod instance;
mod interference;
mod interrupt;
mod judge;
mod kept;
mod meeting;
mod merge;
mod order;
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
mod turns;
mod validation;
mod waits;

use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::main().into()
}
