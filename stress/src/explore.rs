//! Every order of the system calls of unmodified programs, up to a bound, with faults and virtual time.
//!
//! In reading order: an `execution` goes on step by step (`run`), as `rules` allow it, and leaves a `trace`. `walk` chooses at
//! random, `dpor` everything, `search` both. What is searched is a `scenario`: an `election` or any `commands`. What is found is
//! made smaller (`shrink`), told (`story`), and written down (`schedule`).

mod actor;
mod commands;
mod dpor;
mod election;
pub(crate) mod execution;
mod outcome;
pub(crate) mod rules;
mod run;
pub(crate) mod scenario;
pub(crate) mod schedule;
pub(crate) mod search;
pub(crate) mod shrink;
pub(crate) mod story;
mod trace;
mod walk;

pub(crate) use dpor::Reduction;

#[cfg(test)]
mod soundness;
#[cfg(test)]
mod toy;
