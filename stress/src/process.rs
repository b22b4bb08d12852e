//! The processes of this machine: how they are made, how they wait for one another, and the memory and the clock they share.

pub(crate) mod clock;
mod fork;
pub(crate) mod meeting;
pub(crate) mod patience;
pub(crate) mod shared_memory;
pub(crate) mod spawn;

pub(crate) use self::fork::{end, fork, ignore, wait};
