//! `stress campaign --registrant` on right and wrong elections in several languages, and on programs that do not behave.

use std::io::Write as _;
use std::process::{Command, Output};

use serde_json::Value;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const REGISTRANTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/registrants");
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
    let output = Command::new(env!("CARGO_BIN_EXE_stress"))
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

#[test]
fn a_race_in_sh_is_seen_with_its_story() -> Result {
    let registrant = format!("{REGISTRANTS}/check-then-write.sh");
    let (output, report) = campaign(&registrant, &["--rounds", "300", "--registrants", "8"])?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("says primary") && stderr.contains("its files are kept in"), "{stderr}");
    assert!(report["events"]["many"].as_u64() > Some(0), "{report}");
    assert_eq!(report["rounds"], 300);
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
    let report = check(&registrant, &["--rounds", "20", "--faults", "kill,restart,stop,late", "--settle", "50ms"], 0)?;
    let faults: u64 = report["faults"].as_object().ok_or("no faults")?.values().filter_map(Value::as_u64).sum();
    assert_eq!(faults, 20, "{report}");
    Ok(())
}

#[test]
fn the_library_holds_under_faults() -> Result {
    let faults = ["--faults", "kill,restart,stop,late,full,load", "--settle", "50ms", "--rounds", "40", "--floor"];
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
    let report = check(EXCLUSIVE_CREATE, &with("kill"), 1)?;
    assert!(report["events"]["never"].as_u64() > Some(0), "{report}");
    check(EXCLUSIVE_CREATE, &with("restart"), 1)?;
    let report = check(FAIL_OPEN, &[&with("full")[..], &["--registrants", "8"]].concat(), 1)?;
    assert!(report["primaries"]["many"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[test]
fn permissions_break_nothing_that_fails_closed() -> Result {
    // Who is root is kept out by no permissions, which is then said, and nothing concluded.
    let exit = if rustix::process::geteuid().is_root() { 3 } else { 0 };
    let report = check(JOURNAL, &["--rounds", "4", "--faults", "permissions", "--settle", "50ms"], exit)?;
    assert_eq!(report["skipped"].as_array().map(Vec::is_empty), Some(exit == 0), "{report}");
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
    Ok(())
}

#[test]
fn nobody_outlives_a_round() -> Result {
    // The number in its command line is what it is found by.
    let number = format!("98765.{}", std::process::id());
    let script = format!("sleep {number} & echo secondary; exec sleep {number}");
    let quick = ["--shell", "--rounds", "2", "--settle", "50ms", "--patience", "100ms"];
    check(&script, &quick, 1)?;
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
