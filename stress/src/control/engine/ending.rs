//! How copies and executions end, and what goes with them.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use rustix::process::{Signal, kill_process};

use crate::explore::execution::{Access, Footprint, Object, Stop};

use super::descriptors::{Description, Target};
use super::execution::{ProcessExecution, lost};
use super::files::{Files, Identity};
use super::pending::fifo;
use super::sockets::Sockets;
use super::tracing::{self, Event, Until};

/// How long it takes at most to end all that runs.
pub(super) const END_MAX: Duration = Duration::from_secs(20);

impl ProcessExecution {
    /// All that goes with a copy that is killed.
    pub(super) fn held_by(&mut self, copy: u16) -> Footprint {
        let mut footprint = Footprint::default().with(Object::Process(copy), Access::Write);
        for process in self.processes.values().filter(|process| process.copy == copy) {
            let descriptions = process.descriptors.last(|_| true);
            for object in goes_with(&descriptions, &mut self.files, &self.sockets) {
                footprint.add(object, Access::Write);
            }
            for identity in &process.locked {
                footprint.add(lock(*identity, &mut self.files), Access::Write);
            }
        }
        footprint
    }

    /// Kills a copy with all that it has started.
    pub(super) fn kill(&mut self, copy: u16) -> Result<(), Stop> {
        for process in self.processes.iter().filter(|(_, process)| process.copy == copy).map(|(id, _)| *id) {
            kill(process);
        }
        let begun = Instant::now();
        while self.processes.values().any(|process| process.copy == copy) {
            self.wait_for_news()?;
            if begun.elapsed() > END_MAX {
                return Err(lost("kill")(io::Error::from(io::ErrorKind::TimedOut)));
            }
        }
        Ok(())
    }

    /// Ends all that runs.
    pub(super) fn end_all(&mut self) -> io::Result<()> {
        self.is_ended = true;
        let begun = Instant::now();
        let mut told = None;
        while !self.threads.is_empty() || !self.strays.is_empty() {
            // Who was born since is among them, too.
            if told != Some(self.born) {
                told = Some(self.born);
                self.processes.keys().chain(&self.strays).for_each(|process| kill(*process));
            }
            match tracing::wait_for_next()? {
                Some((thread, Event::End(end))) => self.bury(thread, end),
                Some((thread, event)) => {
                    if let Event::Birth { child, .. } = event {
                        self.strays.insert(child);
                        self.born += 1;
                    }
                    // Those that are killed do not come so far.
                    tracing::resume(thread, Until::Filtered, 0)?;
                }
                None if begun.elapsed() > END_MAX => return Err(io::Error::from(io::ErrorKind::TimedOut)),
                None => {}
            }
        }
        Ok(())
    }
}

impl Drop for ProcessExecution {
    fn drop(&mut self) {
        if !self.is_ended {
            // Whatever cannot be ended here ends with the launcher.
            let _ = self.end_all();
        }
    }
}

pub(super) fn kill(process: Pid) {
    if let Some(process) = rustix::process::Pid::from_raw(process.as_raw()) {
        // It may have ended already, which is all that is wanted.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// The lock on a file.
pub(super) fn lock(identity: Identity, files: &mut Files) -> Object {
    Object::Lock(files.known(identity, Path::new("")).number)
}

/// What goes when these are open no more.
pub(super) fn goes_with(descriptions: &[Rc<Description>], files: &mut Files, sockets: &Sockets) -> Vec<Object> {
    let mut objects = Vec::new();
    for description in descriptions {
        match &description.target {
            Target::File(identity, path) if description.is_locked.get() => {
                objects.push(Object::Lock(files.known(*identity, path).number));
            }
            Target::Fifo(path) => objects.push(fifo(path, files)),
            Target::Socket(socket) => objects.extend(sockets.address(*socket).map(Object::Socket)),
            _ => {}
        }
    }
    objects
}
