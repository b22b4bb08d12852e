//! How events are named: keys, patterns, periods.

use std::path::PathBuf;

use serde_json::json;

use super::{Result, audit, stress, told};

/// Checks the exit code and the histogram of a log's audit.
fn check(arguments: &[&str], log: &str, exit: i32, histogram: &serde_json::Value) -> Result {
    assert_eq!(audit(arguments, log.as_bytes(), exit)?["histogram"], *histogram, "{arguments:?}: {log}");
    Ok(())
}

#[test]
fn keys_name_events_in_all_their_forms() -> Result {
    let flat = "{\"log.level\":\"info\",\"trace.id\":\"t1\"}\n{\"trace.id\":\"t1\"}\n{\"trace\":{\"id\":\"t2\"}}\n";
    check(&["--key", "trace.id"], flat, 1, &json!({"1": 1, "2": 1}))?;
    check(&["--key", r"trace\.id"], flat, 1, &json!({"2": 1}))?;
    // Numbers and strings that read the same are two events; a wide number is not rounded.
    let numbers = "{\"id\":7}\n{\"id\":\"7\"}\n{\"id\":100000000000000000001}\n{\"id\":100000000000000000002}\n";
    check(&["--key", "id"], numbers, 0, &json!({"1": 4}))?;
    assert!(told(&["--key", "id"], numbers.as_bytes(), 0)?.1.contains("numbers in some entries"));
    let jobs = "{\"job\":\"a\",\"minute\":1}\n{\"job\":\"a\",\"minute\":2}\n{\"job\":\"b\",\"minute\":1}\n";
    check(&["--key", "job,minute"], jobs, 0, &json!({"1": 3}))?;
    check(&["--key", "job"], jobs, 1, &json!({"1": 1, "2": 1}))?;
    check(&["--key", "job,minute"], &jobs.repeat(2), 1, &json!({"2": 3}))?;
    // A field that only some have.
    check(&["--key", "job,minute"], "{\"job\":\"a\"}\n{\"job\":\"a\",\"minute\":1}\n", 3, &json!({"1": 1}))?;
    Ok(())
}

#[test]
fn several_events_in_a_line_are_seen() -> Result {
    let batches = "{\"Records\":[{\"eventID\":\"e1\"},{\"eventID\":\"e2\"}]}\n{\"Records\":[{\"eventID\":\"e3\"}]}\n\
                   {\"Records\":[{\"eventID\":\"e4\"},{\"eventID\":\"e2\"}]}\n";
    let twice = json!({"1": 3, "2": 1});
    check(&["--key", "Records.*.eventID"], batches, 1, &twice)?;
    check(&["--key", "Records.eventID"], batches, 1, &twice)?;
    check(&["--pattern", r#""eventID":"(\w+)""#], batches, 1, &twice)?;
    // One place of several does not stand for all.
    let (report, stderr) = told(&["--key", "Records.0.eventID"], batches.as_bytes(), 3)?;
    assert_eq!(report["not_understood"][0]["count"], 2, "{stderr}");
    assert!(told(&["--key", "eventID"], batches.as_bytes(), 3)?.1.contains("--key 'Records.*.eventID'"));
    // A pattern that finds an event twice on a line tells nothing of how many entries that is.
    check(&["--pattern", r"call=(\w+)"], "call=a again call=a\n", 3, &json!({"1": 1}))?;
    Ok(())
}

#[test]
fn each_period_has_an_event_of_its_own() -> Result {
    let json = "{\"job\":\"a\",\"at\":\"2026-11-29T22:24:01Z\"}\n{\"job\":\"a\",\"at\":\"2026-11-29T22:25:01Z\"}\n\
                {\"job\":\"a\",\"at\":\"2026-11-29T22:25:59+00:00\"}\n";
    let per = ["--key", "job", "--time", "at", "--per", "minute"];
    let report = audit(&per, json.as_bytes(), 1)?;
    assert_eq!(report["first_offenders"][0]["event"], "a,2026-11-29T22:25:00Z");
    let text = "2026-11-29 22:24:01 ran a\n2026-11-29 22:25:01 ran a\n2026-11-29 22:25:59 ran a\n";
    let pattern = r"^(?<time>\S+ \S+) ran (?<event>\w+)";
    check(&["--pattern", pattern, "--per", "1m"], text, 1, &json!({"1": 1, "2": 1}))?;
    check(&["--pattern", pattern, "--per", "1s"], text, 0, &json!({"1": 3}))?;
    check(&per, "{\"job\":\"a\",\"at\":\"soon\"}\n", 3, &json!({}))?;
    Ok(())
}

#[test]
fn text_logs_are_searched_by_a_pattern() -> Result {
    let log = b"12:00 call=a ok\n12:01 nothing\n12:02 call=b ok\n12:03 call=b \xff\n";
    for pattern in [r"call=(\w+)", r"^(\S+) call=(?<event>\w+)"] {
        let report = audit(&["--pattern", pattern], log, 1)?;
        assert_eq!(report["histogram"], json!({"1": 1, "2": 1}));
        assert_eq!(report["first_offenders"][0]["lines"], json!([3, 4]));
        assert_eq!(report["passed_over"]["without_event"], 1);
    }
    // The end of a log that is still being written may be the beginning of another name.
    assert_eq!(audit(&["--pattern", r"call=(\w+)"], b"call=a\ncall=ab\ncall=a", 3)?["histogram"], json!({"1": 2}));
    assert_eq!(audit(&["--pattern", r"call=(\w+)"], b"call=a\ncall=b", 0)?["torn_tail"], true);
    Ok(())
}

#[test]
fn command_lines_that_cannot_be_understood_are_refused() -> Result {
    let directory = tempfile::tempdir()?;
    for arguments in [
        &["--pattern", "call="][..],
        &["--pattern", "("],
        &["--key", "a..b"],
        &["--key", "a\\"],
        &["--key", "a", "--pattern", "(b)"],
        &["--key", "a", "--per", "minute"],
        &["--key", "a", "--time", "at"],
        &["--key", "a", "--time", "at", "--per", "0s"],
        &["--pattern", "(a)", "--per", "minute"],
        &["--key", "a", "--expect", "0"],
        &["--key", "a", "-"],
        &[],
    ] {
        let logs = [directory.path().join("log"), "-".into()];
        let logs = if arguments.last() == Some(&"-") { &logs[..] } else { &logs[..1] };
        let logs: Vec<_> = logs.iter().map(PathBuf::as_path).collect();
        assert_eq!(stress(arguments, &logs, None)?.status.code(), Some(2), "{arguments:?}");
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stress")).args(["audit", "--help"]).output()?;
    let help = String::from_utf8(output.stdout)?;
    assert!(help.contains(r"\."), "{help}");
    Ok(())
}
