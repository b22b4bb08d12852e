//! Whose steps are put in order.

use std::fmt;

use super::execution::Agent;

/// A copy with all its threads, its children and what gives it its input: its steps all depend on one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Actor {
    pub(crate) copy: u16,
}

impl Actor {
    /// The actor that an agent belongs to.
    pub(crate) fn of(agent: Agent) -> Self {
        Self { copy: agent.copy }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.copy)
    }
}
