//! Elects exactly one primary among the instances of a program on one machine, over files, and keeps a log of theirs in
//! which every event has exactly one entry.
//!
//! ```
//! use single_primary::{Election, Recorded};
//!
//! # let state = tempfile::tempdir()?;
//! # let directory = state.path().join("election");
//! // Two instances, here in one process; they may as well be two programs.
//! let first = Election::options(&directory).expect(1).join()?;
//! let second = Election::options(&directory).join()?;
//! assert!(first.is_primary() && !second.is_primary());
//!
//! // An event reaches both and is written once.
//! assert_eq!(first.record("event-1", r#"{"answer":42}"#)?, Recorded::Written);
//! assert_eq!(second.record("event-1", r#"{"answer":42}"#)?, Recorded::Pending);
//!
//! // Whoever waits takes over when the primary leaves or dies.
//! drop(first);
//! let term = second.wait()?;
//! assert_eq!(term, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which call for what
//!
//! | to | call | blocks |
//! |---|---|---|
//! | join and know the verdict | [`Options::join`] | until then: at most about the window |
//! | join from an event loop | [`Options::start`], then [`Election::poll`] | never |
//! | ask | [`Election::is_primary`] | never: a memory read |
//! | stand by | [`Election::wait`] | until primary, or until another thread leaves |
//! | log an event once | [`Election::record`] | never |
//! | know what is wrong with the log | [`Election::log_error`] | never |
//! | depart | [`Election::leave`], or drop | never |
//!
//! # How it works
//!
//! The election directory holds one append-only journal of 128-byte records and, for each instance, a seat: a file that the
//! instance keeps locked by flock(2) for as long as it lives. The election is a pure [`Fold`] over the journal: the smallest
//! ID registered before a term's seal and not gone is its primary. The protocol is a [`Machine`] without input and output
//! that asks for one system call at a time ([`call`]); [`Os`] carries them out, and so does, under a model checker, a
//! simulated [`kernel`]. What is checked is what ships.
//!
//! # What is not promised
//!
//! A stopped primary keeps its role until it resumes or dies. Network file systems are refused
//! ([`Options::allow_any_file_system`]). Power loss ends the election, and entries survive it only with
//! [`Options::durable`]. A child made by fork without exec keeps its parent's locks: it is not primary, but nobody else is
//! before it ends as well. One that a bare clone(2) makes, past the handlers of fork(3), takes itself for the original
//! where asking must cost no system call, in [`Election::is_primary`] and [`Election::record`]: do not use either there.
#![forbid(unsafe_code)]

mod driver;
mod election;
mod machine;
mod options;
mod refusal;
mod role;
mod step;

mod fold;
mod leftover;
mod record;
mod roster;

mod entry;
mod json;
mod logbook;
mod pending;
mod scanner;

pub mod call;
mod file_system;
pub mod kernel;
#[expect(clippy::disallowed_methods, reason = "this is the adapter to the operating system, and the only one")]
mod os;

mod error;
mod event_ids;
mod id;

pub use crate::election::{Election, Recorded};
pub use crate::entry::{EVENT_ID_BYTES_MAX, PAYLOAD_BYTES_MAX};
pub use crate::error::{Cause, Error, Fault};
pub use crate::file_system::FileSystem;
pub use crate::fold::Fold;
pub use crate::id::{ID_BYTES_MAX, InstanceId, InvalidId};
pub use crate::logbook::{Event, LogOptions, Logbook};
pub use crate::machine::{Machine, READ_BYTES};
pub use crate::options::{Options, WINDOW};
pub use crate::os::{Os, Paths, StdMutex, reply_of};
pub use crate::record::{Kind, RECORD_BYTES, Record};
pub use crate::role::{Role, Setup};
pub use crate::step::{Step, Wait};

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
