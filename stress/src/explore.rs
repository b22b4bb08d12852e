//! Every order of the system calls of unmodified programs, up to a bound, with faults and virtual time.

mod actor;
mod dpor;
pub(crate) mod execution;
mod rules;
mod run;
mod trace;

#[cfg(test)]
mod soundness;
#[cfg(test)]
mod toy;
