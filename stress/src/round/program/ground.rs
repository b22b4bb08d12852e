//! The directory of a round: its election, its log, and what is counted in it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::command::give_to_nobody;
use super::registrant::Place;

/// More than this of a log is not looked through.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// The directory of a round.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) directory: PathBuf,
    election: PathBuf,
    log: PathBuf,
}

impl Ground {
    /// Makes it, below a directory of the campaign.
    pub(crate) fn new(base: &Path, name: &str) -> io::Result<Self> {
        let directory = base.join(name);
        let election = directory.join("election");
        fs::create_dir(&directory)?;
        fs::create_dir(&election)?;
        fs::set_permissions(&election, Permissions::from_mode(0o700))?;
        Ok(Self { log: directory.join("realtime.log"), directory, election })
    }

    /// Makes it one of an unprivileged user.
    pub(crate) fn give_away(&self) -> io::Result<()> {
        give_to_nobody(&self.election)?;
        give_to_nobody(&self.directory)
    }

    /// Makes the election directory one that cannot be written to.
    pub(crate) fn close(&self) -> io::Result<()> {
        fs::set_permissions(&self.election, Permissions::from_mode(0o500))
    }

    /// Where its registrants find their files.
    pub(crate) fn place(&self) -> Place<'_> {
        Place { directory: &self.election, log: &self.log }
    }

    /// Removes it.
    pub(crate) fn clear(&self) -> io::Result<()> {
        fs::set_permissions(&self.election, Permissions::from_mode(0o700))?;
        fs::remove_dir_all(&self.directory)
    }
}

/// Counts the lines of the log that hold each event.
pub(crate) fn count(log: &Path, events: &[String]) -> io::Result<(Vec<u64>, bool, bool)> {
    let mut entries = vec![0; events.len()];
    let size = match fs::metadata(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((entries, false, false)),
        status => status?.len(),
    };
    if size > LOG_BYTES_MAX {
        return Ok((entries, true, true));
    }
    let bytes = fs::read(log)?;
    for line in bytes.split(|&byte| byte == b'\n') {
        for (event, entries) in events.iter().zip(&mut entries) {
            *entries += u64::from(memchr::memmem::find(line, event.as_bytes()).is_some());
        }
    }
    Ok((entries, !bytes.is_empty(), false))
}
