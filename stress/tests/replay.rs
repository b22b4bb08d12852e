//! Violated rounds, run again and made smaller, through the command line.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn stress(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stress")).args(arguments).output().expect("the program is built")
}

/// A directory as a campaign keeps it of a round that had several primaries.
fn kept(plan: &Value) -> tempfile::TempDir {
    let kept = tempfile::tempdir().expect("a directory");
    std::fs::write(kept.path().join("plan.json"), plan.to_string()).expect("room");
    std::fs::write(kept.path().join("broken.json"), "\"single-primary\"").expect("room");
    kept
}

/// Replays a kept round; the exit code and what was told.
fn replay(options: &[&str], kept: &Path) -> (Option<i32>, String) {
    let output = stress(&[&["replay"], options, &[kept.to_str().expect("text")]].concat());
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_violated_round_is_kept_and_its_plan_runs_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let keep = directory.path().to_str().expect("text");
    let identity = ["--protocol", "shared-identity", "--window", "1ms", "--seed", "1", "--jobs", "1", "--keep", keep];
    let output = stress(&[&["--rounds", "3", "--registrants", "2"], &identity[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let kept = directory.path().join("1-0");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("run it again: stress replay {}", kept.display())), "{told}");
    for file in ["plan.json", "story.txt", "history.jsonl", "election/realtime.log"] {
        assert!(kept.join(file).is_file(), "{file}");
    }
    let (code, told) = replay(&["--times", "5"], &kept);
    assert_eq!(code, Some(1));
    let shrunk = "2 instances, 0 events, 0 faults: violated in 5 of 5 runs, in 5 by several primaries at one moment";
    assert!(told.contains(shrunk), "{told}");
    assert!(kept.join("shrunk.json").is_file());
    let (_, told) = replay(&["--times", "1", "--no-shrink"], &kept);
    assert!(told.contains("whole, 2 instances, 3 events, 0 faults: violated in 1 of 1 runs"), "{told}");
}

#[test]
fn a_plan_with_faults_shrinks_to_what_breaks_the_same_promise() {
    // Long after the others have decided, one with a smaller ID comes and decides as well. That they also lose events, and
    // that one of them is killed in the end, has nothing to do with it.
    let kept = kept(&json!({
        "protocol": "file-per-instance", "seed": 1, "round": 0, "window_us": 30_000, "expect": null,
        "ids": ["b", "c", "d", "a"], "later_us": [150_000], "in_process": 1, "threads": false,
        "events": ["joining", "verdict", "settled"],
        "faults": [
            { "kill": { "process": 2, "when": "settled" } },
            { "late": { "instance": 3, "after_us": 150_000 } },
            { "load": { "processes": 1 } },
        ],
    }));
    let (code, told) = replay(&["--times", "10"], kept.path());
    assert_eq!(code, Some(1), "{told}");
    let shrunk: Value = serde_json::from_slice(&std::fs::read(kept.path().join("shrunk.json")).expect("it shrank"))
        .expect("a plan is JSON");
    assert_eq!(shrunk["ids"].as_array().map(Vec::len), Some(2), "{shrunk}");
    assert_eq!(shrunk["events"], json!([]));
    assert!(shrunk["faults"].as_array().map(Vec::len) <= Some(1), "{shrunk}");
    assert!(told.contains("were primary at one moment"), "{told}");
}

/// A primary dies, and two find its lock file. Where both have judged it before either has acted, the second removes what the
/// first has made in its place: left to the scheduler, one round in thousands comes to that.
fn stale_removal(judged_at_once: bool) -> Value {
    let steps = |who: &str, steps: &[&str]| steps.iter().map(|does| format!("{who}: {does}")).collect::<Vec<_>>();
    let create = "creates primary.lock, if there is none";
    let made = ["open directory", "mkdir", "open directory", "asks for its process ID", create, "write another file"];
    let judge = [
        "open directory",
        "asks for its process ID",
        create,
        "open another file",
        "read another file",
        "close another file",
        "asks whether process  is alive",
    ];
    let act = ["unlink", create, "write another file", "close another file"];
    let rest = if judged_at_once {
        [steps("2", &judge), steps("0", &judge), steps("0", &act), steps("2", &act)].concat()
    } else {
        [steps("0", &judge), steps("0", &act), steps("2", &judge)].concat()
    };
    let order = [steps("1", &made), steps("worker", &["kill"]), rest, steps("worker", &["end"])].concat();
    json!({
        "protocol": "exclusive-create", "seed": 1, "round": 0, "window_us": 150_000, "expect": 3,
        "ids": ["a", "b", "c"], "later_us": [], "in_process": 1, "threads": false, "events": [],
        "faults": [{ "kill": { "process": 1, "when": { "released": 0 } } }],
        "order": order,
    })
}

#[test]
fn the_order_of_a_race_makes_it_lost_again_each_time() {
    let (code, told) = replay(&["--times", "20", "--no-shrink"], kept(&stale_removal(true)).path());
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("violated in 20 of 20 runs, in 20 by several primaries at one moment"), "{told}");
    let (code, told) = replay(&["--times", "20", "--no-shrink"], kept(&stale_removal(false)).path());
    assert_eq!(code, Some(0), "the same plan in another order: {told}");
}

#[test]
fn an_order_that_leads_nowhere_is_given_up() {
    let mut plan = stale_removal(true);
    plan["protocol"] = "flock".into();
    plan["window_us"] = 10_000.into();
    plan["order"] =
        json!(["0: write journal", "2: flock own seat exclusive × 3", "worker: stop", "1: rmdir", "7: leave"]);
    let (code, told) = replay(&["--times", "4", "--no-shrink"], kept(&plan).path());
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn a_race_that_a_campaign_has_lost_is_lost_again_each_time() {
    let keep = tempfile::tempdir().expect("a directory");
    let directory = keep.path().to_str().expect("text");
    // How often its steps fall together is up to the machine.
    let arguments = ["--protocol", "check-then-write", "--rounds", "2000", "--seed", "1", "--keep", directory];
    let lost = (0..20).find(|_| stress(&[&["campaign"], &arguments[..]].concat()).status.code() == Some(1));
    assert!(lost.is_some(), "no round of twenty campaigns was violated");
    let kept = std::fs::read_dir(keep.path()).expect("a directory").flatten().map(|entry| entry.path());
    let shrunk: Vec<_> = kept.filter(|kept| kept.join("shrunk.json").is_file()).collect();
    assert!(!shrunk.is_empty(), "its plan fails again");
    for kept in shrunk {
        let (code, told) = replay(&["--times", "20"], &kept);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("shrunk") && told.contains("violated in 20 of 20 runs"), "{told}");
    }
}
