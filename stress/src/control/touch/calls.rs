//! The calls that look at files or change them, by their numbers.

use nix::libc;
use nix::unistd::Pid;

use super::memory;

/// Where among its arguments a call names a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// By a path.
    Path(usize),
    /// By the descriptor of a directory and a path below it.
    At(usize, usize),
    /// The same; where there is no path, it is about the descriptor.
    AtOrItself(usize, usize),
    /// By a descriptor.
    Descriptor(usize),
    /// By the address of a socket and its length.
    Address(usize, usize),
}

/// What a call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Looks,
    Changes,
    /// The file has another name, or none, afterwards.
    Removes,
}

/// A call: its name, where it names files, and what it does to them; nothing for those that are about no file.
pub(super) fn call(number: i64, thread: Pid, arguments: &[u64; 6]) -> Option<(&'static str, &'static [Names], Effect)> {
    use Effect::{Changes, Looks, Removes};
    use Names::{Address, At, AtOrItself, Descriptor, Path};
    #[cfg(target_arch = "x86_64")]
    match number {
        libc::SYS_open => return Some(("open", &[Path(0)], opening(arguments[1]))),
        libc::SYS_creat => return Some(("creat", &[Path(0)], Changes)),
        libc::SYS_stat => return Some(("stat", &[Path(0)], Looks)),
        libc::SYS_lstat => return Some(("lstat", &[Path(0)], Looks)),
        libc::SYS_access => return Some(("access", &[Path(0)], Looks)),
        libc::SYS_readlink => return Some(("readlink", &[Path(0)], Looks)),
        libc::SYS_mkdir => return Some(("mkdir", &[Path(0)], Changes)),
        libc::SYS_mknod => return Some(("mknod", &[Path(0)], Changes)),
        libc::SYS_rmdir => return Some(("rmdir", &[Path(0)], Removes)),
        libc::SYS_unlink => return Some(("unlink", &[Path(0)], Removes)),
        libc::SYS_rename => return Some(("rename", &[Path(0), Path(1)], Removes)),
        libc::SYS_link => return Some(("link", &[Path(0), Path(1)], Changes)),
        libc::SYS_symlink => return Some(("symlink", &[Path(1)], Changes)),
        libc::SYS_chmod => return Some(("chmod", &[Path(0)], Changes)),
        libc::SYS_chown => return Some(("chown", &[Path(0)], Changes)),
        libc::SYS_lchown => return Some(("lchown", &[Path(0)], Changes)),
        libc::SYS_utime => return Some(("utime", &[Path(0)], Changes)),
        libc::SYS_utimes => return Some(("utimes", &[Path(0)], Changes)),
        libc::SYS_futimesat => return Some(("futimesat", &[AtOrItself(0, 1)], Changes)),
        libc::SYS_renameat => return Some(("renameat", &[At(0, 1), At(2, 3)], Removes)),
        libc::SYS_getdents => return Some(("getdents", &[Descriptor(0)], Looks)),
        _ => {}
    }
    Some(match number {
        libc::SYS_openat => ("openat", &[At(0, 1)], opening(arguments[2])),
        libc::SYS_openat2 => {
            ("openat2", &[At(0, 1)], opening(memory::number(thread, arguments[2]).unwrap_or_default()))
        }
        libc::SYS_newfstatat => ("newfstatat", &[At(0, 1)], Looks),
        libc::SYS_statx => ("statx", &[At(0, 1)], Looks),
        libc::SYS_faccessat => ("faccessat", &[At(0, 1)], Looks),
        libc::SYS_faccessat2 => ("faccessat2", &[At(0, 1)], Looks),
        libc::SYS_readlinkat => ("readlinkat", &[At(0, 1)], Looks),
        libc::SYS_name_to_handle_at => ("name_to_handle_at", &[At(0, 1)], Looks),
        libc::SYS_execve => ("execve", &[Path(0)], Looks),
        libc::SYS_mkdirat => ("mkdirat", &[At(0, 1)], Changes),
        libc::SYS_mknodat => ("mknodat", &[At(0, 1)], Changes),
        libc::SYS_unlinkat => ("unlinkat", &[At(0, 1)], Removes),
        libc::SYS_renameat2 => ("renameat2", &[At(0, 1), At(2, 3)], Removes),
        libc::SYS_linkat => ("linkat", &[AtOrItself(0, 1), At(2, 3)], Changes),
        libc::SYS_symlinkat => ("symlinkat", &[At(1, 2)], Changes),
        libc::SYS_truncate => ("truncate", &[Path(0)], Changes),
        libc::SYS_fchmod => ("fchmod", &[Descriptor(0)], Changes),
        libc::SYS_fchmodat => ("fchmodat", &[At(0, 1)], Changes),
        SYS_FCHMODAT2 => ("fchmodat2", &[AtOrItself(0, 1)], Changes),
        libc::SYS_fchown => ("fchown", &[Descriptor(0)], Changes),
        libc::SYS_fchownat => ("fchownat", &[AtOrItself(0, 1)], Changes),
        libc::SYS_utimensat => ("utimensat", &[AtOrItself(0, 1)], Changes),
        libc::SYS_setxattr => ("setxattr", &[Path(0)], Changes),
        libc::SYS_lsetxattr => ("lsetxattr", &[Path(0)], Changes),
        libc::SYS_fsetxattr => ("fsetxattr", &[Descriptor(0)], Changes),
        libc::SYS_removexattr => ("removexattr", &[Path(0)], Changes),
        libc::SYS_lremovexattr => ("lremovexattr", &[Path(0)], Changes),
        libc::SYS_fremovexattr => ("fremovexattr", &[Descriptor(0)], Changes),
        libc::SYS_getxattr => ("getxattr", &[Path(0)], Looks),
        libc::SYS_lgetxattr => ("lgetxattr", &[Path(0)], Looks),
        libc::SYS_fgetxattr => ("fgetxattr", &[Descriptor(0)], Looks),
        libc::SYS_listxattr => ("listxattr", &[Path(0)], Looks),
        libc::SYS_bind => ("bind", &[Address(1, 2)], Changes),
        libc::SYS_connect => ("connect", &[Address(1, 2)], Looks),
        libc::SYS_sendto if arguments[4] != 0 => ("sendto", &[Address(4, 5)], Looks),
        libc::SYS_listen => ("listen", &[Descriptor(0)], Changes),
        libc::SYS_shutdown => ("shutdown", &[Descriptor(0)], Changes),
        libc::SYS_flock => ("flock", &[Descriptor(0)], Changes),
        libc::SYS_fcntl if is_lock(arguments[1]) => ("fcntl", &[Descriptor(0)], Changes),
        libc::SYS_read => ("read", &[Descriptor(0)], Looks),
        libc::SYS_readv => ("readv", &[Descriptor(0)], Looks),
        libc::SYS_pread64 => ("pread64", &[Descriptor(0)], Looks),
        libc::SYS_preadv => ("preadv", &[Descriptor(0)], Looks),
        libc::SYS_preadv2 => ("preadv2", &[Descriptor(0)], Looks),
        libc::SYS_write => ("write", &[Descriptor(0)], Changes),
        libc::SYS_writev => ("writev", &[Descriptor(0)], Changes),
        libc::SYS_pwrite64 => ("pwrite64", &[Descriptor(0)], Changes),
        libc::SYS_pwritev => ("pwritev", &[Descriptor(0)], Changes),
        libc::SYS_pwritev2 => ("pwritev2", &[Descriptor(0)], Changes),
        libc::SYS_sendfile => ("sendfile", &[Descriptor(0), Descriptor(1)], Changes),
        libc::SYS_copy_file_range => ("copy_file_range", &[Descriptor(0), Descriptor(2)], Changes),
        libc::SYS_ftruncate => ("ftruncate", &[Descriptor(0)], Changes),
        libc::SYS_fallocate => ("fallocate", &[Descriptor(0)], Changes),
        libc::SYS_fsync => ("fsync", &[Descriptor(0)], Changes),
        libc::SYS_fdatasync => ("fdatasync", &[Descriptor(0)], Changes),
        libc::SYS_getdents64 => ("getdents64", &[Descriptor(0)], Looks),
        libc::SYS_inotify_add_watch => ("inotify_add_watch", &[Path(1)], Looks),
        _ => return None,
    })
}

/// The number of fchmodat2(2), which all architectures share.
const SYS_FCHMODAT2: i64 = 452;

/// What opening a file with these flags does to it.
fn opening(flags: u64) -> Effect {
    let changes = (libc::O_CREAT | libc::O_TRUNC).cast_unsigned();
    if flags & u64::from(changes) == 0 { Effect::Looks } else { Effect::Changes }
}

/// Whether a command of fcntl(2) takes or gives up a lock.
fn is_lock(command: u64) -> bool {
    let locks = [libc::F_SETLK, libc::F_SETLKW, libc::F_OFD_SETLK, libc::F_OFD_SETLKW];
    i32::try_from(command).is_ok_and(|command| locks.contains(&command))
}
