//! Files that a run is exported to: opened before it, so that what cannot be written is known at once, and replaced as a
//! whole after it.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::exit::Failure;

/// A place that a run is exported to.
#[derive(Debug)]
pub(crate) enum Export {
    /// Standard output, for `-`.
    Stdout,
    /// What is no regular file, such as a pipe: written to and never replaced.
    Special { path: PathBuf, file: File },
    /// A file, which stays as it is until [`Export::write`].
    File { path: PathBuf, new: NamedTempFile },
}

impl Export {
    /// Opens it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let failure =
            || Failure::environment(path.display(), "open", "give a file in a directory that you may write to");
        if std::fs::symlink_metadata(path).is_ok_and(|status| !status.is_file()) {
            let file = File::options().write(true).open(path).map_err(failure())?;
            return Ok(Self::Special { path: path.to_owned(), file });
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let permissions = Permissions::from_mode(0o666);
        let new = tempfile::Builder::new().permissions(permissions).tempfile_in(parent).map_err(failure())?;
        Ok(Self::File { path: path.to_owned(), new })
    }

    /// Writes it, in place of what is there.
    pub(crate) fn write(mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.append(bytes)?;
        self.finish()
    }

    /// Writes a part of it.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let mut stdout = std::io::stdout().lock();
                stdout
                    .write_all(bytes)
                    .and_then(|()| stdout.flush())
                    .map_err(failure(Path::new("standard output"), "write"))
            }
            Self::Special { path, file } => file.write_all(bytes).map_err(failure(path, "write")),
            Self::File { path, new } => new.write_all(bytes).map_err(failure(path, "write")),
        }
    }

    /// Puts what was written in the place of what is there.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if let Self::File { path, new } = self {
            new.persist(&path).map_err(|error| failure(&path, "rename")(error.error))?;
        }
        Ok(())
    }
}

fn failure(path: &Path, call: &'static str) -> impl FnOnce(std::io::Error) -> Failure {
    Failure::environment(path.display(), call, "free space there, or keep its reader open")
}

/// Writes a report as JSON to a file, which appears whole or not at all, or to stdout for `-`.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn json(target: &Path, report: &impl Serialize) -> Result<(), Failure> {
    let remedy = "report this: it is no JSON";
    let mut bytes = serde_json::to_vec_pretty(report)
        .map_err(|error| Failure::environment::<std::io::Error>(target.display(), "write", remedy)(error.into()))?;
    bytes.push(b'\n');
    Export::open(target)?.write(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_when_it_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("report.json");
        std::fs::write(&path, "old").expect("a file");
        let export = Export::open(&path).expect("a place to write");
        drop(export);
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "old");
        Export::open(&path).and_then(|export| export.write(b"new")).expect("room");
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "new");
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1);
        for unwritable in [directory.path().to_owned(), directory.path().join("none/report.json")] {
            let failure = Export::open(&unwritable).expect_err("no place to write");
            assert!(failure.to_string().starts_with(&unwritable.display().to_string()), "{failure}");
        }
        Export::open(Path::new("/dev/null")).and_then(|export| export.write(b"gone")).expect("it takes anything");
    }
}
