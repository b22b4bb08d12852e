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
        give_away(&self.directory)
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

/// Gives a file away, and what is in it.
fn give_away(path: &Path) -> io::Result<()> {
    give_to_nobody(path)?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path())?;
        }
    }
    Ok(())
}

/// What the log of a round holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    /// How many of its lines hold each event.
    pub(crate) entries: Vec<u64>,
    /// The first of those lines, in order.
    pub(crate) lines: Vec<String>,
    /// Whether it has anything in it.
    pub(crate) is_written: bool,
    /// Whether it is longer than what is looked through.
    pub(crate) is_too_long: bool,
}

/// How many lines of a log are shown, and how much of each.
const LINES_SHOWN: usize = 40;
const CHARS_SHOWN: usize = 120;

impl Log {
    /// Looks for the events.
    pub(crate) fn read(log: &Path, events: &[String]) -> io::Result<Self> {
        let mut read = Self { entries: vec![0; events.len()], ..Self::default() };
        let size = match fs::metadata(log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(read),
            status => status?.len(),
        };
        if size > LOG_BYTES_MAX {
            return Ok(Self { is_written: true, is_too_long: true, ..read });
        }
        let bytes = fs::read(log)?;
        read.is_written = !bytes.is_empty();
        for line in bytes.split(|&byte| byte == b'\n') {
            let mut is_entry = false;
            for (event, entries) in events.iter().zip(&mut read.entries) {
                let holds = memchr::memmem::find(line, event.as_bytes()).is_some();
                *entries += u64::from(holds);
                is_entry |= holds;
            }
            if is_entry && read.lines.len() < LINES_SHOWN {
                read.lines.push(String::from_utf8_lossy(line).chars().take(CHARS_SHOWN).collect());
            }
        }
        Ok(read)
    }
}
