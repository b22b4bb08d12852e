//! The process whose children the copies are. Where that is allowed it is the first of process, mount and network namespaces
//! of its own: there the same process IDs can be given out again in each execution, the names of sockets are nobody else's,
//! and whatever escapes from its copy ends with it.
#![allow(unsafe_code, reason = "clone(2), mount(2) and execve(2) have no safe wrapper that allocates nothing")]

use std::ffi::{CString, OsString, c_char, c_int, c_long, c_void};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::{env, fs::File, ptr};

use nix::libc;
use nix::unistd::Pid;
use seccompiler::BpfProgram;

use super::streams::Streams;

/// More than setting up a copy takes.
const STACK_BYTES: usize = 64 << 10;

/// The exit code of a copy that could not run its program.
pub(super) const NO_PROGRAM: c_int = 127;

/// The command that gives out the first process IDs again. Any other starts the copy of that number.
const RENUMBER: u8 = u8::MAX;

/// No copy writes a longer file, not even through memory that it maps.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The flag of a network interface that is up.
const IFF_UP: libc::c_short = 1;

/// What a launcher could not fix, in the bits of its first answer.
const UNFIXED_NUMBERS: u8 = 1;
const UNFIXED_PROC: u8 = 2;
const UNFIXED_NETWORK: u8 = 4;

/// A program with its arguments and its environment, all of it.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// The program, looked for as a shell would, and its arguments.
    pub(crate) words: Vec<OsString>,
    /// Names and values.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// The launcher. It ends, and all that it started, when this is dropped or when the thread that started it ends.
#[derive(Debug)]
pub(super) struct Launcher {
    process: Pid,
    commands: File,
    answers: File,
    /// What varies from execution to execution here, for people.
    pub(super) unfixed: Vec<String>,
}

/// What the launcher needs, made before it so that it allocates nothing.
struct Plan {
    copies: Vec<CopyPlan>,
    directory: CString,
    filter: BpfProgram,
    uid_map: CString,
    gid_map: CString,
    keep: Vec<RawFd>,
    commands: RawFd,
    answers: RawFd,
    stack: Vec<u8>,
    namespaces: c_int,
}

struct CopyPlan {
    program: CString,
    _texts: Vec<CString>,
    words: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    streams: [RawFd; 3],
}

/// What a copy that is about to be is started from.
struct Birth<'a> {
    plan: &'a Plan,
    copy: &'a CopyPlan,
}

impl Launcher {
    /// Starts it, with what it needs for so many copies that all begin in one directory.
    pub(super) fn start(
        starts: &[Start],
        directory: &Path,
        filter: BpfProgram,
        streams: &[Streams],
    ) -> io::Result<Self> {
        let (commands_read, commands) = pipe()?;
        let (answers, answers_write) = pipe()?;
        let text = |text: Vec<u8>| CString::new(text).map_err(io::Error::from);
        let copies = starts.iter().zip(streams).map(|(start, streams)| {
            let program = text(find(start)?.into_os_string().into_vec())?;
            let words: Vec<_> =
                start.words.iter().map(|word| text(word.as_bytes().to_vec())).collect::<Result<_, _>>()?;
            let variables: Vec<_> = (start.environment.iter())
                .map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()))
                .collect::<Result<_, _>>()?;
            let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
            let (word_pointers, environment) = (pointers(&words), pointers(&variables));
            let texts = words.into_iter().chain(variables).collect();
            Ok(CopyPlan { program, _texts: texts, words: word_pointers, environment, streams: streams.given() })
        });
        let copies: Vec<_> = copies.collect::<io::Result<_>>()?;
        let mut keep: Vec<_> = copies.iter().flat_map(|copy| copy.streams).collect();
        keep.extend([commands_read.as_raw_fd(), answers_write.as_raw_fd()]);
        keep.sort_unstable();
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut plan = Plan {
            copies,
            directory: text(directory.as_os_str().as_bytes().to_vec())?,
            filter,
            uid_map: text(format!("{user} {user} 1").into_bytes())?,
            gid_map: text(format!("{group} {group} 1").into_bytes())?,
            keep,
            commands: commands_read.as_raw_fd(),
            answers: answers_write.as_raw_fd(),
            stack: vec![0; STACK_BYTES],
            namespaces: 0,
        };
        let own = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;
        let wanted = [own, own | libc::CLONE_NEWUSER, 0];
        let (mut process, mut refused) = (None, io::Error::from_raw_os_error(libc::EPERM));
        for namespaces in wanted {
            plan.namespaces = namespaces;
            match clone_as_fork(namespaces) {
                Ok(0) => serve(&plan),
                Ok(child) => {
                    process = Some(Pid::from_raw(child));
                    break;
                }
                Err(error) => refused = error,
            }
        }
        let Some(process) = process else { return Err(refused) };
        drop((commands_read, answers_write));
        let mut launcher =
            Self { process, commands: File::from(commands), answers: File::from(answers), unfixed: Vec::new() };
        let mut unfixed = [0];
        launcher.answers.read_exact(&mut unfixed)?;
        let why = if plan.namespaces == 0 { format!(" (no namespaces here: {refused})") } else { String::new() };
        let names = [
            (UNFIXED_NUMBERS, "the process IDs"),
            (UNFIXED_PROC, "what /proc shows of processes"),
            (UNFIXED_NETWORK, "what others do on the network and with abstract sockets"),
        ];
        let lacking = names.iter().filter(|(bit, _)| unfixed[0] & bit != 0);
        launcher.unfixed = lacking.map(|(_, what)| format!("{what}{why}")).collect();
        super::tracing::seize(process)?;
        Ok(launcher)
    }

    /// The launcher's process, as its tracer knows it.
    pub(super) fn process(&self) -> Pid {
        self.process
    }

    /// Gives out the first process IDs again: all but the launcher have ended.
    pub(super) fn renumber(&mut self) -> io::Result<()> {
        self.commands.write_all(&[RENUMBER])
    }

    /// Starts the copy of this number, which is followed from birth.
    pub(super) fn launch(&mut self, copy: u16) -> io::Result<()> {
        let copy = u8::try_from(copy).ok().filter(|&copy| copy != RENUMBER);
        let copy = copy.ok_or_else(|| io::Error::other("so many copies cannot be started"))?;
        self.commands.write_all(&[copy])
    }

    /// Why a copy has ended before it ran its program.
    pub(super) fn failure(&mut self) -> io::Error {
        let mut number = [0; 4];
        match self.answers.read_exact(&mut number) {
            Ok(()) => io::Error::from_raw_os_error(i32::from_ne_bytes(number)),
            Err(error) => error,
        }
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.process, nix::sys::signal::Signal::SIGKILL);
        // What ends with it is followed by this thread, whose look at each end lets go of it.
        super::tracing::wait_for_end(self.process);
    }
}

/// The program's path, found as a shell would find it.
pub(super) fn find(start: &Start) -> io::Result<PathBuf> {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    let name = start.words.first().ok_or_else(missing)?;
    if name.as_bytes().contains(&b'/') {
        return std::path::absolute(name);
    }
    let path = start.environment.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
    let path = path.or_else(|| env::var_os("PATH")).unwrap_or_default();
    let is_program = |path: &PathBuf| rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
    env::split_paths(&path).map(|directory| directory.join(name)).find(is_program).ok_or_else(missing)
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Makes a process with a copy of this one's memory; zero in it. It must make system calls only and allocate nothing, for
/// other threads' locks stay locked in it for ever.
fn clone_as_fork(namespaces: c_int) -> io::Result<i32> {
    let none = 0 as c_long;
    // SAFETY: without a stack and without shared memory the call is fork(2), whose child does what the contract says.
    let child =
        unsafe { libc::syscall(libc::SYS_clone, c_long::from(namespaces | libc::SIGCHLD), none, none, none, none) };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(child).map_err(io::Error::other)
}

/// What the launcher does, for as long as it lives.
fn serve(plan: &Plan) -> ! {
    // SAFETY: each call is given numbers, and addresses of what the plan, which lives as long as this process, holds or of
    // what is on this stack. This process has one thread and none of its memory is anybody else's.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        libc::signal(libc::SIGTERM, libc::SIG_IGN);
        libc::setsid();
        close_others(&plan.keep);
        let unfixed = settle_in(plan);
        libc::write(plan.answers, ptr::from_ref(&unfixed).cast(), 1);
        loop {
            let mut command = 0_u8;
            match libc::read(plan.commands, ptr::from_mut(&mut command).cast(), 1) {
                1 if command == RENUMBER => {
                    put(c"/proc/sys/kernel/ns_last_pid", b"1");
                }
                1 => launch(plan, usize::from(command)),
                _ if *libc::__errno_location() == libc::EINTR => {}
                _ => libc::_exit(0),
            }
        }
    }
}

/// Makes the namespaces fit to live in; what could not be fixed.
unsafe fn settle_in(plan: &Plan) -> u8 {
    if plan.namespaces == 0 {
        // SAFETY: the call takes numbers.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        return UNFIXED_NUMBERS | UNFIXED_NETWORK;
    }
    let mut unfixed = 0;
    // SAFETY: the texts end with a zero and live as long as this process.
    unsafe {
        if plan.namespaces & libc::CLONE_NEWUSER != 0 {
            put(c"/proc/self/setgroups", b"deny");
            put(c"/proc/self/uid_map", plan.uid_map.as_bytes());
            put(c"/proc/self/gid_map", plan.gid_map.as_bytes());
        }
        let none = ptr::null::<c_void>();
        libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), libc::MS_REC | libc::MS_PRIVATE, none);
        if libc::mount(c"proc".as_ptr(), c"/proc".as_ptr(), c"proc".as_ptr(), 0, none) < 0 {
            unfixed |= UNFIXED_PROC;
        }
    }
    if !put(c"/proc/sys/kernel/ns_last_pid", b"1") {
        unfixed |= UNFIXED_NUMBERS;
    }
    // SAFETY: the request is as long as the kernel has it, and lives on this stack.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = IFF_UP;
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        libc::ioctl(socket, libc::SIOCSIFFLAGS, ptr::from_mut(&mut request));
        libc::close(socket);
    }
    unfixed
}

/// Writes to a file of the kernel's; whether it took it.
fn put(path: &std::ffi::CStr, bytes: &[u8]) -> bool {
    // SAFETY: the path ends with a zero, and the bytes are as many as said.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
        libc::close(file);
        usize::try_from(written) == Ok(bytes.len())
    }
}

/// Closes all descriptors but these, which are in order.
unsafe fn close_others(keep: &[RawFd]) {
    let mut first = 0;
    for &kept in keep.iter().chain([&RawFd::MAX]) {
        if kept > first {
            // SAFETY: nobody in this process uses the descriptors between.
            unsafe { libc::syscall(libc::SYS_close_range, first, kept - 1, 0) };
        }
        first = kept.saturating_add(1);
    }
}

/// Starts a copy, which is on its own from its program's first instruction on.
unsafe fn launch(plan: &Plan, copy: usize) {
    let Some(copy) = plan.copies.get(copy) else { return };
    let birth = Birth { plan, copy };
    let top = plan.stack.as_ptr_range().end.cast_mut();
    // SAFETY: the new process shares this one's memory, which sleeps until that has memory of its own or has ended. The stack
    // is as long as said, nobody else uses it, and its end is aligned down as the platform wants it.
    unsafe {
        let top = top.sub(top.addr() % 16).cast();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(begin, top, flags, ptr::from_ref(&birth).cast_mut().cast());
    }
}

/// Becomes a copy. Returns its error number, if it cannot.
extern "C" fn begin(birth: *mut c_void) -> c_int {
    // SAFETY: it is what `launch` gives it, which sleeps for as long as this runs.
    let Birth { plan, copy } = unsafe { &*birth.cast::<Birth<'_>>() };
    // SAFETY: each call takes numbers, or texts and pointers of the plan, which lives longer.
    unsafe {
        let limit = |resource, value| {
            let both = libc::rlimit { rlim_cur: value, rlim_max: value };
            libc::setrlimit(resource, &raw const both);
        };
        let prepared = [
            libc::setsid(),
            libc::dup2(copy.streams[0], 0),
            libc::dup2(copy.streams[1], 1),
            libc::dup2(copy.streams[2], 2),
            libc::chdir(plan.directory.as_ptr()),
            libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong),
        ];
        if prepared.iter().all(|result| *result >= 0) {
            for signal in [libc::SIGCHLD, libc::SIGINT, libc::SIGTERM, libc::SIGPIPE] {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
            limit(libc::RLIMIT_CORE, 0);
            limit(libc::RLIMIT_FSIZE, FILE_BYTES_MAX);
            libc::syscall(libc::SYS_close_range, 3, c_int::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if seccompiler::apply_filter(&plan.filter).is_ok() {
                libc::execve(copy.program.as_ptr(), copy.words.as_ptr(), copy.environment.as_ptr());
            }
        }
        let error = *libc::__errno_location();
        libc::write(plan.answers, ptr::from_ref(&error).cast(), size_of_val(&error));
        libc::_exit(NO_PROGRAM)
    }
}
