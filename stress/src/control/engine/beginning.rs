//! How an execution begins: each copy with a child of the one that is kept, or afresh.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use crate::explore::execution::{Agent, Footprint, Stop};
use crate::failure::Failure;

use super::clock::Clocks;
use super::ending::END_MAX;
use super::execution::{Copy, Idle, ProcessExecution, lost};
use super::files::Files;
use super::sockets::Sockets;
use super::template::{Known, Template};
use super::thread::{Process, State, Thread};
use super::tracing::End;
use super::{Host, Setup, Templates};

impl ProcessExecution {
    /// Starts all copies, one after the other, each up to its first rest.
    pub(super) fn start(host: Rc<RefCell<Host>>, setup: Rc<Setup>, seed: u64) -> Result<Self, Stop> {
        let count = setup.copies.len();
        let files = Files::new(&setup.directory, &setup.watched, &setup.unordered);
        let mut execution = Self {
            host,
            seed,
            threads: BTreeMap::new(),
            processes: HashMap::new(),
            copies: std::iter::repeat_with(Copy::default).take(count).collect(),
            strays: BTreeSet::new(),
            running: None,
            files,
            sockets: Sockets::default(),
            clocks: Clocks::new(count),
            timers: Vec::new(),
            used: Footprint::default(),
            told: String::new(),
            stepping: None,
            doubts: BTreeSet::new(),
            outside: HashMap::new(),
            stops: 0,
            born: 0,
            idle: Idle::default(),
            deeds: Vec::new(),
            wants_own_ids: false,
            is_ended: false,
            setup,
        };
        let remedy = "make it a directory that nobody else uses";
        let directory = &execution.setup.directory;
        let failed = Failure::environment(directory.display(), "unlink", remedy);
        super::clear(directory).and_then(|()| (execution.setup.prepare.0)(directory)).map_err(failed)?;
        for streams in &mut execution.host.borrow_mut().streams {
            streams.refresh().map_err(lost("pipe"))?;
        }
        execution.host.borrow_mut().launcher.renumber().map_err(lost("write"))?;
        execution.begin()?;
        Ok(execution)
    }

    /// Starts all copies: from those that are kept, where there are, else afresh.
    pub(super) fn begin(&mut self) -> Result<(), Stop> {
        let copies = 0..u16::try_from(self.copies.len()).map_err(|error| lost("clone")(io::Error::other(error)))?;
        let are_refused = self.host.borrow().templates.are_refused;
        if !are_refused && self.host.borrow().templates.seed != Some(self.seed) {
            let none = copies.clone().map(|_| None).collect();
            self.host.borrow_mut().templates = Templates { seed: Some(self.seed), of: none, are_refused };
            for copy in copies.clone() {
                self.launch(copy)?;
                let template = self.keep(copy);
                self.host.borrow_mut().templates.of[usize::from(copy)] = template;
            }
            // Who cannot be kept begins afresh, with the ID that it has in each execution.
            self.end_all().map_err(lost("kill"))?;
            self.is_ended = false;
            self.copies.iter_mut().for_each(|copy| *copy = Copy::default());
            self.clocks = Clocks::new(self.copies.len());
            (self.born, self.timers) = (0, Vec::new());
            for streams in &mut self.host.borrow_mut().streams {
                streams.refresh().map_err(lost("pipe"))?;
            }
            self.host.borrow_mut().launcher.renumber().map_err(lost("write"))?;
        }
        for copy in copies {
            if !self.begin_from_template(copy)? {
                self.launch(copy)?;
            }
        }
        Ok(())
    }

    /// Keeps a copy that stands before its first visible call for executions to begin with, if it may be kept.
    fn keep(&mut self, copy: u16) -> Option<Template> {
        let mut own = self.threads.iter().filter(|(_, thread)| thread.agent.copy == copy);
        let (Some((id, thread)), None) = (own.next(), own.next()) else { return None };
        let (id, State::Before(pending)) = (*id, &thread.state) else { return None };
        if self.timers.iter().any(|timer| timer.agent.copy == copy) {
            return None;
        }
        let known = Known {
            random: thread.random,
            process: Rc::new(self.processes.get(&id)?.clone()),
            clock: self.clocks.of(copy),
            threads: self.copies[usize::from(copy)].threads,
            complaints: self.copies[usize::from(copy)].complaints.clone(),
        };
        let registers = pending.registers;
        let template = Template::keep(id, registers, &self.host.borrow().streams[usize::from(copy)], known)?;
        self.threads.remove(&id);
        self.processes.remove(&id);
        Some(template)
    }

    /// Begins a copy with a child of the one that is kept; whether there is one.
    fn begin_from_template(&mut self, copy: u16) -> Result<bool, Stop> {
        let host = self.host.borrow();
        let Some(Some(template)) = host.templates.of.get(usize::from(copy)) else { return Ok(false) };
        let child = template.fork(host.launcher.process()).map_err(lost("clone"))?;
        let known = template.known.clone();
        drop(host);
        let mut thread = Thread::new(Agent { copy, thread: 0 }, child, self.seed);
        (thread.random, thread.state) = (known.random, State::Ready(0));
        self.threads.insert(child, thread);
        self.processes.insert(child, Process::clone(&known.process));
        self.clocks.begin(copy, known.clock);
        let of = &mut self.copies[usize::from(copy)];
        (of.first, of.threads, of.complaints) = (Some(child), known.threads, known.complaints);
        self.settle()?;
        Ok(true)
    }

    fn launch(&mut self, copy: u16) -> Result<(), Stop> {
        self.host.borrow_mut().launcher.launch(copy).map_err(lost("write"))?;
        let begun = Instant::now();
        while self.copies[usize::from(copy)].first.is_none() {
            self.wait_for_news()?;
            if begun.elapsed() > END_MAX {
                return Err(lost("clone")(io::Error::from(io::ErrorKind::TimedOut)));
            }
        }
        self.settle()?;
        let first = self.copies[usize::from(copy)].first;
        let runs = first.is_none_or(|first| self.processes.get(&first).is_none_or(|process| process.has_program));
        if runs && self.copies[usize::from(copy)].end != Some(End::Exited(super::launcher::NO_PROGRAM)) {
            return Ok(());
        }
        let error = self.host.borrow_mut().launcher.failure();
        let program = self.setup.copies[usize::from(copy)].words.first().cloned().unwrap_or_default();
        Err(Failure::environment(program.display(), "execve", "name a program that can be run")(error).into())
    }
}
