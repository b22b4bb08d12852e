//! `stress qualify` where the file system keeps everything, and where one thing after the other is broken on purpose.

#[cfg(target_os = "linux")]
mod lying;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const STRESS: &str = env!("CARGO_BIN_EXE_stress");

const PROPERTIES: [&str; 16] = [
    "file-system",
    "exclusive-lock",
    "shared-lock",
    "lock-per-open",
    "release-on-kill",
    "directory-lock",
    "append-whole",
    "append-kept",
    "append-at-once",
    "visibility",
    "truncation",
    "exclusive-create",
    "rename",
    "identity",
    "link-count",
    "clock",
];

fn qualify(directory: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(STRESS).arg("qualify").arg(directory).args(["--export-json", "-"]).args(arguments).output()?)
}

/// Every row must be filled and hold.
fn check_holds(output: &Output) -> Result {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let rows = report["rows"].as_array().ok_or("no rows")?;
    let properties: Vec<_> = rows.iter().filter_map(|row| row["property"].as_str()).collect();
    assert_eq!(properties, PROPERTIES);
    for row in rows {
        assert_eq!(row["finding"], "holds", "{row}");
        assert_ne!(row["figures"], "", "{row}");
    }
    Ok(())
}

#[test]
fn temporary_and_shared_memory_directories_hold() -> Result {
    let mut places = vec![std::env::temp_dir()];
    places.extend(Some("/dev/shm".into()).filter(|path: &std::path::PathBuf| path.is_dir()));
    for place in places {
        let directory = tempfile::tempdir_in(place)?;
        check_holds(&qualify(directory.path(), &[])?)?;
        assert_eq!(std::fs::read_dir(directory.path())?.count(), 0, "what was made is removed again");
    }
    Ok(())
}

#[test]
fn each_property_broken_on_purpose_is_seen() -> Result {
    for property in PROPERTIES {
        let directory = tempfile::tempdir()?;
        let output = qualify(directory.path(), &["--only", property, "--broken", property, "--timeout", "1s"])?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{property}: {stderr}");
        let report: Value = serde_json::from_slice(&output.stdout)?;
        for row in report["rows"].as_array().ok_or("no rows")? {
            let expected = if row["property"] == property { "violated" } else { "unknown" };
            assert_eq!(row["finding"], expected, "{property}: {row}");
        }
        assert!(stderr.contains("must not be used"), "{property}: {stderr}");
    }
    Ok(())
}

#[test]
fn a_part_of_the_properties_is_not_enough() -> Result {
    let directory = tempfile::tempdir()?;
    let output = qualify(directory.path(), &["--only", "clock,identity"])?;
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let output = qualify(&directory.path().join("nowhere"), &[])?;
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn an_interrupt_ends_it_with_the_verdict_so_far() -> Result {
    let directory = tempfile::tempdir()?;
    for (arguments, words, exit) in
        [(&[][..], "", 3), (&["--broken", "exclusive-lock"], "VIOLATED", 1), (&["--broken", "clock"], "holds", 3)]
    {
        let mut child =
            Command::new(STRESS).arg("qualify").arg(directory.path()).args(arguments).stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or("stderr is piped")?);
        let mut line = String::new();
        while line.is_empty() || !line.contains(words) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line)?, 0, "{words}: it ended early");
        }
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)?;
        let mut rest = String::new();
        stderr.read_to_string(&mut rest)?;
        assert_eq!(child.wait()?.code(), Some(exit), "{words}: {rest}");
        assert!(rest.contains("interrupted") || exit == 1, "{words}: {rest}");
    }
    assert_eq!(std::fs::read_dir(directory.path())?.count(), 0, "what was made is removed again");
    Ok(())
}

/// Mounts an overlay in a mount namespace of its own, where the machine allows it.
#[test]
fn an_overlay_holds() -> Result {
    let directory = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" })?;
    for part in ["lower", "upper", "work", "merged"] {
        std::fs::create_dir(directory.path().join(part))?;
    }
    let script = "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged || exit 99\n\
                  exec \"$0\" qualify merged --export-json -";
    let overlay = |flags: &str| {
        Command::new("unshare").args([flags, "sh", "-c", script, STRESS]).current_dir(directory.path()).output()
    };
    for flags in ["-m", "-rm"] {
        match overlay(flags) {
            Ok(output) if output.stdout.is_empty() && output.status.code() != Some(4) => {}
            Ok(output) => {
                assert!(String::from_utf8_lossy(&output.stderr).contains("overlayfs"), "the mount was not looked at");
                return check_holds(&output);
            }
            Err(_) => {}
        }
    }
    // Written past the test harness, which would keep it to itself.
    writeln!(std::io::stderr(), "skipped an_overlay_holds: this machine does not let its users mount an overlay")?;
    Ok(())
}

/// That there is no room says nothing of how a file system works while there is.
#[test]
fn a_full_disk_is_no_violation() -> Result {
    let directory = tempfile::tempdir()?;
    std::fs::create_dir(directory.path().join("full"))?;
    let script = "mount -t tmpfs -o size=64k none full || exit 99\n\
                  head -c 61440 /dev/zero >full/filler; exec \"$0\" qualify full --only append-whole,visibility --export-json -";
    for flags in ["-m", "-rm"] {
        let output =
            Command::new("unshare").args([flags, "sh", "-c", script, STRESS]).current_dir(directory.path()).output();
        let Ok(output) = output else { continue };
        if !output.stdout.is_empty() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{stderr}");
            assert!(stderr.contains("there is no room"), "{stderr}");
            return Ok(());
        }
    }
    writeln!(std::io::stderr(), "skipped a_full_disk_is_no_violation: this machine does not let its users mount")?;
    Ok(())
}

/// A file system in user space may be anything: an honest one is not accused, and one that lies is found out.
#[cfg(target_os = "linux")]
#[test]
fn lies_of_a_file_system_in_user_space_are_seen() -> Result {
    use lying::Lie;
    for (lie, properties) in [
        (Lie::None, &["exclusive-lock", "lock-per-open", "visibility", "truncation", "identity"][..]),
        (Lie::NoLocks, &["exclusive-lock"]),
        (Lie::AllLocks, &["exclusive-lock"]),
        (Lie::LostAppends, &["visibility"]),
    ] {
        let place = tempfile::tempdir()?;
        let session = match lying::mount(lie, place.path()) {
            Ok(session) => session,
            Err(error) => {
                writeln!(std::io::stderr(), "skipped lies_of_a_file_system_in_user_space_are_seen: mount: {error}")?;
                return Ok(());
            }
        };
        let output = qualify(place.path(), &["--only", &properties.join(",")])?;
        drop(session);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("FUSE"), "the mount was not looked at: {stderr}");
        let expected = if lie == Lie::None { "holds" } else { "violated" };
        let report: Value = serde_json::from_slice(&output.stdout)?;
        for property in properties {
            let row = report["rows"].as_array().and_then(|rows| rows.iter().find(|row| row["property"] == *property));
            assert_eq!(row.ok_or("no row")?["finding"], expected, "{lie:?}: {stderr}");
        }
        // Properties that were left out are not known to hold.
        assert_eq!(output.status.code(), Some(if lie == Lie::None { 3 } else { 1 }), "{lie:?}: {stderr}");
    }
    Ok(())
}
