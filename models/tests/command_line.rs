//! The command line of the checkers, as people and scripts meet it.
#![cfg(feature = "checkers")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn models(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_models"));
    command.args(arguments).env_remove("COLUMNS");
    command
}

/// Its exit code, and what it tells on standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    told(&models(arguments).output().expect("the program is built"))
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it was not killed"), text(&output.stdout), text(&output.stderr))
}

/// Compares with what is stored, but for how long something took and how many states it had.
fn assert_told(name: &str, text: &str) {
    let filters = vec![
        (r" +\d+\.\d( s|\n)", " [seconds]$1"),
        (r"\d+ states", "[count] states"),
        (r#""states": \d+"#, r#""states": "[count]""#),
        (r"(violated|holds) +\d+ ", "$1 [count] "),
    ];
    insta::with_settings!({ filters => filters, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn list_says_what_there_is() {
    let (code, stdout, stderr) = run(&["list"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_told("list", &stderr);
}

#[test]
fn help_says_what_can_be_asked_for() {
    for (name, arguments) in
        [("help", vec!["--help"]), ("help_check", vec!["check", "--help"]), ("help_serve", vec!["serve", "--help"])]
    {
        let (code, stdout, _) = run(&arguments);
        assert_eq!(code, 0);
        assert_told(name, &stdout);
    }
}

#[test]
fn all_protocols_come_to_what_they_must_in_a_table() {
    let (code, _, stderr) =
        run(&["check", "--protocol", "all", "--registrants", "2", "--crashes", "1", "--restarts", "0"]);
    assert_eq!(code, 0, "{stderr}");
    let table = stderr.find("\nprotocol ").expect("there is a table");
    assert_told("table", &stderr[table..]);
}

#[test]
fn a_violated_protocol_has_its_story_told() {
    let (code, stdout, stderr) = run(&["check", "--protocol", "check-then-write"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_told("story", &stderr);
}

#[test]
fn a_protocol_that_holds_is_told_part_by_part() {
    let (code, _, stderr) = run(&["check", "--registrants", "1", "--crashes", "1"]);
    assert_eq!(code, 0, "{stderr}");
    let told: Vec<_> = stderr.lines().collect();
    assert!(
        told[1].starts_with("journal: holds (exhaustive, expected: holds), 1 registrants, 1 crashes, "),
        "{stderr}"
    );
    assert!(told[1].ends_with(", all there are"), "{stderr}");
    assert!(told.len() > 4 && told[2..].iter().all(|part| part.contains(" holds ")), "{stderr}");
}

#[test]
fn the_report_goes_to_standard_output_or_a_file() {
    let (code, stdout, _) = run(&["check", "--protocol", "fail-open", "--export-json", "-"]);
    assert_eq!(code, 1);
    let mut report = json(&stdout);
    assert!(report[0]["seconds"].is_f64() && report[0]["parts"][0]["seconds"].is_f64());
    (report[0]["seconds"], report[0]["parts"][0]["seconds"]) = (Value::Null, Value::Null);
    assert_told("report", &serde_json::to_string_pretty(&report).expect("it is JSON"));

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("report.json");
    std::fs::write(&file, "old").expect("the directory is writable");
    let (code, stdout, _) =
        run(&["check", "--protocol", "flock", "--checker", "loom", "--registrants", "2", "--export-json", text(&file)]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    let report = json(&std::fs::read_to_string(&file).expect("it is there"));
    assert_eq!(report[0]["verdict"], "holds");
    assert_eq!(report[0]["complete"], true);
    assert!(report[0]["executions"].as_u64() > Some(0));
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[test]
fn what_threads_come_to_is_found_among_all_states_too() {
    for protocol in ["flock", "journal"] {
        let arguments = [
            "check",
            "--protocol",
            protocol,
            "--checker",
            "all",
            "--registrants",
            "2",
            "--crashes",
            "1",
            "--restarts",
            "1",
        ];
        let (code, stdout, stderr) = run(&[&arguments[..], &["--schedules", "500", "--export-json", "-"]].concat());
        assert_eq!(code, 0, "{stderr}");
        let report = json(&stdout);
        for checked in &report.as_array().expect("a list")[1..] {
            assert!(checked["share_of_exhaustive"].as_f64() > Some(0.0), "{checked}");
        }
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_checked() {
    let directory = tempfile::tempdir().expect("a directory");
    let no_directory = directory.path().join("none/report.json");
    for (expected, arguments, named) in [
        (2, vec!["check", "--protocol", "jornal"], "'journal'"),
        (2, vec!["check", "--registrants", "9"], "9 is not in 1..=6"),
        (2, vec!["check", "--export-json", "-", "--trace", "-"], "cannot both be standard output"),
        (2, vec!["prove"], "unrecognized subcommand"),
        (4, vec!["check", "--export-json", text(&no_directory)], "none/report.json: open: No such file"),
        (4, vec!["check", "--trace", text(directory.path())], "open: Is a directory (os error 21); give a file"),
        (4, vec!["replay", text(&no_directory)], "none/report.json: No such file"),
        (4, vec!["serve", "--address", "256.0.0.1:1"], "choose another --address"),
    ] {
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!((code, stdout.as_str()), (expected, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(named), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("states") && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn nothing_exercised_is_inconclusive() {
    let (code, stdout, _) = run(&["check", "--checker", "shuttle", "--schedules", "0", "--export-json", "-"]);
    assert_eq!(code, 3);
    assert_eq!(json(&stdout)[0]["verdict"], "inconclusive");
}

#[test]
fn a_saved_schedule_fails_the_same_way_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let saving = ["check", "--protocol", "json-list", "--checker", "shuttle", "--save", text(directory.path())];
    let (code, _, first) = run(&saving);
    assert_eq!(code, 1);
    let command = first.lines().find_map(|line| line.strip_prefix("replay it with: models "));
    let command: Vec<_> = command.expect("it says how to replay it").split(' ').collect();
    let (code, _, again) = run(&command);
    assert_eq!(code, 1);
    let story = |told: &str| told.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>();
    let without_finder = |line: &String| line.replace(" (found by random)", "").replace(" (found by urw)", "");
    let (first, again): (Vec<_>, Vec<_>) = (story(&first).iter().map(without_finder).collect(), story(&again));
    assert!(first.len() > 10);
    assert_eq!(first, again);
}

#[test]
fn an_interrupted_run_ends_with_its_verdict_so_far() {
    for checker in ["exhaustive", "loom", "shuttle"] {
        let endless = ["check", "--checker", checker, "--registrants", "5", "--preemptions", "9", "--export-json", "-"];
        let mut child = models(&[&endless[..], &["--schedules", "4000000000"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is built");
        // Once it says what it does, it heeds the signal.
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        stderr.read_line(&mut String::new()).expect("it says what it does");
        interrupt(&child);
        let (code, stdout, _) = told(&child.wait_with_output().expect("it ends"));
        let mut told = String::new();
        stderr.read_to_string(&mut told).expect("it is text");
        assert_eq!(code, 3, "{checker}: {told}");
        for report in json(&stdout).as_array().expect("a list") {
            assert_eq!(report["verdict"], "inconclusive", "{checker}");
            assert_eq!(report["complete"], false, "{checker}");
        }
    }
}

fn interrupt(child: &Child) {
    let process = Pid::from_raw(child.id().try_into().expect("a process ID")).expect("a process ID");
    kill_process(process, Signal::INT).expect("it runs");
}

#[test]
fn a_counterexample_becomes_a_page_that_needs_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("page.html");
    let (code, _, _) = run(&["check", "--protocol", "json-list", "--trace", text(&file)]);
    assert_eq!(code, 1);
    let page = std::fs::read_to_string(&file).expect("it is there");
    for elsewhere in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    for shown in ["How <em>json-list</em> fails", "S1 single primary", "instance b", "b and c believe to be primary"] {
        assert!(page.contains(shown), "{shown}");
    }
    let steps = page.split("id=steps>").nth(1).and_then(|rest| rest.split("</script>").next()).expect("its steps");
    let steps = json(steps);
    let steps = steps.as_array().expect("a list");
    assert_eq!(steps.len(), page.matches("<g class=\"step").count());
    assert_eq!(page.matches("<g class=\"step breaking\">").count(), 1);
    let last = &steps.last().expect("there are steps")["instances"];
    assert_eq!([&last[0]["belief"], &last[1]["belief"]], ["PRIMARY", "PRIMARY"]);
    // A file says what it came to say up to there.
    assert_eq!(steps[10]["files"][0][1], "[{\"id\":\"b\",\"timestamp\":0}]");
}

#[test]
fn no_counterexample_is_no_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("page.html");
    let (code, _, stderr) =
        run(&["check", "--protocol", "flock", "--registrants", "2", "--crashes", "0", "--trace", text(&file)]);
    assert_eq!(code, 0);
    assert!(stderr.contains("there is no counterexample to write"), "{stderr}");
    assert!(!file.exists());
}

#[test]
fn the_explorer_serves_states_in_words() {
    let mut child =
        models(&["serve", "--address", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().expect("the program is built");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let address = stderr.lines().find_map(|line| {
        let line = line.expect("it is text");
        Some(line.strip_prefix("open http://")?.split(' ').next()?.to_owned())
    });
    let address = address.expect("it says where");
    let page = get(&address, "/");
    let first = get(&address, "/.states/");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(page.contains("<title>"), "{page}");
    let first = &json(first.split("\r\n\r\n").nth(1).expect("a body"))[0];
    assert_eq!(first["state"], "b: undecided, is about to call open\nc: undecided, is about to call open\n");
}

/// The response to a request, its head included. The server listens a moment after it was said where.
fn get(address: &str, path: &str) -> String {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => std::thread::yield_now(),
            Err(error) => panic!("{address}: {error}"),
        }
    };
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("it takes requests");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("it answers with text");
    response
}
