//! `stress explore` on right and wrong elections, and `stress replay` of what it has found.
#![cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]

use std::path::Path;
use std::process::{Command, Output};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const REGISTRANTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/registrants");
const STRESS: &str = env!("CARGO_BIN_EXE_stress");

/// Runs a command in a directory of its own. Nothing where programs cannot be controlled, which it says.
fn stress(directory: &Path, arguments: &[&str]) -> Result<Option<(Option<i32>, String)>> {
    let Output { status, stderr, .. } = Command::new(STRESS).args(arguments).current_dir(directory).output()?;
    let told = String::from_utf8(stderr)?;
    if status.code() == Some(4) && told.contains("ptrace") {
        eprintln!("skipped: programs cannot be controlled here: {told}");
        return Ok(None);
    }
    Ok(Some((status.code(), told)))
}

/// Explores so many executions, and checks how it ends and what it says.
fn check(arguments: &[&str], expected: i32, says: &str) -> Result {
    let directory = tempfile::tempdir()?;
    let budget: &[&str] = if arguments.contains(&"--budget") { &[] } else { &["--budget", "400"] };
    let all = [&["explore", "--duration", "2m", "--walks", "9"], budget, arguments].concat();
    let Some((code, told)) = stress(directory.path(), &all)? else { return Ok(()) };
    assert_eq!(code, Some(expected), "{arguments:?}: {told}");
    assert!(told.contains(says), "{arguments:?}: {told}");
    if expected == 1 {
        let replay = ["replay", "--times", "3", "violated.schedule.json"];
        let Some((code, told)) = stress(directory.path(), &replay)? else { return Ok(()) };
        assert_eq!(code, Some(1), "{arguments:?}: {told}");
        assert!(
            told.contains("violated in 3 of 3 repetitions") && !told.contains("different"),
            "{arguments:?}: {told}"
        );
    }
    Ok(())
}

fn script(name: &str) -> String {
    format!("sh {REGISTRANTS}/{name}")
}

#[test]
fn races_of_shell_scripts_are_found_and_repeated() -> Result {
    check(&["--registrant", &script("check-then-write.sh")], 1, "2 were primary at one moment")?;
    check(&["--registrant", &script("rename-over.sh")], 1, "2 were primary at one moment")
}

#[test]
fn races_of_the_zoo_are_found_and_repeated() -> Result {
    let two = "2 were primary at one moment";
    check(&["--protocol", "check-then-write"], 1, two)?;
    check(&["--protocol", "json-list"], 1, two)?;
    check(&["--protocol", "fail-open", "--faults", "error"], 1, two)?;
    // Several instances in one process, of which each writes.
    check(&["--protocol", "fcntl", "--registrants", "1"], 1, "several entries")
}

#[test]
fn right_elections_are_not_accused() -> Result {
    check(&["--registrant", &script("flock.sh")], 0, "every order of the calls, in")?;
    check(&["--registrant", &script("exclusive-create.sh")], 0, "every order of the calls, in")?;
    check(&["--protocol", "flock"], 0, "every order of the calls with at most 1 preemption, in")
}

#[test]
fn nothing_complete_is_no_verdict() -> Result {
    check(&["--registrant", &script("flock.sh"), "--budget", "3"], 3, "before anything was complete")
}

#[test]
fn programs_that_know_nothing_of_elections_lose_a_line() -> Result {
    let ground = tempfile::tempdir()?;
    // Both read a number and write back one more.
    let count = ground.path().join("count.sh");
    std::fs::write(&count, "read -r number <number\necho $((number + 1)) >number\n")?;
    let command = format!("sh {}", count.display());
    let invariant = "sh -c 'read -r number <number; test \"$number\" = 2 || { echo \"counted to $number\"; false; }'";
    let both = ["--command", &command, "--command", &command, "--setup", "sh -c 'echo 0 >number'"];
    check(&[&both[..], &["--invariant", invariant]].concat(), 1, "counted to 1")?;
    let alone = ["--command", &command, "--setup", "sh -c 'echo 1 >number'", "--invariant", invariant];
    check(&alone, 0, "every order of the calls")
}

#[test]
fn what_cannot_be_explored_says_why() -> Result {
    let says = |arguments: &[&str], code, text: &str| check(arguments, code, text);
    says(&["--protocol", "nobody"], 2, "there is no such protocol")?;
    says(&["--registrant", "'"], 2, "quote it as for a shell")?;
    says(&["--registrant", "/nowhere/program"], 4, "execve")?;
    says(&["--registrant", "true"], 3, "said or wrote anything")
}

#[test]
fn a_schedule_that_cannot_be_repeated_says_why() -> Result {
    let directory = tempfile::tempdir()?;
    let found = ["explore", "--registrant", &script("check-then-write.sh"), "--duration", "2m"];
    let Some((code, told)) = stress(directory.path(), &found)? else { return Ok(()) };
    assert_eq!(code, Some(1), "{told}");
    let path = directory.path().join("violated.schedule.json");
    let whole = std::fs::read_to_string(&path)?;
    let check = |text: String, expected: i32, says: &str| -> Result {
        std::fs::write(&path, text)?;
        let Some((code, told)) = stress(directory.path(), &["replay", "--times", "2", "violated.schedule.json"])?
        else {
            return Ok(());
        };
        assert_eq!(code, Some(expected), "{told}");
        assert!(told.contains(says), "{told}");
        Ok(())
    };
    check("{}".into(), 2, "this is no schedule")?;
    check(whole[..whole.len() / 2].into(), 2, "this is no schedule")?;
    check(whole.replace("\"version\": 1", "\"version\": 7"), 2, "a schedule of version 7")?;
    check(whole.replace("\"choice\": \"run\"", "\"choice\": \"sing\""), 2, "not one that anybody can take")?;
    check(whole.replace("= ENOENT", "= 0"), 3, "different    2 of them, the first at step")
}
