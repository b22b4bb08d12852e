//! A program that a primary starts and leaves behind, by the ends of two pipes and by nothing else: a process that it once
//! was given the number of may by now be a stranger.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};

/// How long a program that lives has to answer.
const ANSWER_MAX: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The pipes, which last as long as the worker does.
///
/// The program copies one byte from the one to the other and ends. While there is none to copy, it lives until the last of
/// those is gone who could write one: the worker and the processes of its rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heir {
    to: BorrowedFd<'static>,
    from_worker: BorrowedFd<'static>,
    answers: BorrowedFd<'static>,
    answer: BorrowedFd<'static>,
}

impl Heir {
    /// Makes the pipes.
    pub(crate) fn new() -> std::io::Result<Self> {
        let lasting = |end: OwnedFd| -> BorrowedFd<'static> {
            let end: &'static OwnedFd = Box::leak(Box::new(end));
            end.as_fd()
        };
        let (from_worker, to) = pipe_with(PipeFlags::CLOEXEC)?;
        let (answers, answer) = pipe_with(PipeFlags::CLOEXEC)?;
        // What nobody copied is taken back without waiting for more.
        fcntl_setfl(&answers, OFlags::NONBLOCK)?;
        Ok(Self {
            to: lasting(to),
            from_worker: lasting(from_worker),
            answers: lasting(answers),
            answer: lasting(answer),
        })
    }

    /// Starts the program, in the primary.
    pub(crate) fn start(self) -> std::io::Result<()> {
        let mut program = Command::new("dd");
        program.args(["bs=1", "count=1"]).stderr(Stdio::null());
        program.stdin(self.from_worker.try_clone_to_owned()?).stdout(self.answer.try_clone_to_owned()?);
        program.spawn().map(drop)
    }

    /// Has the program end, in the worker; whether it lived until then.
    pub(crate) fn end(self) -> std::io::Result<bool> {
        File::from(self.to.try_clone_to_owned()?).write_all(b"!")?;
        let mut answered = [PollFd::new(&self.answers, PollFlags::IN)];
        let lived = loop {
            match poll(&mut answered, Some(&ANSWER_MAX)) {
                Err(rustix::io::Errno::INTR) => {}
                count => break count? > 0,
            }
        };
        // Else the next one would copy it.
        let unread = if lived { self.answers } else { self.from_worker };
        File::from(unread.try_clone_to_owned()?).read_exact(&mut [0])?;
        Ok(lived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_lives_answers_and_ends_and_one_that_never_was_does_not() {
        let heir = Heir::new().expect("pipes");
        for _ in 0..2 {
            heir.start().expect("dd");
            assert!(heir.end().expect("pipes"), "it waits for its byte");
        }
    }
}
