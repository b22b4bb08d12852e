//! Where the files of a measurement lie.

use std::path::Path;

use tempfile::TempDir;

/// An empty directory on tmpfs where the system mounts one, else among the temporary files.
pub(crate) fn directory() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    let made = if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory can be made")
}
