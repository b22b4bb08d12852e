//! The directory of a violated round: its files, its story, and what runs it again.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::plan::program::Plan;
use crate::round::program::Conditions;
use crate::round::program::ground::Ground;

/// A round as it can be run again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) conditions: Conditions,
    /// That of its campaign.
    pub(crate) seed: u64,
    /// Whether the processors were kept busy.
    pub(crate) has_load: bool,
    pub(crate) plan: Plan,
    /// Where the program was started.
    pub(crate) working_directory: PathBuf,
}

fn file(directory: &Path) -> PathBuf {
    directory.join("foreign.json")
}

/// Whether a directory is that of a round of foreign registrants.
pub(crate) fn is_kept(directory: &Path) -> bool {
    file(directory).exists()
}

/// Keeps a round whose files are still there.
pub(crate) fn keep(directory: &Path, kept: &Kept, ground: &Ground, story: &str) -> Result<(), Failure> {
    let keep = || -> io::Result<()> {
        // What an earlier campaign of the same seed left is not about this round.
        if is_kept(directory) {
            fs::remove_dir_all(directory)?;
        }
        copy(&ground.directory, directory)?;
        fs::write(file(directory), serde_json::to_vec_pretty(kept)?)?;
        fs::write(directory.join("story.txt"), story)
    };
    let remedy = "give another place by --keep";
    keep().map_err(Failure::environment(directory.display(), "keeping a violated round", remedy))
}

/// What a directory keeps.
pub(crate) fn read(directory: &Path) -> Result<Kept, Failure> {
    let path = file(directory);
    let read = || -> io::Result<Kept> { Ok(serde_json::from_slice(&fs::read(&path)?)?) };
    read().map_err(Failure::environment(path.display(), "read", "give the directory of a round that a campaign kept"))
}

/// Copies regular files, and those in directories.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, copied) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &copied)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), copied)?;
        }
    }
    Ok(())
}
