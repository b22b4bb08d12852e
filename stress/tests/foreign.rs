//! `stress campaign --registrant` on right and wrong elections in several languages, and on programs that do not behave.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const REGISTRANTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/registrants");
const STRESS: &str = env!("CARGO_BIN_EXE_stress");
const JOURNAL: &str = env!("CARGO_BIN_EXE_journal-registrant");

/// A lock file that is created exclusively and never removed: right until its owner dies.
const EXCLUSIVE_CREATE: &str = r#"
    if (set -C; : >"$ELECTION_DIR/primary") 2>/dev/null; then role=primary; else role=secondary; fi
    echo $role
    while read -r word event; do
        case $word in
            event) [ $role = primary ] && echo "$event" >>"$REALTIME_LOG" ;;
            quit) break ;;
        esac
    done
    echo left"#;

/// Whoever cannot write its claim takes itself for primary.
const FAIL_OPEN: &str = r#"
    role=secondary
    if [ ! -e "$ELECTION_DIR/claim" ]; then
        mkdir "$ELECTION_DIR/claim" 2>/dev/null && role=primary
        echo "$INSTANCE_ID" 2>/dev/null >"$ELECTION_DIR/$INSTANCE_ID" || role=primary
    fi
    echo "$INSTANCE_ID" 2>/dev/null >"$ELECTION_DIR/alive.$INSTANCE_ID" || role=primary
    echo $role
    while read -r word event; do [ "$word" = quit ] && break; done
    echo left"#;

fn campaign(registrant: &str, arguments: &[&str]) -> Result<(Output, Value)> {
    let keep = tempfile::tempdir()?;
    let output = Command::new(STRESS)
        .args(["campaign", "--registrant", registrant, "--export-json", "-", "--keep"])
        .arg(keep.path())
        .args(arguments)
        .output()?;
    let report = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout)? };
    Ok((output, report))
}

/// Runs a campaign and checks how it ends; gives its report.
fn check(registrant: &str, arguments: &[&str], exit: i32) -> Result<Value> {
    let (output, report) = campaign(registrant, arguments)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{registrant} {arguments:?}: {stderr}");
    Ok(report)
}

/// Whoever elects from a list of the present is unseated by a smaller ID that comes late, on any machine.
fn is_unseated_by_a_late_registrant(registrant: &str) -> Result {
    let report = check(registrant, &["--rounds", "3", "--faults", "late"], 1)?;
    assert!(report["events"]["many"].as_u64() > Some(0), "{report}");
    Ok(())
}

/// Whether there is such a program; where there is none, says so past the test harness, which would keep it to itself.
fn has(program: &str, test: &str) -> Result<bool> {
    let has = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        writeln!(std::io::stderr(), "skipped {test}: there is no {program} on this machine")?;
    }
    Ok(has)
}

/// Stalls before the first touches of the directory. Those who wait for whoever is slow to start lose no time otherwise.
/// On a busy machine it takes long to follow an interpreter through all the calls of its start.
const STALLS: [&str; 8] = ["--faults", "stall", "--seed", "1", "--settle", "10s", "--patience", "2m"];

/// Whether registrants can be followed; where they cannot, says so past the test harness.
fn can_stall(test: &str) -> Result<bool> {
    let (_, report) = campaign("exit 0", &["--shell", "--rounds", "1", "--registrants", "1", "--faults", "stall"])?;
    let skipped = report["skipped"].as_array().is_none_or(|skipped| !skipped.is_empty());
    if skipped {
        writeln!(std::io::stderr(), "skipped {test}: this machine does not let programs be followed")?;
    }
    Ok(!skipped)
}

#[test]
fn a_race_in_sh_is_seen_without_luck_and_replayed() -> Result {
    if !can_stall("a_race_in_sh_is_seen_without_luck_and_replayed")? {
        return Ok(());
    }
    let keep = tempfile::tempdir()?;
    let output = Command::new(STRESS)
        .args(["campaign", "--registrant", &format!("{REGISTRANTS}/check-then-write.sh"), "--keep"])
        .arg(keep.path())
        .args(STALLS)
        .args(["--rounds", "8"])
        .output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    // Others that it was also seen in may have been lost by chance, in spite of where they were held.
    let mut stories = stderr
        .split_inclusive("run it again: stress replay ")
        .zip(stderr.split("run it again: stress replay ").skip(1));
    let (story, command) =
        stories.find(|(story, _)| story.contains("is held before openat(primary)")).ok_or_else(|| stderr.clone())?;
    for words in ["says primary", "its files are kept in"] {
        assert!(story.contains(words), "{words}: {stderr}");
    }
    let directory = command.lines().next().ok_or("no directory")?;
    let output = Command::new(STRESS).args(["replay", "--times", "3", directory]).output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("violated in 3 of 3 runs") && stderr.contains("is held before"), "{stderr}");
    Ok(())
}

#[test]
fn stalls_break_no_lock_and_every_list() -> Result {
    if !can_stall("stalls_break_no_lock_and_every_list")? {
        return Ok(());
    }
    let mut locks = vec![JOURNAL.to_owned()];
    locks.extend(has("flock", "flock.sh under stalls")?.then(|| format!("{REGISTRANTS}/flock.sh")));
    for registrant in locks {
        let stalls = ["--faults", "stall", "--seed", "1", "--settle", "200ms", "--rounds", "8"];
        let report = check(&registrant, &stalls, 0)?;
        assert!(report["faults"]["stall"].as_u64() > Some(0), "{report}");
    }
    for (interpreter, registrant) in [("python3", "json-list.py"), ("node", "json-list.mjs")] {
        if has(interpreter, registrant)? {
            let report = check(&format!("{REGISTRANTS}/{registrant}"), &[&STALLS[..], &["--rounds", "2"]].concat(), 1)?;
            assert!(report["events"]["many"].as_u64() > Some(0), "{report}");
        }
    }
    Ok(())
}

#[test]
fn flock_in_sh_holds_and_is_succeeded() -> Result {
    if !has("flock", "flock_in_sh_holds_and_is_succeeded")? {
        return Ok(());
    }
    let registrant = format!("{REGISTRANTS}/flock.sh");
    let report = check(&registrant, &["--rounds", "30"], 0)?;
    assert_eq!((&report["primaries"]["one"], &report["events"]["once"]), (&30.into(), &90.into()));
    let report = check(
        &registrant,
        &["--rounds", "20", "--faults", "kill,restart,stop,late", "--settle", "50ms", "--stop-for", "50ms"],
        0,
    )?;
    let faults: u64 = report["faults"].as_object().ok_or("no faults")?.values().filter_map(Value::as_u64).sum();
    assert_eq!(faults, 20, "{report}");
    Ok(())
}

#[test]
fn the_library_holds_under_faults() -> Result {
    let faults = ["--faults", "kill,restart,stop,late,full,load", "--settle", "50ms", "--rounds", "40", "--floor"];
    let faults = [&faults[..], &["--stop-for", "50ms"]].concat();
    let report = check(JOURNAL, &faults, 0)?;
    assert_eq!(report["judged_rounds"], 40, "{report}");
    assert!(report["floor_rounds_per_second"].as_f64() > Some(0.0), "{report}");
    assert!(report["latency_us"]["count"].as_u64() >= Some(100), "{report}");
    Ok(())
}

#[test]
fn each_fault_breaks_what_cannot_stand_it() -> Result {
    let shell = ["--shell", "--rounds", "4", "--settle", "50ms"];
    let with = |fault: &'static str| [&shell[..], &["--faults", fault]].concat();
    check(EXCLUSIVE_CREATE, &shell, 0)?;
    check(EXCLUSIVE_CREATE, &with("late"), 0)?;
    // Nobody takes over.
    for fault in ["kill", "restart"] {
        let report = check(EXCLUSIVE_CREATE, &[&with(fault)[..], &["--takeover-within", "100ms"]].concat(), 1)?;
        assert!(report["events"]["never"].as_u64() > Some(0), "{report}");
    }
    let report = check(FAIL_OPEN, &[&with("full")[..], &["--registrants", "8"]].concat(), 1)?;
    assert!(report["primaries"]["many"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[test]
fn permissions_break_nothing_that_fails_closed() -> Result {
    // Where another user can reach it: whoever is root has it run as one.
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let journal = directory.path().join("registrant");
    std::fs::copy(JOURNAL, &journal)?;
    let permissions = ["--rounds", "4", "--faults", "permissions", "--settle", "50ms"];
    let report = check(journal.to_str().ok_or("a path that is text")?, &permissions, 0)?;
    assert_eq!((&report["faults"]["permissions"], &report["primaries"]["one"]), (&4.into(), &0.into()), "{report}");
    // Where nobody but its owner can start it, that is said and nothing is concluded.
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700))?;
    if rustix::process::geteuid().is_root() {
        let report = check(journal.to_str().ok_or("a path that is text")?, &permissions, 3)?;
        assert!(report["skipped"][0].as_str().ok_or("nothing skipped")?.contains("permissions"), "{report}");
    }
    Ok(())
}

#[test]
fn an_interrupt_ends_it_with_the_verdict_so_far() -> Result {
    let keep = tempfile::tempdir()?;
    for (script, words, exit) in
        [("exec sleep 1000", "stress campaign", 3), ("echo primary; exec cat >/dev/null", "run it again", 1)]
    {
        let mut child = Command::new(STRESS)
            .args(["campaign", "--shell", "--rounds", "1000000", "--patience", "300s", "--settle", "300s"])
            .args(["--registrant", script, "--keep"])
            .arg(keep.path())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("stderr is piped")?);
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line)?, 0, "{script}: it ended early");
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)?;
        let mut rest = String::new();
        stderr.read_to_string(&mut rest)?;
        assert_eq!(child.wait()?.code(), Some(exit), "{script}: {rest}");
        assert!(rest.contains("ended early"), "{script}: {rest}");
    }
    Ok(())
}

#[test]
fn elections_in_python() -> Result {
    if has("python3", "elections_in_python")? {
        check(&format!("{REGISTRANTS}/flock.py"), &["--rounds", "6"], 0)?;
        is_unseated_by_a_late_registrant(&format!("{REGISTRANTS}/json-list.py"))?;
    }
    Ok(())
}

#[test]
fn elections_in_node() -> Result {
    if has("node", "elections_in_node")? {
        if cfg!(target_os = "linux") {
            check(&format!("{REGISTRANTS}/socket.mjs"), &["--rounds", "4"], 0)?;
        }
        is_unseated_by_a_late_registrant(&format!("{REGISTRANTS}/json-list.mjs"))?;
        let four_in_one = ["--registrants", "1", "--rounds", "3", "--settle", "500ms"];
        let report = check(&format!("{REGISTRANTS}/shared-identity.mjs"), &four_in_one, 1)?;
        assert_eq!(report["events"]["by_entries"], serde_json::json!({"4": 9}));
        assert!(report["reading"].as_str().ok_or("no reading")?.contains("4 instances share one ID"), "{report}");
    }
    Ok(())
}

#[test]
fn what_does_not_behave_ends_and_shows_nothing() -> Result {
    // Those that end by themselves are waited for; the others are not worth it.
    let (ends, stays) = (["--settle", "10s", "--patience", "10s"], ["--settle", "50ms", "--patience", "200ms"]);
    for (script, timing, why) in [
        ("exit 0", ends, "ended before it was told to"),
        ("exit 7", ends, "failed"),
        ("kill -SEGV $$", ends, "failed"),
        ("exec yes", ends, "flooded"),
        ("exec sleep 1000", stays, "said or wrote anything"),
        ("cat", stays, "said or wrote anything"),
        ("head -c 100000 /dev/urandom; exec sleep 1000", stays, "said or wrote anything"),
        ("yes >&2", stays, "said or wrote anything"),
        ("trap '' TERM INT HUP; while :; do sleep 1; done", stays, "said or wrote anything"),
        ("exec <&- >&-; exec sleep 1000", stays, "said or wrote anything"),
    ] {
        let report = check(script, &[&["--shell", "--rounds", "2", "--registrants", "2"][..], &timing].concat(), 3)?;
        let inconclusive = report["inconclusive"].as_str().ok_or("no reason")?;
        assert!(inconclusive.contains(why), "{script}: {inconclusive}");
    }
    // A fault that lets a program fail does not let it be silent.
    for script in ["exit 0", "exec sleep 1000"] {
        let full = ["--shell", "--rounds", "2", "--registrants", "2", "--faults", "full"];
        check(script, &[&full[..], &stays].concat(), 3)?;
    }
    // That it fails where it may says something only of a program that is known to do otherwise.
    check("exit 1", &["--shell", "--rounds", "2", "--registrants", "1", "--faults", "full"], 3)?;
    Ok(())
}

#[test]
fn nobody_outlives_a_round() -> Result {
    // The number in its command line is what it is found by.
    let number = format!("98765.{}", std::process::id());
    let quick = ["--shell", "--rounds", "2", "--settle", "50ms", "--patience", "100ms"];
    let mut scripts = vec![format!("sleep {number} & echo secondary; exec sleep {number}")];
    // Nor does one that has left the process group, and the environment.
    if cfg!(target_os = "linux") && has("setsid", "what leaves its process group")? {
        scripts.push(format!("setsid sleep {number} & setsid env -i sleep {number} & echo secondary; exec cat"));
    }
    for script in scripts {
        check(&script, &quick, 1)?;
    }
    if cfg!(target_os = "linux") {
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let text = String::from_utf8_lossy(&command);
            assert!(!text.contains(&number), "{} is still there: {text}", entry.path().display());
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_started_is_named() -> Result {
    let (output, _) = campaign("/nowhere/registrant --flag", &["--rounds", "1"])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("/nowhere/registrant: starting a registrant") && stderr.contains("install it"), "{stderr}");
    for (registrant, arguments) in
        [("'open", &[][..]), ("", &[]), (JOURNAL, &["--protocol", "flock"]), (JOURNAL, &["--faults", "fork"])]
    {
        assert_eq!(campaign(registrant, arguments)?.0.status.code(), Some(2), "{registrant} {arguments:?}");
    }
    Ok(())
}
