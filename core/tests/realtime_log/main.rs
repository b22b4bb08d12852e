//! realtime.log on real files: one entry per event, whatever becomes of the primary, of the disk, and of the files.
#![expect(clippy::disallowed_methods, reason = "a test prepares files and looks at them")]

mod between;
mod entries;
mod failures;
mod others;
mod rotation;
