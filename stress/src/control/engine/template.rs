//! A fork server: a copy that has come to its first visible call is kept there, and each execution begins with a child of it.
//!
//! It has touched nothing that copies share, so that nothing has to be restored but itself. That is so only where it has one
//! thread and no child, and where what its descriptors are open on does not go on with its children: its standard streams,
//! and files that were read to their ends.

use std::fs;
use std::io;
use std::rc::Rc;

use nix::libc;
use nix::unistd::Pid;

use super::clock::CopyClock;
use super::randomness::Stream;
use super::registers::Registers;
use super::streams::Streams;
use super::thread::Process;
use super::tracing::{self, Event, Until};

/// A copy that stands before its first visible call.
#[derive(Debug)]
pub(super) struct Template {
    process: Pid,
    /// Those with which it stands there.
    registers: Registers,
    /// What is known of it, which holds for its children.
    pub(super) known: Known,
}

/// What is known of a copy that stands before its first visible call.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) random: Stream,
    pub(super) process: Rc<Process>,
    pub(super) clock: CopyClock,
    pub(super) threads: u16,
    pub(super) complaints: Vec<u8>,
}

impl Template {
    /// Keeps one that stands before its first visible call, if it may be kept.
    pub(super) fn keep(process: Pid, registers: Registers, streams: &Streams, known: Known) -> Option<Self> {
        let is_fit = may_be_shared(process, streams).unwrap_or(false);
        if is_fit { Some(Self { process, registers, known }) } else { None }
    }

    /// Makes a child, which is stopped and goes on to the same call.
    pub(super) fn fork(&self, launcher: Pid) -> io::Result<Pid> {
        let flags = u64::from((libc::CLONE_PARENT | libc::SIGCHLD).unsigned_abs());
        self.registers.calling(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]).store(self.process)?;
        tracing::resume(self.process, Until::CallEnds, 0)?;
        let (mut child, mut is_stopped, mut is_back) = (None, Vec::new(), false);
        let begun = std::time::Instant::now();
        loop {
            match tracing::wait_for_next()? {
                Some((id, Event::Birth { child: born, .. })) if id == self.process => {
                    child = Some(born);
                    tracing::resume(id, Until::CallEnds, 0)?;
                }
                Some((id, Event::CallEnd)) if id == self.process => {
                    self.registers.rewound().store(id)?;
                    tracing::resume(id, Until::Filtered, 0)?;
                }
                Some((id, Event::Call)) if id == self.process => is_back = true,
                Some((id, Event::Halt)) if id != launcher => is_stopped.push(id),
                Some((id, Event::End(_))) if id == self.process => {
                    return Err(io::Error::other("a copy that is kept was killed"));
                }
                Some((_, Event::End(_))) => {}
                Some((id, _)) => tracing::resume(id, Until::Filtered, 0)?,
                None if begun.elapsed() > super::ending::END_MAX => {
                    return Err(io::Error::from(io::ErrorKind::TimedOut));
                }
                None => {}
            }
            if let Some(child) = child.filter(|child| is_back && is_stopped.contains(child)) {
                self.registers.rewound().store(child)?;
                return Ok(child);
            }
        }
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        super::ending::kill(self.process);
        tracing::wait_for_end(self.process);
    }
}

/// Whether nothing that a process has open or mapped would go on from child to child.
fn may_be_shared(process: Pid, streams: &Streams) -> io::Result<bool> {
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(number) = name.to_str() else { return Ok(false) };
        let path = fs::read_link(entry.path())?;
        let text = path.to_string_lossy();
        let is_stream = streams.pipes.iter().any(|pipe| text == format!("pipe:[{pipe}]"));
        if is_stream || text == "/dev/null" {
            continue;
        }
        let status = fs::metadata(entry.path())?;
        let position = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}"))?;
        let position = position.lines().find_map(|line| line.strip_prefix("pos:")?.trim().parse().ok());
        if !status.is_file() || position != Some(status.len()) {
            return Ok(false);
        }
    }
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let is_shared = |permissions: &str| permissions.contains('w') && permissions.ends_with('s');
    Ok(!maps.lines().any(|line| line.split(' ').nth(1).is_some_and(is_shared)))
}
