//! Campaigns of real processes, through the command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn stress(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stress")).args(arguments).output().expect("the program is built")
}

/// Runs a campaign in a directory of its own; its exit code, its report and what it told on stderr.
fn campaign(arguments: &[&str]) -> (i32, Value, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let keep = directory.path().join("kept");
    let places = ["--export-json", "-", "--keep", keep.to_str().expect("text")];
    let output = stress(&[&["campaign", "--seed", "1"], arguments, &places].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    (output.status.code().expect("it was not killed"), report, told)
}

/// Runs a campaign of the correct protocol, in which nothing may be missed.
fn holds(rounds: u64, arguments: &[&str]) -> Value {
    let (code, report, told) = campaign(&[&["--rounds", &rounds.to_string()], arguments].concat());
    assert_eq!(code, 0, "{told}");
    assert_eq!(report["verdict"], "holds");
    assert_eq!(report["rounds"], rounds);
    assert_eq!(report["primaries"], serde_json::json!({ "zero": 0, "one": rounds, "many": 0 }));
    assert_eq!(report["events"]["delivered"], rounds * 3);
    assert_eq!(report["events"]["once"], rounds * 3);
    report
}

#[test]
fn the_journal_holds_among_processes() {
    let report = holds(300, &[]);
    assert_eq!(report["wrong_primary"], 0);
    // Those of instances that block are not.
    assert!((600..1_200).contains(&report["traces"]["followed"].as_u64().expect("a number")));
    assert_eq!(report["traces"]["mismatched"], 0);
    assert_eq!(report["latency_us"]["count"], 1_200);
    assert!(report["floor_rounds_per_second"].as_f64() > Some(0.0));
}

#[test]
fn the_journal_holds_among_instances_of_one_process() {
    holds(100, &["--in-process", "4"]);
    holds(100, &["--in-process", "4", "--threads"]);
    holds(50, &["--in-process", "2"]);
}

#[test]
fn the_journal_holds_however_its_window_closes() {
    let report = holds(16, &["--expect", "none", "--window", "60ms"]);
    assert!(report["latency_us"]["p50"].as_f64() > Some(50_000.0), "nobody is elected before the window is over");
    holds(100, &["--window", "0"]);
    holds(30, &["--registrants", "1"]);
}

/// Runs a protocol that fails only where its steps fall together, until they have: how often they do is up to the machine.
fn raced(arguments: &[&str]) -> (Value, String) {
    for _ in 0..20 {
        let (code, report, told) = campaign(arguments);
        if report["primaries"]["many"].as_u64() > Some(0) && report["events"]["many"].as_u64() > Some(0) {
            assert_eq!(code, 1, "{told}");
            return (report, told);
        }
    }
    panic!("{arguments:?}: no round of twenty campaigns had several primaries");
}

#[test]
fn what_is_correct_holds_and_what_is_broken_is_refuted() {
    holds(200, &["--protocol", "flock"]);
    let (report, told) = raced(&["--rounds", "2000", "--protocol", "check-then-write"]);
    assert_eq!(report["wrong_primary"], Value::Null);
    assert!(told.contains("were primary at one moment"), "{told}");

    let (report, _) = raced(&["--rounds", "300", "--protocol", "json-list", "--window", "5ms"]);
    assert!(report["events"]["never"].as_u64() > Some(0), "what came in the window was forgotten");

    let (code, report, told) = campaign(&["--rounds", "20", "--protocol", "shared-identity", "--window", "5ms"]);
    assert_eq!(code, 1, "{told}");
    assert_eq!(report["primaries"]["many"], 20);
    assert_eq!(report["events"]["by_entries"], serde_json::json!({ "4": 60 }));
}

#[test]
fn the_journal_holds_whatever_is_done_to_its_rounds() {
    let faults = ["--faults", "all", "--window", "30ms"];
    for hosting in [
        &["--rounds", "140"][..],
        &["--rounds", "42", "--in-process", "4"],
        &["--rounds", "42", "--rotate", "1", "--events", "9"],
    ] {
        let (code, report, told) = campaign(&[hosting, &faults].concat());
        assert_eq!(code, 0, "{told}");
        assert_eq!(report["faults"].as_object().map(serde_json::Map::len), Some(14), "{told}");
        assert_eq!(report["primaries"]["many"], 0);
        assert_eq!(report["wrong_primary"], 0);
        assert_eq!(report["events"]["never"], 0);
        assert_eq!(report["events"]["many"], 0);
        assert!(report["failover_us"]["count"].as_u64() > Some(0));
        assert!(report["rounds_per_second_without_waits"].as_f64() > Some(0.0));
        assert!(report["traces"]["followed"].as_u64() > Some(100));
    }
    let (code, report, _) = campaign(&["--rounds", "6", "--faults", "all", "--window", "10ms"]);
    assert_eq!((code, &report["verdict"]), (3, &Value::from("inconclusive")), "eight kinds never had their turn");
}

#[test]
fn the_journal_holds_among_many() {
    let many = ["--registrants", "64", "--jobs", "16"];
    let report = holds(16, &many);
    assert!((512..1_024).contains(&report["traces"]["followed"].as_u64().expect("a number")));
    let (code, report, told) = campaign(&[&["--rounds", "26", "--faults", "all"], &many[..]].concat());
    assert_eq!(code, 0, "{told}");
    assert_eq!(report["primaries"]["many"], 0);
    // Who polls for long, as on a busy machine, fills its memory: that is told.
    let traces = &report["traces"];
    assert_eq!(traces["mismatched"], 0, "{told}");
    assert!(traces["followed"].as_u64() > Some(0) && traces["cut"].is_u64(), "{told}");
}

#[test]
fn instances_die_at_every_call_of_the_machine_in_every_part() {
    // Three sweeps: however the scheduler has it, somebody comes to the boundary whose turn it is.
    for (hosting, sweep) in [(&["--rounds", "288"][..], 96), (&["--rounds", "282", "--in-process", "4"], 94)] {
        let (code, report, told) = campaign(&[hosting, &["--faults", "kill-at-call", "--window", "30ms"]].concat());
        assert_eq!(code, 0, "{told}");
        let boundaries = &report["boundaries"];
        assert_eq!(boundaries["sweep"], sweep, "{told}");
        let by_boundary = boundaries["by_boundary"].as_object().expect("a map");
        assert_eq!(by_boundary.len(), sweep, "{told}");
        assert!(
            by_boundary.values().all(|aimed| aimed["hit"].as_u64() >= Some(3) && aimed["hit"] == aimed["planned"]),
            "{told}"
        );
    }
}

#[test]
fn faults_refute_what_races_alone_do_not() {
    let check = |protocol: &str, fault: &str, rounds: &str| {
        let arguments = ["--protocol", protocol, "--faults", fault, "--rounds", rounds, "--window", "20ms"];
        let (code, report, told) = campaign(&arguments);
        assert_eq!(code, 1, "{told}");
        assert!(report["primaries"]["many"].as_u64() > Some(0), "{told}");
    };
    check("json-list", "stall", "60");
    check("flock-unlink", "restart", "150");
    check("file-per-instance", "late", "40");
    let (code, _, told) = campaign(&["--protocol", "flock", "--faults", "kill,late,restart", "--rounds", "60"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn the_history_of_a_campaign_is_judged_as_the_campaign_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let history = directory.path().join("history.jsonl");
    let path = history.to_str().expect("text");
    let check = |file: &str| {
        let output = stress(&["check", file, "--export-json", "-"]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), report)
    };
    let faults = ["--faults", "kill,late,restart,unlink", "--window", "20ms", "--rounds", "40"];
    let (code, campaigned, told) = campaign(&[&faults[..], &["--export-history", path]].concat());
    assert_eq!(code, 0, "{told}");
    let (code, report) = check(path);
    assert_eq!((code, &report["verdict"]), (Some(0), &Value::from("holds")), "{report}");
    assert_eq!(report["rounds"], 40);
    assert_eq!(report["events"], campaigned["events"]["delivered"]);

    let text = std::fs::read_to_string(&history).expect("it was written");
    std::fs::write(&history, &text[..text.len() / 2]).expect("room");
    assert_eq!(check(path).0, Some(3), "half a history shows nothing");

    let broken = ["--protocol", "shared-identity", "--window", "1ms", "--rounds", "3", "--export-history", path];
    assert_eq!(campaign(&broken).0, 1);
    let (code, report) = check(path);
    assert_eq!(code, Some(1));
    assert!(report["findings"][0].as_str().expect("text").contains("believes that it is primary while"), "{report}");
}

#[test]
fn reports_are_written_for_people_and_for_machines() {
    let directory = tempfile::tempdir().expect("a directory");
    let [page, junit] = ["report.html", "report.xml"].map(|name| directory.path().join(name).display().to_string());
    let exports = ["--export-html", &page, "--junit", &junit];
    let broken = ["--protocol", "shared-identity", "--window", "1ms", "--rounds", "3"];
    assert_eq!(campaign(&[&broken[..], &exports].concat()).0, 1);
    let (page, junit) = (std::fs::read_to_string(page).expect("text"), std::fs::read_to_string(junit).expect("text"));
    for part in ["<h1>shared-identity: ", "several primaries for", "From the start to the verdict", "--seed 1"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("http"), "nothing is fetched from elsewhere");
    assert!(junit.contains("3 rounds with several primaries at once"), "{junit}");
    assert!(junit.contains("failures=\"3\""), "{junit}");
}

#[test]
fn shards_are_merged_into_the_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let reports = ["1/2", "2/2"].map(|shard| {
        let report = directory.path().join(shard.replace('/', "-")).display().to_string();
        let output = stress(&["campaign", "--seed", "3", "--rounds", "41", "--shard", shard, "--export-json", &report]);
        assert_eq!(output.status.code(), Some(0));
        report
    });
    let output = stress(&["merge", &reports[0], &reports[1], "--export-json", "-"]);
    assert_eq!(output.status.code(), Some(0));
    let merged: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&merged["rounds"], &merged["events"]["once"]), (&Value::from(41), &Value::from(123)));
    assert_eq!(stress(&["merge", &reports[0], &reports[0]]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_run_is_told_and_ends_with_its_code() {
    let check = |arguments: &[&str], code: i32, told: &str| {
        let output = stress(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    };
    check(&["--registrants", "0"], 2, "--registrants 0: an election takes 1 to 1024 instances");
    check(&["--protocol", "paxos"], 2, "--protocol paxos: there is no such protocol; give one of");
    check(&["--in-process", "5"], 2, "--in-process 5: there are only 4 instances");
    check(&["--early", "4"], 2, "--early 4: there are only 3 events");
    check(&["--window", "soon"], 2, "write a number and its unit");
    check(&["--faults", "flood"], 2, "give some of kill, kill-at-call");
    check(&["--faults", "kill", "--threads"], 2, "--threads: faults happen to processes");
    check(&["--shard", "3/2"], 2, "give K/N, the K-th of N parts");
    check(&["--shard", "1/2"], 2, "the parts share a seed");
    check(&["merge", "/nowhere/a.json"], 4, "/nowhere/a.json: read");
    check(&["--expect", "0"], 2, "give a number of instances");
    check(&["--rounds", "1", "--export-json", "/nowhere/report.json"], 4, "/nowhere/report.json: open");
    check(&["--rounds", "1", "--dir", "/nowhere"], 4, "/nowhere: readdir");
    check(&["--rounds", "0"], 3, "no round was run");
    check(&["replay", "/nowhere"], 4, "/nowhere/plan.json: read");
}

#[test]
fn an_interrupt_ends_with_the_verdict_so_far_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut campaign = Command::new(env!("CARGO_BIN_EXE_stress"));
    campaign.args(["campaign", "--duration", "1h", "--export-json", "-", "--dir"]).arg(directory.path());
    let campaign = campaign.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program is built");
    while !has_entries(directory.path()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    let process = rustix::process::Pid::from_child(&campaign);
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it runs");
    let output = campaign.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["interrupted"], true);
    assert!(report["rounds"].as_u64() > Some(0));
    assert!(!has_entries(directory.path()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_campaign_leaves_no_process_and_nothing_that_the_next_one_does_not_remove() {
    is_cleared_up(&["--faults", "heir,load,stop"]);
    is_cleared_up(&["--registrant", env!("CARGO_BIN_EXE_journal-registrant"), "--faults", "load,stop"]);
}

#[cfg(target_os = "linux")]
fn is_cleared_up(arguments: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory");
    let dir = directory.path().to_str().expect("text");
    let mark = format!("STRESS_TEST_MARK={dir}");
    // Every process inherits it, also the programs that primaries start.
    let is_left = || {
        let entries = std::fs::read_dir("/proc").expect("proc");
        entries.flatten().any(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|environment| environment.split(|&byte| byte == 0).any(|one| one == mark.as_bytes()))
        })
    };
    let mut campaign = Command::new(env!("CARGO_BIN_EXE_stress"));
    campaign.args(["campaign", "--duration", "1h", "--dir", dir]).args(arguments);
    let mut campaign =
        campaign.env("STRESS_TEST_MARK", dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    while !is_left() || !has_entries(directory.path()) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    campaign.kill().expect("it runs");
    campaign.wait().expect("it ends");
    // The kernel kills them one after the other.
    while is_left() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(has_entries(directory.path()), "it had no time to remove anything");
    // A directory that is a second old might still be in the making.
    while has_entries(directory.path()) {
        assert_eq!(stress(&["campaign", "--rounds", "1", "--dir", dir]).status.code(), Some(0));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn has_entries(directory: &Path) -> bool {
    std::fs::read_dir(directory).expect("a directory").next().is_some()
}
