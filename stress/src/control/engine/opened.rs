//! Calls that use what a descriptor is open on, or change what that is.

use std::io;
use std::rc::Rc;

use nix::libc;

use super::asked::preview;
use super::called::{Fate, Made};
use super::calls::{Kind, Timeout};
use super::descriptors::{Description, Target};
use super::ending::{goes_with, lock};
use super::execution::ProcessExecution;
use super::pending::About;
use super::thread::After;
use super::waiting::int;

impl ProcessExecution {
    /// What a descriptor among the arguments is open on.
    pub(super) fn description(&mut self, made: &Made, place: usize) -> Rc<Description> {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        process.descriptors.get(made.id, int(made.arguments[place]), &self.files)
    }

    pub(super) fn uses(&mut self, made: &Made) -> io::Result<Fate> {
        match made.call.kind {
            Kind::Transfer(from, to) => {
                let (from, to) = (self.description(made, from), self.description(made, to));
                let watched =
                    |open: Rc<Description>| matches!(open.target, Target::File(..) | Target::Fifo(_)).then_some(open);
                let (from, to) = (watched(from), watched(to));
                if from.is_none() && to.is_none() {
                    return Ok(Fate::Waits(Timeout::Never));
                }
                Ok(Fate::Steps(About::Between(from, to), 0, format!("{}()", made.call.name)))
            }
            Kind::Read(place)
            | Kind::ReadSome(place, _)
            | Kind::Write(place)
            | Kind::WriteSome(place, _)
            | Kind::Resize(place)
            | Kind::Sync(place)
            | Kind::List(place)
            | Kind::StatusOf(place, _)
            | Kind::ChangeOf(place)
            | Kind::Seek(place) => {
                let more = preview(made);
                self.opened(made, place, &more)
            }
            _ => Ok(Fate::Passes),
        }
    }

    /// A call that uses what a descriptor is open on.
    pub(super) fn opened(&mut self, made: &Made, place: usize, more: &str) -> io::Result<Fate> {
        let open = self.description(made, place);
        let reads = matches!(made.call.kind, Kind::Read(_) | Kind::ReadSome(..));
        let writes = matches!(made.call.kind, Kind::Write(_) | Kind::WriteSome(..));
        let name = match &open.target {
            Target::File(_, path) | Target::Fifo(path) => {
                let label = format!("{}({}{more})", made.call.name, self.files.short(path));
                return Ok(Fate::Steps(About::Open(open), 0, label));
            }
            Target::Random if reads => {
                let Kind::ReadSome(_, count) = made.call.kind else { return Ok(Fate::Passes) };
                let length = usize::try_from(made.arguments[count]).unwrap_or(usize::MAX).min(1 << 20);
                return self.fill(made.id, made.arguments[1], length);
            }
            Target::Socket(socket) if reads || writes => {
                let Some(address) = self.sockets.address(*socket) else { return Ok(Fate::Waits(Timeout::Never)) };
                let label = format!("{}(socket{more})", made.call.name);
                return Ok(Fate::Steps(About::Address(address, None), 0, label));
            }
            Target::Pipe(pipe) if writes => self.prints(made.copy, *pipe),
            _ => None,
        };
        match name {
            Some(copy) => Ok(Fate::Steps(About::Print(copy), 0, format!("{}(standard output{more})", made.call.name))),
            None if matches!(open.target, Target::Other) || !(reads || writes) => Ok(Fate::Passes),
            None => Ok(Fate::Waits(Timeout::Never)),
        }
    }

    /// The copy whose standard output a pipe is.
    fn prints(&self, copy: u16, pipe: u64) -> Option<u16> {
        let host = self.host.borrow();
        (host.streams.get(usize::from(copy))?.pipes[1] == pipe).then_some(copy)
    }

    pub(super) fn changes_descriptors(&mut self, made: &Made) -> Fate {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        let [first, second, ..] = made.arguments.map(int);
        let (from, to) = match made.call.kind {
            Kind::Close => (first, first),
            Kind::CloseRange if made.arguments[2] & u64::from(libc::CLOSE_RANGE_CLOEXEC) != 0 => return Fate::Passes,
            Kind::CloseRange => (first, if second < 0 { i32::MAX } else { second }),
            Kind::DuplicateTo if first == second => return Fate::Passes,
            Kind::DuplicateTo => (second, second),
            _ => return duplicates(process.descriptors.known(first)),
        };
        let last = process.descriptors.last(|descriptor| (from..=to).contains(&descriptor));
        let mut objects = goes_with(&last, &mut self.files, &self.sockets);
        // Closing any descriptor of a file lets go of the locks that the process has on it by fcntl(2).
        let closed = (from..=to.min(from.saturating_add(1024))).filter_map(|closed| process.descriptors.known(closed));
        for description in closed {
            if let Target::File(identity, _) = &description.target
                && process.locked.contains(identity)
            {
                objects.push(lock(*identity, &mut self.files));
            }
        }
        if objects.is_empty() {
            self.close(made);
            return Fate::Passes;
        }
        let label = format!("{}({first})", made.call.name);
        Fate::Steps(About::Let(objects), 0, label)
    }

    /// What a call closes is open no more.
    pub(super) fn close(&mut self, made: &Made) {
        let process = self.processes.get_mut(&made.process).expect("a thread has its process");
        let [first, second, ..] = made.arguments.map(int);
        match made.call.kind {
            Kind::Close => process.descriptors.drop(first),
            Kind::CloseRange => {
                process.descriptors.drop_range(first, if second < 0 { i32::MAX } else { second });
            }
            Kind::DuplicateTo => {
                process.descriptors.drop(second);
                if let Some(description) = process.descriptors.known(first).cloned() {
                    process.descriptors.put(second, description);
                }
            }
            _ => {}
        }
    }
}

fn duplicates(known: Option<&Rc<Description>>) -> Fate {
    match known {
        Some(description) if !matches!(description.target, Target::Other) => {
            Fate::PassesTo(After::Duplicate(description.clone()))
        }
        _ => Fate::Passes,
    }
}
