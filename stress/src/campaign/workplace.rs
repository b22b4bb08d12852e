//! The directory in which a campaign's elections take place, and what earlier campaigns left there when they were killed.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;

const PREFIX: &str = "stress-campaign-";

/// A directory of one campaign. Its lock is held by every process of it, so that whoever gets the lock knows that all of
/// them are gone.
#[derive(Debug)]
pub(crate) struct Workplace {
    path: PathBuf,
    _lock: File,
}

impl Workplace {
    /// Makes a directory in `parent`, and removes those whose campaigns are dead.
    pub(crate) fn new(parent: &Path) -> Result<Self, Failure> {
        let failure = |call| {
            Failure::environment::<std::io::Error>(parent.display(), call, "give a directory to write in by --dir")
        };
        clean(parent).map_err(failure("readdir"))?;
        let path = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(failure("mkdir"))?.keep();
        let lock = File::open(&path).map_err(failure("open"))?;
        flock(&lock, FlockOperation::NonBlockingLockShared).map_err(|error| failure("flock")(error.into()))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("warning: {}: removing the campaign's files: {error}; remove it by hand", self.path.display());
        }
    }
}

/// Where campaigns take place that are not told: in memory, where there is such a directory.
pub(crate) fn parent(told: Option<&Path>) -> PathBuf {
    let in_memory = Path::new("/dev/shm");
    match told {
        Some(told) => told.to_owned(),
        None if in_memory.is_dir() => in_memory.to_owned(),
        None => std::env::temp_dir(),
    }
}

/// Removes what dead campaigns of this user left.
fn clean(parent: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Another user's, or gone by now: not ours to remove. One that is being made holds no lock yet, but is young.
        let Ok(lock) = File::open(entry.path()) else { continue };
        let is_young = || {
            let age = lock.metadata().and_then(|metadata| metadata.modified()).ok()?.elapsed().ok()?;
            Some(age < std::time::Duration::from_secs(1))
        };
        if !is_young().unwrap_or(true) && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = remove(&entry.path());
        }
    }
    Ok(())
}

/// Removes a directory, also what a fault has made unwritable in it.
fn remove(directory: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(directory)?;
            fs::remove_dir_all(directory)
        }
        removed => removed,
    }
}

fn open_up(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_campaign_left_is_removed_and_what_a_living_one_has_is_not() {
        let parent = tempfile::tempdir().expect("a directory");
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_mins(1);
        let dead = parent.path().join(format!("{PREFIX}dead"));
        fs::create_dir_all(dead.join("0/election/seats")).expect("a directory");
        fs::set_permissions(dead.join("0/election"), Permissions::from_mode(0o500)).expect("it is ours");
        File::open(&dead).and_then(|file| file.set_modified(long_ago)).expect("an old directory");
        let other = parent.path().join("other");
        fs::create_dir(&other).expect("a directory");
        let living = Workplace::new(parent.path()).expect("a workplace");
        File::open(living.path()).and_then(|file| file.set_modified(long_ago)).expect("an old directory");
        assert!(!dead.exists());
        let second = Workplace::new(parent.path()).expect("another workplace");
        assert!(living.path().exists() && other.exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists());
    }
}
