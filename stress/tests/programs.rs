//! `stress campaign --registrant` on programs that fail as people have reported it, each in its own way; and on right ones
//! that must not be accused.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const STRESS: &str = env!("CARGO_BIN_EXE_stress");
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs");

/// How a campaign ended.
struct Ended {
    exit: Option<i32>,
    report: Value,
    stderr: String,
}

/// Runs a campaign of one of the programs.
fn campaign(program: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Result<Ended> {
    let keep = tempfile::tempdir()?;
    let has = |option: &str| arguments.contains(&option);
    let registrant = match program.rsplit_once('.') {
        Some((_, "py")) => format!("{} -S -B {PROGRAMS}/{program}", python()),
        Some((_, "sh")) => format!("{PROGRAMS}/{program}"),
        _ => program.to_owned(),
    };
    let output = Command::new(STRESS)
        .args(["campaign", "--registrant", &registrant, "--export-json", "-", "--seed", "1"])
        .args((!has("--keep")).then(|| ["--keep".as_ref(), keep.path().as_os_str()]).into_iter().flatten())
        .args(arguments)
        .envs(variables.iter().copied())
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout)? };
    Ok(Ended { exit: output.status.code(), report, stderr })
}

/// The interpreter itself: what stands in its place on the way may be a script, whose every call is followed as well.
fn python() -> &'static str {
    static PYTHON: LazyLock<String> = LazyLock::new(|| {
        let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        asked.map_or_else(|_| "python3".into(), |asked| String::from_utf8_lossy(&asked.stdout).trim().into())
    });
    &PYTHON
}

/// Checks how a campaign ends and what it tells.
fn check(program: &str, variables: &[(&str, &str)], arguments: &[&str], exit: i32, told: &[&str]) -> Result<Ended> {
    let ended = campaign(program, variables, arguments)?;
    let Ended { stderr, .. } = &ended;
    assert_eq!(ended.exit, Some(exit), "{program} {variables:?} {arguments:?}: {stderr}");
    for words in told {
        assert!(stderr.contains(words), "{program} {arguments:?}: {words}: {stderr}");
    }
    Ok(ended)
}

/// Whether all that a test needs is there; what is not is told past the test harness, which would keep it to itself.
fn has(programs: &[&str], test: &str) -> bool {
    programs.iter().all(|program| {
        let has = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
        if !has {
            let _ = writeln!(std::io::stderr(), "skipped {test}: there is no {program} on this machine");
        }
        has
    })
}

/// Whether programs can be followed; the report says where they cannot.
fn is_skipped(ended: &Ended) -> bool {
    ended.report["skipped"].as_array().is_some_and(|skipped| !skipped.is_empty())
}

fn count(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

#[test]
fn a_stale_lock_is_taken_by_two() -> Result {
    if !has(&["python3"], "a_stale_lock_is_taken_by_two") {
        return Ok(());
    }
    // Left by one that died, or there from the start.
    let setup = "mkdir {dir}/lock && touch -d '1 hour ago' {dir}/lock";
    for arguments in
        [&["--faults", "takeover", "--rounds", "2"][..], &["--faults", "stall", "--rounds", "4", "--setup", setup]]
    {
        let ended = campaign("stale_directory.py", &[], arguments)?;
        if !is_skipped(&ended) {
            assert_eq!(ended.exit, Some(1), "{arguments:?}: {}", ended.stderr);
            // The stall finds it by its aim, and so do others by luck, of which not all are told.
            let is_held = ended.stderr.contains("is held before rmdir(lock)");
            assert!(is_held || arguments.contains(&"--setup"), "{}", ended.stderr);
        }
    }
    Ok(())
}

#[test]
fn a_lock_that_a_child_has_inherited_is_held_by_the_dead() -> Result {
    if !has(&["bash", "flock"], "a_lock_that_a_child_has_inherited_is_held_by_the_dead") {
        return Ok(());
    }
    let arguments = ["--faults", "heir", "--rounds", "2", "--takeover-within", "500ms"];
    check("inherited_lock.sh", &[("HELPER", "")], &arguments, 1, &["nobody has become primary", "loses one of its"])?;
    // A helper in a session of its own is not of its group.
    let arguments = ["--faults", "kill", "--rounds", "1", "--takeover-within", "500ms"];
    check("inherited_lock.sh", &[("HELPER", "setsid")], &arguments, 1, &["nobody has become primary"])?;
    check("inherited_lock.sh", &[("HELPER", "")], &["--faults", "kill", "--rounds", "2"], 0, &[])?;
    Ok(())
}

#[test]
fn what_a_wrapper_locks_for_goes_on_without_it() -> Result {
    if !has(&["bash", "flock"], "what_a_wrapper_locks_for_goes_on_without_it") {
        return Ok(());
    }
    let told = ["what was left of one whose process died wrote on, while another was primary"];
    check("lock_of_a_wrapper.sh", &[], &["--faults", "heir", "--rounds", "8"], 1, &told)?;
    check("lock_of_a_wrapper.sh", &[], &["--rounds", "3"], 0, &[])?;
    Ok(())
}

#[test]
fn a_socket_that_is_bound_and_does_not_listen_is_taken_for_a_dead_one() -> Result {
    if !has(&["python3"], "a_socket_that_is_bound_and_does_not_listen_is_taken_for_a_dead_one") {
        return Ok(());
    }
    let keep = tempfile::tempdir()?;
    let output = Command::new(STRESS)
        .args(["campaign", "--registrant", &format!("python3 -B {PROGRAMS}/socket_in_a_file.py"), "--keep"])
        .arg(keep.path())
        .args(["--faults", "stall", "--seed", "1", "--rounds", "4", "--export-json", "-"])
        .output()?;
    let ended = Ended {
        exit: output.status.code(),
        report: serde_json::from_slice(&output.stdout)?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    if is_skipped(&ended) {
        return Ok(());
    }
    let stderr = &ended.stderr;
    assert_eq!(ended.exit, Some(1), "{stderr}");
    assert!(stderr.contains("is held before listen(socket)"), "{stderr}");
    // From any directory it is found again.
    let directory = stderr.split("run it again: stress replay ").nth(1).and_then(|rest| rest.lines().next());
    let replay = Command::new(STRESS)
        .args(["replay", "--times", "2", directory.ok_or("nothing is kept")?])
        .current_dir("/")
        .output()?;
    let stderr = String::from_utf8_lossy(&replay.stderr);
    assert_eq!(replay.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("violated in 2 of 2 runs"), "{stderr}");
    Ok(())
}

#[test]
fn a_lease_is_outlived_by_who_is_stopped_for_longer() -> Result {
    if !has(&["python3"], "a_lease_is_outlived_by_who_is_stopped_for_longer") {
        return Ok(());
    }
    let lease = [("LEASE", "2")];
    // Nobody takes over before the lease is over, which is in time.
    check("lease.py", &lease, &["--faults", "kill", "--rounds", "1"], 0, &["up to 15s for a takeover"])?;
    check("lease.py", &lease, &["--faults", "stop", "--rounds", "1", "--stop-for", "6s"], 1, &["6s for a stop"])?;
    Ok(())
}

#[test]
fn threads_of_one_that_is_held_go_on() -> Result {
    if !has(&["python3"], "threads_of_one_that_is_held_go_on") {
        return Ok(());
    }
    let ended = campaign("threads.py", &[], &["--faults", "stall", "--rounds", "4"])?;
    if !is_skipped(&ended) {
        assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
        assert!(count(&ended.report, "/faults/stall") > 0, "{}", ended.report);
    }
    Ok(())
}

#[test]
fn a_lock_file_that_is_removed_in_good_order_makes_two() -> Result {
    if !has(&["python3"], "a_lock_file_that_is_removed_in_good_order_makes_two") {
        return Ok(());
    }
    check("unlink_at_exit.py", &[], &["--faults", "handover", "--rounds", "3"], 1, &["2 were primary at one moment"])?;
    check("unlink_at_exit.py", &[], &["--faults", "kill", "--rounds", "1"], 0, &[])?;
    Ok(())
}

#[test]
fn a_death_between_two_calls_leaves_what_nobody_gets_over() -> Result {
    if !has(&["python3"], "a_death_between_two_calls_leaves_what_nobody_gets_over") {
        return Ok(());
    }
    let arguments = ["--faults", "kill-at-call", "--rounds", "6", "--takeover-within", "500ms", "--registrants", "2"];
    let ended = campaign("pid_in_a_file.py", &[], &arguments)?;
    if !is_skipped(&ended) {
        assert_eq!(ended.exit, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("nobody has become primary"), "{}", ended.stderr);
        let is_between = ["is killed after openat(pid)", "is killed before write(pid)"];
        assert!(is_between.iter().any(|words| ended.stderr.contains(words)), "{}", ended.stderr);
    }
    Ok(())
}

#[test]
fn every_call_that_names_a_watched_file_is_a_touch() -> Result {
    if !has(&["python3"], "every_call_that_names_a_watched_file_is_a_touch") {
        return Ok(());
    }
    let outside = tempfile::tempdir()?;
    let path = outside.path().join("lock").display().to_string();
    let check = |touch: &str, watch: &[&str], call: &str| -> Result {
        // All say that another is primary, so that the round is told.
        let variables = [("TOUCH", touch), ("OUTSIDE", path.as_str())];
        let quick = ["--faults", "stall", "--rounds", "1", "--registrants", "2", "--settle", "100ms"];
        let ended = campaign("touch.py", &variables, &[&quick[..], watch].concat())?;
        assert!(is_skipped(&ended) || ended.stderr.contains(call), "{touch}: {call}: {}", ended.stderr);
        Ok(())
    };
    for (touch, call) in [
        ("bind", "bind(socket)"),
        ("connect", "connect(socket)"),
        ("chmod", "mod"),
        ("setxattr", "setxattr(.)"),
        ("link", "link"),
        ("relative", "(none)"),
    ] {
        check(touch, &[], call)?;
    }
    check("outside", &["--watch", &path], &path)?;
    check("abstract", &["--watch", &format!("@{path}")], &format!("connect(@{path})"))?;
    Ok(())
}

#[test]
fn who_is_slow_to_start_is_waited_for_and_never_accused() -> Result {
    if !has(&["flock"], "who_is_slow_to_start_is_waited_for_and_never_accused") {
        return Ok(());
    }
    let quick = ["--rounds", "1", "--settle", "50ms", "--registrants", "2"];
    check("slow.sh", &[("SLOW", "0.5")], &quick, 0, &[])?;
    let ended =
        check("slow.sh", &[("SLOW", "0.5")], &[&quick[..], &["--patience", "200ms", "--early", "0"]].concat(), 3, &[])?;
    assert!(ended.stderr.contains("raise --settle") || ended.stderr.contains("said or wrote"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_successor_that_writes_again_is_no_race() -> Result {
    if !has(&["flock"], "a_successor_that_writes_again_is_no_race") {
        return Ok(());
    }
    // Each keeps what it was told until it is primary, and then writes all of it without looking.
    let script = r#"
        exec 9>"$ELECTION_DIR/lock"; echo secondary; flock 9; echo primary
        while read -r word event; do
            case $word in event) echo "$event" >>"$REALTIME_LOG" ;; quit) break ;; esac
        done
        echo left"#;
    let told = ["each successor wrote them again", "must look into the log first"];
    let quick = ["--shell", "--faults", "handover", "--rounds", "4", "--registrants", "2", "--settle", "100ms"];
    check(script, &[], &quick, 1, &told)?;
    Ok(())
}

#[test]
fn programs_that_speak_no_protocol_are_judged_by_what_they_do() -> Result {
    if !has(&["flock"], "programs_that_speak_no_protocol_are_judged_by_what_they_do") {
        return Ok(());
    }
    let quick = ["--shell", "--rounds", "2", "--settle", "300ms", "--events", "0", "--registrants", "3"];
    let by_line = |script: &str, exit, told: &[&str]| {
        check(script, &[], &[&quick[..], &["--acts-when", "^working"]].concat(), exit, told)
    };
    by_line("flock -n {dir}/job.lock sh -c 'echo working; sleep 0.4'", 0, &[])?;
    by_line(
        "[ -e {dir}/job.lock ] || { sleep 0.2; touch {dir}/job.lock; echo working on {id}; sleep 1; }",
        1,
        &["at one moment"],
    )?;
    by_line("exit 1", 3, &["nobody was seen to act"])?;
    // A process ID in a file at a fixed place, which the shell makes for itself.
    let daemon = |lock: &str| format!("{lock} sh -c 'echo $$ >>{{dir}}/daemon.pid; exec sleep 1'");
    let by_file = |script: &str, exit| {
        check(script, &[], &[&quick[..], &["--acts-file", "{dir}/daemon.pid"]].concat(), exit, &[])
    };
    by_file(&daemon("exec flock -n {dir}/lock"), 0)?;
    by_file(&daemon("exec env"), 1)?;
    let own = "flock -n {dir}/lock sh -c 'echo run >{dir}/out-{id}; sleep 0.4'";
    check(own, &[], &[&quick[..], &["--acts-file", "{dir}/out-{id}"]].concat(), 0, &[])?;
    Ok(())
}

#[test]
fn a_violation_that_cannot_be_kept_is_told_all_the_same() -> Result {
    let both = "echo primary; exec cat >/dev/null";
    let arguments = ["--shell", "--rounds", "1", "--registrants", "2"];
    check(both, &[], &[&arguments[..], &["--keep", "/proc/nowhere"]].concat(), 1, &["2 were primary", "not kept"])?;
    Ok(())
}

#[test]
fn a_closed_standard_error_is_no_failure() -> Result {
    let script = format!(
        "{STRESS} campaign --shell --registrant 'echo primary; exec cat >/dev/null' --rounds 1 2>&1 >/dev/null | :; echo ${{PIPESTATUS[0]}}"
    );
    if !has(&["bash"], "a_closed_standard_error_is_no_failure") {
        return Ok(());
    }
    let output = Command::new("bash").args(["-c", &script]).output()?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    Ok(())
}

#[test]
fn every_signal_gives_the_verdict_so_far_and_leaves_nothing() -> Result {
    use rustix::process::{Pid, Signal, kill_process};
    let directory = tempfile::tempdir()?;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut child = Command::new(STRESS)
            .args(["campaign", "--shell", "--registrant", "echo secondary; exec cat", "--rounds", "1000000"])
            .args(["--settle", "100s", "--patience", "100s", "--dir"])
            .arg(directory.path())
            .stderr(Stdio::piped())
            .spawn()?;
        let has_begun = || Ok::<_, std::io::Error>(directory.path().read_dir()?.next().is_some());
        wait_until(has_begun)?;
        // As timeout(1) does: to it, and to its group.
        for _ in 0..3 {
            kill_process(Pid::from_child(&child), signal)?;
        }
        let status = child.wait()?;
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().ok_or("it is piped")?, &mut stderr)?;
        assert_eq!(status.code(), Some(3), "{signal:?}: {stderr}");
        assert!(stderr.contains("ended early"), "{stderr}");
        assert_eq!(directory.path().read_dir()?.count(), 0, "{signal:?}");
    }
    Ok(())
}

fn wait_until(is_so: impl Fn() -> Result<bool, std::io::Error>) -> Result {
    let begun = Instant::now();
    while !is_so()? {
        assert!(begun.elapsed() < Duration::from_mins(1), "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
fn what_cannot_be_set_up_is_named() -> Result {
    let ended = check("true", &[], &["--rounds", "1", "--setup", "exit 7"], 4, &["exit 7", "--setup"])?;
    assert_eq!(ended.report, Value::Null);
    let usage = ["--rounds", "1", "--acts-when", "("];
    check("true", &[], &usage, 2, &["--acts-when (", "regular expression"])?;
    assert!(Path::new(PROGRAMS).is_dir());
    Ok(())
}
