//! The simulated kernel: files, locks and processes, as far as the election and the zoo can tell.
//!
//! It is deterministic and holds no thread, clock or handle of its own. [`perform`] carries out one system call against
//! the [`Objects`] that it touches: plain memory under the explicit-state checker, one mutex each under threads.
//!
//! What it leaves out: links, permissions and owners (every file is the user's own), directories inside directories,
//! removing or renaming the election directory itself, and the moment within a lock's conversion at which a third party
//! could get in between.

mod file;
mod object;
mod perform;

pub use file::{Description, Files, Inode, OpenFile};
pub use object::{Directory, Inodes, Memory, Objects, Processes};
pub use perform::{Caller, Fate, exit, perform};
