//! `stress audit` on logs whose counts are known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn stress(arguments: &[&str], log: &Path, stdin: Option<&[u8]>) -> Result<Output> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stress"))
        .arg("audit")
        .args(arguments)
        .arg(log)
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
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("realtime.log");
    std::fs::write(&path, log)?;
    let output = stress(&[arguments, &["--export-json", "-"]].concat(), &path, None)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {stderr}");
    Ok(serde_json::from_slice(&output.stdout)?)
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
fn patterns_are_read() -> Result {
    let log = |entries: &dyn Fn(usize) -> usize| -> String {
        (0..50).flat_map(|event| std::iter::repeat_n(entry(&event.to_string()), entries(event))).collect()
    };
    let check = |log: &str, arguments: &[&str], exit, pattern: &str, words: &str| -> Result {
        let report = audit(&[&KEY, arguments].concat(), log.as_bytes(), exit)?;
        assert_eq!(report["pattern"], pattern, "{report}");
        let reading = report["reading"].as_str().ok_or("no reading")?;
        assert!(reading.contains(words), "{words}: {reading}");
        Ok(())
    };
    check(&log(&|_| 1), &[], 0, "expected", "cannot be seen without a list")?;
    check(&log(&|_| 4), &[], 1, "constant", "4 instances share one ID")?;
    check(&log(&|_| 4), &["--expect", "4"], 0, "expected", "Every event")?;
    check(&log(&|_| 2), &["--expect", "3"], 1, "constant", "never do")?;
    check(&log(&|event| 1 + event % 3), &[], 1, "varying", "a race")?;
    check(&log(&|event| 1 + event % 3), &["--expect", "3"], 1, "varying", "lost")?;
    check(&entry("a").repeat(3), &[], 1, "single", "no pattern")?;
    check("", &[], 3, "empty", "nothing was judged")?;
    check("{\"call_id\":1}\nno\n", &[], 3, "empty", "check the key")?;
    Ok(())
}

#[test]
fn odd_lines_are_counted_and_passed_over() -> Result {
    let mut log = Vec::new();
    log.extend_from_slice(b"{\"id\":\"a\"}\r\n");
    log.extend_from_slice(b"\x00\xff\x80\n\n\r\n{\"id\":null}\n{\"other\":1}\n{\"id\":\"torn");
    let report = audit(&["--key", "id"], &log, 0)?;
    let passed_over = json!({"blank": 2, "without_event": 2, "malformed": 2, "given_up": 0});
    assert_eq!(report["passed_over"], passed_over);
    assert_eq!((&report["entries"], &report["torn_tail"], &report["lines"]), (&json!(1), &json!(true), &json!(7)));

    // Numbers and strings that read the same are one event; a wide number is not rounded.
    let numbers = b"{\"id\":7}\n{\"id\":\"7\"}\n{\"id\":100000000000000000001}\n{\"id\":100000000000000000002}\n";
    assert_eq!(audit(&["--key", "id"], numbers, 1)?["histogram"], json!({"1": 2, "2": 1}));
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
    let directory = tempfile::tempdir()?;
    for arguments in
        [&["--pattern", "call="][..], &["--pattern", "("], &["--key", "a..b"], &["--key", "a", "--pattern", "(b)"], &[]]
    {
        assert_eq!(stress(arguments, &directory.path().join("log"), None)?.status.code(), Some(2), "{arguments:?}");
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
    assert_eq!(report["missing"], json!([{"event": "lost", "entries": 0, "lines": [2]}]));
    assert_eq!((&report["events"]["missing"], &report["events"]["unlisted"]), (&json!(1), &json!(1)));
    assert_eq!(report["pattern"], "expected");
    assert_eq!(check(&(entry("a") + &entry("b") + &entry("lost")), 0)?["events"]["missing"], 0);
    // Here even an empty log shows something.
    assert_eq!(check("", 1)?["histogram"], json!({"0": 3}));
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
        {"event": "e17", "entries": 1, "lines": [35]},
        {"event": "e29000", "entries": 1, "lines": [58_000]},
    ]);
    assert_eq!(report["fewer_offenders"], expected);
    Ok(())
}

#[test]
fn lines_longer_than_the_memory_for_them_are_read() -> Result {
    // Beyond a block of 1 MiB; the event comes last, behind a string and an array that nobody needs.
    let filler = "y\\\"\u{e9}".repeat(700_000);
    let mut array = String::new();
    for number in 0..300_000 {
        write!(array, "{number},")?;
    }
    let log = format!(
        "{{\"text\":\"{filler}\",\"id\":\"long\"}}\n{{\"id\":\"short\"}}\n{{\"array\":[{array}0],\"id\":\"long\"}}\n\
         {{\"text\":\"{filler}\",\"id\":\"torn\n{{\"id\":\"last\"}}"
    );
    let report = audit(&["--key", "id"], log.as_bytes(), 1)?;
    assert_eq!(report["first_offenders"], json!([{"event": "long", "entries": 2, "lines": [1, 3]}]));
    assert_eq!((&report["lines"], &report["passed_over"]["malformed"]), (&json!(5), &json!(1)));
    assert_eq!(report["histogram"], json!({"1": 2, "2": 1}));

    // An event so long that it is not kept whole is not counted as if it had been, and then nothing is said to hold.
    let log = format!("{{\"id\":\"{filler}\"}}\n{{\"id\":\"short\"}}\n");
    let report = audit(&["--key", "id"], log.as_bytes(), 3)?;
    assert_eq!((&report["passed_over"]["given_up"], &report["entries"]), (&json!(1), &json!(1)));

    // Text is searched as far as a block goes.
    let text = format!("call=a {filler}\n{filler} call=b\ncall=c\n");
    let report = audit(&["--pattern", r"call=(\w+)"], text.as_bytes(), 3)?;
    assert_eq!((&report["passed_over"]["given_up"], &report["entries"]), (&json!(1), &json!(2)));
    Ok(())
}

#[test]
fn gzip_and_standard_input_are_read() -> Result {
    let log = entry("a") + &entry("b");
    let mut packed = Vec::new();
    // Two members, as `cat a.gz b.gz` makes them.
    for part in [&log, &entry("b")] {
        let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        encoder.write_all(part.as_bytes())?;
        encoder.finish()?;
    }
    assert_eq!(audit(&KEY, &packed, 1)?["histogram"], json!({"1": 1, "2": 1}));
    for (bytes, exit) in [(log.as_bytes(), 0), (&packed, 1), (b"", 3)] {
        let output = stress(&KEY, Path::new("-"), Some(bytes))?;
        assert_eq!(output.status.code(), Some(exit), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // A gzip file that ends early has no verdict.
    let directory = tempfile::tempdir()?;
    let cut = directory.path().join("cut.gz");
    std::fs::write(&cut, &packed[..packed.len() - 9])?;
    for path in [cut, directory.path().join("nowhere"), directory.path().to_owned()] {
        let output = stress(&KEY, &path, None)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{stderr}");
        assert!(stderr.contains(&path.display().to_string()), "{stderr}");
    }
    Ok(())
}

#[test]
fn the_floor_is_measured_in_the_same_run() -> Result {
    let report = audit(&[&KEY[..], &["--floor"]].concat(), entry("a").as_bytes(), 0)?;
    assert!(report["floor_lines_per_second"].as_f64() > Some(0.0), "{report}");
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
