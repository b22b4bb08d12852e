//! Calls that name a file by its path.

use std::io;
use std::path::{Path, PathBuf};

use nix::libc;

use super::called::{Fate, Made};
use super::calls::{Kind, Place};
use super::execution::ProcessExecution;
use super::files::absolute;
use super::memory;
use super::pending::About;
use super::waiting::int;

/// Longer chains of links are not followed.
const LINKS_MAX: usize = 16;

impl ProcessExecution {
    /// Where relative paths begin.
    pub(super) fn here(&mut self, made: &Made) -> io::Result<PathBuf> {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        if process.directory.is_none() {
            process.directory = Some(std::fs::read_link(format!("/proc/{}/cwd", made.id))?);
        }
        Ok(process.directory.clone().unwrap_or_default())
    }

    /// The path that a call names; none where it names only a descriptor.
    pub(super) fn path(&mut self, made: &Made, place: Place) -> io::Result<Option<PathBuf>> {
        let path = memory::path(made.id, made.arguments[place.path])?;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        if path.is_absolute() {
            return Ok(Some(absolute(&path, &path)));
        }
        let from = match place.at.map(|place| int(made.arguments[place])) {
            None | Some(libc::AT_FDCWD) => self.here(made)?,
            Some(descriptor) => std::fs::read_link(format!("/proc/{}/fd/{descriptor}", made.id))?,
        };
        Ok(Some(absolute(&from, &path)))
    }

    pub(super) fn names(
        &mut self,
        made: &Made,
        place: Place,
        follows: bool,
        flags: i32,
        more: &str,
    ) -> io::Result<Fate> {
        let Some(mut path) = self.path(made, place)? else {
            return match place.at {
                Some(at) => self.opened(made, at, more),
                None => Ok(Fate::Passes),
            };
        };
        if !self.files.are_watched(&path) {
            return Ok(self.names_outside(made, &path, flags));
        }
        let label = format!("{}({}{more})", made.call.name, self.files.short(&path));
        let mut links = Vec::new();
        while follows && links.len() < LINKS_MAX {
            let Ok(to) = std::fs::read_link(&path) else { break };
            let from = path.parent().unwrap_or(&path).to_owned();
            links.push(std::mem::replace(&mut path, absolute(&from, &to)));
        }
        Ok(Fate::Steps(About::Path(path, links), flags, label))
    }

    /// A path that is not watched. Where one copy writes and another looks, they share what is not seen.
    fn names_outside(&mut self, made: &Made, path: &Path, flags: i32) -> Fate {
        if let Some(process) =
            path.to_str().and_then(|path| path.strip_prefix("/proc/")?.split('/').next()?.parse().ok())
        {
            let others = self.copies_of(made, process);
            let label = format!("{}({})", made.call.name, path.display());
            self.wants_own_ids |= !others.is_empty();
            return if others.is_empty() { Fate::Passes } else { Fate::Steps(About::Copies(others), 0, label) };
        }
        let is_opened = matches!(made.call.kind, Kind::Open(..));
        let writes = flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT) != 0
            || matches!(made.call.kind, Kind::Make(_) | Kind::Remove(_) | Kind::Rename(..) | Kind::Link(..));
        if path.starts_with("/dev") && !path.starts_with("/dev/shm") || !(is_opened || writes) {
            return Fate::Passes;
        }
        let uses = self.outside.entry(path.to_owned()).or_default();
        let bit = 1_u64 << (made.copy % 64);
        uses.opened_by |= bit;
        uses.is_written |= writes;
        if uses.is_written && uses.opened_by.count_ones() > 1 {
            self.doubts.insert(format!("{} is shared by copies and not watched", path.display()));
        }
        Fate::Passes
    }

    pub(super) fn renames(&mut self, made: &Made, from: Place, to: Place) -> io::Result<Fate> {
        let (Some(from), Some(to)) = (self.path(made, from)?, self.path(made, to)?) else {
            return Ok(Fate::Passes);
        };
        if !self.files.are_watched(&from) && !self.files.are_watched(&to) {
            self.names_outside(made, &from, 0);
            return Ok(self.names_outside(made, &to, 0));
        }
        let label = format!("{}({}, {})", made.call.name, self.files.short(&from), self.files.short(&to));
        Ok(Fate::Steps(About::Paths(from, to), 0, label))
    }
}

/// The flags of an open that matter, as a person would write them.
pub(super) fn open_flags(flags: i32) -> String {
    let mut text = match flags & libc::O_ACCMODE {
        libc::O_WRONLY => ", O_WRONLY",
        libc::O_RDWR => ", O_RDWR",
        _ => ", O_RDONLY",
    }
    .to_owned();
    let names = [
        (libc::O_CREAT, "|O_CREAT"),
        (libc::O_EXCL, "|O_EXCL"),
        (libc::O_TRUNC, "|O_TRUNC"),
        (libc::O_APPEND, "|O_APPEND"),
        (libc::O_DIRECTORY, "|O_DIRECTORY"),
    ];
    for (_, name) in names.iter().filter(|(flag, _)| flags & flag == *flag) {
        text.push_str(name);
    }
    text
}
