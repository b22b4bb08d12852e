//! The states that are looked at next, in portions for the threads of a search.
//!
//! What comes of an action mostly depends on what is in the journal and on one instance, and is remembered by these. So
//! states of one journal stand together: what comes of the one is still near the processor when the other is looked at.

use crate::states::state::State;

/// States of one layer.
#[derive(Debug)]
pub(super) struct Frontier {
    filling: Vec<Vec<State>>,
    full: Vec<Portion>,
}

/// States that are handed to a thread at once, and which of the groups they belong to.
#[derive(Debug)]
struct Portion {
    group: usize,
    states: Vec<State>,
}

/// How many groups there are; journals share them, by their numbers.
const GROUPS: usize = 4096;

/// How many states there are in a portion.
const PORTION: usize = 64;

impl Frontier {
    /// Takes in a state with the journal of that number.
    pub(super) fn push(&mut self, state: &State, journal: u32) {
        let group = journal as usize % GROUPS;
        let states = &mut self.filling[group];
        states.push(*state);
        if states.len() == PORTION {
            self.full.push(Portion { group, states: std::mem::take(states) });
        }
    }

    /// Takes in those that another thread has found.
    pub(super) fn append(&mut self, other: Self) {
        self.full.extend(other.into_portions());
    }

    /// All of them, group by group.
    pub(super) fn into_states(self) -> Vec<Vec<State>> {
        let mut portions: Vec<Portion> = self.into_portions().collect();
        portions.sort_by_key(|portion| portion.group);
        portions.into_iter().map(|portion| portion.states).collect()
    }

    fn into_portions(self) -> impl Iterator<Item = Portion> {
        let rest = self.filling.into_iter().enumerate().map(|(group, states)| Portion { group, states });
        self.full.into_iter().chain(rest.filter(|portion| !portion.states.is_empty()))
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self { filling: vec![Vec::new(); GROUPS], full: Vec::new() }
    }
}
