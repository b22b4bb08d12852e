//! What people and machines are told of a counterexample.
#![cfg(feature = "checkers")]

use models::states::check::tell;
use models::states::{Action, Bounds, Space, check};
use models::story::Story;
use models::verdict::Report;
use models::zoo;
use single_primary::call::Mode;

fn told(space: &Space, path: &[Action]) -> Report {
    let mut report = check(space.protocol, Bounds { registrants: 1, crashes: 0, restarts: 0 }, |_, _| true);
    tell(&mut report, space, path);
    report
}

/// Two instances of the journal in one process die together, and a third lives on: so does what the story draws of locks.
#[test]
fn a_process_takes_all_its_instances_with_it() {
    let protocol = zoo::find("journal").expect("the journal is a protocol");
    let space = Space { per_process: 2, crashes: 1, ..Space::race(protocol, 3) };
    let mut path = Vec::new();
    for slot in [0, 1, 2] {
        // As far as the shared lock of the journal.
        path.extend([Action::Go(slot); 10]);
    }
    path.push(Action::Crash(0));
    let story = Story::of(&told(&space, &path)).expect("something happened");
    assert_eq!(story.instances, ["b", "c", "d"]);
    let holders = |at: usize| {
        let locks = story.steps[at].locks.iter();
        let mut holders: Vec<u8> =
            locks.filter(|(_, name, mode)| name == "journal" && *mode == Mode::Shared).map(|(who, ..)| *who).collect();
        holders.sort_unstable();
        holders
    };
    let last = story.steps.len() - 1;
    assert_eq!(holders(last - 1), [0, 1, 2], "{}", story.timeline());
    assert_eq!(holders(last), [2], "{}", story.timeline());
}

#[test]
fn machines_are_told_who_it_is_by_ids() {
    let protocol = zoo::find("journal").expect("the journal is a protocol");
    let space = Space { ids: vec!["b", "b", "c"], ..Space::race(protocol, 3) };
    let report = told(&space, &[Action::Go(0), Action::Go(1), Action::Go(2)]);
    let exported = serde_json::to_value(report.exported()).expect("it is JSON");
    let moments = exported["counterexample"].as_array().expect("there is one");
    let names: Vec<_> = moments.iter().filter_map(|moment| moment.as_str()?.split(": ").next()).collect();
    assert_eq!(names, ["b (1)", "b (2)", "c"], "{exported}");
}
