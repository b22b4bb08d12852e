//! The files that copies share: which they are, what they are called from execution to execution, and when they were changed
//! in virtual time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::explore::execution::Object;

use super::clock::BEGIN_NS;

/// A file by device and inode.
pub(super) type Identity = (u64, u64);

/// The watched directories and files, and what was seen in them.
#[derive(Debug)]
pub(super) struct Files {
    base: PathBuf,
    watched: Vec<PathBuf>,
    unordered: Vec<PathBuf>,
    known: HashMap<Identity, Known>,
    /// How many files were first seen under a name.
    namesakes: HashMap<String, u32>,
}

/// A watched file.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What it is called: the name under which it was first seen, and the how manieth of these it is.
    pub(super) name: String,
    /// The same as a number.
    pub(super) number: u64,
    /// When its bytes and when its status were changed last, since 1970.
    pub(super) modified_ns: u64,
    pub(super) changed_ns: u64,
    /// Whether nobody sees in which order lines are appended to it.
    pub(super) is_unordered: bool,
}

impl Files {
    /// Those below these paths; paths are told as seen from the base.
    pub(super) fn new(base: &Path, watched: &[PathBuf], unordered: &[PathBuf]) -> Self {
        let (watched, unordered) = (watched.to_vec(), unordered.to_vec());
        Self { base: base.to_owned(), watched, unordered, known: HashMap::new(), namesakes: HashMap::new() }
    }

    pub(super) fn are_watched(&self, path: &Path) -> bool {
        self.watched.iter().any(|watched| path.starts_with(watched))
    }

    /// A path as seen from the base.
    pub(super) fn short(&self, path: &Path) -> String {
        let short = path.strip_prefix(&self.base).unwrap_or(path);
        if short.as_os_str().is_empty() { ".".into() } else { short.display().to_string() }
    }

    /// What a path names.
    pub(super) fn name(&self, path: &Path) -> Object {
        Object::Name(number(self.short(path).as_bytes()))
    }

    /// The directory that a path names something in.
    pub(super) fn directory(&self, path: &Path) -> Object {
        Object::Directory(number(self.short(path.parent().unwrap_or(path)).as_bytes()))
    }

    /// The directory itself.
    pub(super) fn listed(&self, path: &Path) -> Object {
        Object::Directory(number(self.short(path).as_bytes()))
    }

    /// The names on the way to a path, as far as copies can change them.
    pub(super) fn way(&self, path: &Path) -> Vec<Object> {
        let ancestors = path.ancestors().skip(1).take_while(|ancestor| {
            self.watched.iter().any(|watched| ancestor.starts_with(watched) && ancestor != watched)
        });
        ancestors.map(|ancestor| self.name(ancestor)).collect()
    }

    /// A file that is there under a path.
    pub(super) fn known(&mut self, identity: Identity, path: &Path) -> &mut Known {
        if !self.known.contains_key(&identity) {
            self.name_anew(identity, path, BEGIN_NS);
        }
        self.known.get_mut(&identity).expect("it was just made known")
    }

    /// A file that has just been made under a path; one of the same number before is gone.
    pub(super) fn born(&mut self, identity: Identity, path: &Path, now_ns: u64) {
        self.name_anew(identity, path, now_ns);
    }

    fn name_anew(&mut self, identity: Identity, path: &Path, now_ns: u64) {
        let mut name = self.short(path);
        let namesakes = self.namesakes.entry(name.clone()).or_default();
        *namesakes += 1;
        if *namesakes > 1 {
            name = format!("{name}#{namesakes}");
        }
        let is_unordered = self.unordered.iter().any(|unordered| unordered == path);
        let number = number(name.as_bytes());
        self.known.insert(identity, Known { name, number, modified_ns: now_ns, changed_ns: now_ns, is_unordered });
    }
}

/// Which file is there under a path, if any.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|status| (status.dev(), status.ino()))
}

/// A path without `.` and `..`, from where relative ones begin.
pub(super) fn absolute(from: &Path, path: &Path) -> PathBuf {
    let mut absolute = if path.is_absolute() { PathBuf::new() } else { from.to_owned() };
    for component in path.components() {
        match component {
            Component::ParentDir => {
                absolute.pop();
            }
            Component::CurDir => {}
            part => absolute.push(part),
        }
    }
    absolute
}

/// A name as a number.
pub(super) fn number(name: &[u8]) -> u64 {
    xxh3_64(name)
}

/// The path of an open file that has no name any more, as it was.
pub(super) fn without_deletion(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    Path::new(OsStr::from_bytes(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots() {
        let check =
            |path: &str, expected: &str| assert_eq!(absolute(Path::new("/a/b"), Path::new(path)), Path::new(expected));
        check("c", "/a/b/c");
        check("./c/../d", "/a/b/d");
        check("../../../x", "/x");
        check("/x/./y/", "/x/y");
    }

    #[test]
    fn files_are_called_alike_in_all_executions_and_namesakes_are_told_apart() {
        let base = Path::new("/base");
        let mut files = Files::new(base, &[base.join("election")], &[]);
        let path = base.join("election/lock");
        assert_eq!(files.known((1, 7), &path).name, "election/lock");
        files.born((1, 9), &path, 5);
        assert_eq!(files.known((1, 9), &path).name, "election/lock#2");
        assert_eq!(files.known((1, 7), &base.join("election/other")).name, "election/lock", "it keeps its name");
        assert_eq!(files.way(&base.join("election/a/b/c")).len(), 2);
        assert!(!files.are_watched(&base.join("elections")));
    }
}
