//! One step: a pending call takes place, fails or times out.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use nix::unistd::Pid;

use crate::explore::execution::{Access, Agent, Choice, Fault, Footprint, Object, Step, Stop};

use super::execution::{ProcessExecution, lost};
use super::faults;
use super::pending::{About, Pending};
use super::thread::{For, State, Thread, Wait};
use super::tracing::{self, Until};

impl ProcessExecution {
    pub(super) fn find(&self, agent: Agent) -> Result<Pid, Stop> {
        let found = self.threads.iter().find(|(_, thread)| thread.agent == agent).map(|(id, _)| *id);
        found.ok_or_else(|| Stop::Uncontrolled(format!("there is no thread {agent} to go on")))
    }

    pub(super) fn take_step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        match choice {
            Choice::Run => self.perform(self.find(agent)?)?,
            Choice::Fire if self.fire_alarm(agent)? => {}
            Choice::Fire => self.fire(self.find(agent)?)?,
            Choice::Fault(Fault::Crash) => {
                let held = self.held_by(agent.copy);
                self.told = format!("SIGKILL to copy {} before {}", agent.copy, self.label(self.find(agent)?));
                for (object, access) in held.uses() {
                    self.used.add(*object, *access);
                }
                self.kill(agent.copy)?;
            }
            Choice::Fault(fault) => self.strike(self.find(agent)?, fault)?,
        }
        self.settle()?;
        if let Some(thread) = self.stepping.take().and_then(|id| self.threads.get(&id))
            && let State::Waiting(wait) = &thread.state
            && let For::Shared(pending) = &wait.for_what
        {
            self.told = format!("{} waits", pending.label);
            let footprint = pending.footprint(&mut self.files, Some(-i64::from(libc::EAGAIN)));
            self.use_up(agent.copy, &footprint);
        }
        let used = std::mem::take(&mut self.used);
        self.clocks.step(agent.copy, &used);
        self.unblock(agent, &used);
        Ok(Step { footprint: used, label: std::mem::take(&mut self.told), effects: Vec::new() })
    }

    /// Lets a pending call take place.
    fn perform(&mut self, id: Pid) -> Result<(), Stop> {
        self.stepping = Some(id);
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
        if let About::End(_, _) = pending.about {
            let footprint = pending.footprint(&mut self.files, None);
            thread.state = State::Running;
            self.running = Some(id);
            let copy = thread.agent.copy;
            self.use_up(copy, &footprint);
            return tracing::resume(id, Until::Filtered, pending.signal());
        }
        if pending.may_wait() {
            thread.state = State::Waiting(Wait {
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
        self.stepping = Some(id);
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

fn thread_copy(threads: &BTreeMap<Pid, Thread>, id: Pid) -> u16 {
    threads.get(&id).map_or(0, |thread| thread.agent.copy)
}
