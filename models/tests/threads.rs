//! loom and shuttle over the whole zoo: what is broken is refuted, what is correct holds.
#![cfg(feature = "checkers")]

use std::fs;

use models::threads::{Bounds, Sharing, loom, shuttle};
use models::verdict::{Report, Verdict, What};
use models::zoo::{self, PROTOCOLS, Protocol};

fn journal() -> &'static Protocol {
    zoo::find("journal").expect("it is in the zoo")
}

/// The verdict must be the expected one, and a violation must be told.
fn assert_expected(report: &Report) {
    assert_eq!(report.verdict, report.expected, "{}: {:?}", report.protocol, report.why);
    assert!(report.executions.is_some_and(|executions| executions > 0), "{}", report.protocol);
    assert_eq!(report.verdict == Verdict::Violated, !report.counterexample.is_empty(), "{}", report.protocol);
}

#[test]
fn loom_refutes_every_broken_protocol_and_no_correct_one() {
    for protocol in PROTOCOLS {
        let bounds = Bounds { preemptions: Some(2), ..Bounds::of(protocol, 2) };
        let report = loom::check(protocol, &bounds);
        assert_expected(&report);
        assert_eq!(report.complete, report.verdict == Verdict::Holds, "{}", protocol.name);
    }
}

#[test]
fn shuttle_refutes_every_broken_protocol_and_no_correct_one() {
    for protocol in PROTOCOLS {
        let bounds = Bounds { schedules: 3_000, ..Bounds::of(protocol, 4) };
        let (report, _) = shuttle::check(protocol, &bounds, None).expect("nothing is saved");
        assert_expected(&report);
    }
}

#[test]
fn four_instances_elect_one_under_loom() {
    let bounds = Bounds { preemptions: Some(1), events: 0, ..Bounds::of(journal(), 4) };
    let report = loom::check(journal(), &bounds);
    assert_expected(&report);
    assert!(report.complete);
}

#[test]
fn a_crash_at_any_call_leaves_one_primary_and_one_entry() {
    let bounds = Bounds { preemptions: Some(2), crashes: 1, ..Bounds::of(journal(), 2) };
    let report = loom::check(journal(), &bounds);
    assert_expected(&report);
    assert!(report.complete);
}

#[test]
fn an_io_error_at_any_call_makes_nobody_primary_beside_another() {
    let bounds = Bounds { preemptions: Some(1), io_errors: 1, ..Bounds::of(journal(), 2) };
    assert_expected(&loom::check(journal(), &bounds));
}

#[test]
fn all_are_primary_in_turn_with_crashes_and_stalls_at_random() {
    for crashes in 0..=3 {
        let bounds = Bounds { crashes, schedules: 1_000, succession: true, events: 2, ..Bounds::of(journal(), 4) };
        let (report, _) = shuttle::check(journal(), &bounds, None).expect("nothing is saved");
        assert_expected(&report);
    }
}

#[test]
fn a_failing_schedule_is_saved_and_fails_the_same_way_again() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    for name in ["json-list", "exclusive-create", "flock-unlink", "mkdir-mtime"] {
        let protocol = zoo::find(name).expect("it is in the zoo");
        let bounds = Bounds { schedules: 3_000, ..Bounds::of(protocol, 3) };
        let (report, saved) =
            shuttle::check(protocol, &bounds, Some(directory.path())).expect("the directory is writable");
        let again = shuttle::replay(&saved.expect("a failure is saved")).expect("it is a schedule");
        assert_eq!(again.verdict, Verdict::Violated, "{name}");
        assert_eq!(again.counterexample, report.counterexample, "{name}");
        let (found, again) = (report.why.expect("a violation has a reason"), again.why.expect("so has its replay"));
        assert!(found.starts_with(&again), "{name}: {found}, then {again}");
    }
}

#[test]
fn what_shuttle_finds_follows_from_the_seed() {
    let protocol = zoo::find("exclusive-create").expect("it is in the zoo");
    let found = || {
        let bounds = Bounds { schedules: 3_000, ..Bounds::of(protocol, 3) };
        let (report, _) = shuttle::check(protocol, &bounds, None).expect("nothing is saved");
        (report.why, report.counterexample)
    };
    assert_eq!(found(), found());
}

#[test]
fn what_is_no_schedule_is_refused() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let path = directory.path().join("schedule.json");
    let missing = shuttle::replay(&path).expect_err("there is no such file");
    assert!(missing.to_string().contains("schedule.json"), "{missing}");
    fs::write(&path, "[1, 2]").expect("the directory is writable");
    let invalid = shuttle::replay(&path).expect_err("it is no schedule");
    assert!(invalid.to_string().contains("not a saved schedule"), "{invalid}");
}

#[test]
fn a_schedule_that_does_not_fit_is_inconclusive() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let protocol = zoo::find("fcntl").expect("it is in the zoo");
    let (_, saved) =
        shuttle::check(protocol, &Bounds::of(protocol, 2), Some(directory.path())).expect("it can be saved");
    let saved = saved.expect("a failure is saved");
    let text = fs::read_to_string(&saved).expect("it was written");
    let end = text.find("\"choices\"").expect("it has choices");
    fs::write(&saved, format!("{}\"choices\":[]}}", &text[..end])).expect("the directory is writable");
    let report = shuttle::replay(&saved).expect("it is a schedule");
    assert_eq!(report.verdict, Verdict::Inconclusive, "{:?}", report.why);
}

#[test]
fn spending_the_time_is_no_verdict() {
    let bounds = Bounds { time: std::time::Duration::ZERO, ..Bounds::of(journal(), 4) };
    let report = loom::check(journal(), &bounds);
    assert_eq!((report.verdict, report.complete), (Verdict::Inconclusive, false));
    let (report, _) = shuttle::check(journal(), &bounds, None).expect("nothing is saved");
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

#[test]
fn faults_by_plan_do_happen() {
    let protocol = zoo::find("exclusive-create").expect("it is in the zoo");
    let bounds = Bounds { preemptions: Some(2), ..Bounds::of(protocol, 3) };
    let report = loom::check(protocol, &bounds);
    assert!(report.counterexample.iter().any(|moment| moment.what == What::Crash));
}

#[test]
fn what_one_thread_does_another_sees_in_order() {
    for sharing in [
        Sharing::HandOver,
        Sharing::Drop,
        Sharing::Record,
        Sharing::TwoWait,
        Sharing::BothLeave,
        Sharing::LeaveEndsWait,
    ] {
        let report = loom::check_sharing(sharing, &Bounds::of(journal(), 2));
        assert_eq!((report.verdict, report.complete), (Verdict::Holds, true), "{sharing:?}: {:?}", report.why);
        assert!(report.behaviours.is_some_and(|behaviours| behaviours > 1), "{sharing:?}");
        let bounds = Bounds { schedules: 1_000, ..Bounds::of(journal(), 2) };
        let report = shuttle::check_sharing(sharing, &bounds);
        assert_eq!(report.verdict, Verdict::Holds, "{sharing:?}: {:?}", report.why);
    }
    for sharing in [Sharing::HandOverAskedInReverse, Sharing::NobodyLeaves] {
        let bounds = Bounds { schedules: 1_000, ..Bounds::of(journal(), 2) };
        for report in [loom::check_sharing(sharing, &bounds), shuttle::check_sharing(sharing, &bounds)] {
            assert_eq!(report.verdict, Verdict::Violated, "{}: {sharing:?}", report.checker);
            assert!(!report.counterexample.is_empty(), "{}: {sharing:?}", report.checker);
        }
    }
}
