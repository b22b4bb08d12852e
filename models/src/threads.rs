//! Threads over the simulated kernel, scheduled by a checker: what the explicit-state checker sees as one step after
//! another runs here as it does in a program, through the library's own interface.
//!
//! The journal takes part as [`Election`](single_primary::Election) itself, over a kernel whose objects have a mutex each
//! and whose monitors and words are the checker's, so that the checker sees everything that threads share. The zoo's
//! protocols are driven as [`Participant`](crate::participant::Participant)s over the same kernel.
//!
//! Each instance has a clock of its own, which only its own waits move: what one thread learns from another must pass
//! through something that the checker sees.

mod bounds;
mod engine;
mod execution;
mod kernel;
mod limits;
pub mod loom;
mod observer;
mod panics;
mod sharing;
pub mod shuttle;
mod world;

pub use bounds::{Bounds, Fault, FaultKind};
pub use sharing::Sharing;
