//! Explicit states: every interleaving of a few instances over the simulated kernel, with everything that may go wrong.
//!
//! [`World`] is the model: its states are what is in the kernel and in each instance, its actions are one system call of
//! one instance, or a crash, a start, an error, an event, a departure, a move of the clock. What of that may happen, and how
//! often, is a [`Space`]. [`search`](search::search) looks at all of it.

pub mod check;
pub mod intern;
pub mod oracle;
pub mod plan;
pub mod promise;
pub mod reduction;
pub mod search;
pub mod space;
pub mod termination;
pub mod world;

pub use check::{Bounds, check};
pub use promise::Promise;
pub use search::{Outcome, search};
pub use space::{Space, Timing};
pub use world::{Action, State, World};
