//! What is done to an execution from outside, and done again where copies turn out to know process IDs.

use crate::explore::execution::{Access, Agent, Choice, Footprint, Step, Stop};

use super::execution::{ProcessExecution, lost};
use super::pending::within;

/// What is done to an execution.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Step(Agent, Choice),
    Give(u16, Vec<u8>),
    Close(u16),
}

impl ProcessExecution {
    /// Does something to it, and waits for rest.
    pub(super) fn act(&mut self, deed: Deed) -> Result<Step, Stop> {
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
        Ok(Step { footprint: std::mem::take(&mut self.used), label: String::new(), effects: Vec::new() })
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
}
