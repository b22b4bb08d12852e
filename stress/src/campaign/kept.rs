//! The directory of a violated round: its plan, its files, what each instance did, and the story of it.
//!
//! `plan.json` runs it again, in the order in which its steps were taken, and `broken.json` says what it broke; `election/` and `past/` are its files; `history.jsonl`
//! has what the instances did and believed; `story.txt` tells it. `shrunk.json` is the smallest plan that breaks the same.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::attempt::Told;
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::plan::Plan;
use crate::round::native::Rig;

const PLAN: &str = "plan.json";
const BROKEN: &str = "broken.json";
const SHRUNK: &str = "shrunk.json";

/// Where a round is kept.
pub(crate) fn directory(keep: &Path, seed: u64, round: u64) -> PathBuf {
    keep.join(format!("{seed}-{round}"))
}

/// Keeps a round whose files are still there.
pub(crate) fn keep(directory: &Path, plan: &Plan, rig: &Rig, promise: Promise, told: &Told) -> Result<(), Failure> {
    let keep = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        let plan = Plan { order: told.order.clone(), ..plan.clone() };
        fs::write(directory.join(PLAN), serde_json::to_vec_pretty(&plan)?)?;
        fs::write(directory.join(BROKEN), serde_json::to_vec(&promise)?)?;
        // What an earlier campaign of the same seed left is not about this round.
        remove_if_there(&directory.join(SHRUNK))?;
        fs::write(directory.join("story.txt"), &told.story)?;
        fs::write(directory.join("history.jsonl"), &told.history)?;
        copy(rig.directory(), &directory.join("election"))?;
        copy(rig.past(), &directory.join("past"))
    };
    keep().map_err(Failure::environment(
        directory.display(),
        "keeping a violated round",
        "give another place by --keep",
    ))
}

/// What a directory of a kept round says: its plan and the promise that it broke.
pub(crate) fn plan(directory: &Path) -> Result<(Plan, Promise), Failure> {
    Ok((read(&directory.join(PLAN))?, read(&directory.join(BROKEN))?))
}

/// The plan that it was shrunk to, if it was.
pub(crate) fn shrunk(directory: &Path) -> Result<Option<Plan>, Failure> {
    let path = directory.join(SHRUNK);
    if path.exists() { read(&path).map(Some) } else { Ok(None) }
}

/// Keeps the plan that it was shrunk to beside it.
pub(crate) fn keep_shrunk(directory: &Path, plan: &Plan) -> Result<(), Failure> {
    let path = directory.join(SHRUNK);
    let json = serde_json::to_vec_pretty(plan).expect("a plan is JSON");
    fs::write(&path, json).map_err(Failure::environment(
        path.display(),
        "write",
        "make the directory writable, or give --no-shrink",
    ))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let failure = |call| {
        Failure::environment::<std::io::Error>(path.display(), call, "give the directory of a round that was kept")
    };
    let text = fs::read(path).map_err(failure("read"))?;
    serde_json::from_slice(&text).map_err(|error| failure("parse")(error.into()))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies the regular files of a directory and of those in it. Where there is no such directory, there is nothing to copy.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let copied = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &copied)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), copied)?;
        }
    }
    Ok(())
}
