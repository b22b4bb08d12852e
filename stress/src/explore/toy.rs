//! Small programs in memory, which a search can be held against: all of their executions can be enumerated.

use super::execution::{Access, Agent, Choice, Execution, Fault, Footprint, Object, Step, Stop, System, Transition};

/// What a thread of such a program does. It remembers one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// Remembers what a variable holds.
    Read(u8),
    /// Remembers the sum of what it remembers and what a variable holds.
    ReadMore(u8),
    /// Writes the number.
    Write(u8, u8),
    /// Writes what it remembers and one more.
    WriteBack(u8),
    /// Adds to a counter, without learning how it stands.
    Count(u8, u8),
    /// Passes over so many operations unless it remembers the number.
    Unless(u8, u8),
    /// Waits for a lock, and takes it.
    Lock(u8),
    /// Takes a lock if it is free, and remembers 1 if it was.
    TryLock(u8),
    /// Takes a lock; remembers 97 if the time is over before it could.
    LockFor(u8, u8),
    /// Gives a lock up if it has it.
    Unlock(u8),
    /// Waits.
    Sleep(u8),
    /// Remembers the time.
    Clock,
}

/// A program: its copies, each with its threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toy {
    pub(crate) copies: Vec<Vec<Vec<Op>>>,
    /// Whether calls may fail.
    pub(crate) fails: bool,
}

/// What is left at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    variables: [u8; 4],
    holders: [Option<Agent>; 4],
    /// Copies that were killed.
    dead: Vec<u16>,
    now: u64,
    /// Where each thread is, and what it remembers.
    pub(crate) threads: Vec<(Agent, usize, u8)>,
    due: Vec<u64>,
}

/// A run of a program.
#[derive(Debug)]
pub(crate) struct ToyRun {
    toy: Toy,
    state: State,
}

impl System for Toy {
    type Execution = ToyRun;

    fn start(&mut self, _seed: u64) -> Result<ToyRun, Stop> {
        let mut state = State::default();
        for (copy, threads) in (0..).zip(&self.copies) {
            for thread in 0..u16::try_from(threads.len()).expect("a few") {
                state.threads.push((Agent { copy, thread }, 0, 0));
                state.due.push(0);
            }
        }
        let mut run = ToyRun { toy: self.clone(), state };
        for index in 0..run.state.threads.len() {
            run.arrive(index);
        }
        Ok(run)
    }
}

impl ToyRun {
    fn op(&self, index: usize) -> Option<Op> {
        let (Agent { copy, thread }, place, _) = self.state.threads[index];
        let is_dead = self.state.dead.contains(&copy);
        self.toy.copies[usize::from(copy)][usize::from(thread)].get(place).copied().filter(|_| !is_dead)
    }

    /// Does what needs no step: a jump, the beginning of a wait. Says whether it looked at the clock.
    fn arrive(&mut self, index: usize) -> bool {
        while let Some(Op::Unless(number, skipped)) = self.op(index) {
            let (_, place, remembered) = &mut self.state.threads[index];
            *place += 1 + if *remembered == number { 0 } else { usize::from(skipped) };
        }
        if let Some(Op::Sleep(time) | Op::LockFor(_, time)) = self.op(index) {
            self.state.due[index] = self.state.now + u64::from(time);
            return true;
        }
        false
    }

    fn footprint(&self, agent: Agent, op: Op) -> Footprint {
        use Access::{Add, Read, Write};
        let name = |variable: u8| Object::Name(u64::from(variable));
        let (object, access) = match op {
            Op::Read(variable) | Op::ReadMore(variable) => (name(variable), Read),
            Op::Write(variable, _) | Op::WriteBack(variable) => (name(variable), Write),
            Op::Count(variable, _) => (name(variable), Add),
            Op::Lock(lock) | Op::LockFor(lock, _) => (Object::Lock(u64::from(lock)), Write),
            Op::TryLock(lock) | Op::Unlock(lock) => match self.state.holders[usize::from(lock)] {
                Some(holder) if holder != agent => (Object::Lock(u64::from(lock)), Read),
                None if matches!(op, Op::Unlock(_)) => (Object::Lock(u64::from(lock)), Read),
                _ => (Object::Lock(u64::from(lock)), Write),
            },
            Op::Clock | Op::Sleep(_) => (Object::Time, Read),
            Op::Unless(..) => return Footprint::default(),
        };
        Footprint::default().with(object, access)
    }

    fn is_free(&self, lock: u8) -> bool {
        self.state.holders[usize::from(lock)].is_none()
    }
}

impl Execution for ToyRun {
    type End = State;

    fn pending(&mut self) -> Result<Vec<Transition>, Stop> {
        let mut all = Vec::new();
        for (index, (agent, ..)) in self.state.threads.iter().enumerate() {
            let Some(op) = self.op(index) else { continue };
            let footprint = self.footprint(*agent, op);
            let may_wait = matches!(op, Op::Lock(_) | Op::LockFor(..));
            let mut add = |choice, is_enabled, footprint: &Footprint, due_ns| {
                let (footprint, label) = (footprint.clone(), format!("{op:?}"));
                all.push(Transition { agent: *agent, choice, is_enabled, may_wait, footprint, due_ns, label });
            };
            let waits_for = match op {
                Op::Lock(lock) | Op::LockFor(lock, _) => !self.is_free(lock),
                _ => false,
            };
            if !matches!(op, Op::Sleep(_)) {
                add(Choice::Run, !waits_for, &footprint, None);
            }
            if matches!(op, Op::Sleep(_) | Op::LockFor(..)) {
                let fires = Footprint::default().with(Object::Time, Access::Write);
                add(Choice::Fire, true, &fires, Some(self.state.due[index]));
            }
            let mut kill = Footprint::default().with(Object::Process(agent.copy), Access::Write);
            for (lock, holder) in (0..).zip(self.state.holders) {
                if holder.is_some_and(|holder| holder.copy == agent.copy) {
                    kill.add(Object::Lock(lock), Access::Write);
                }
            }
            add(Choice::Fault(Fault::Crash), true, &kill, None);
            if self.toy.fails && !matches!(op, Op::Sleep(_)) {
                add(Choice::Fault(Fault::Error(5)), true, &Footprint::default(), None);
            }
        }
        Ok(all)
    }

    fn step(&mut self, agent: Agent, choice: Choice) -> Result<Step, Stop> {
        let all = self.pending()?;
        let transition = all.into_iter().find(|one| (one.agent, one.choice) == (agent, choice) && one.is_enabled);
        let Transition { footprint, label, .. } = transition.expect("it is offered");
        let mut step = Step { footprint, label, effects: Vec::new() };
        let index = self.state.threads.iter().position(|(one, ..)| *one == agent).expect("it has a call");
        let op = self.op(index).expect("it has a call");
        let state = &mut self.state;
        let remembered = &mut state.threads[index].2;
        match (choice, op) {
            (Choice::Fault(Fault::Crash), _) => {
                state.dead.push(agent.copy);
                for holder in &mut state.holders {
                    *holder = holder.filter(|holder| holder.copy != agent.copy);
                }
                return Ok(step);
            }
            (Choice::Fault(_), _) => *remembered = 99,
            (Choice::Fire, Op::LockFor(..)) => *remembered = 97,
            (_, Op::Read(variable)) => *remembered = state.variables[usize::from(variable)],
            (_, Op::ReadMore(variable)) => {
                *remembered = remembered.wrapping_add(state.variables[usize::from(variable)]);
            }
            (_, Op::Write(variable, number)) => state.variables[usize::from(variable)] = number,
            (_, Op::WriteBack(variable)) => state.variables[usize::from(variable)] = remembered.wrapping_add(1),
            (_, Op::Count(variable, number)) => {
                let counter = &mut state.variables[usize::from(variable)];
                *counter = counter.wrapping_add(number);
            }
            (_, Op::Lock(lock) | Op::LockFor(lock, _)) => state.holders[usize::from(lock)] = Some(agent),
            (_, Op::TryLock(lock)) => {
                let holder = &mut state.holders[usize::from(lock)];
                *remembered = u8::from(holder.is_none());
                *holder = holder.or(Some(agent));
            }
            (_, Op::Unlock(lock)) => {
                let holder = &mut state.holders[usize::from(lock)];
                *holder = holder.filter(|holder| *holder != agent);
            }
            (_, Op::Clock) => *remembered = u8::try_from(state.now).expect("a short time"),
            (_, Op::Sleep(_) | Op::Unless(..)) => {}
        }
        if choice == Choice::Fire {
            state.now = state.now.max(state.due[index]);
        }
        state.threads[index].1 += 1;
        if self.arrive(index) {
            step.footprint.add(Object::Time, Access::Read);
        }
        Ok(step)
    }

    fn finish(self, _is_end: bool) -> Result<State, Stop> {
        let mut dead = self.state.dead;
        dead.sort_unstable();
        Ok(State { due: Vec::new(), dead, ..self.state })
    }
}
