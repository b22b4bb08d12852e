//! Files that a run is exported to: opened before it, so that what cannot be written is known at once, and replaced as a
//! whole after it.

use std::error::Error;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A place that a run is exported to.
#[derive(Debug)]
pub enum Export {
    /// Standard output, for `-`.
    Stdout,
    /// What is no regular file, such as a pipe: written to and never replaced.
    Special {
        /// Where it is.
        path: PathBuf,
        /// It, open.
        file: File,
    },
    /// A file, which stays as it is until [`Export::finish`].
    File {
        /// Where it is.
        path: PathBuf,
        /// What is to take its place.
        new: NamedTempFile,
    },
}

/// Why nothing can be exported to a place.
#[derive(Debug)]
pub struct Unwritable {
    /// The path, or standard output.
    pub place: String,
    /// The system call that failed.
    pub call: &'static str,
    /// What it said.
    pub source: std::io::Error,
    /// What a person can do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, call, source, remedy } = self;
        write!(formatter, "{place}: {call}: {source}; {remedy}")
    }
}

impl Error for Unwritable {}

impl Export {
    /// Opens it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn open(path: &Path) -> Result<Self, Unwritable> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let failure = |source| Unwritable {
            place: path.display().to_string(),
            call: "open",
            source,
            remedy: "give a file in a directory that you may write to",
        };
        if path.symlink_metadata().is_ok_and(|status| !status.is_file()) {
            let file = File::options().write(true).open(path).map_err(failure)?;
            return Ok(Self::Special { path: path.to_owned(), file });
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any other new file, it is everyone's to read unless the umask says otherwise.
        let permissions = Permissions::from_mode(0o666);
        let new = tempfile::Builder::new().permissions(permissions).tempfile_in(parent).map_err(failure)?;
        Ok(Self::File { path: path.to_owned(), new })
    }

    /// Writes it, in place of what is there.
    ///
    /// # Errors
    /// Where that fails; a file then stays as it was.
    pub fn write(mut self, bytes: &[u8]) -> Result<(), Unwritable> {
        self.append(bytes)?;
        self.finish()
    }

    /// Writes a part of it.
    ///
    /// # Errors
    /// Where that fails.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Unwritable> {
        match self {
            Self::Stdout => {
                let mut stdout = std::io::stdout().lock();
                let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
                written.map_err(failure(Path::new("standard output"), "write"))
            }
            Self::Special { path, file } => file.write_all(bytes).map_err(failure(path, "write")),
            Self::File { path, new } => new.write_all(bytes).map_err(failure(path, "write")),
        }
    }

    /// Puts what was written in the place of what is there.
    ///
    /// # Errors
    /// Where that fails; a file then stays as it was.
    pub fn finish(self) -> Result<(), Unwritable> {
        if let Self::File { path, new } = self {
            new.persist(&path).map_err(|error| failure(&path, "rename")(error.error))?;
        }
        Ok(())
    }
}

fn failure(path: &Path, call: &'static str) -> impl FnOnce(std::io::Error) -> Unwritable {
    let place = path.display().to_string();
    move |source| Unwritable { place, call, source, remedy: "free space there, or keep its reader open" }
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
