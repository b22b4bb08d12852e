//! The system calls that stop a copy, and what their arguments say.

use nix::libc;

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// Where among the arguments a path is, and the descriptor that it is relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: Option<usize>,
    pub(super) path: usize,
}

/// Where the flags of an open are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flags {
    /// An argument.
    In(usize),
    /// The first word that an argument points to.
    At(usize),
    /// These.
    Fixed(i32),
}

/// How the kernel lays out the status of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Stat,
    Statx,
}

/// Where a call that waits has its time-out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timeout {
    /// It has none.
    Never,
    /// Milliseconds in an argument; negative for none.
    Milliseconds(usize),
    /// Behind an argument, seconds and nanoseconds from the call on.
    Nanoseconds(usize),
    /// Behind an argument, seconds and microseconds from the call on.
    Microseconds(usize),
    /// Behind an argument, as the date.
    Date(usize),
    /// Behind an argument, by the clock in the one after it.
    Clock(usize),
    /// As its operation says.
    Futex,
    /// It does not wait where the flags in this argument have this bit.
    Unless(usize, i32),
}

/// What a call does. The numbers are places among its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Open(Place, Flags),
    /// Looks whether a name is there, what it links to or who may use it.
    Look(Place),
    /// Looks at the status of a file, into an argument.
    Status(Place, usize, Layout),
    /// Makes a name that was not there.
    Make(Place),
    Remove(Place),
    Rename(Place, Place),
    Link(Place, Place),
    /// Changes mode, owner, attributes.
    Change(Place),
    /// Changes times, to what an argument points to, with seconds and parts of so many nanoseconds.
    Times(Place, usize, u64),
    Truncate(Place),
    Read(usize),
    /// Reads as much as an argument says.
    ReadSome(usize, usize),
    Write(usize),
    WriteSome(usize, usize),
    /// From one descriptor to another.
    Transfer(usize, usize),
    Resize(usize),
    Sync(usize),
    List(usize),
    StatusOf(usize, usize),
    ChangeOf(usize),
    /// Looks for the end of a file.
    Seek(usize),
    Flock,
    Fcntl,
    Close,
    CloseRange,
    Duplicate,
    DuplicateTo,
    Map,
    ChangeDirectory,
    Socket,
    Bind,
    Listen,
    Connect,
    Accept,
    /// Sends, receives or shuts down.
    Exchange,
    Wait(Timeout),
    /// Waits as its thread did before.
    WaitOn,
    Sleep,
    SleepByClock,
    Clock,
    DayTime,
    Seconds,
    Ticks,
    Random,
    /// Has SIGALRM come at some time.
    Alarm,
    Signal,
    Exit,
    ExitAll,
    /// Is not to be had here.
    Refused,
    /// Is let through, and said.
    Uncontrolled,
    /// Is let through, and said, where it is about a watched file.
    Watch(usize),
}

const fn at(at: usize, path: usize) -> Place {
    Place { at: Some(at), path }
}

const fn from_here(path: usize) -> Place {
    Place { at: None, path }
}

const fn call(number: i64, name: &'static str, kind: Kind) -> Call {
    Call { number, name, kind }
}

/// All of them. Of fcntl(2), lseek(2) and mmap(2) only some stop.
pub(super) const CALLS: &[Call] = &[
    call(libc::SYS_open, "open", Kind::Open(from_here(0), Flags::In(1))),
    call(libc::SYS_openat, "openat", Kind::Open(at(0, 1), Flags::In(2))),
    call(libc::SYS_openat2, "openat2", Kind::Open(at(0, 1), Flags::At(2))),
    call(
        libc::SYS_creat,
        "creat",
        Kind::Open(from_here(0), Flags::Fixed(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)),
    ),
    call(libc::SYS_stat, "stat", Kind::Status(from_here(0), 1, Layout::Stat)),
    call(libc::SYS_lstat, "lstat", Kind::Status(from_here(0), 1, Layout::Stat)),
    call(libc::SYS_newfstatat, "newfstatat", Kind::Status(at(0, 1), 2, Layout::Stat)),
    call(libc::SYS_statx, "statx", Kind::Status(at(0, 1), 4, Layout::Statx)),
    call(libc::SYS_access, "access", Kind::Look(from_here(0))),
    call(libc::SYS_faccessat, "faccessat", Kind::Look(at(0, 1))),
    call(libc::SYS_faccessat2, "faccessat2", Kind::Look(at(0, 1))),
    call(libc::SYS_readlink, "readlink", Kind::Look(from_here(0))),
    call(libc::SYS_readlinkat, "readlinkat", Kind::Look(at(0, 1))),
    call(libc::SYS_getxattr, "getxattr", Kind::Look(from_here(0))),
    call(libc::SYS_lgetxattr, "lgetxattr", Kind::Look(from_here(0))),
    call(libc::SYS_mkdir, "mkdir", Kind::Make(from_here(0))),
    call(libc::SYS_mkdirat, "mkdirat", Kind::Make(at(0, 1))),
    call(libc::SYS_mknod, "mknod", Kind::Make(from_here(0))),
    call(libc::SYS_mknodat, "mknodat", Kind::Make(at(0, 1))),
    call(libc::SYS_symlink, "symlink", Kind::Make(from_here(1))),
    call(libc::SYS_symlinkat, "symlinkat", Kind::Make(at(1, 2))),
    call(libc::SYS_rmdir, "rmdir", Kind::Remove(from_here(0))),
    call(libc::SYS_unlink, "unlink", Kind::Remove(from_here(0))),
    call(libc::SYS_unlinkat, "unlinkat", Kind::Remove(at(0, 1))),
    call(libc::SYS_rename, "rename", Kind::Rename(from_here(0), from_here(1))),
    call(libc::SYS_renameat, "renameat", Kind::Rename(at(0, 1), at(2, 3))),
    call(libc::SYS_renameat2, "renameat2", Kind::Rename(at(0, 1), at(2, 3))),
    call(libc::SYS_link, "link", Kind::Link(from_here(0), from_here(1))),
    call(libc::SYS_linkat, "linkat", Kind::Link(at(0, 1), at(2, 3))),
    call(libc::SYS_truncate, "truncate", Kind::Truncate(from_here(0))),
    call(libc::SYS_chmod, "chmod", Kind::Change(from_here(0))),
    call(libc::SYS_fchmodat, "fchmodat", Kind::Change(at(0, 1))),
    call(libc::SYS_chown, "chown", Kind::Change(from_here(0))),
    call(libc::SYS_lchown, "lchown", Kind::Change(from_here(0))),
    call(libc::SYS_fchownat, "fchownat", Kind::Change(at(0, 1))),
    call(libc::SYS_setxattr, "setxattr", Kind::Change(from_here(0))),
    call(libc::SYS_lsetxattr, "lsetxattr", Kind::Change(from_here(0))),
    call(libc::SYS_removexattr, "removexattr", Kind::Change(from_here(0))),
    call(libc::SYS_lremovexattr, "lremovexattr", Kind::Change(from_here(0))),
    call(libc::SYS_utime, "utime", Kind::Times(from_here(0), 1, 0)),
    call(libc::SYS_utimes, "utimes", Kind::Times(from_here(0), 1, 1_000)),
    call(libc::SYS_futimesat, "futimesat", Kind::Times(at(0, 1), 2, 1_000)),
    call(libc::SYS_utimensat, "utimensat", Kind::Times(at(0, 1), 2, 1)),
    call(libc::SYS_read, "read", Kind::ReadSome(0, 2)),
    call(libc::SYS_pread64, "pread64", Kind::ReadSome(0, 2)),
    call(libc::SYS_readv, "readv", Kind::Read(0)),
    call(libc::SYS_preadv, "preadv", Kind::Read(0)),
    call(libc::SYS_preadv2, "preadv2", Kind::Read(0)),
    call(libc::SYS_write, "write", Kind::WriteSome(0, 2)),
    call(libc::SYS_pwrite64, "pwrite64", Kind::WriteSome(0, 2)),
    call(libc::SYS_writev, "writev", Kind::Write(0)),
    call(libc::SYS_pwritev, "pwritev", Kind::Write(0)),
    call(libc::SYS_pwritev2, "pwritev2", Kind::Write(0)),
    call(libc::SYS_vmsplice, "vmsplice", Kind::Write(0)),
    call(libc::SYS_sendfile, "sendfile", Kind::Transfer(1, 0)),
    call(libc::SYS_copy_file_range, "copy_file_range", Kind::Transfer(0, 2)),
    call(libc::SYS_splice, "splice", Kind::Transfer(0, 2)),
    call(libc::SYS_tee, "tee", Kind::Transfer(0, 1)),
    call(libc::SYS_ftruncate, "ftruncate", Kind::Resize(0)),
    call(libc::SYS_fallocate, "fallocate", Kind::Resize(0)),
    call(libc::SYS_fsync, "fsync", Kind::Sync(0)),
    call(libc::SYS_fdatasync, "fdatasync", Kind::Sync(0)),
    call(libc::SYS_getdents, "getdents", Kind::List(0)),
    call(libc::SYS_getdents64, "getdents64", Kind::List(0)),
    call(libc::SYS_fstat, "fstat", Kind::StatusOf(0, 1)),
    call(libc::SYS_fchmod, "fchmod", Kind::ChangeOf(0)),
    call(libc::SYS_fchown, "fchown", Kind::ChangeOf(0)),
    call(libc::SYS_fsetxattr, "fsetxattr", Kind::ChangeOf(0)),
    call(libc::SYS_lseek, "lseek", Kind::Seek(0)),
    call(libc::SYS_flock, "flock", Kind::Flock),
    call(libc::SYS_fcntl, "fcntl", Kind::Fcntl),
    call(libc::SYS_close, "close", Kind::Close),
    call(libc::SYS_close_range, "close_range", Kind::CloseRange),
    call(libc::SYS_dup, "dup", Kind::Duplicate),
    call(libc::SYS_dup2, "dup2", Kind::DuplicateTo),
    call(libc::SYS_dup3, "dup3", Kind::DuplicateTo),
    call(libc::SYS_mmap, "mmap", Kind::Map),
    call(libc::SYS_chdir, "chdir", Kind::ChangeDirectory),
    call(libc::SYS_fchdir, "fchdir", Kind::ChangeDirectory),
    call(libc::SYS_socket, "socket", Kind::Socket),
    call(libc::SYS_bind, "bind", Kind::Bind),
    call(libc::SYS_listen, "listen", Kind::Listen),
    call(libc::SYS_connect, "connect", Kind::Connect),
    call(libc::SYS_accept, "accept", Kind::Accept),
    call(libc::SYS_accept4, "accept4", Kind::Accept),
    call(libc::SYS_shutdown, "shutdown", Kind::Exchange),
    call(libc::SYS_sendto, "sendto", Kind::Exchange),
    call(libc::SYS_sendmsg, "sendmsg", Kind::Exchange),
    call(libc::SYS_sendmmsg, "sendmmsg", Kind::Exchange),
    call(libc::SYS_recvfrom, "recvfrom", Kind::Exchange),
    call(libc::SYS_recvmsg, "recvmsg", Kind::Exchange),
    call(libc::SYS_recvmmsg, "recvmmsg", Kind::Exchange),
    call(libc::SYS_futex, "futex", Kind::Wait(Timeout::Futex)),
    call(libc::SYS_futex_waitv, "futex_waitv", Kind::Wait(Timeout::Clock(3))),
    call(libc::SYS_poll, "poll", Kind::Wait(Timeout::Milliseconds(2))),
    call(libc::SYS_ppoll, "ppoll", Kind::Wait(Timeout::Nanoseconds(2))),
    call(libc::SYS_select, "select", Kind::Wait(Timeout::Microseconds(4))),
    call(libc::SYS_pselect6, "pselect6", Kind::Wait(Timeout::Nanoseconds(4))),
    call(libc::SYS_epoll_wait, "epoll_wait", Kind::Wait(Timeout::Milliseconds(3))),
    call(libc::SYS_epoll_pwait, "epoll_pwait", Kind::Wait(Timeout::Milliseconds(3))),
    call(libc::SYS_epoll_pwait2, "epoll_pwait2", Kind::Wait(Timeout::Nanoseconds(3))),
    call(libc::SYS_wait4, "wait4", Kind::Wait(Timeout::Unless(2, libc::WNOHANG))),
    call(libc::SYS_waitid, "waitid", Kind::Wait(Timeout::Unless(3, libc::WNOHANG))),
    call(libc::SYS_pause, "pause", Kind::Wait(Timeout::Never)),
    call(libc::SYS_rt_sigsuspend, "rt_sigsuspend", Kind::Wait(Timeout::Never)),
    call(libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", Kind::Wait(Timeout::Nanoseconds(2))),
    call(libc::SYS_msgrcv, "msgrcv", Kind::Wait(Timeout::Never)),
    call(libc::SYS_msgsnd, "msgsnd", Kind::Wait(Timeout::Never)),
    call(libc::SYS_semop, "semop", Kind::Wait(Timeout::Never)),
    call(libc::SYS_semtimedop, "semtimedop", Kind::Wait(Timeout::Nanoseconds(3))),
    call(libc::SYS_mq_timedsend, "mq_timedsend", Kind::Wait(Timeout::Date(4))),
    call(libc::SYS_mq_timedreceive, "mq_timedreceive", Kind::Wait(Timeout::Date(4))),
    call(libc::SYS_restart_syscall, "restart_syscall", Kind::WaitOn),
    call(libc::SYS_nanosleep, "nanosleep", Kind::Sleep),
    call(libc::SYS_clock_nanosleep, "clock_nanosleep", Kind::SleepByClock),
    call(libc::SYS_clock_gettime, "clock_gettime", Kind::Clock),
    call(libc::SYS_gettimeofday, "gettimeofday", Kind::DayTime),
    call(libc::SYS_time, "time", Kind::Seconds),
    call(libc::SYS_times, "times", Kind::Ticks),
    call(libc::SYS_getrandom, "getrandom", Kind::Random),
    call(libc::SYS_alarm, "alarm", Kind::Alarm),
    call(libc::SYS_setitimer, "setitimer", Kind::Alarm),
    call(libc::SYS_timer_create, "timer_create", Kind::Refused),
    call(libc::SYS_timerfd_settime, "timerfd_settime", Kind::Uncontrolled),
    call(libc::SYS_kill, "kill", Kind::Signal),
    call(libc::SYS_tkill, "tkill", Kind::Signal),
    call(libc::SYS_tgkill, "tgkill", Kind::Signal),
    call(libc::SYS_exit, "exit", Kind::Exit),
    call(libc::SYS_exit_group, "exit_group", Kind::ExitAll),
    call(libc::SYS_io_uring_setup, "io_uring_setup", Kind::Refused),
    call(libc::SYS_io_setup, "io_setup", Kind::Refused),
    call(libc::SYS_ptrace, "ptrace", Kind::Uncontrolled),
    call(libc::SYS_pidfd_send_signal, "pidfd_send_signal", Kind::Uncontrolled),
    call(libc::SYS_fanotify_init, "fanotify_init", Kind::Uncontrolled),
    call(libc::SYS_shmat, "shmat", Kind::Uncontrolled),
    call(libc::SYS_unshare, "unshare", Kind::Uncontrolled),
    call(libc::SYS_setns, "setns", Kind::Uncontrolled),
    call(libc::SYS_inotify_add_watch, "inotify_add_watch", Kind::Watch(1)),
];

/// The call of this number.
pub(super) fn find(number: i64) -> Option<&'static Call> {
    use std::sync::LazyLock;
    static BY_NUMBER: LazyLock<Vec<Option<&'static Call>>> = LazyLock::new(|| {
        let mut by_number = vec![None; 1024];
        for call in CALLS {
            by_number[usize::try_from(call.number).expect("numbers of calls are not negative")] = Some(call);
        }
        by_number
    });
    usize::try_from(number).ok().and_then(|number| BY_NUMBER.get(number).copied().flatten())
}
