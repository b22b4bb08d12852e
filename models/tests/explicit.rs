//! What the explicit-state checker must find, and that it can.

use std::collections::BTreeSet;
use std::time::Duration;

use models::call::Reply;
use models::kernel::{Caller, Directory, Fate, Files, Inode, Memory, exit, perform};
use models::participant::{Belief, Participant, Step, Wait};
use models::states::check::model;
use models::states::plan::{plan, used_process_ids};
use models::states::{Action, Bounds, Checked, Identity, Model, Promise, Space, State, check, search};
use models::story::Story;
use models::threads::{Bounds as ThreadBounds, loom, shuttle};
use models::verdict::Verdict;
use models::zoo::{self, PROTOCOLS, Protocol};
use single_primary::call::{Call as ElectionCall, Failure, Reply as ElectionReply, Time};
use single_primary::{Event, LogOptions};
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
    let report = check(journal(), Bounds { registrants: 3, crashes: 3, restarts: 0 }, |_, _| true);
    let story = Story::of(&report).map_or(String::new(), |story| story.timeline());
    assert_eq!(report.verdict, Verdict::Holds, "{:?}\n{story}", report.why);
    assert_eq!(report.parts.len(), plan(journal(), 3, 3, 0).len());
    assert!(report.complete && report.parts.iter().all(|part| part.complete), "{:?}", report.parts);
}

/// With an event, every one of them dying at any moment.
#[test]
fn the_journal_holds_among_four_of_whom_any_die() {
    let spaces = plan(journal(), 4, 4, 0);
    let space = spaces.iter().find(|space| space.ids.len() == 4 && space.crashes == 4).expect("it is planned");
    let outcome = search(|| model(space.clone()), |_| true);
    assert_eq!((outcome.verdict, outcome.complete), (Verdict::Holds, true), "{:?}", outcome.broken);
}

/// So that a change which makes states appear or vanish is noticed, and thought about.
#[test]
fn the_numbers_of_states_are_known() {
    let race = |registrants, crashes| Space { crashes, ..Space::race(journal(), registrants) };
    let counted = [race(1, 1), race(2, 0), race(2, 2), race(3, 0)].map(|space| {
        let outcome = search(|| model(space.clone()), |_| true);
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
        Space { window: Duration::ZERO, crashes: 2, leaves: 1, ..race(2) },
        Space { ids: vec!["b", "b"], crashes: 1, ..race(2) },
        Space { log: rotation(), crashes: 1, events: 2, ..race(2) },
        Space { log: LogOptions { trim_pending: 1, ..LogOptions::default() }, crashes: 1, events: 1, ..race(2) },
        Space { log: LogOptions { trim_pending: 1, ..rotation() }, events: 2, ..race(2) },
        race(3),
        Space { errors: 1, ..race(3) },
    ] {
        let full = Space { reduce: false, ..reduced.clone() };
        let (reduced_ends, reduced_states) = ends(&reduced);
        let (full_ends, full_states) = ends(&full);
        assert_eq!(reduced_ends, full_ends, "{reduced}");
        assert!(reduced_states < full_states, "{reduced}");
    }
}

/// With a rotation after each entry.
fn rotation() -> LogOptions {
    LogOptions { rotate_bytes: 1, ..LogOptions::default() }
}

/// Everything that a run can come to: what each instance believes, who is primary of which term, and what is in the log.
fn ends(space: &Space) -> (BTreeSet<String>, usize) {
    let model = model(space.clone());
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut found = std::collections::HashSet::from([model.initial()]);
    let mut queue = vec![model.initial()];
    let mut ends = BTreeSet::new();
    while let Some(state) = queue.pop() {
        let mut actions = Vec::new();
        model.possible(&state, &mut actions);
        let next: Vec<State> = actions.iter().filter_map(|action| model.after(&state, *action)).collect();
        let goes_on = actions
            .iter()
            .any(|action| matches!(action, Action::Go(_) | Action::Over(_)) && model.after(&state, *action).is_some());
        if !goes_on {
            let beliefs: Vec<_> = model.slots().map(|slot| model.belief_of(&state, slot).clone()).collect();
            let terms = model.history(&state).map(|history| (history.terms.clone(), history.primary.clone()));
            ends.insert(format!("{beliefs:?} {terms:?} {:?} {:?}", model.entries(&state), state.breach()));
        }
        queue.extend(next.into_iter().filter(|next| found.insert(*next)));
    }
    seen.append(&mut ends);
    (seen, found.len())
}

#[test]
fn the_checkers_of_stateright_see_the_same_states() {
    for space in [
        Space { crashes: 1, events: 1, ..Space::race(journal(), 2) },
        Space { crashes: 2, restarts: 1, reuse_ids: true, ..Space::race(journal(), 2) },
        Space { errors: 1, leaves: 1, ..Space::race(journal(), 2) },
        Space::race(journal(), 3),
    ] {
        let outcome = search(|| model(space.clone()), |_| true);
        let breadth_first = Checked(model(space.clone()).into()).checker().spawn_bfs().join();
        assert_eq!(outcome.states, breadth_first.unique_state_count() as u64, "{space}");
        let depth_first = Checked(model(space.clone()).into()).checker().spawn_dfs().join();
        assert_eq!(outcome.states, depth_first.unique_state_count() as u64, "{space}");
    }
}

/// What the numbers in a state leave out must not be missed: a kernel that keeps all files whole replies alike.
#[test]
fn a_call_replies_as_it_does_where_all_files_are_whole() {
    for space in [
        Space { crashes: 1, restarts: 1, events: 2, errors: 1, ..Space::race(journal(), 3) },
        Space { crashes: 1, restarts: 1, ..Space::race(zoo::find("pid-file").expect("it is in the zoo"), 2) },
        Space { leaves: 1, ..Space::race(zoo::find("mkdir-mtime").expect("it is in the zoo"), 2) },
    ] {
        let space = Space { reduce: false, ..space };
        let model = model(space.clone());
        for seed in 0..200 {
            follow_at_random(&model, seed);
        }
    }
}

/// Goes on at random, and makes every call a second time on plain memory.
fn follow_at_random(model: &Model<models::zoo::AnyParticipant>, seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut memory = Memory::default();
    memory.directory.exists = model.space().directory;
    if model.space().directory {
        memory.inodes.insert(Directory::INODE, Inode::new(true, Time::default()));
    }
    memory.processes.alive = (0..model.space().ids.len()).map(|slot| model.space().process(slot)).collect();
    let mut files = vec![Files::default(); model.space().slots()];
    let mut state = model.initial();
    loop {
        let mut actions = Vec::new();
        model.possible(&state, &mut actions);
        if actions.is_empty() {
            return;
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let action = actions[usize::try_from(random >> 33).expect("31 bits") % actions.len()];
        let Some(slot) = action.slot() else {
            let Some(next) = model.after(&state, action) else { return };
            state = next;
            continue;
        };
        let own = usize::from(slot);
        let process = model.space().process(own);
        let (call, now) = model.call_of(&state, action);
        let mut caller = Caller { instance: slot, process, files: &mut files[own], now };
        if let Some((call, reply)) = call {
            let fate = match action {
                Action::Fail(_) => Fate::Fail(Failure(5)),
                Action::Short(_) => match reply {
                    Reply::Election(ElectionReply::Wrote(written)) => Fate::Short(written),
                    _ => Fate::Normal,
                },
                _ => Fate::Normal,
            };
            let expected = perform(&mut memory, &mut caller, &call, fate);
            assert_eq!(reply, expected, "{call:?} in {}", model.space());
        }
        match action {
            Action::Crash(_) => {
                exit(&mut memory, &mut caller);
                memory.processes.alive.remove(&process);
            }
            Action::Start(..) => {
                memory.processes.alive.insert(process);
            }
            _ => {}
        }
        // A look that finds nothing new changes nothing: the run has come to its end.
        let Some(next) = model.after(&state, action) else { return };
        state = next;
    }
}

#[test]
fn every_broken_protocol_breaks_the_promise_that_its_row_names() {
    for protocol in PROTOCOLS.iter().filter(|protocol| protocol.broken_by.is_some()) {
        for space in plan(protocol, 4, 4, 1) {
            let wanted = space.breaks.expect("a broken protocol has something to show");
            let outcome = search(|| model(space.clone()), |_| true);
            let (promise, path) = outcome.counterexample.expect("it is broken");
            assert_eq!(promise, wanted, "{}: {}", protocol.name, space.about);
            let fewest = outcome.broken.iter().find(|(broken, _)| *broken == wanted).map(|(_, steps)| *steps);
            assert_eq!(Some(path.len()), fewest, "{}: {}", protocol.name, space.about);
        }
    }
}

#[test]
fn a_process_id_that_is_used_again_breaks_the_pid_file() {
    let space = used_process_ids(zoo::find("pid-file").expect("it is in the zoo"));
    assert_eq!(space.per_process, 1);
    let outcome = search(|| model(space.clone()), |_| true);
    let (promise, path) = outcome.counterexample.expect("it is broken");
    assert_eq!(promise, Promise::SinglePrimary);
    assert!(path.iter().any(|action| matches!(action, Action::Start(_, Identity::ProcessOf(_)))), "{path:?}");
}

#[test]
fn what_shuttle_and_loom_come_to_is_among_what_the_exhaustive_check_finds() {
    let exhaustive = check(journal(), Bounds { registrants: 2, crashes: 2, restarts: 0 }, |_, _| true);
    let bounds = ThreadBounds { schedules: 300, crashes: 2, preemptions: Some(1), ..ThreadBounds::of(journal(), 2) };
    let (mut by_shuttle, _) = shuttle::check(journal(), &bounds, None).expect("nothing is saved");
    let mut by_loom = loom::check(journal(), &ThreadBounds { crashes: 1, ..bounds });
    for report in [&mut by_shuttle, &mut by_loom] {
        report.compare(&exhaustive);
        assert_eq!(report.verdict, Verdict::Holds, "{:?}", report.why);
        let share = report.share_of_exhaustive.expect("both are complete");
        assert!(share > 0.0 && share <= 1.0, "{share}");
    }
}

#[test]
fn a_search_that_is_stopped_is_inconclusive() {
    let space = Space { crashes: 3, ..Space::race(journal(), 3) };
    let outcome = search(|| model(space.clone()), |_| false);
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

    fn read_to(&self) -> Option<u64> {
        None
    }

    fn read_ahead(&mut self, _journal: &[u8]) {}

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
            Model::new(space.clone(), move |_| wrong.clone())
        };
        let outcome = search(make, |_| true);
        assert_eq!(outcome.counterexample.map(|(promise, _)| promise), Some(Promise::Someone), "{wrong:?}");
    }
}

#[test]
fn a_window_of_zero_and_one_of_an_hour_hold_alike() {
    for window in [Duration::ZERO, Duration::from_hours(1)] {
        let space = Space { window, crashes: 1, ..Space::race(journal(), 2) };
        assert_eq!(search(|| model(space.clone()), |_| true).verdict, Verdict::Holds);
    }
}
