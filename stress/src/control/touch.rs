//! Whether a system call that a followed thread is about to make concerns files below a directory.
#![allow(unsafe_code, reason = "what the kernel tells of a system call is a union")]

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// Where among its arguments a call names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// By a path.
    Path(usize),
    /// By the descriptor of a directory and a path below it.
    At(usize, usize),
    /// By a descriptor.
    Descriptor(usize),
}

/// The directory by its path as it was given and by the one that the kernel has for it.
#[derive(Debug)]
pub(crate) struct Watched {
    given: PathBuf,
    real: PathBuf,
}

impl Watched {
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { given: directory.to_owned(), real: fs::canonicalize(directory)? })
    }

    /// What a thread that has stopped at a system call is about to do to the directory: the call and the file. Nothing
    /// where it does nothing to it, or has already done so.
    pub(crate) fn touch(&self, thread: Pid) -> io::Result<Option<String>> {
        let info = ptrace::syscall_info(thread)?;
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return Ok(None);
        }
        // SAFETY: `op` says that the kernel has filled in this variant.
        let entry = unsafe { info.u.entry };
        let Some((call, names)) = i64::try_from(entry.nr).ok().and_then(|number| call(number, entry.args[1])) else {
            return Ok(None);
        };
        Ok(names.iter().find_map(|names| {
            let path = named(thread, *names, &entry.args)?;
            self.holds(&path).then(|| format!("{call}({})", self.short(&path).display()))
        }))
    }

    fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.given) || path.starts_with(&self.real)
    }

    /// A path as seen from the directory.
    fn short<'a>(&self, path: &'a Path) -> &'a Path {
        let short = path.strip_prefix(&self.given).or_else(|_| path.strip_prefix(&self.real)).unwrap_or(path);
        if short.as_os_str().is_empty() { Path::new(".") } else { short }
    }
}

/// The calls that look at files or change them, by their numbers: their names, and where they name a file.
fn call(number: i64, second: u64) -> Option<(&'static str, &'static [Names])> {
    use Names::{At, Descriptor, Path};
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_open => return Some(("open", &[Path(0)])),
        libc::SYS_creat => return Some(("creat", &[Path(0)])),
        libc::SYS_stat => return Some(("stat", &[Path(0)])),
        libc::SYS_lstat => return Some(("lstat", &[Path(0)])),
        libc::SYS_access => return Some(("access", &[Path(0)])),
        libc::SYS_mkdir => return Some(("mkdir", &[Path(0)])),
        libc::SYS_rmdir => return Some(("rmdir", &[Path(0)])),
        libc::SYS_unlink => return Some(("unlink", &[Path(0)])),
        libc::SYS_rename => return Some(("rename", &[Path(0), Path(1)])),
        libc::SYS_link => return Some(("link", &[Path(0), Path(1)])),
        libc::SYS_symlink => return Some(("symlink", &[Path(1)])),
        libc::SYS_readlink => return Some(("readlink", &[Path(0)])),
        libc::SYS_renameat => return Some(("renameat", &[At(0, 1), At(2, 3)])),
        _ => {}
    }
    Some(match number {
        libc::SYS_openat => ("openat", &[At(0, 1)]),
        libc::SYS_openat2 => ("openat2", &[At(0, 1)]),
        libc::SYS_newfstatat => ("newfstatat", &[At(0, 1)]),
        libc::SYS_statx => ("statx", &[At(0, 1)]),
        libc::SYS_faccessat => ("faccessat", &[At(0, 1)]),
        libc::SYS_faccessat2 => ("faccessat2", &[At(0, 1)]),
        libc::SYS_mkdirat => ("mkdirat", &[At(0, 1)]),
        libc::SYS_unlinkat => ("unlinkat", &[At(0, 1)]),
        libc::SYS_renameat2 => ("renameat2", &[At(0, 1), At(2, 3)]),
        libc::SYS_linkat => ("linkat", &[At(0, 1), At(2, 3)]),
        libc::SYS_symlinkat => ("symlinkat", &[At(1, 2)]),
        libc::SYS_readlinkat => ("readlinkat", &[At(0, 1)]),
        libc::SYS_truncate => ("truncate", &[Path(0)]),
        libc::SYS_flock => ("flock", &[Descriptor(0)]),
        libc::SYS_fcntl if is_lock(second) => ("fcntl", &[Descriptor(0)]),
        libc::SYS_read => ("read", &[Descriptor(0)]),
        libc::SYS_pread64 => ("pread64", &[Descriptor(0)]),
        libc::SYS_write => ("write", &[Descriptor(0)]),
        libc::SYS_pwrite64 => ("pwrite64", &[Descriptor(0)]),
        libc::SYS_writev => ("writev", &[Descriptor(0)]),
        libc::SYS_ftruncate => ("ftruncate", &[Descriptor(0)]),
        libc::SYS_fsync => ("fsync", &[Descriptor(0)]),
        libc::SYS_fdatasync => ("fdatasync", &[Descriptor(0)]),
        libc::SYS_getdents64 => ("getdents64", &[Descriptor(0)]),
        _ => return None,
    })
}

/// Whether a command of fcntl(2) takes or gives up a lock.
fn is_lock(command: u64) -> bool {
    let locks = [libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_SETLK, libc::F_OFD_SETLKW];
    i32::try_from(command).is_ok_and(|command| locks.contains(&command))
}

/// The file that a call names.
fn named(thread: Pid, names: Names, arguments: &[u64; 6]) -> Option<PathBuf> {
    match names {
        Names::Descriptor(place) => descriptor(thread, arguments[place]),
        Names::Path(place) => {
            let path = text(thread, arguments[place])?;
            if path.is_absolute() { Some(path) } else { Some(link(thread, "cwd")?.join(path)) }
        }
        Names::At(directory, place) => {
            let path = text(thread, arguments[place])?;
            if path.as_os_str().is_empty() {
                // The status of an open file decides nothing, and some programs ask for it each time.
                None
            } else if path.is_absolute() {
                Some(path)
            } else {
                Some(descriptor(thread, arguments[directory])?.join(path))
            }
        }
    }
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

/// The text at an address of a thread, up to its zero.
fn text(thread: Pid, address: u64) -> Option<PathBuf> {
    const STEP: u64 = 256;
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let (mut text, mut at) = (Vec::new(), address);
    while text.len() < libc::PATH_MAX as usize {
        // No step crosses into a page that may not be there.
        let mut step = vec![0; usize::try_from(STEP - at % STEP).ok()?];
        memory.read_exact_at(&mut step, at).ok()?;
        at += step.len() as u64;
        match step.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend_from_slice(&step[..end]);
                return Some(PathBuf::from(std::ffi::OsString::from_vec(text)));
            }
            None => text.append(&mut step),
        }
    }
    None
}
