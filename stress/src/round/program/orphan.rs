//! What a registrant started outside its process group and left behind: it ends with the round, too.

#[cfg(target_os = "linux")]
pub(crate) use linux::{adopt, end};

/// Has those who lose their parents become children of this process, where the system does that.
#[cfg(not(target_os = "linux"))]
pub(crate) fn adopt() {}

/// Ends them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end(_of: Option<&std::path::Path>) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::Path;

    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, set_child_subreaper, waitid};

    /// How long the system may take to end one that was killed. One that it cannot end is left to it.
    const END_MAX: Duration = Duration::from_secs(10);

    /// The children of the first thread. Registrants are those of other threads while there are any, and reaped by whoever
    /// has started them.
    fn children() -> Option<String> {
        std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).ok()
    }

    /// Has those who lose their parents become children of this process, where it could find them again.
    pub(crate) fn adopt() {
        if children().is_some() {
            // Where this is refused, nobody else would end them either.
            let _ = set_child_subreaper(Some(getpid()));
        }
    }

    /// Ends those whose election is in this directory, and theirs; or all, once no round runs any more.
    pub(crate) fn end(of: Option<&Path>) {
        let variable = of.map(|directory| [b"ELECTION_DIR=", directory.as_os_str().as_bytes(), b"\0"].concat());
        let begun = Instant::now();
        loop {
            let mut has_ended_one = false;
            for number in children().unwrap_or_default().split_ascii_whitespace() {
                let Some(pid) = number.parse().ok().and_then(Pid::from_raw) else { continue };
                // Of one that is dead nothing can be read.
                let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
                let is_of_it =
                    variable.as_ref().is_none_or(|variable| memchr::memmem::find(&environment, variable).is_some());
                if is_of_it && kill_process(pid, Signal::KILL).is_ok() {
                    while !bury(pid) && begun.elapsed() < END_MAX {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    has_ended_one = true;
                } else {
                    bury(pid);
                }
            }
            if !has_ended_one || begun.elapsed() >= END_MAX {
                return;
            }
        }
    }

    /// Waits for one that has ended; whether it has. One that has only stopped is followed by another round, which is to see
    /// that for itself.
    fn bury(pid: Pid) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(pid), options | WaitIdOptions::NOWAIT) {
            Ok(Some(status)) if status.exited() || status.killed() || status.dumped() => {
                waitid(WaitId::Pid(pid), options).is_ok()
            }
            Ok(_) => false,
            Err(_) => true,
        }
    }
}
