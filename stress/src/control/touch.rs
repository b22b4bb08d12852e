//! Whether a system call that a followed thread is about to make concerns what copies of a program elect over.
#![allow(unsafe_code, reason = "what the kernel tells of a system call is a union")]

mod calls;
mod memory;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

pub(crate) use self::calls::Effect;
use self::calls::{Names, call};

/// A call that concerns what is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) call: &'static str,
    /// The file, as seen from the election directory where it is in it.
    pub(crate) file: String,
    pub(crate) effect: Effect,
}

impl fmt::Display for Touch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", self.call, self.file)
    }
}

/// What a thread is at when it stops for a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is about to make a call, which may be a touch.
    Entry(Option<Touch>),
    /// It has made one, with this result; errors are negative.
    Exit(i64),
}

/// The election directory, and whatever else a program is said to elect over.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// Each as it was given and as the kernel has it. The first is the election directory.
    roots: Vec<(PathBuf, PathBuf)>,
    /// Names of abstract sockets.
    abstract_names: Vec<Vec<u8>>,
}

impl Watched {
    /// The directory, and beside it paths and, behind an `@`, names of abstract sockets.
    pub(crate) fn new(directory: &Path, others: &[String]) -> io::Result<Self> {
        let mut watched =
            Self { roots: vec![(directory.to_owned(), fs::canonicalize(directory)?)], abstract_names: Vec::new() };
        for other in others {
            if let Some(name) = other.strip_prefix('@') {
                watched.abstract_names.push(name.as_bytes().to_vec());
            } else {
                let given = lexical(&std::path::absolute(other)?);
                watched.roots.push((given.clone(), real(&given)));
            }
        }
        Ok(watched)
    }

    /// What a thread that has stopped for a system call is at.
    pub(crate) fn stage(&self, thread: Pid) -> io::Result<Option<Stage>> {
        let info = ptrace::syscall_info(thread)?;
        Ok(match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: `op` says that the kernel has filled in this variant.
                let entry = unsafe { info.u.entry };
                let number = i64::try_from(entry.nr).unwrap_or(-1);
                Some(Stage::Entry(self.touch(thread, number, &entry.args)))
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: `op` says that the kernel has filled in this variant.
                Some(Stage::Exit(unsafe { info.u.exit }.sval))
            }
            _ => None,
        })
    }

    fn touch(&self, thread: Pid, number: i64, arguments: &[u64; 6]) -> Option<Touch> {
        let (name, names, effect) = call(number, thread, arguments)?;
        let file = names.iter().find_map(|names| self.named(thread, *names, arguments))?;
        Some(Touch { call: name, file, effect })
    }

    /// The watched file that a call names, if it names one.
    fn named(&self, thread: Pid, names: Names, arguments: &[u64; 6]) -> Option<String> {
        match names {
            Names::Descriptor(place) => self.opened(thread, arguments[place]),
            Names::Path(place) => {
                let path = memory::path(thread, arguments[place])?;
                self.seen(&if path.is_absolute() { path } else { link(thread, "cwd")?.join(path) })
            }
            Names::At(directory, place) | Names::AtOrItself(directory, place) => {
                let path = memory::path(thread, arguments[place]).unwrap_or_default();
                if path.is_absolute() {
                    self.seen(&path)
                } else if !path.as_os_str().is_empty() {
                    self.seen(&descriptor(thread, arguments[directory])?.join(path))
                } else if matches!(names, Names::AtOrItself(..)) {
                    self.opened(thread, arguments[directory])
                } else {
                    // The status of an open file decides nothing, and some programs ask for it each time.
                    None
                }
            }
            Names::Address(address, length) => {
                let address = memory::socket_address(thread, arguments[address], arguments[length])?;
                if let Some((0, name)) = address.split_first() {
                    return self.abstract_name(name);
                }
                let end = address.iter().position(|&byte| byte == 0).unwrap_or(address.len());
                let path = Path::new(OsStr::from_bytes(&address[..end]));
                self.seen(&if path.is_absolute() { path.to_owned() } else { link(thread, "cwd")?.join(path) })
            }
        }
    }

    /// The watched file that a descriptor is open on; of a socket, the one that it is bound to.
    fn opened(&self, thread: Pid, number: u64) -> Option<String> {
        let path = descriptor(thread, number)?;
        let Some(inode) = path.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')) else {
            return self.seen(&path);
        };
        // Num RefCount Protocol Flags Type St Inode Path
        let sockets = String::from_utf8_lossy(&fs::read(format!("/proc/{thread}/net/unix")).ok()?).into_owned();
        let line = sockets.lines().find(|line| line.split_ascii_whitespace().nth(6) == Some(inode))?;
        let (_, name) = line.split_once(&format!(" {inode} "))?;
        match name.strip_prefix('@') {
            Some(name) => self.abstract_name(name.as_bytes()),
            None => self.seen(Path::new(name)),
        }
    }

    fn abstract_name(&self, name: &[u8]) -> Option<String> {
        let is_watched = self.abstract_names.iter().any(|watched| watched == name);
        is_watched.then(|| format!("@{}", String::from_utf8_lossy(name)))
    }

    /// A path as it is told, if it is watched.
    fn seen(&self, path: &Path) -> Option<String> {
        let path = lexical(path);
        let path = if self.holds(&path) { path } else { real(&path) };
        if !self.holds(&path) {
            return None;
        }
        let (given, kernel) = &self.roots[0];
        let short = path.strip_prefix(given).or_else(|_| path.strip_prefix(kernel)).unwrap_or(&path);
        Some(if short.as_os_str().is_empty() { ".".into() } else { short.display().to_string() })
    }

    fn holds(&self, path: &Path) -> bool {
        self.roots.iter().any(|(given, real)| path.starts_with(given) || path.starts_with(real))
    }
}

/// A path without `.` and `..`, which are taken at their word.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            component => plain.push(component),
        }
    }
    plain
}

/// A path as the kernel has it: links on the way are followed, and one at its end is not.
fn real(path: &Path) -> PathBuf {
    let real = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    real().unwrap_or_else(|| path.to_owned())
}

/// What a descriptor is open on.
#[expect(clippy::cast_possible_truncation, reason = "a descriptor is an int in the lower half of its register")]
fn descriptor(thread: Pid, descriptor: u64) -> Option<PathBuf> {
    let descriptor = (descriptor as u32).cast_signed();
    if descriptor == libc::AT_FDCWD { link(thread, "cwd") } else { link(thread, &format!("fd/{descriptor}")) }
}

fn link(thread: Pid, name: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{thread}/{name}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_however_they_are_written() {
        let base = tempfile::tempdir().expect("a directory");
        let directory = base.path().join("election");
        fs::create_dir(&directory).expect("room");
        std::os::unix::fs::symlink(&directory, base.path().join("link")).expect("room");
        let outside = base.path().join("run/x.pid");
        let watched = Watched::new(&directory, &[outside.display().to_string(), "@name".into()]).expect("it is there");
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(watched.seen(&base.path().join(path)).as_deref(), expected, "{path}");
        };
        check("election/lock", Some("lock"));
        check("election", Some("."));
        check("election/../election/./a/b", Some("a/b"));
        check("link/lock", Some("lock"));
        check("elections/lock", None);
        check("election/../other", None);
        check("run/x.pid", Some(&outside.display().to_string()));
        check("run/y.pid", None);
        assert_eq!(watched.abstract_name(b"name").as_deref(), Some("@name"));
        assert_eq!(watched.abstract_name(b"names"), None);
    }
}
