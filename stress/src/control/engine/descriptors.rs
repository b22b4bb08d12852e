//! What the descriptors of a process are open on, as far as it was looked up.
//!
//! An entry is made when a descriptor is first used and dropped when it is closed, so that one that is given out again is
//! looked up again. What is open on a watched file is known from its opening on, and told apart from other openings of the
//! same file: with the last descriptor of an opening goes its lock.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::unistd::Pid;

use super::files::{Files, Identity, without_deletion};
use super::sockets::Sockets;

/// An open file description, in the words of POSIX.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) target: Target,
    /// Whether a flock(2) of it may be held.
    pub(super) is_locked: Cell<bool>,
}

/// What a descriptor is open on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A watched file or directory.
    File(Identity, PathBuf),
    /// A FIFO that copies share.
    Fifo(PathBuf),
    /// A pipe, by its number.
    Pipe(u64),
    /// A socket, by its number.
    Socket(u64),
    /// Where random bytes come from.
    Random,
    /// Something else that a read may wait for.
    Waiting,
    /// Something else.
    Other,
}

/// The descriptors of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Descriptors(HashMap<i32, Rc<Description>>);

impl Descriptors {
    /// What a descriptor is open on.
    pub(super) fn get(&mut self, thread: Pid, descriptor: i32, files: &Files) -> Rc<Description> {
        let find = || Rc::new(Description { target: look_up(thread, descriptor, files), is_locked: Cell::new(false) });
        self.0.entry(descriptor).or_insert_with(find).clone()
    }

    /// What it is open on, if that is known.
    pub(super) fn known(&self, descriptor: i32) -> Option<&Rc<Description>> {
        self.0.get(&descriptor)
    }

    /// A descriptor is open on this from here on.
    pub(super) fn put(&mut self, descriptor: i32, description: Rc<Description>) {
        self.0.insert(descriptor, description);
    }

    /// A descriptor is closed.
    pub(super) fn drop(&mut self, descriptor: i32) {
        self.0.remove(&descriptor);
    }

    /// All from one to another are closed.
    pub(super) fn drop_range(&mut self, first: i32, last: i32) {
        self.0.retain(|descriptor, _| !(first..=last).contains(descriptor));
    }

    /// Another program runs: of what was open only that is known which is watched and still open.
    pub(super) fn run_program(&mut self, thread: Pid) {
        self.0.retain(|descriptor, description| match &description.target {
            Target::File(_, path) | Target::Fifo(path) => {
                let link = fs::read_link(format!("/proc/{thread}/fd/{descriptor}"));
                link.is_ok_and(|link| without_deletion(&link) == path)
            }
            _ => false,
        });
    }

    /// The addresses of its sockets that others can reach.
    pub(super) fn addresses(&self, sockets: &Sockets) -> Vec<u64> {
        let address = |description: &Rc<Description>| match description.target {
            Target::Socket(socket) => sockets.address(socket),
            _ => None,
        };
        self.0.values().filter_map(address).collect()
    }

    /// What would be closed for good with these descriptors.
    pub(super) fn last(&self, is_meant: impl Fn(i32) -> bool) -> Vec<Rc<Description>> {
        let mut ended = Vec::<(Rc<Description>, usize)>::new();
        for (_, description) in self.0.iter().filter(|(descriptor, _)| is_meant(**descriptor)) {
            match ended.iter_mut().find(|(other, _)| Rc::ptr_eq(other, description)) {
                Some((_, count)) => *count += 1,
                None => ended.push((description.clone(), 1)),
            }
        }
        // One reference more is the list's own.
        let last = ended.into_iter().filter(|(description, count)| Rc::strong_count(description) == count + 1);
        last.map(|(description, _)| description).collect()
    }
}

fn look_up(thread: Pid, descriptor: i32, files: &Files) -> Target {
    let link = format!("/proc/{thread}/fd/{descriptor}");
    let Ok(path) = fs::read_link(&link) else { return Target::Other };
    let text = path.to_string_lossy();
    let number = |kind: &str| text.strip_prefix(kind).and_then(|rest| rest.strip_suffix(']')?.parse().ok());
    if let Some(pipe) = number("pipe:[") {
        return Target::Pipe(pipe);
    }
    if let Some(socket) = number("socket:[") {
        return Target::Socket(socket);
    }
    if text.starts_with("anon_inode:") {
        return Target::Waiting;
    }
    match &*text {
        "/dev/urandom" | "/dev/random" => return Target::Random,
        "/dev/null" | "/dev/zero" | "/dev/full" => return Target::Other,
        text if text.starts_with("/dev/") && !files.are_watched(&path) => return Target::Waiting,
        _ => {}
    }
    let path = without_deletion(&path);
    let Ok(status) = fs::metadata(&link) else { return Target::Other };
    open_on((status.dev(), status.ino()), status.file_type(), path, files)
}

/// What an open path is.
fn open_on(identity: Identity, kind: fs::FileType, path: &Path, files: &Files) -> Target {
    match (kind.is_fifo(), files.are_watched(path)) {
        (true, _) => Target::Fifo(path.to_owned()),
        (false, true) => Target::File(identity, path.to_owned()),
        (false, false) => Target::Other,
    }
}
