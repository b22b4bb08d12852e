//! The order of a plan, kept to: whoever takes part takes each of its steps when it is that step's turn.
//!
//! A step lasts until its owner comes to the next one or has nothing to do, so that what it believes by then is part of it.
//! Those that one thread drives share their turns: it cannot wait for itself. A step that is not in the order is taken at any
//! time. Where an order leads nowhere, because what it waits for does not happen in this run, all go on without it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::disturbance;
use crate::plan::Plan;
use crate::plan::order::{self, Steps};
use crate::process::meeting::{sleep_while, wake};

/// The position of an order that is not kept to any more.
const NOWHERE: u32 = u32::MAX;

/// Whose turns the worker's are.
const WORKER: usize = 0;

/// How long an order may stand still beyond two windows: longer than any wait that faults are planned with.
const STILL_MAX: Duration = Duration::from_millis(100);

/// Where the processes of a round see how far its order has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(&'static [AtomicU32]);

impl Words {
    /// How many words a round of so many instances takes.
    pub(crate) const fn count(instances: usize) -> usize {
        2 + instances
    }

    /// Takes the words: one for the position, and one each for the worker and the threads that drive instances.
    pub(crate) fn new(words: &'static [AtomicU32]) -> Self {
        Self(words)
    }

    /// Starts anew, while nobody waits.
    pub(crate) fn clear(self) {
        for word in self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }

    fn position(self) -> &'static AtomicU32 {
        &self.0[0]
    }

    /// Up to where the steps of a thread are taken or will never be, twice; and one more while it takes that step.
    fn done(self, thread: usize) -> &'static AtomicU32 {
        &self.0[1 + thread]
    }
}

/// A step in an order.
#[derive(Debug)]
struct Step {
    thread: usize,
    steps: Steps,
}

/// The turns of one thread, or of the worker.
#[derive(Debug)]
pub(crate) struct Turns {
    order: Vec<Step>,
    thread: usize,
    words: Words,
    still_max: Duration,
}

/// A look at how far the order has come, to notice that it stands still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    position: u32,
    since: Instant,
}

impl Look {
    /// The first one.
    pub(crate) fn new() -> Self {
        Self { position: NOWHERE, since: Instant::now() }
    }
}

impl Turns {
    /// The turns of the thread that drives an instance, or of the worker; nothing where the plan has no order.
    pub(crate) fn new(plan: &Plan, instance: Option<usize>, words: Words) -> Option<Self> {
        if plan.order.is_empty() {
            return None;
        }
        let acts = disturbance::acts(plan);
        let is_possible = |steps: &Steps| match steps.instance {
            Some(instance) => instance < plan.ids.len(),
            None => acts.contains(&steps.does.as_str()),
        };
        let step = |steps: Steps| Step { thread: thread_of(plan, steps.instance), steps };
        let order = order::read(&plan.order, || true).filter(is_possible).map(step).collect();
        let still_max = 2 * plan.window() + STILL_MAX;
        Some(Self { order, thread: thread_of(plan, instance), words, still_max })
    }

    /// Waits until it is the turn of an instance's next such step, having ended the step before.
    pub(crate) fn take(&self, instance: Option<usize>, does: &str) {
        let mut look = Look::new();
        while !self.has_come(instance, does, &mut look) {
            sleep_while(self.words.position(), look.position, self.still_max);
        }
    }

    /// Whether it is the turn of that step, having ended the one before: then it is begun.
    pub(crate) fn has_come(&self, instance: Option<usize>, does: &str, look: &mut Look) -> bool {
        self.give_up();
        let done = self.words.done(self.thread);
        let from = done.load(Ordering::SeqCst) / 2;
        let is_wanted = |index: &usize| {
            let Step { thread, steps } = &self.order[*index];
            *thread == self.thread && steps.instance == instance && steps.does == does
        };
        let Some(wanted) =
            (from as usize..self.order.len()).find(is_wanted).and_then(|index| u32::try_from(index).ok())
        else {
            return true;
        };
        // Those before it will never be taken.
        done.store(2 * wanted, Ordering::SeqCst);
        let position = self.words.position().load(Ordering::SeqCst);
        if position >= wanted {
            done.store(2 * wanted + 1, Ordering::SeqCst);
            return true;
        }
        if self.order[position as usize].thread == self.thread {
            self.advance(position);
        }
        if std::mem::replace(&mut look.position, position) != position {
            look.since = Instant::now();
        } else if look.since.elapsed() > self.still_max {
            self.words.position().store(NOWHERE, Ordering::SeqCst);
            wake(self.words.position());
        }
        false
    }

    /// Ends the step that is under way, if any.
    pub(crate) fn give_up(&self) {
        let done = self.words.done(self.thread);
        let taken = done.load(Ordering::SeqCst);
        if taken % 2 == 1 && taken != NOWHERE {
            done.store(taken + 1, Ordering::SeqCst);
            if self.words.position().load(Ordering::SeqCst) == taken / 2 {
                self.advance(taken / 2);
            }
        }
    }

    /// Ends the turns of a process that is no more.
    pub(crate) fn end(&self, plan: &Plan, process: usize) {
        for instance in plan.hosted_by(process) {
            let thread = thread_of(plan, Some(instance));
            self.words.done(thread).store(NOWHERE, Ordering::SeqCst);
            let position = self.words.position().load(Ordering::SeqCst);
            if self.order.get(position as usize).is_some_and(|step| step.thread == thread) {
                self.advance(position);
            }
        }
    }

    /// Goes on behind a position, past all steps that will never be taken.
    fn advance(&self, from: u32) {
        let is_void = |position: u32| {
            let void = |step: &Step| self.words.done(step.thread).load(Ordering::SeqCst) / 2 > position;
            self.order.get(position as usize).is_some_and(void)
        };
        let mut position = from;
        loop {
            let next = position + 1;
            // Who gave up waiting has set all others free.
            let swapped = self.words.position().compare_exchange(position, next, Ordering::SeqCst, Ordering::SeqCst);
            position = next;
            if swapped.is_err() || !is_void(position) {
                break;
            }
        }
        wake(self.words.position());
    }
}

/// What drives an instance; the worker, where there is none.
fn thread_of(plan: &Plan, instance: Option<usize>) -> usize {
    match instance {
        None => WORKER,
        Some(instance) if plan.threads => 1 + instance,
        Some(instance) => 1 + plan.host_of(instance),
    }
}
