//! What the explicit-state checker must find, and that it can.

use std::collections::BTreeSet;
use std::time::Duration;

use models::call::Reply;
use models::explore::check::world;
use models::explore::plan::plan;
use models::explore::search::Checked;
use models::explore::{Action, Bounds, Promise, Space, State, World, check, search};
use models::participant::{Belief, Participant, Step, Wait};
use models::story::Story;
use models::verdict::Verdict;
use models::zoo::{self, PROTOCOLS, Protocol};
use single_primary::Event;
use single_primary::call::{Call as ElectionCall, Time};
use stateright::{Checker as _, Model as _};

fn journal() -> &'static Protocol {
    zoo::find("journal").expect("the journal is a protocol")
}

#[test]
fn every_protocol_comes_to_what_it_must() {
    for protocol in PROTOCOLS {
        let report = check(protocol, Bounds { registrants: 2, crashes: 2, restarts: 1 }, |_, _| true);
        let story = Story::of(&report).map_or(String::new(), |story| story.timeline());
        assert_eq!(report.verdict, protocol.expected(), "{}: {:?}\n{story}", protocol.name, report.why);
        match report.verdict {
            Verdict::Holds => assert!(report.complete, "{}", protocol.name),
            Verdict::Violated => assert!(!report.counterexample.is_empty(), "{}", protocol.name),
            Verdict::Inconclusive => unreachable!("no protocol is expected to be inconclusive"),
        }
    }
}

#[test]
fn the_journal_holds_in_every_space_of_three() {
    for space in plan(journal(), 3, 3, 0) {
        let outcome = search(|| world(space.clone()), |_| true);
        let broken = outcome.counterexample.map(|(promise, path)| {
            let moments = models::explore::check::moments(&world(space.clone()), &path);
            let numbered = moments.iter().enumerate().map(|(number, moment)| format!("{:>4}  {moment}\n", number + 1));
            format!("{promise:?} is broken by\n{}", numbered.collect::<String>())
        });
        assert!(broken.is_none(), "{}: {space}\n{}", space.about, broken.unwrap_or_default());
        assert_eq!((outcome.verdict, outcome.complete), (Verdict::Holds, true), "{}: {space}", space.about);
    }
}

/// So that a change which makes states appear or vanish is noticed, and thought about.
#[test]
fn the_numbers_of_states_are_known() {
    let race = |registrants, crashes| Space { crashes, ..Space::race(journal(), registrants) };
    let counted = [race(1, 1), race(2, 0), race(2, 2), race(3, 0)].map(|space| {
        let outcome = search(|| world(space.clone()), |_| true);
        (space.ids.len(), space.crashes, outcome.states)
    });
    insta::assert_debug_snapshot!(counted);
}

/// Whatever is left out of the states must not be missed: the verdicts are the same, and so is all that is final.
#[test]
fn leaving_out_what_nobody_can_tell_apart_leaves_out_no_outcome() {
    let race = |registrants| Space::race(journal(), registrants);
    for reduced in [
        Space { crashes: 2, events: 1, ..race(2) },
        Space { crashes: 1, leaves: 1, ..race(2) },
        Space { crashes: 1, restarts: 1, reuse_ids: true, ..race(2) },
        Space { errors: 1, events: 1, ..race(2) },
        Space { per_process: 2, crashes: 1, ..race(2) },
        race(3),
    ] {
        let full = Space { reduce: false, ..reduced.clone() };
        let (reduced_ends, reduced_states) = ends(&reduced);
        let (full_ends, full_states) = ends(&full);
        assert_eq!(reduced_ends, full_ends, "{reduced}");
        assert!(reduced_states < full_states, "{reduced}");
    }
}

/// Everything that a run can come to: what each instance believes, who is primary of which term, and what is in the log.
fn ends(space: &Space) -> (BTreeSet<String>, usize) {
    let world = world(space.clone());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut found = std::collections::HashSet::from([world.initial()]);
    let mut queue = vec![world.initial()];
    let mut ends = BTreeSet::new();
    while let Some(state) = queue.pop() {
        let mut actions = Vec::new();
        world.possible(&state, &mut actions);
        let next: Vec<State> = actions.iter().filter_map(|action| world.after(&state, *action)).collect();
        let goes_on = actions
            .iter()
            .any(|action| matches!(action, Action::Go(_) | Action::Over(_)) && world.after(&state, *action).is_some());
        if !goes_on {
            let beliefs: Vec<_> = world.slots().map(|slot| world.belief_of(&state, slot).clone()).collect();
            let terms = world.history(&state).map(|history| (history.terms.clone(), history.primary.clone()));
            ends.insert(format!("{beliefs:?} {terms:?} {:?} {:?}", world.entries(&state), state.breach));
        }
        queue.extend(next.into_iter().filter(|next| found.insert(*next)));
    }
    seen.append(&mut ends);
    (seen, found.len())
}

#[test]
fn the_checkers_of_stateright_and_the_search_for_endless_runs_see_the_same_states() {
    let space = Space { crashes: 1, events: 1, ..Space::race(journal(), 2) };
    let outcome = search(|| world(space.clone()), |_| true);
    let depth_first = Checked(world(space).into()).checker().spawn_dfs().join();
    assert_eq!(outcome.states, depth_first.unique_state_count() as u64);
}

#[test]
fn a_search_that_is_stopped_is_inconclusive() {
    let space = Space { crashes: 3, ..Space::race(journal(), 3) };
    let outcome = search(|| world(space.clone()), |_| false);
    assert_eq!((outcome.verdict, outcome.complete), (Verdict::Inconclusive, false));
}

/// A participant that is wrong in the way given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Wrong {
    /// It waits for something that never happens.
    Stuck,
    /// It looks around for ever, in two places.
    Endless(bool),
}

impl Participant for Wrong {
    fn next(&self) -> Step {
        match self {
            Self::Stuck => Step::Wait(Wait::Change(None)),
            Self::Endless(_) => Step::Call(models::call::Call::Election(ElectionCall::List)),
        }
    }

    fn reply(&mut self, _reply: Reply, _now: Time) {
        if let Self::Endless(flag) = self {
            *flag = !*flag;
        }
    }

    fn wake(&mut self, _now: Time) {}

    fn deliver(&mut self, _event: Event) {}

    fn leave(&mut self) {}

    fn belief(&self) -> Belief {
        Belief::Undecided
    }
}

#[test]
fn a_wait_that_nobody_ends_and_a_run_without_end_are_found() {
    let space = Space::race(zoo::find("flock").expect("flock is a protocol"), 2);
    for wrong in [Wrong::Stuck, Wrong::Endless(false)] {
        let make = || {
            let wrong = wrong.clone();
            World::new(space.clone(), move |_| wrong.clone())
        };
        let outcome = search(make, |_| true);
        assert_eq!(outcome.counterexample.map(|(promise, _)| promise), Some(Promise::Someone), "{wrong:?}");
    }
}

#[test]
fn a_window_of_zero_and_one_of_an_hour_hold_alike() {
    for window in [Duration::ZERO, Duration::from_hours(1)] {
        let space = Space { window, crashes: 1, ..Space::race(journal(), 2) };
        assert_eq!(search(|| world(space.clone()), |_| true).verdict, Verdict::Holds);
    }
}
