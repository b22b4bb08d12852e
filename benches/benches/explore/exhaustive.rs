//! States of the journal's race of four with a crash of each, beside those of an empty model under the same checker.

use std::time::{Duration, Instant};

use criterion::Criterion;
use models::states::check::model;
use models::states::{Space, search};
use models::verdict::Verdict;
use models::zoo;
use stateright::{Checker, Model, Property};

const GROUP: &str = "explore/exhaustive";

pub(crate) fn measure(criterion: &mut Criterion) {
    crate::measure(criterion, GROUP, "floor", counters);
    crate::measure(criterion, GROUP, "journal", journal);
}

fn journal() -> (Duration, u64) {
    let protocol = zoo::find("journal").expect("the journal is in the zoo");
    let space = Space { crashes: 4, ..Space::race(protocol, 4) };
    let outcome = search(|| model(space.clone()), |_| true);
    assert!(outcome.verdict == Verdict::Holds && outcome.complete, "{outcome:?}");
    (outcome.elapsed, outcome.states)
}

fn counters() -> (Duration, u64) {
    let started = Instant::now();
    let checker = Counters.checker().spawn_bfs().join();
    let elapsed = started.elapsed();
    checker.assert_properties();
    let states = checker.unique_state_count();
    assert_eq!(states, (usize::from(STEPS) + 1).pow(4));
    (elapsed, states as u64)
}

/// Four instances that take so many steps each and do nothing.
struct Counters;

const STEPS: u8 = 20;

impl Model for Counters {
    type State = [u8; 4];
    type Action = usize;

    fn init_states(&self) -> Vec<Self::State> {
        vec![[0; 4]]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<usize>) {
        actions.extend((0..4).filter(|&instance| state[instance] < STEPS));
    }

    fn next_state(&self, state: &Self::State, instance: usize) -> Option<Self::State> {
        let mut next = *state;
        next[instance] += 1;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("nobody goes too far", |_, state: &[u8; 4]| state.iter().all(|&steps| steps <= STEPS))]
    }
}
