//! Every order of the system calls of unmodified programs, up to a bound, with faults and virtual time.

pub(crate) mod execution;
