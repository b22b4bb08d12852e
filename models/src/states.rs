//! Explicit states: every interleaving of a few instances over the simulated kernel, with everything that may go wrong.
//!
//! The states of a [`Model`] are what is in the kernel and in each instance; its actions are one system call of one instance,
//! or a crash, a start, an error, an event, a departure, a move of the clock. What of that may happen, and how
//! often, is a [`Space`]. [`search`](search::search) looks at all of it.

mod action;
mod actor;
pub mod check;
mod checked;
mod effect;
mod end;
mod files;
mod fingerprint;
mod frontier;
mod intern;
mod ledger;
mod logs;
mod model;
pub mod oracle;
pub mod plan;
mod possible;
pub(crate) mod promise;
mod reduction;
pub mod search;
mod space;
mod state;
mod table;
mod termination;
mod transition;
mod visited;

pub use action::{Action, Identity};
pub use actor::{Actor, ActorFacts, Running, event_of};
pub use check::{Bounds, check};
pub use checked::Checked;
pub use model::Model;
pub use promise::Promise;
pub use search::{Outcome, search};
pub use space::{Space, Timing};
pub use state::State;
