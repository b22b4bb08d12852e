//! A call that copies can see, before it takes place: what it is about, what it may use and what it has used.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::libc;

use crate::explore::execution::{Access, Footprint, Object};

use super::calls::{Call, Kind};
use super::descriptors::{Description, Target};
use super::files::{Files, Identity, identity, number};
use super::registers::Registers;

/// A call, and where its thread stands with it.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) call: &'static Call,
    pub(super) registers: Registers,
    pub(super) about: About,
    /// The flags of an open, the operation of a lock, the signal.
    pub(super) flags: i32,
    /// As a person would write it.
    pub(super) label: String,
    /// Whether it is a lock that another was seen to hold.
    pub(super) is_blocked: bool,
    /// Whether its thread stands behind it, as it was refused the lock, and is to make it again.
    pub(super) was_refused: bool,
    /// What its paths named right before it, and whether the first was a FIFO.
    pub(super) found: [Option<Identity>; 2],
    pub(super) found_fifo: bool,
}

/// What a call is about.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// What a path names, after those links that lead to it.
    Path(PathBuf, Vec<PathBuf>),
    Paths(PathBuf, PathBuf),
    /// An open file or FIFO.
    Open(Rc<Description>),
    /// From one to another, as far as they are watched.
    Between(Option<Rc<Description>>, Option<Rc<Description>>),
    /// The standard output of a copy.
    Print(u16),
    /// A socket's address, and its name in the file system.
    Address(u64, Option<PathBuf>),
    /// Whether these copies are there.
    Copies(Vec<u16>),
    /// Locks, addresses and FIFOs that go with descriptors that are closed.
    Let(Vec<Object>),
    /// The end of a process, and what goes with it; of a copy, if it is its first.
    End(Option<u16>, Vec<Object>),
}

impl Pending {
    /// Looks what the paths name right now.
    pub(super) fn look(&mut self) {
        self.found = match &self.about {
            About::Path(path, _) => {
                let status = fs::symlink_metadata(path).ok();
                self.found_fifo = status.as_ref().is_some_and(|status| status.file_type().is_fifo());
                [status.map(|status| (status.dev(), status.ino())), None]
            }
            About::Address(_, Some(path)) => [identity(path), None],
            About::Paths(from, to) => [identity(from), identity(to)],
            _ => [None, None],
        };
    }

    /// Whether it may wait for another, in the kernel.
    pub(super) fn may_wait(&self) -> bool {
        match (&self.about, self.call.kind) {
            (About::Open(open), _) => matches!(open.target, Target::Fifo(_)),
            (About::Path(..), Kind::Open(..)) => self.found_fifo,
            (About::Print(_), _) => true,
            (About::Address(..), Kind::Accept | Kind::Connect | Kind::Exchange) => true,
            (About::Address(..), Kind::ReadSome(..) | Kind::Read(_) | Kind::Write(_) | Kind::WriteSome(..)) => true,
            _ => false,
        }
    }

    /// The signal that ends its process; zero where that ends of its own accord.
    pub(super) fn signal(&self) -> i32 {
        if matches!(self.call.kind, Kind::Exit | Kind::ExitAll) { 0 } else { self.flags }
    }

    /// Whether it waits for a lock.
    pub(super) fn waits_for_lock(&self) -> bool {
        match self.call.kind {
            Kind::Flock => self.flags & (libc::LOCK_NB | libc::LOCK_UN) == 0,
            Kind::Fcntl => [libc::F_SETLKW, libc::F_OFD_SETLKW].contains(&self.flags),
            _ => false,
        }
    }

    /// The registers with which the call is made: one that waits for a lock does not.
    pub(super) fn made_with(&self) -> Registers {
        let [_, operation, ..] = self.registers.arguments();
        match self.call.kind {
            Kind::Flock => self.registers.with_argument(1, operation | u64::from(libc::LOCK_NB.unsigned_abs())),
            Kind::Fcntl if self.flags == libc::F_SETLKW => {
                self.registers.with_argument(1, u64::from(libc::F_SETLK.unsigned_abs()))
            }
            Kind::Fcntl if self.flags == libc::F_OFD_SETLKW => {
                self.registers.with_argument(1, u64::from(libc::F_OFD_SETLK.unsigned_abs()))
            }
            _ => self.registers,
        }
    }

    /// What it has used with this result; before it has one, all that it may use.
    pub(super) fn footprint(&self, files: &mut Files, result: Option<i64>) -> Footprint {
        let mut footprint = Footprint::default();
        match &self.about {
            About::Path(path, links) => {
                for link in links {
                    footprint.add(files.name(link), Access::Read);
                }
                self.named(path, files, result, &mut footprint);
            }
            About::Paths(from, to) => self.renamed(from, to, files, result, &mut footprint),
            About::Open(open) => self.opened(open, files, result, &mut footprint),
            About::Between(from, to) => {
                for (open, reads) in [(from, true), (to, false)] {
                    if let Some(open) = open {
                        let access = if reads { Access::Read } else { Access::Write };
                        contents(open, access, files, &mut footprint);
                    }
                }
            }
            About::Print(copy) => footprint.add(printed(*copy), Access::Write),
            About::Address(address, path) => {
                footprint.add(Object::Socket(*address), Access::Write);
                if let Some(path) = path {
                    let binds = matches!(self.call.kind, Kind::Bind) && result.is_none_or(|result| result >= 0);
                    footprint.add(files.name(path), if binds { Access::Write } else { Access::Read });
                    if binds {
                        footprint.add(files.directory(path), Access::Write);
                    }
                }
            }
            About::Copies(copies) => {
                let access = if self.flags == 0 { Access::Read } else { Access::Write };
                for copy in copies {
                    footprint.add(Object::Process(*copy), access);
                }
            }
            About::Let(objects) | About::End(None, objects) => {
                for object in objects {
                    footprint.add(*object, Access::Write);
                }
            }
            About::End(Some(copy), objects) => {
                footprint.add(Object::Process(*copy), Access::Write);
                for object in objects {
                    footprint.add(*object, Access::Write);
                }
            }
        }
        footprint
    }

    fn named(&self, path: &Path, files: &mut Files, result: Option<i64>, footprint: &mut Footprint) {
        let (can_succeed, found) = (result.is_none_or(|result| result >= 0), self.found[0]);
        for way in files.way(path) {
            footprint.add(way, Access::Read);
        }
        let changes_name = can_succeed
            && match self.call.kind {
                Kind::Open(..) => self.flags & libc::O_CREAT != 0 && found.is_none(),
                Kind::Make(_) | Kind::Remove(_) => true,
                _ => false,
            };
        footprint.add(files.name(path), if changes_name { Access::Write } else { Access::Read });
        if changes_name {
            footprint.add(files.directory(path), Access::Write);
        }
        let Some(found) = found else { return };
        let file = files.known(found, path).number;
        let (attributes, bytes) = (Object::Attributes(file), Object::Contents(file));
        match self.call.kind {
            Kind::Open(..) => {
                footprint.add(attributes, Access::Read);
                if can_succeed && self.flags & libc::O_TRUNC != 0 {
                    footprint.add(bytes, Access::Write);
                }
            }
            Kind::Look(_) => footprint.add(attributes, Access::Read),
            Kind::Status(..) => {
                footprint.add(attributes, Access::Read);
                footprint.add(bytes, Access::Read);
            }
            Kind::Remove(_) if can_succeed => {
                footprint.add(attributes, Access::Write);
                // One that is not empty stays.
                footprint.add(files.listed(path), Access::Read);
            }
            Kind::Remove(_) => footprint.add(files.listed(path), Access::Read),
            Kind::Change(_) | Kind::Times(..) => footprint.add(attributes, Access::Write),
            Kind::Truncate(_) => footprint.add(bytes, Access::Write),
            _ => {}
        }
        if matches!(self.call.kind, Kind::Times(..)) {
            footprint.add(bytes, Access::Write);
        }
    }

    fn renamed(&self, from: &Path, to: &Path, files: &mut Files, result: Option<i64>, footprint: &mut Footprint) {
        let can_succeed = result.is_none_or(|result| result >= 0);
        let (access, is_link) =
            (if can_succeed { Access::Write } else { Access::Read }, matches!(self.call.kind, Kind::Link(..)));
        for path in [from, to] {
            for way in files.way(path) {
                footprint.add(way, Access::Read);
            }
        }
        footprint.add(files.name(from), if is_link { Access::Read } else { access });
        footprint.add(files.name(to), access);
        if can_succeed {
            footprint.add(files.directory(to), Access::Write);
            if !is_link {
                footprint.add(files.directory(from), Access::Write);
            }
        }
        for (path, found) in [(from, self.found[0]), (to, self.found[1])] {
            if let Some(found) = found {
                footprint.add(Object::Attributes(files.known(found, path).number), access);
            }
        }
    }

    fn opened(&self, open: &Description, files: &mut Files, result: Option<i64>, footprint: &mut Footprint) {
        let Target::File(identity, path) = &open.target else {
            contents(open, Access::Write, files, footprint);
            return;
        };
        let file = files.known(*identity, path).number;
        let can_succeed = result.is_none_or(|result| result >= 0);
        match self.call.kind {
            Kind::Read(_) | Kind::ReadSome(..) | Kind::Seek(_) => contents(open, Access::Read, files, footprint),
            Kind::Write(_) | Kind::WriteSome(..) | Kind::Resize(_) if can_succeed => {
                contents(open, Access::Write, files, footprint);
            }
            Kind::Sync(_) => {}
            Kind::List(_) => footprint.add(files.listed(path), Access::Read),
            Kind::StatusOf(..) | Kind::Status(..) => {
                footprint.add(Object::Attributes(file), Access::Read);
                footprint.add(Object::Contents(file), Access::Read);
            }
            Kind::ChangeOf(_) | Kind::Times(..) if can_succeed => {
                footprint.add(Object::Attributes(file), Access::Write);
                footprint.add(Object::Contents(file), Access::Write);
            }
            Kind::Flock | Kind::Fcntl => {
                let access = if can_succeed { Access::Write } else { Access::Read };
                footprint.add(Object::Lock(file), access);
            }
            _ => {}
        }
    }

    /// The call with its result, as a person would write it.
    pub(super) fn told(&self, result: i64) -> String {
        match error_of(result) {
            Some(error) => format!("{} = {error:?}", self.label),
            None => format!("{} = {result}", self.label),
        }
    }
}

/// The bytes of an open file, or what is in a FIFO.
fn contents(open: &Description, access: Access, files: &mut Files, footprint: &mut Footprint) {
    match &open.target {
        Target::File(identity, path) => {
            let known = files.known(*identity, path);
            let access = if access == Access::Write && known.is_unordered { Access::Add } else { access };
            footprint.add(Object::Contents(known.number), access);
        }
        Target::Fifo(path) => footprint.add(fifo(path, files), Access::Write),
        _ => {}
    }
}

/// A FIFO.
pub(super) fn fifo(path: &Path, files: &Files) -> Object {
    Object::Pipe(number(files.short(path).as_bytes()))
}

/// What a copy prints.
pub(super) fn printed(copy: u16) -> Object {
    Object::Pipe(number(format!("printed by {copy}").as_bytes()))
}

/// What all threads and children of a copy have in common, and no call tells: their memory, their pipes, their order.
pub(super) fn within(copy: u16) -> Object {
    Object::Pipe(number(format!("within {copy}").as_bytes()))
}

/// The error that a result stands for.
pub(super) fn error_of(result: i64) -> Option<Errno> {
    let number = i32::try_from(result).ok()?.checked_neg()?;
    (1..4096).contains(&number).then(|| Errno::from_raw(number))
}
