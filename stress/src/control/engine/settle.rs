//! Rest: nobody runs, and nobody will before the next step.
//!
//! Between two rests one thread at a time runs, up to its next visible call or until it waits for somebody; then the others
//! that are ready, in the order of their births. So what threads and children of a copy do between visible calls comes out
//! the same in every run. A call that may wait is known by the filter; whether it does wait, the kernel says.

use std::time::Duration;

use nix::unistd::Pid;

use crate::explore::execution::{Access, Agent, Object, Stop};

use super::execution::{Idle, ProcessExecution, lost};
use super::pending::{About, Pending};
use super::streams::PRINTED_BYTES_MAX;
use super::thread::{Process, State, Thread};
use super::tracing::{self, End, Event, Until};

/// Who stops so often without a visible call does nothing else.
const STOPS_MAX: u64 = 2_000_000;

/// Who computes for so long without any call that is followed does nothing else.
const COMPUTES_MAX: Duration = Duration::from_secs(4);

/// More threads at once, and more births in one execution, are taken for forking without end.
const THREADS_MAX: usize = 512;
const BIRTHS_MAX: u32 = 20_000;

/// After so many looks without news the processor is left to others for a while.
const LOOKS_RESTLESS: u32 = 300;
const NAP: Duration = Duration::from_micros(100);

/// Who is found asleep at so many ticks one after the other sleeps on.
const ASLEEP_MAX: u32 = 200;

impl ProcessExecution {
    /// Waits for rest.
    pub(super) fn settle(&mut self) -> Result<(), Stop> {
        self.stops = 0;
        let mut looks = 0_u32;
        loop {
            // Whoever runs comes to a stop, or is found out at a tick.
            if self.running.is_some() {
                if !self.wait_for_news()? {
                    self.check_progress()?;
                }
                looks = 0;
                continue;
            }
            if self.take_news()? {
                looks = 0;
                continue;
            }
            if !self.threads.values().any(Thread::is_underway) && self.waiting_sleep() {
                match self.next_ready() {
                    Some(id) => self.go_on(id)?,
                    None if self.take_printed_text()? => {}
                    None => return Ok(()),
                }
                continue;
            }
            // Someone is on the way into a sleep or out of it.
            looks += 1;
            if looks > LOOKS_RESTLESS { std::thread::sleep(NAP) } else { std::thread::yield_now() }
        }
    }

    /// Takes all that has happened since; whether anything has.
    fn take_news(&mut self) -> Result<bool, Stop> {
        let mut is_news = false;
        while let Some((thread, event)) = tracing::next().map_err(lost("waitpid"))? {
            is_news = true;
            self.take_one(thread, event)?;
        }
        Ok(is_news)
    }

    /// Waits until something happens, or the next tick; whether anything has.
    pub(super) fn wait_for_news(&mut self) -> Result<bool, Stop> {
        let news = tracing::wait_for_next().map_err(lost("waitpid"))?;
        news.map_or(Ok(()), |(thread, event)| self.take_one(thread, event))?;
        Ok(news.is_some())
    }

    fn take_one(&mut self, thread: Pid, event: Event) -> Result<(), Stop> {
        self.stops += 1;
        if let Some(thread) = self.threads.get(&thread) {
            self.copies[usize::from(thread.agent.copy)].stirred += 1;
        }
        if self.stops > STOPS_MAX {
            let what = format!("a copy makes {STOPS_MAX} calls without one that others could see");
            return Err(Stop::Uncontrolled(what));
        }
        match self.take(thread, event) {
            // It was killed while it was looked at, and its end will be seen.
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => {}
            taken => taken.map_err(lost("ptrace"))?,
        }
        if self.threads.len() > THREADS_MAX || self.born > BIRTHS_MAX {
            return Err(Stop::Uncontrolled("the copies start processes without end".into()));
        }
        Ok(())
    }

    /// Whether all who may wait do. Looked at twice: one who was seen to sleep may have been woken by another who was then
    /// still awake, but nobody can come out of its call and go back to sleep without a stop between.
    fn waiting_sleep(&mut self) -> bool {
        let copies = &self.copies;
        let mut sleep = |_| {
            self.threads.iter_mut().all(|(id, thread)| {
                let stirred = copies[usize::from(thread.agent.copy)].stirred;
                let letter = match &thread.state {
                    State::Waiting(wait) if wait.is_fired => return false,
                    State::Waiting(_) if thread.seen_asleep == Some(stirred) => return true,
                    State::Waiting(_) => b'S',
                    State::Parent => b'D',
                    _ => return true,
                };
                thread.is_asleep(*id, letter)
            })
        };
        if !(0..2).all(&mut sleep) {
            return false;
        }
        for thread in self.threads.values_mut() {
            thread.seen_asleep = Some(self.copies[usize::from(thread.agent.copy)].stirred);
        }
        true
    }

    fn next_ready(&self) -> Option<Pid> {
        let ready = self.threads.iter().filter(|(_, thread)| matches!(thread.state, State::Ready(_)));
        ready.min_by_key(|(_, thread)| thread.agent).map(|(id, _)| *id)
    }

    fn go_on(&mut self, id: Pid) -> Result<(), Stop> {
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        let State::Ready(signal) = std::mem::replace(&mut thread.state, State::Running) else { return Ok(()) };
        self.running = Some(id);
        tracing::resume(id, Until::Filtered, signal).map_err(lost("ptrace"))
    }

    /// Takes what the copies have printed; whether that lets anybody go on.
    fn take_printed_text(&mut self) -> Result<bool, Stop> {
        let mut frees = false;
        let mut host = self.host.borrow_mut();
        for (copy, streams) in self.copies.iter_mut().zip(&mut host.streams) {
            let before = copy.printed.len() + copy.complaints.len();
            streams.take(&mut copy.printed, &mut copy.complaints).map_err(lost("read"))?;
            let taken = copy.printed.len() + copy.complaints.len() - before;
            copy.printed_bytes += taken;
            copy.stirred += u64::from(taken > 0);
            if copy.printed_bytes > PRINTED_BYTES_MAX {
                let what = format!("a copy prints more than {PRINTED_BYTES_MAX} bytes in one execution");
                return Err(Stop::Uncontrolled(what));
            }
            frees |= taken > 0;
        }
        let writes =
            |thread: &Thread| matches!(&thread.state, State::Waiting(wait) if wait.call.name.contains("write"));
        Ok(frees && self.threads.values().any(writes))
    }

    /// Whether the one that runs comes to a stop at all.
    fn check_progress(&mut self) -> Result<(), Stop> {
        let Some(id) = self.running else { return Ok(()) };
        let computed = std::fs::read_to_string(format!("/proc/{id}/schedstat")).unwrap_or_default();
        let computed_ns = computed.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or_default();
        let computed = Duration::from_nanos(computed_ns);
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        let who = format!("copy {}", thread.agent.copy);
        if self.idle.stops != self.stops {
            self.idle = Idle { stops: self.stops, computed, asleep: 0 };
        }
        if computed > COMPUTES_MAX + self.idle.computed {
            let what = format!("{who} computes for {} s without a call that is followed", COMPUTES_MAX.as_secs());
            return Err(Stop::Uncontrolled(what));
        }
        // Asleep in a call that the filter lets pass; whether that ends, nobody can tell.
        self.idle.asleep = if matches!(thread.letter(id), None | Some(b'S')) { self.idle.asleep + 1 } else { 0 };
        if self.idle.asleep < ASLEEP_MAX {
            return Ok(());
        }
        let call = std::fs::read_to_string(format!("/proc/{id}/syscall")).unwrap_or_default();
        let number = call.split(' ').next().unwrap_or_default().trim().to_owned();
        Err(Stop::Uncontrolled(format!("{who} waits in system call {number}, which is not followed")))
    }

    /// What has happened to a thread.
    fn take(&mut self, id: Pid, event: Event) -> std::io::Result<()> {
        if !self.threads.contains_key(&id) {
            return self.take_stranger(id, event);
        }
        let thread = self.threads.get_mut(&id).expect("it is known");
        match event {
            Event::Call => self.called(id),
            Event::CallEnd => self.returned(id),
            Event::Birth { child, waits } => {
                self.bear(id, child)?;
                let thread = self.threads.get_mut(&id).expect("it is known");
                if waits {
                    thread.state = State::Parent;
                    self.leave(id);
                    return tracing::resume(id, Until::Filtered, 0);
                }
                tracing::resume(id, Until::Filtered, 0)
            }
            Event::BirthDone => {
                thread.state = State::Ready(0);
                Ok(())
            }
            Event::Program { former } => self.run_program(id, former),
            Event::Halt => {
                match &thread.state {
                    State::Born | State::Stopped => thread.state = State::Ready(0),
                    State::Running => return tracing::resume(id, Until::Filtered, 0),
                    _ => {}
                }
                Ok(())
            }
            Event::JobStop => {
                thread.state = State::Stopped;
                self.leave(id);
                tracing::resume(id, Until::Continued, 0)
            }
            Event::Signal(signal) => self.signalled(id, signal),
            Event::End(end) => {
                self.bury(id, end);
                Ok(())
            }
        }
    }

    /// Nobody runs any more, if it was this one.
    pub(super) fn leave(&mut self, id: Pid) {
        if self.running == Some(id) {
            self.running = None;
        }
    }

    fn take_stranger(&mut self, id: Pid, event: Event) -> std::io::Result<()> {
        let launcher = self.host.borrow().launcher.process();
        match event {
            Event::Birth { child, .. } if id == launcher => {
                let copy = self.copies.iter().position(|copy| copy.first.is_none()).unwrap_or_default();
                self.copies[copy].first = Some(child);
                let copy = u16::try_from(copy).unwrap_or(u16::MAX);
                self.add_process(child, copy, None);
                self.add_thread(child, child, copy);
                tracing::resume(id, Until::Filtered, 0)
            }
            Event::End(_) => {
                self.strays.remove(&id);
                Ok(())
            }
            Event::Signal(signal) if id == launcher => tracing::resume(id, Until::Filtered, signal),
            _ if id == launcher => tracing::resume(id, Until::Filtered, 0),
            _ => {
                self.strays.insert(id);
                Ok(())
            }
        }
    }

    fn bear(&mut self, parent: Pid, child: Pid) -> std::io::Result<()> {
        let (copy, process) = {
            let parent = &self.threads[&parent];
            (parent.agent.copy, parent.process)
        };
        // Threads are listed below their process, and processes have a directory of their own.
        if super::births::is_thread_of(child, process)? {
            self.add_thread(child, process, copy);
        } else {
            self.add_process(child, copy, Some(process));
            self.add_thread(child, child, copy);
        }
        Ok(())
    }

    fn add_thread(&mut self, id: Pid, process: Pid, copy: u16) {
        let number = &mut self.copies[usize::from(copy)].threads;
        let agent = Agent { copy, thread: *number };
        *number = number.saturating_add(1);
        self.born += 1;
        let mut thread = Thread::new(agent, process, self.seed);
        if self.strays.remove(&id) {
            thread.state = State::Ready(0);
        }
        if let Some(process) = self.processes.get_mut(&process) {
            process.threads += 1;
        }
        self.threads.insert(id, thread);
    }

    fn add_process(&mut self, id: Pid, copy: u16, parent: Option<Pid>) {
        let parent = parent.and_then(|parent| self.processes.get(&parent));
        let process = match parent {
            Some(parent) => parent.forked(),
            None => Process::first(copy),
        };
        self.processes.insert(id, process);
    }

    /// A thread has ended, and with the last one its process.
    pub(super) fn bury(&mut self, id: Pid, end: End) {
        self.leave(id);
        self.strays.remove(&id);
        let Some(thread) = self.threads.remove(&id) else { return };
        let Some(process) = self.processes.get_mut(&thread.process) else { return };
        process.threads = process.threads.saturating_sub(1);
        if process.threads > 0 {
            return;
        }
        let Some(process) = self.processes.remove(&thread.process) else { return };
        self.drop_timer(thread.process);
        if end == End::Killed(nix::libc::SIGSYS) {
            self.doubts
                .insert("a copy makes calls as 32-bit programs do, which are not followed, and was killed".into());
        }
        if process.is_first {
            self.copies[usize::from(process.copy)].end = Some(end);
            self.used.add(Object::Process(process.copy), Access::Write);
        }
    }

    /// A thread is about to get a signal.
    fn signalled(&mut self, id: Pid, signal: i32) -> std::io::Result<()> {
        let thread = self.threads.get_mut(&id).expect("it is known");
        match &thread.state {
            State::Running | State::Passing(..) => {
                if super::births::ends_it(id, signal) {
                    return self.stop_before_end(id, signal);
                }
                tracing::resume(id, Until::Filtered, signal)
            }
            _ => {
                thread.state = State::Ready(signal);
                self.leave(id);
                Ok(())
            }
        }
    }

    /// A signal is about to end a process: what goes with it is seen by others.
    fn stop_before_end(&mut self, id: Pid, signal: i32) -> std::io::Result<()> {
        let registers = super::registers::Registers::of(id)?;
        let about = self.end_of_process(id);
        let name = nix::sys::signal::Signal::try_from(signal).map_or("a signal", nix::sys::signal::Signal::as_str);
        let pending = Pending {
            call: super::calls::find(nix::libc::SYS_kill).expect("it is in the table"),
            registers,
            about,
            flags: signal,
            label: format!("killed by {name}"),
            is_blocked: false,
            was_refused: false,
            found: [None, None],
            found_fifo: false,
        };
        if matches!(&pending.about, About::End(None, objects) if objects.is_empty()) {
            return self.make(id, pending);
        }
        self.threads.get_mut(&id).expect("it is known").state = State::Before(pending);
        self.leave(id);
        Ok(())
    }
}
