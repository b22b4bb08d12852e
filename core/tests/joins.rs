//! Whole joins on real files, in arbitrary order, beside a naive oracle: a list of who came and who stays.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use single_primary::{Cause, Election, InstanceId, Recorded, Role};
use tempfile::TempDir;

/// Who lives, who has been, and which event reached whom.
#[derive(Clone, Debug, Default)]
struct Oracle {
    living: Vec<String>,
    been: Vec<String>,
    primary: Option<String>,
    /// How many were primary so far.
    term: u64,
    pending: BTreeMap<String, Vec<u32>>,
    entries: Vec<u32>,
    next_event: u32,
}

#[derive(Clone, Debug)]
enum Transition {
    Join(String),
    Leave(String),
    /// An event reaches all whose bit is set.
    Event(u32, u8),
    Poll(String),
}

const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn reached_ids(bits: u8) -> impl Iterator<Item = String> {
    IDS.into_iter().enumerate().filter(move |(position, _)| bits & (1 << position) != 0).map(|(_, id)| id.to_owned())
}

impl Oracle {
    /// It is the primary of the next term, whether it knows that or not.
    fn elect(&mut self, id: &str) {
        self.primary = Some(id.to_owned());
        self.term += 1;
    }

    fn writes_what_is_pending(&mut self, id: &str) {
        for event in self.pending.remove(id).unwrap_or_default() {
            self.write(event);
        }
    }

    fn write(&mut self, event: u32) {
        if !self.entries.contains(&event) {
            self.entries.push(event);
        }
    }
}

impl ReferenceStateMachine for Oracle {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        let id = || prop::sample::select(&IDS[..]).prop_map(str::to_owned);
        let event = state.next_event;
        prop_oneof![
            3 => id().prop_map(Transition::Join),
            2 => id().prop_map(Transition::Leave),
            3 => any::<u8>().prop_map(move |reached| Transition::Event(event, reached)),
            2 => id().prop_map(Transition::Poll),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, transition: &Transition) -> bool {
        match transition {
            Transition::Join(_) => true,
            Transition::Leave(id) | Transition::Poll(id) => state.living.contains(id),
            Transition::Event(event, _) => *event == state.next_event,
        }
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        match transition {
            Transition::Join(id) if state.living.contains(id) => {}
            Transition::Join(id) => {
                if state.living.is_empty() {
                    state.been.clear();
                }
                if state.been.contains(id) {
                    return state;
                }
                state.been.push(id.clone());
                state.living.push(id.clone());
                // Where the term is open, whoever joins seals it: the smallest of those that live is primary.
                if state.primary.is_none() {
                    let smallest = state.living.iter().min().cloned().expect("one has just joined");
                    state.elect(&smallest);
                    if smallest == *id {
                        state.writes_what_is_pending(id);
                    }
                }
            }
            Transition::Leave(id) => {
                state.living.retain(|living| living != id);
                state.pending.remove(id);
                if state.primary.as_ref() == Some(id) {
                    state.primary = None;
                }
            }
            Transition::Event(event, reached) => {
                for id in reached_ids(*reached) {
                    if state.living.contains(&id) {
                        state.pending.entry(id.clone()).or_default().push(*event);
                        // Whoever is given an event also looks after the election.
                        state = Self::apply(state, &Transition::Poll(id));
                    }
                }
                state.next_event += 1;
            }
            Transition::Poll(id) => {
                if state.primary.is_none() {
                    let smallest = state.living.iter().min().cloned().expect("one is polled");
                    state.elect(&smallest);
                }
                if state.primary.as_ref() == Some(id) {
                    state.writes_what_is_pending(id);
                }
            }
        }
        state
    }
}

/// The same, for real.
struct Real {
    directory: TempDir,
    living: BTreeMap<String, Election>,
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Oracle;

    fn init_test(_: &Oracle) -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory"), living: BTreeMap::new() }
    }

    fn apply(mut real: Self, oracle: &Oracle, transition: Transition) -> Self {
        match transition {
            Transition::Join(id) => {
                let options = Election::options(real.directory.path().join("election")).window(Duration::ZERO);
                let joined = options.id(InstanceId::new(&id).expect("a valid ID")).join();
                match joined {
                    Ok(election) => {
                        assert!(real.living.insert(id, election).is_none(), "two living instances have one ID");
                    }
                    Err(error) => {
                        let expected = if real.living.contains_key(&id) { Cause::IdInUse } else { Cause::IdUsed };
                        assert_eq!(error.cause(), &expected, "{error}");
                    }
                }
            }
            Transition::Leave(id) => real.living.remove(&id).expect("it lives").leave().expect("nothing keeps it"),
            Transition::Event(event, reached) => {
                for id in reached_ids(reached) {
                    if let Some(election) = real.living.get(&id) {
                        let recorded = election.record(&event.to_string(), "null").expect("there is space");
                        assert_eq!(recorded == Recorded::Written, election.is_primary());
                    }
                }
            }
            Transition::Poll(id) => {
                real.living[&id].poll().expect("nothing ends it");
            }
        }
        assert!(real.living.keys().eq(oracle.living.iter().collect::<std::collections::BTreeSet<_>>()));
        real
    }

    fn check_invariants(real: &Self, oracle: &Oracle) {
        for (id, election) in &real.living {
            let is_primary = matches!(election.role(), Role::Primary { .. });
            assert_eq!(is_primary, election.is_primary());
            // A successor does not know of its luck before it looks.
            assert!(
                !is_primary || oracle.primary.as_ref() == Some(id),
                "{id} is primary, {:?} should be",
                oracle.primary
            );
            if let Role::Primary { term } = election.role() {
                assert_eq!(term, oracle.term, "{id} is primary of it");
            }
        }
        let log = std::fs::read_to_string(real.directory.path().join("election/realtime.log")).unwrap_or_default();
        let events =
            log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"].clone());
        let expected: Vec<_> = oracle.entries.iter().map(ToString::to_string).collect();
        assert!(events.eq(expected.iter().map(String::as_str)), "{log} should have {expected:?}");
    }
}

prop_state_machine! {
    #[test]
    fn whole_joins_follow_the_oracle(sequential 1..40 => Real);
}
