//! An execution of real processes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::Pid;
use rustix::process::{Signal, kill_process};

use crate::explore::execution::{Access, Agent, Choice, Execution, Fault, Footprint, Object, Step, Stop, Transition};
use crate::failure::Failure;

use super::clock::Clocks;
use super::descriptors::Target;
use super::faults;
use super::files::{Files, Identity};
use super::pending::{Pending, fifo, within};
use super::sockets::Sockets;
use super::template::{Known, Template};
use super::thread::{For, Process, State, Thread};
use super::tracing::{self, End, Event, Until};
use super::{Host, Setup, Templates};

/// How long it takes at most to end all that runs.
pub(super) const END_MAX: Duration = Duration::from_secs(20);

/// One run of all copies.
#[derive(Debug)]
pub(crate) struct ProcessExecution {
    pub(super) host: Rc<RefCell<Host>>,
    pub(super) setup: Rc<Setup>,
    pub(super) seed: u64,
    /// In the order of their IDs, which is that of their births as long as IDs do not wrap.
    pub(super) threads: BTreeMap<Pid, Thread>,
    pub(super) processes: HashMap<Pid, Process>,
    pub(super) copies: Vec<Copy>,
    /// Threads that were seen before whoever made them told of it.
    pub(super) strays: BTreeSet<Pid>,
    /// The one that runs.
    pub(super) running: Option<Pid>,
    pub(super) files: Files,
    pub(super) sockets: Sockets,
    pub(super) clocks: Clocks,
    /// What the step that is under way has used.
    pub(super) used: Footprint,
    /// The call of the step that is under way, with its result.
    pub(super) told: String,
    /// What was seen that makes a verdict doubtful.
    pub(super) doubts: BTreeSet<String>,
    pub(super) outside: HashMap<std::path::PathBuf, Outside>,
    /// How many stops there were since the last rest, and threads since the start.
    pub(super) stops: u64,
    pub(super) born: u32,
    pub(super) idle: Idle,
    /// What was done to it, should that have to be done again.
    deeds: Vec<Deed>,
    /// Whether a copy asks for another by its process ID, and begins here with a child of what bears that ID.
    pub(super) wants_own_ids: bool,
    pub(super) is_ended: bool,
}

/// What the copies do with a file that is not watched.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// A bit for each copy that has opened it.
    pub(super) opened_by: u64,
    pub(super) is_written: bool,
}

/// What is done to an execution.
#[derive(Clone, Debug)]
enum Deed {
    Step(Agent, Choice),
    Give(u16, Vec<u8>),
    Close(u16),
}

/// How the one that runs gets on, without a stop.
#[derive(Debug, Default)]
pub(super) struct Idle {
    pub(super) stops: u64,
    pub(super) computed: Duration,
    pub(super) asleep: u32,
}

/// One program.
#[derive(Debug, Default)]
pub(super) struct Copy {
    pub(super) threads: u16,
    pub(super) first: Option<Pid>,
    pub(super) end: Option<End>,
    /// How often something happened that may have woken one of its threads.
    pub(super) stirred: u64,
    pub(super) printed: Vec<u8>,
    /// How much of it was taken already.
    taken_bytes: usize,
    pub(super) complaints: Vec<u8>,
    pub(super) printed_bytes: usize,
}

/// What is left of an execution.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// How each copy's first process ended, unless the end of the execution ended it.
    pub(crate) ends: Vec<Option<End>>,
    /// What was seen that could not be controlled: nothing is proved where there is any.
    pub(crate) doubts: BTreeSet<String>,
}

/// For errors of the kernel's.
pub(super) fn lost(call: &'static str) -> impl FnOnce(io::Error) -> Stop {
    let remedy = "see whether this user may follow programs by ptrace(2) here";
    move |error| Failure::environment("a copy under control", call, remedy)(error).into()
}

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
            used: Footprint::default(),
            told: String::new(),
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
        super::clear(directory).and_then(|()| (execution.setup.prepare)(directory)).map_err(failed)?;
        for streams in &mut execution.host.borrow_mut().streams {
            streams.refresh().map_err(lost("pipe"))?;
        }
        execution.host.borrow_mut().launcher.renumber().map_err(lost("write"))?;
        execution.begin()?;
        Ok(execution)
    }

    /// Starts all copies: from those that are kept, where there are, else afresh.
    fn begin(&mut self) -> Result<(), Stop> {
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
            self.born = 0;
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

    /// Writes to a copy's standard input, and waits for rest; what the copy has used since.
    pub(crate) fn give(&mut self, copy: u16, bytes: &[u8]) -> Result<Footprint, Stop> {
        Ok(self.act(Deed::Give(copy, bytes.to_vec()))?.footprint)
    }

    /// Ends a copy's standard input, and waits for rest; what the copy has used since.
    pub(crate) fn close_input(&mut self, copy: u16) -> Result<Footprint, Stop> {
        Ok(self.act(Deed::Close(copy))?.footprint)
    }

    /// All that giving a copy its input may use.
    pub(crate) fn input_footprint(copy: u16) -> Footprint {
        Footprint::default().with(within(copy), Access::Write).with(Object::Time, Access::Read)
    }

    /// What a copy has printed since this was asked last.
    pub(crate) fn take_printed(&mut self, copy: u16) -> Vec<u8> {
        let copy = &mut self.copies[usize::from(copy)];
        copy.taken_bytes += copy.printed.len();
        std::mem::take(&mut copy.printed)
    }

    /// What a copy has complained of on standard error since this was asked last.
    pub(crate) fn take_complaints(&mut self, copy: u16) -> Vec<u8> {
        std::mem::take(&mut self.copies[usize::from(copy)].complaints)
    }

    /// How a copy's first process has ended, if it has.
    pub(crate) fn end_of(&self, copy: u16) -> Option<End> {
        self.copies[usize::from(copy)].end
    }

    /// Whether a copy waits for something that is not pending: its input, a child, another of its threads.
    pub(crate) fn waits_for_input(&self, copy: u16) -> bool {
        let waits = |thread: &Thread| match &thread.state {
            State::Waiting(wait) => {
                matches!(wait.for_what, For::Own) && super::waiting::LISTENING.contains(&wait.call.name)
            }
            _ => false,
        };
        self.threads.values().any(|thread| thread.agent.copy == copy && waits(thread))
    }

    /// The virtual time since the start, as a copy has it.
    pub(crate) fn elapsed_ns(&self, copy: u16) -> u64 {
        self.clocks.elapsed_ns(copy)
    }

    /// What could not be controlled so far.
    pub(crate) fn doubts(&self) -> &BTreeSet<String> {
        &self.doubts
    }

    fn find(&self, agent: Agent) -> Result<Pid, Stop> {
        let found = self.threads.iter().find(|(_, thread)| thread.agent == agent).map(|(id, _)| *id);
        found.ok_or_else(|| Stop::Uncontrolled(format!("there is no thread {agent} to go on")))
    }

    /// All that goes with a copy that is killed.
    fn held_by(&mut self, copy: u16) -> Footprint {
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
    fn kill(&mut self, copy: u16) -> Result<(), Stop> {
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
    fn end_all(&mut self) -> io::Result<()> {
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

impl Execution for ProcessExecution {
    type End = Remains;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        let mut transitions = Vec::new();
        let mut files = std::mem::replace(&mut self.files, Files::new(&self.setup.directory, &[], &[]));
        for thread in self.threads.values_mut() {
            let agent = thread.agent;
            let mut offer = |choice, is_enabled, may_wait, footprint: Footprint, due_ns, label: &str| {
                let footprint = match choice {
                    // What follows the call may look at the clock.
                    Choice::Run | Choice::Fire => footprint.with(Object::Time, Access::Read),
                    Choice::Fault(_) => footprint,
                };
                // The copy's other threads may share memory with it.
                let footprint = footprint.with(within(agent.copy), Access::Write);
                let label = label.into();
                transitions.push(Transition { agent, choice, is_enabled, may_wait, footprint, due_ns, label });
            };
            match &mut thread.state {
                State::Before(pending) => {
                    pending.look();
                    let footprint = pending.footprint(&mut files, None);
                    let may_wait = pending.may_wait() || pending.waits_for_lock();
                    offer(Choice::Run, !pending.is_blocked, may_wait, footprint, None, &pending.label);
                    for fault in faults::of(pending, self.setup.faults) {
                        offer(Choice::Fault(fault), true, may_wait, Footprint::default(), None, &pending.label);
                    }
                }
                State::After(pending, result) => {
                    let footprint = pending.footprint(&mut files, Some(*result));
                    offer(Choice::Run, true, true, footprint, None, &pending.label);
                }
                State::Sleeping(_, due_ns, label) => {
                    let firing = Footprint::default().with(Object::Time, Access::Write);
                    offer(Choice::Fire, true, false, firing, Some(*due_ns), label);
                }
                State::Waiting(wait) => {
                    if let For::Shared(pending) = &wait.for_what {
                        let footprint = pending.footprint(&mut files, None);
                        offer(Choice::Run, false, true, footprint, None, &pending.label);
                    }
                    if let Some(due_ns) = wait.due_ns {
                        let mut firing = Footprint::default().with(Object::Time, Access::Write);
                        // Whoever sends it something in time has it do something else.
                        let process = self.processes.get(&thread.process);
                        let reached = process.map(|process| process.descriptors.addresses(&self.sockets));
                        for address in reached.unwrap_or_default() {
                            firing.add(Object::Socket(address), Access::Read);
                        }
                        offer(Choice::Fire, true, true, firing, Some(due_ns), wait.call.name);
                    }
                }
                _ => {}
            }
        }
        self.files = files;
        for crash in transitions.iter_mut().filter(|one| one.choice == Choice::Fault(Fault::Crash)) {
            for (object, access) in self.held_by(crash.agent.copy).uses() {
                crash.footprint.add(*object, *access);
            }
        }
        transitions.sort_by_key(|transition| (transition.agent, transition.choice));
        Ok(transitions)
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        self.act(Deed::Step(agent, choice))
    }

    fn finish(mut self) -> Result<Remains, Stop> {
        let ends = self.copies.iter().map(|copy| copy.end).collect();
        self.end_all().map_err(lost("kill"))?;
        Ok(Remains { ends, doubts: std::mem::take(&mut self.doubts) })
    }
}

impl ProcessExecution {
    /// Does something to it, and waits for rest.
    fn act(&mut self, deed: Deed) -> Result<Step, Stop> {
        let step = self.carry_out(&deed)?;
        self.deeds.push(deed);
        if self.wants_own_ids && self.begins_with_children() { self.begin_again() } else { Ok(step) }
    }

    fn carry_out(&mut self, deed: &Deed) -> Result<Step, Stop> {
        let (Deed::Step(Agent { copy, .. }, _) | Deed::Give(copy, _) | Deed::Close(copy)) = *deed;
        self.used = Footprint::default().with(within(copy), Access::Write);
        self.told.clear();
        self.copies.iter_mut().for_each(|copy| copy.stirred += 1);
        match deed {
            Deed::Step(agent, choice) => return self.take_step(*agent, *choice),
            Deed::Give(copy, bytes) => {
                self.host.borrow_mut().streams[usize::from(*copy)].give(bytes).map_err(lost("write"))?;
            }
            Deed::Close(copy) => self.host.borrow_mut().streams[usize::from(*copy)].close(),
        }
        self.settle()?;
        Ok(Step { footprint: std::mem::take(&mut self.used), label: String::new() })
    }

    fn begins_with_children(&self) -> bool {
        self.host.borrow().templates.of.iter().any(Option::is_some)
    }

    /// Does all again with copies that bear the process IDs that they know, here and from here on. It comes to the same: only
    /// these differ.
    fn begin_again(&mut self) -> Result<Step, Stop> {
        self.end_all().map_err(lost("kill"))?;
        {
            let mut host = self.host.borrow_mut();
            host.templates.of.clear();
            host.templates.are_refused = true;
        }
        let mut again = Self::start(self.host.clone(), self.setup.clone(), self.seed)?;
        again.wants_own_ids = true;
        let mut last = Step::default();
        for deed in std::mem::take(&mut self.deeds) {
            last = again.act(deed)?;
        }
        for (copy, before) in again.copies.iter_mut().zip(&self.copies) {
            copy.taken_bytes = before.taken_bytes.min(copy.printed.len());
            copy.printed.drain(..copy.taken_bytes);
        }
        *self = again;
        Ok(last)
    }

    fn take_step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        let thread = self.find(agent)?;
        match choice {
            Choice::Run => self.perform(thread)?,
            Choice::Fire => self.fire(thread)?,
            Choice::Fault(Fault::Crash) => {
                let held = self.held_by(agent.copy);
                self.told = format!("SIGKILL to copy {} before {}", agent.copy, self.label(thread));
                for (object, access) in held.uses() {
                    self.used.add(*object, *access);
                }
                self.kill(agent.copy)?;
            }
            Choice::Fault(fault) => self.strike(thread, fault)?,
        }
        self.settle()?;
        let used = std::mem::take(&mut self.used);
        self.clocks.step(agent.copy, &used);
        self.unblock(agent, &used);
        Ok(Step { footprint: used, label: std::mem::take(&mut self.told) })
    }

    /// Lets a pending call take place.
    fn perform(&mut self, id: Pid) -> Result<(), Stop> {
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        match std::mem::replace(&mut thread.state, State::Running) {
            State::Before(mut pending) => {
                pending.look();
                self.told.clone_from(&pending.label);
                if pending.was_refused {
                    pending.was_refused = false;
                    pending.registers.rewound().store(id).map_err(lost("ptrace"))?;
                    thread.state = State::Within(pending);
                    self.running = Some(id);
                    return tracing::resume(id, Until::Filtered, 0).map_err(lost("ptrace"));
                }
                self.make(id, pending).map_err(lost("ptrace"))
            }
            State::After(pending, result) => {
                let footprint = pending.footprint(&mut self.files, Some(result));
                self.told = pending.told(result);
                self.use_up(thread_copy(&self.threads, id), &footprint);
                self.threads.get_mut(&id).expect("it was there").state = State::Ready(0);
                Ok(())
            }
            state => {
                thread.state = state;
                Err(Stop::Uncontrolled(format!("thread {} has no call that could take place", thread.agent)))
            }
        }
    }

    /// Has a thread that stands before a call make it.
    pub(super) fn make(&mut self, id: Pid, pending: Pending) -> io::Result<()> {
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        if pending.waits_for_lock() {
            pending.made_with().store(id)?;
        }
        if let super::pending::About::End(_, _) = pending.about {
            let footprint = pending.footprint(&mut self.files, None);
            thread.state = State::Running;
            self.running = Some(id);
            let copy = thread.agent.copy;
            self.use_up(copy, &footprint);
            return tracing::resume(id, Until::Filtered, pending.signal());
        }
        if pending.may_wait() {
            thread.state = State::Waiting(super::thread::Wait {
                registers: pending.registers,
                due_ns: None,
                is_fired: false,
                call: pending.call,
                for_what: For::Shared(Box::new(pending)),
            });
        } else {
            thread.state = State::Within(pending);
            self.running = Some(id);
        }
        tracing::resume(id, Until::CallEnds, 0)
    }

    /// Ends the time of a pending call.
    fn fire(&mut self, id: Pid) -> Result<(), Stop> {
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        let copy = thread.agent.copy;
        let due_ns = match &mut thread.state {
            State::Sleeping(registers, due_ns, label) => {
                let due_ns = *due_ns;
                self.told = format!("{label} ends");
                registers.skipped(0).store(id).map_err(lost("ptrace"))?;
                thread.state = State::Ready(0);
                due_ns
            }
            State::Waiting(wait) if wait.due_ns.is_some() => {
                self.told = format!("{} times out", wait.call.name);
                wait.is_fired = true;
                tracing::interrupt(id).map_err(lost("ptrace"))?;
                wait.due_ns.unwrap_or_default()
            }
            _ => return Err(Stop::Uncontrolled(format!("thread {} waits for no time", thread.agent))),
        };
        self.clocks.fire(copy, due_ns);
        self.used.add(Object::Time, Access::Write);
        Ok(())
    }

    /// Has a pending call fail.
    fn strike(&mut self, id: Pid, fault: Fault) -> Result<(), Stop> {
        let Some(thread) = self.threads.get_mut(&id) else { return Ok(()) };
        let State::Before(pending) = std::mem::replace(&mut thread.state, State::Ready(0)) else {
            return Err(Stop::Uncontrolled(format!("thread {} has no call that could fail", thread.agent)));
        };
        match fault {
            Fault::Short => {
                let Some(short) = faults::short(&pending) else {
                    return Err(Stop::Uncontrolled(format!("{} cannot be short", pending.label)));
                };
                short.store(id).map_err(lost("ptrace"))?;
                self.told = format!("{} cut short", pending.label);
                self.make(id, pending).map_err(lost("ptrace"))
            }
            Fault::Error(_) | Fault::Interrupt | Fault::Crash => {
                let number = if let Fault::Error(number) = fault { number } else { libc::EINTR };
                self.told = pending.told(-i64::from(number));
                pending.registers.skipped(-i64::from(number)).store(id).map_err(lost("ptrace"))
            }
        }
    }

    /// A step used these: the copy's clock goes on with them.
    pub(super) fn use_up(&mut self, copy: u16, footprint: &Footprint) {
        self.clocks.step(copy, footprint);
        for (object, access) in footprint.uses() {
            self.used.add(*object, *access);
        }
    }

    fn label(&self, id: Pid) -> String {
        match self.threads.get(&id).map(|thread| &thread.state) {
            Some(State::Before(pending) | State::After(pending, _)) => pending.label.clone(),
            Some(State::Sleeping(_, _, label)) => label.clone(),
            _ => String::new(),
        }
    }

    /// Those who wait for a lock that a step has changed may try again.
    fn unblock(&mut self, stepped: Agent, used: &Footprint) {
        for thread in self.threads.values_mut().filter(|thread| thread.agent != stepped) {
            let State::Before(pending) = &mut thread.state else { continue };
            if pending.is_blocked {
                let wanted = pending.footprint(&mut self.files, None);
                let changed = |object: &Object| {
                    matches!(object, Object::Lock(_))
                        && used.uses().iter().any(|(other, access)| other == object && *access != Access::Read)
                };
                pending.is_blocked = !wanted.uses().iter().any(|(object, _)| changed(object));
            }
        }
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

fn thread_copy(threads: &BTreeMap<Pid, Thread>, id: Pid) -> u16 {
    threads.get(&id).map_or(0, |thread| thread.agent.copy)
}

pub(super) fn kill(process: Pid) {
    if let Some(process) = rustix::process::Pid::from_raw(process.as_raw()) {
        // It may have ended already, which is all that is wanted.
        let _ = kill_process(process, Signal::KILL);
    }
}

/// The lock on a file.
pub(super) fn lock(identity: Identity, files: &mut Files) -> Object {
    Object::Lock(files.known(identity, std::path::Path::new("")).number)
}

/// What goes when these are open no more.
pub(super) fn goes_with(
    descriptions: &[Rc<super::descriptors::Description>],
    files: &mut Files,
    sockets: &Sockets,
) -> Vec<Object> {
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
