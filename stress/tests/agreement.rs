//! A campaign and whoever reads the history that it exported come to the same verdict and the same findings.

use std::process::Command;

use serde_json::Value;

fn stress(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_stress")).args(arguments).output().expect("the program is built");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"));
    (output.status.code(), report, told)
}

/// Findings without the lines that they point to, which are other ones in a file of many rounds, in any order.
fn findings(report: &Value) -> Vec<String> {
    let without_lines = |text: &str| {
        let text = text.split_once(": round ").map_or(text.to_owned(), |(_, rest)| format!("round {rest}"));
        let mut words = text.split(" (line ");
        let first = words.next().unwrap_or_default().to_owned();
        let text = words.fold(first, |text, rest| text + rest.split_once(')').map_or("", |(_, rest)| rest));
        text.split(", the first at line ").next().unwrap_or_default().to_owned()
    };
    let texts = report["findings"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let mut findings: Vec<_> = texts.map(without_lines).collect();
    findings.sort();
    findings
}

/// Runs a campaign and checks its history; how many findings both came to.
fn agree(arguments: &[&str]) -> usize {
    let directory = tempfile::tempdir().expect("a directory");
    let [history, keep] = ["history.jsonl", "kept"].map(|name| directory.path().join(name).display().to_string());
    let places = ["--export-json", "-", "--no-shrink", "--export-history", &history, "--keep", &keep];
    let (code, campaigned, told) = stress(&[&["campaign"], arguments, &places].concat());
    let (checked_code, checked, _) = stress(&["check", &history, "--export-json", "-"]);
    assert_eq!(findings(&campaigned), findings(&checked), "{arguments:?}: {told}");
    let is_violated = |code| code == Some(1);
    assert_eq!(is_violated(code), is_violated(checked_code), "{arguments:?}: {told}");
    assert_eq!(campaigned["rounds"], checked["rounds"], "{arguments:?}: {told}");
    assert_eq!(campaigned["events"]["delivered"], checked["events"], "{arguments:?}: {told}");
    findings(&campaigned).len()
}

#[test]
fn over_rounds_of_the_journal_however_they_are_hosted_and_disturbed() {
    for seed in ["1", "2", "3"] {
        assert_eq!(agree(&["--rounds", "40", "--seed", seed]), 0);
        assert_eq!(agree(&["--rounds", "30", "--seed", seed, "--in-process", "4", "--threads"]), 0);
        let quick = ["--window", "20ms", "--seed", seed];
        assert_eq!(agree(&[&quick[..], &["--rounds", "60", "--in-process", "4", "--faults", "restart"]].concat()), 0);
        assert_eq!(agree(&[&quick[..], &["--rounds", "39", "--faults", "all"]].concat()), 0);
        assert_eq!(agree(&[&quick[..], &["--rounds", "26", "--in-process", "2", "--faults", "all"]].concat()), 0);
    }
}

#[test]
fn over_rounds_of_broken_protocols() {
    for seed in ["1", "2"] {
        let broken = |protocol: &str, more: &[&str]| {
            agree(&[&["--protocol", protocol, "--window", "2ms", "--seed", seed], more].concat())
        };
        assert!(broken("shared-identity", &["--rounds", "20"]) > 0);
        assert!(broken("file-per-instance", &["--rounds", "20", "--faults", "late"]) > 0);
        assert!(broken("json-list", &["--rounds", "100", "--faults", "stall,kill"]) > 0);
        // How often its steps fall together is up to the machine.
        broken("check-then-write", &["--rounds", "500"]);
        broken("flock-unlink", &["--rounds", "60", "--faults", "restart,kill"]);
        broken("pid-file", &["--rounds", "40", "--in-process", "2"]);
    }
}
