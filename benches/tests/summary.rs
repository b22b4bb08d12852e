//! What the summary makes of criterion's files, and whether it notices a change.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use benches::comparison::compare;
use benches::goal::Goal;
use benches::ratio::{Key, Statistic, ratios};
use benches::results::{PERCENTILES_FILE, Percentiles, read};
use benches::summary::Summary;

/// Lays down what criterion leaves of a benchmark: ten samples of two iterations, around so many nanoseconds.
fn lay_down(criterion: &Path, group: &str, function: &str, value: Option<u64>, nanoseconds: f64) {
    let mut directory = criterion.join(group.replace('/', "_")).join(function);
    directory.extend(value.map(|value| value.to_string()));
    let latest = directory.join("new");
    fs::create_dir_all(&latest).expect("a directory can be made");
    let times: Vec<f64> = (0..10).map(|sample| 2.0 * nanoseconds * (0.955 + 0.01 * f64::from(sample))).collect();
    let benchmark = serde_json::json!({ "group_id": group, "function_id": function, "value_str": value.map(|value| value.to_string()) });
    let sample = serde_json::json!({ "sampling_mode": "Flat", "iters": vec![2.0; 10], "times": times });
    fs::write(latest.join("benchmark.json"), benchmark.to_string()).expect("a file can be written");
    fs::write(latest.join("sample.json"), sample.to_string()).expect("a file can be written");
}

fn summary_of(criterion: &Path) -> Summary {
    Summary::of(ratios(&read(criterion).expect("it has just been laid down")))
}

#[test]
fn a_ratio_is_to_the_floor_of_the_same_subject_and_parameter() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    lay_down(scratch.path(), "join/fresh", "floor", None, 100.0);
    lay_down(scratch.path(), "join/fresh", "election", None, 120.0);
    for (size, floor, election) in [(4, 10.0, 15.0), (64, 40.0, 30.0)] {
        lay_down(scratch.path(), "race", "floor", Some(size), floor);
        lay_down(scratch.path(), "race", "election", Some(size), election);
    }
    lay_down(scratch.path(), "race", "std", Some(2), 1.0);
    let event = |nanoseconds| Duration::from_nanos(nanoseconds);
    for (contestant, size, unit) in [("floor", 4, 100), ("floor", 64, 400), ("election", 4, 200), ("election", 64, 400)]
    {
        let percentiles = Percentiles::of(&mut (1..=101).map(|times| event(times * unit)).collect::<Vec<_>>());
        let text = serde_json::to_string(&percentiles.expect("there are events")).expect("numbers serialise");
        let path = scratch.path().join("race").join(contestant).join(size.to_string()).join(PERCENTILES_FILE);
        fs::write(path, text).expect("a file can be written");
    }

    let found: Vec<String> = summary_of(scratch.path())
        .ratios
        .iter()
        .map(|ratio| format!("{}: {:.2}", ratio.key, ratio.ratio.middle))
        .collect();
    let expected = [
        "join/fresh/election median: 1.20",
        "race/election/4 p50: 2.00",
        "race/election/4 p99: 2.00",
        "race/election/64 p50: 1.00",
        "race/election/64 p99: 1.00",
        "race/election/64 growth from 4: 0.50",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_move_counts_where_neither_summary_has_the_others_figure_in_its_spread() {
    let before = tempfile::tempdir().expect("a temporary directory can be made");
    lay_down(before.path(), "record", "floor", None, 100.0);
    lay_down(before.path(), "record", "election", None, 120.0);
    for (election, worse, better) in [(120.0, 0, 0), (123.0, 0, 0), (150.0, 1, 0), (100.0, 0, 1)] {
        let after = tempfile::tempdir().expect("a temporary directory can be made");
        // The machine is three times as slow: that is no move.
        lay_down(after.path(), "record", "floor", None, 300.0);
        lay_down(after.path(), "record", "election", None, 3.0 * election);
        let comparison = compare(&summary_of(before.path()), &summary_of(after.path()));
        assert_eq!(comparison.compared, 1);
        assert_eq!((comparison.worse.len(), comparison.better.len()), (worse, better), "{election}: {comparison:?}");
    }
}

#[test]
fn every_goal_can_be_missed() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    for (election, met) in [(1.1, true), (5.0, false)] {
        for subject in ["join/fresh", "record", "is_primary"] {
            lay_down(scratch.path(), subject, "floor", None, 1.0);
            lay_down(scratch.path(), subject, "election", None, election);
        }
        let ratios = summary_of(scratch.path()).ratios;
        assert_eq!(ratios.len(), 3);
        for ratio in ratios {
            assert_eq!(Goal::of(&ratio.key).expect("it has a goal").is_met(&ratio), met, "{ratio:?}");
        }
    }
    let peer =
        Key { subject: "record".into(), parameter: None, contestant: "std".into(), statistic: Statistic::Median };
    assert_eq!(Goal::of(&peer), None);
}

#[test]
fn the_exit_code_tells_what_became_of_the_ratios() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    let criterion = scratch.path().join("criterion");
    let run = |baseline: &str| -> Output {
        Command::new(env!("CARGO_BIN_EXE_bench-summary"))
            .current_dir(scratch.path())
            .args(["--criterion", "criterion", "--export-json", "after.json"])
            .args(if baseline.is_empty() { vec![] } else { vec!["--baseline", baseline] })
            .output()
            .expect("the summary can be started")
    };
    assert_eq!(run("").status.code(), Some(4), "there is no directory");
    fs::create_dir(&criterion).expect("a directory can be made");
    assert_eq!(run("").status.code(), Some(3), "nothing was measured");

    lay_down(&criterion, "race", "floor", Some(2), 100.0);
    lay_down(&criterion, "race", "floor", Some(4), 150.0);
    lay_down(&criterion, "race", "election", Some(2), 130.0);
    lay_down(&criterion, "race", "election", Some(4), 210.0);
    assert_eq!(run("").status.code(), Some(0));
    fs::rename(scratch.path().join("after.json"), scratch.path().join("before.json")).expect("the summary is written");
    assert_eq!(run("before.json").status.code(), Some(0), "nothing has changed");
    lay_down(&criterion, "race", "election", Some(4), 420.0);
    let worse = run("before.json");
    assert_eq!(worse.status.code(), Some(1));
    let text = String::from_utf8_lossy(&worse.stderr);
    assert!(text.contains("worse: race/election/4 median: 1.40 (1.34 to 1.46) -> 2.80 (2.68 to 2.93)"), "{text}");
    assert_eq!(run("missing.json").status.code(), Some(4));
}
