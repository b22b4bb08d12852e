//! `stress audit` on logs whose counts are known.

mod courses;
mod forms;
mod names;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn stress(arguments: &[&str], logs: &[&Path], stdin: Option<&[u8]>) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stress"))
        .arg("audit")
        .args(arguments)
        .args(logs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("stdin is piped")?;
    if let Some(bytes) = stdin {
        input.write_all(bytes)?;
    }
    drop(input);
    Ok(child.wait_with_output()?)
}

/// Runs an audit and checks its exit code; gives its JSON.
fn audit(arguments: &[&str], log: &[u8], exit: i32) -> Result<Value> {
    Ok(told(arguments, log, exit)?.0)
}

/// The same, with what it tells people.
fn told(arguments: &[&str], log: &[u8], exit: i32) -> Result<(Value, String)> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("realtime.log");
    std::fs::write(&path, log)?;
    let output = stress(&[arguments, &["--export-json", "-"]].concat(), &[&path], None)?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {stderr}");
    Ok((serde_json::from_slice(&output.stdout)?, stderr))
}

fn entry(event: &str) -> String {
    format!("{{\"at\":1,\"data\":{{\"tool\":\"bash\",\"call_id\":\"{event}\"}},\"text\":\"x y\"}}\n")
}

const KEY: [&str; 2] = ["--key", "data.call_id"];

#[test]
fn generated_counts_are_found_again() -> Result {
    // Entries of an event by its number: mostly one, each thirteenth two, each hundredth five, scattered over the log.
    let entries = |event: u64| if event.is_multiple_of(100) { 5 } else { 1 + u64::from(event.is_multiple_of(13)) };
    let events = 20_000;
    let mut lines: Vec<(u64, u64)> =
        (0..events).flat_map(|event| (0..entries(event)).map(move |copy| (event + copy * 37, event))).collect();
    lines.sort_unstable();
    let mut log = String::new();
    let mut histogram = BTreeMap::new();
    let mut lines_of = BTreeMap::<u64, Vec<usize>>::new();
    for (number, (_, event)) in lines.iter().enumerate() {
        log.push_str(&entry(&format!("call-{event}")));
        lines_of.entry(*event).or_default().push(number + 1);
    }
    for lines in lines_of.values() {
        *histogram.entry(lines.len().to_string()).or_insert(0) += 1;
    }
    let report = audit(&KEY, log.as_bytes(), 1)?;
    assert_eq!(report["histogram"], json!(histogram));
    assert_eq!(report["lines"], json!(lines.len()));
    assert_eq!(report["pattern"], "varying");
    for offender in
        [&report["first_offenders"], &report["worst_offenders"]].into_iter().filter_map(Value::as_array).flatten()
    {
        let event: u64 =
            offender["event"].as_str().and_then(|event| event.strip_prefix("call-")).ok_or("unnamed")?.parse()?;
        assert_eq!(offender["entries"], json!(entries(event)));
        let told = offender["lines"].as_array().ok_or("no lines")?;
        assert_eq!(told[0], json!(lines_of[&event][0]));
        assert!(told.iter().all(|line| lines_of[&event].iter().any(|known| json!(known) == *line)), "{offender}");
    }
    assert_eq!(report["worst_offenders"].as_array().map(Vec::len), Some(10));
    assert_eq!(report["worst_offenders"][0]["entries"], 5);
    assert_eq!(report["first_offenders"][0]["event"], "call-0");
    Ok(())
}

#[test]
fn odd_lines_are_counted_and_shown() -> Result {
    let mut log = Vec::new();
    log.extend_from_slice(b"{\"id\":\"a\"}\r\n");
    log.extend_from_slice(b"\x00\xff\x80\n\n\r\n{\"id\":null}\n{\"other\":1}\n{\"id\":\"torn");
    let report = audit(&["--key", "id"], &log, 3)?;
    let passed_over = json!({"blank": 2, "without_event": 2, "malformed": 2, "given_up": 0});
    assert_eq!(report["passed_over"], passed_over);
    assert_eq!((&report["entries"], &report["torn_tail"], &report["lines"]), (&json!(1), &json!(true), &json!(7)));
    assert_eq!(report["not_understood"].as_array().map(Vec::len), Some(2), "{report}");
    assert_eq!(audit(&["--key", "id", "--lenient"], &log, 0)?["passed_over"], passed_over);
    Ok(())
}

#[test]
fn an_empty_name_names_nothing() -> Result {
    let log = "{\"id\":\"\"}\n".repeat(3) + "{\"id\":\"a\"}\n";
    assert_eq!(audit(&["--key", "id"], log.as_bytes(), 0)?["passed_over"]["without_event"], 3);
    assert_eq!(audit(&["--pattern", "id\":\"(\\w*)"], log.as_bytes(), 0)?["passed_over"]["without_event"], 3);
    Ok(())
}

#[test]
fn lines_that_are_all_cut_off_take_no_longer_than_others() -> Result {
    // Each could be the beginning of a value that all the others are in.
    let log = "{\"type\":\"call\",\"items\":[\n".repeat(30_000);
    let report = audit(&["--key", "id"], log.as_bytes(), 3)?;
    assert_eq!(report["passed_over"]["malformed"], 30_000);
    Ok(())
}

#[test]
fn what_is_too_much_is_violated_whatever_else_is_not_understood() -> Result {
    let log = "{\"id\":\"a\"}\n{\"id\":\"b\",\n{\"id\":\"a\"}\n";
    for arguments in [&["--key", "id"][..], &["--key", "id", "--lenient"]] {
        assert_eq!(audit(arguments, log.as_bytes(), 1)?["passed_over"]["malformed"], 1);
    }
    Ok(())
}

#[test]
fn a_list_shows_what_is_missing() -> Result {
    let directory = tempfile::tempdir()?;
    let list = directory.path().join("events");
    std::fs::write(&list, "a\nlost\r\nb\nlost\n")?;
    let list = list.to_str().ok_or("a path that is text")?;
    let check = |log: &str, exit| audit(&[&KEY[..], &["--events", list]].concat(), log.as_bytes(), exit);
    let report = check(&(entry("a") + &entry("b") + &entry("c")), 1)?;
    assert_eq!(
        report["missing"],
        json!([{"event": "lost", "is_number": false, "entries": 0, "lines": [2], "lines_complete": true}])
    );
    assert_eq!((&report["events"]["missing"], &report["events"]["unlisted"]), (&json!(1), &json!(1)));
    assert_eq!(report["pattern"], "expected");
    assert_eq!(check(&(entry("a") + &entry("b") + &entry("lost")), 0)?["events"]["missing"], 0);
    // Here even an empty log shows something.
    assert_eq!(check("", 1)?["histogram"], json!({"0": 3}));
    // A list that names other things than the key shows nothing.
    assert_eq!(check(&(entry("x") + &entry("y")), 3)?["verdict"], "inconclusive");
    // What cannot be read may be what is missing, unless it is to be passed over.
    let damaged = entry("a") + &entry("b") + "{\"data\":{\"call_id\":\"lo\n";
    assert_eq!(check(&damaged, 3)?["events"]["missing"], 1);
    let arguments = [&KEY[..], &["--events", list, "--lenient"]].concat();
    assert_eq!(audit(&arguments, damaged.as_bytes(), 1)?["events"]["missing"], 1);
    Ok(())
}

#[test]
fn events_with_too_few_entries_are_named() -> Result {
    let mut log = String::new();
    for event in 0..30_000 {
        let entries = if [17, 29_000].contains(&event) { 1 } else { 2 };
        log.extend(std::iter::repeat_n(entry(&format!("e{event}")), entries));
    }
    let report = audit(&[&KEY[..], &["--expect", "2"]].concat(), log.as_bytes(), 1)?;
    let expected = json!([
        {"event": "e17", "is_number": false, "entries": 1, "lines": [35], "lines_complete": true},
        {"event": "e29000", "is_number": false, "entries": 1, "lines": [58_000], "lines_complete": true},
    ]);
    assert_eq!(report["fewer_offenders"], expected);
    Ok(())
}

#[test]
fn what_cannot_be_read_is_named() -> Result {
    let directory = tempfile::tempdir()?;
    let whole = directory.path().join("whole");
    for (log, exit) in [(entry("a"), 4), (entry("a") + &entry("a"), 1)] {
        std::fs::write(&whole, log)?;
        for path in [directory.path().join("nowhere"), directory.path().to_owned()] {
            // What was found in the others stands.
            let output = stress(&KEY, &[&whole, &path], None)?;
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(exit), "{stderr}");
            assert!(stderr.contains(&path.display().to_string()), "{stderr}");
        }
    }
    // Given twice, everything would seem to be there twice.
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&whole, &link)?;
    assert_eq!(stress(&KEY, &[&whole, &link], None)?.status.code(), Some(2));
    // A report that cannot be written does not hide the verdict.
    let target = directory.path().join("nowhere/report.json");
    let target = target.to_str().ok_or("a path that is text")?;
    let output = stress(&[&KEY[..], &["--export-json", target]].concat(), &[&whole], None)?;
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn the_floor_is_measured_in_the_same_run() -> Result {
    let log: String = (0..20_000).map(|event| entry(&format!("call-{event}"))).collect();
    let report = audit(&[&KEY[..], &["--floor"]].concat(), log.as_bytes(), 0)?;
    let (Some(rate), Some(floor)) = (report["lines_per_second"].as_f64(), report["floor_lines_per_second"].as_f64())
    else {
        return Err(format!("no rates: {report}").into());
    };
    assert!(rate > 0.0 && floor > 0.0, "{report}");
    Ok(())
}

#[test]
fn an_interrupt_ends_it_with_the_verdict_so_far() -> Result {
    // More than a pipe holds: once it is written, it is being read, and the interrupt was prepared for before.
    let filler = "\n".repeat(200_000);
    for (log, exit, words) in [
        (entry("a") + &entry("a"), 1, "2 entries"),
        // What has too few entries so far, or is missing, may still come.
        (entry("a"), 3, "interrupted"),
        (String::new(), 3, "interrupted"),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stress"))
            .args(["audit", "-"])
            .args(KEY)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or("stdin is piped")?;
        input.write_all((log + &filler).as_bytes())?;
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, rustix::process::Signal::INT)?;
        let output = child.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
        drop(input);
    }
    Ok(())
}
