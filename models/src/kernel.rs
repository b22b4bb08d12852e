//! The simulated kernel: files, locks and processes, as far as the election and the zoo can tell.
//!
//! It is deterministic and holds no thread, clock or handle of its own. [`perform`] carries out one system call against
//! the [`Objects`] that it touches: plain memory under the explicit-state checker, one mutex each under threads.
//!
//! What it leaves out: links, permissions and owners (every file is the user's own), directories inside directories,
//! and what instances themselves could do to the election directory but make it. What somebody else does to the files is
//! [`meddle`], what fails for long an [`Outage`].

mod file;
mod hands;
mod object;
mod outage;
mod perform;

pub use file::{Description, Files, Inode, OpenFile};
pub use hands::{Hand, meddle};
pub use object::{Directory, Inodes, Memory, Objects, Processes};
pub use outage::Outage;
pub use perform::{Caller, Fate, begin_conversion, exit, perform};
