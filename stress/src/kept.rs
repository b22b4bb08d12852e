//! The directory of a violated round: its plan, its files, what each instance did, and the story of it.
//!
//! `plan.json` runs it again; `election/` and `past/` are its files; `history.jsonl` has what the instances did and
//! believed; `story.txt` tells it.

use std::fs;
use std::path::Path;

use crate::exit::Failure;
use crate::plan::Plan;
use crate::round::Rig;

/// Keeps a round whose files are still there.
pub(crate) fn keep(directory: &Path, plan: &Plan, rig: &Rig, story: &str, history: &[u8]) -> Result<(), Failure> {
    let keep = || -> std::io::Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("plan.json"), serde_json::to_vec_pretty(plan)?)?;
        fs::write(directory.join("story.txt"), story)?;
        fs::write(directory.join("history.jsonl"), history)?;
        copy(rig.directory(), &directory.join("election"))?;
        copy(rig.past(), &directory.join("past"))
    };
    keep().map_err(Failure::environment(
        directory.display(),
        "keeping a violated round",
        "give another place by --keep",
    ))
}

/// The plan of a round that was kept.
pub(crate) fn plan(directory: &Path) -> Result<Plan, Failure> {
    let path = directory.join("plan.json");
    let failure = |call| {
        Failure::environment::<std::io::Error>(path.display(), call, "give the directory of a round that was kept")
    };
    let text = fs::read(&path).map_err(failure("read"))?;
    serde_json::from_slice(&text).map_err(|error| failure("parse")(error.into()))
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
