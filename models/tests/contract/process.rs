//! A process of its own on the real kernel: this program, run again, which is told call after call by lines.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use models::real::RealKernel;
use single_primary::Paths;

use crate::language;

/// What this program is told first where it is to be such a process. The election directory's parent follows.
pub(crate) const SERVE: &str = "serve";

/// Makes the calls that it is told on standard input, each by an instance with handles of its own, and tells the replies on
/// standard output, until nothing more comes.
pub(crate) fn serve(directory: &Path) -> io::Result<()> {
    let election = directory.join("election");
    let paths = Paths { log: election.join("realtime.log"), directory: election };
    let mut kernels: HashMap<String, RealKernel> = HashMap::new();
    let mut replies = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (instance, call) = line.split_once(' ').unwrap_or_default();
        let call = language::call(call).ok_or_else(|| io::Error::other(format!("no call: {line}")))?;
        let kernel = kernels.entry(instance.to_owned()).or_insert_with(|| RealKernel::new(paths.clone()));
        let (inode, reply) = language::reply(kernel.perform(&call));
        writeln!(replies, "{} {reply}", inode.unwrap_or_default())?;
        replies.flush()?;
    }
    Ok(())
}

/// Such a process, seen from outside. It dies with this handle.
pub(crate) struct Process {
    child: Child,
    calls: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(calls), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("both ends were piped"));
        };
        Ok(Self { child, calls, replies: BufReader::new(replies) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Has it make a call; as [`language::reply`].
    pub(crate) fn call(&mut self, instance: usize, call: &str) -> io::Result<(Option<u64>, String)> {
        writeln!(self.calls, "{instance} {call}")?;
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        let reply = line.trim_end().split_once(' ').and_then(|(inode, reply)| Some((inode.parse().ok()?, reply)));
        let (inode, reply): (u64, &str) =
            reply.ok_or_else(|| io::Error::other(format!("the process answers {line:?} to {call:?}")))?;
        Ok(((inode != 0).then_some(inode), reply.to_owned()))
    }

    /// Kills it, and waits until the kernel has closed its files.
    fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that cannot be killed is dead already.
        let _ = self.kill();
    }
}
