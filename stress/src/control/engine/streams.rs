//! What the copies read and write that is no file: pipes, whose other ends are the controller's.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::libc;
use rustix::fs::OFlags;

/// So much a copy may print in one execution, and is given at once.
pub(super) const PRINTED_BYTES_MAX: usize = 4 << 20;

/// The standard input, output and error of one copy, the same in all executions.
#[derive(Debug)]
pub(super) struct Streams {
    /// The ends that the copy has.
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    /// The ends that the controller has.
    giver: Option<File>,
    printed: File,
    complaints: File,
    /// The pipes by their numbers.
    pub(super) pipes: [u64; 3],
}

impl Streams {
    pub(super) fn new() -> io::Result<Self> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
        let ((stdin, _), (printed, stdout), (complaints, stderr)) = (pipe()?, pipe()?, pipe()?);
        for end in [&printed, &complaints] {
            rustix::fs::fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        let number = |end: &OwnedFd| rustix::fs::fstat(end).map(|status| status.st_ino);
        let pipes = [number(&stdin)?, number(&stdout)?, number(&stderr)?];
        let (printed, complaints) = (File::from(printed), File::from(complaints));
        Ok(Self { stdin, stdout, stderr, giver: None, printed, complaints, pipes })
    }

    /// The copy's ends.
    pub(super) fn given(&self) -> [RawFd; 3] {
        [self.stdin.as_raw_fd(), self.stdout.as_raw_fd(), self.stderr.as_raw_fd()]
    }

    /// Makes them as they were at first: whatever was left in them is gone, and what copies have set is unset.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        for end in [&self.stdin, &self.stdout, &self.stderr] {
            rustix::fs::fcntl_setfl(end, OFlags::empty())?;
        }
        let path = format!("/proc/self/fd/{}", self.stdin.as_raw_fd());
        self.giver = None;
        let mut left = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
        drain(&mut left, &mut Vec::new())?;
        drain(&mut self.printed, &mut Vec::new())?;
        drain(&mut self.complaints, &mut Vec::new())?;
        self.giver = Some(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path)?);
        Ok(())
    }

    /// Writes to the copy's standard input.
    pub(super) fn give(&mut self, bytes: &[u8]) -> io::Result<()> {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        self.giver.as_mut().ok_or_else(closed)?.write_all(bytes)
    }

    /// Ends the copy's standard input.
    pub(super) fn close(&mut self) {
        self.giver = None;
    }

    /// Takes what the copy has written to its standard output and error since.
    pub(super) fn take(&mut self, printed: &mut Vec<u8>, complaints: &mut Vec<u8>) -> io::Result<()> {
        drain(&mut self.printed, printed)?;
        drain(&mut self.complaints, complaints)
    }
}

/// Takes what is in a pipe, without the questions that a file would be asked for its length.
fn drain(pipe: &mut File, into: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    loop {
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => into.extend_from_slice(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
