//! What other programs do to the log and to the election directory: what is written counts only where it can be found, and
//! nothing of theirs is touched.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use single_primary::call::{Call, Handle, Name, Reply};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, Recorded};

use crate::between::{NO_SPACE, append, each_once, entries, entry, log, options, start, write};

/// Somebody does something between two events, and another time between the look at the log and the entry.
#[track_caller]
fn survives(does: fn(&Path), expected: &[&str]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = log(directory.path(), 0);
    let election = options(directory.path(), "a").join().expect("nothing is in the way");
    for event in ["0", "1", "2"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    does(&path);
    for event in ["3", "4"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
        assert_eq!(entries(&path).get(event), Some(&1), "it can be found");
    }
    each_once(&path, expected.iter().copied());
    assert!(!fs::read(&path).expect("it is there").contains(&0), "nothing stands behind a hole");

    // What is written while it happens is found, or written anew, before the next event.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = log(directory.path(), 0);
    let (at, in_time) = (path.clone(), AtomicBool::new(true));
    let election = start(options(directory.path(), "a"), move |_, call| {
        let is_third =
            matches!(call, Call::Append { handle: Handle::LOG, bytes } if bytes.starts_with(b"{\"event\":\"2\""));
        if is_third && in_time.swap(false, Ordering::Relaxed) {
            does(&at);
        }
        None
    })
    .expect("nothing is in the way");
    for event in ["0", "1", "2", "3", "4"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    let counts = entries(&path);
    assert!(["2", "3", "4"].iter().all(|event| counts.get(*event) == Some(&1)), "{counts:?}");
    assert!(!fs::read(&path).expect("it is there").contains(&0), "nothing stands behind a hole");
}

#[test]
fn a_log_that_is_removed() {
    // The last entry was not yet known to be where it can be found.
    survives(|log| fs::remove_file(log).expect("it is there"), &["2", "3", "4"]);
}

#[test]
fn a_log_that_is_renamed() {
    let all = ["0", "1", "2", "3", "4"];
    survives(|log| fs::rename(log, log.with_extension("log.1")).expect("it is there"), &all);
    survives(|log| fs::rename(log, log.with_extension("log.40")).expect("it is there"), &all);
}

#[test]
fn a_log_that_is_copied_and_truncated() {
    survives(
        |log| {
            fs::copy(log, log.with_extension("log.1")).expect("it is there");
            fs::OpenOptions::new().write(true).open(log).and_then(|log| log.set_len(0)).expect("it is there");
        },
        &["0", "1", "2", "3", "4"],
    );
}

#[test]
fn a_log_that_is_cut_within_its_last_entry() {
    survives(
        |log| {
            let file = fs::OpenOptions::new().write(true).open(log).expect("it is there");
            let size = file.metadata().expect("it is there").len();
            file.set_len(size - 20).expect("it is ours");
        },
        &["0", "1", "2", "3", "4"],
    );
}

#[test]
fn a_log_that_is_replaced() {
    survives(
        |log| {
            let other = log.with_file_name("other");
            write(&other, &entry("7", 1, "z"));
            fs::rename(other, log).expect("it is there");
        },
        &["2", "3", "4", "7"],
    );
}

#[test]
fn a_log_to_which_others_append() {
    survives(|log| append(log, "another's\n"), &["0", "1", "2", "3", "4"]);
    survives(|log| append(log, "another's"), &["0", "1", "2", "3", "4"]);
    survives(|log| append(log, &entry("3", 1, "z")), &["0", "1", "2", "3", "4"]);
}

/// Every torn line is finished by whoever has its event, or else ended; nothing is cut.
#[test]
fn torn_lines() {
    let own = entry("x", 1, "a");
    let predecessor = entry("x", 7, "z");
    let check = |tail: &str, expected: String| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let election = options(directory.path(), "a").join().expect("nothing is in the way");
        let before = format!("a line of another program\n{tail}");
        write(&log(directory.path(), 0), &before);
        assert_eq!(election.record("x", "1"), Ok(Recorded::Written));
        let text = fs::read_to_string(log(directory.path(), 0)).expect("it is there");
        assert!(text.starts_with(&before), "nothing is cut");
        assert_eq!(text, format!("a line of another program\n{expected}"), "{tail:?}");
    };
    check("", own.clone());
    check(&own, own.clone());
    for end in 1..own.len() {
        check(&own[..end], own.clone());
    }
    // From where it names another term, or another primary, that is what it goes on with.
    for end in predecessor.find("z\"").expect("it is there") + 1..predecessor.len() {
        check(&predecessor[..end], predecessor.clone());
    }
    let not_ours = [
        "someone else's words",
        "{",
        "{\"other\":1}",
        "{\"other\":1",
        "{\"event\":\"y",
        "{\"event\":\"x\",\"term\":1,\"primary\":\"a\",\"payload\":2",
        "{\"event\":\"x\",\"term\":1,\"primary\":\"a\",\"payload\":{\"a\":{}",
        "\0\0\0",
    ];
    for tail in not_ours.into_iter().filter(|tail| !own.starts_with(tail)) {
        check(tail, format!("{tail}\n{own}"));
    }
}

/// Our own entry came short, and somebody else wrote behind it before it could be finished.
#[test]
fn a_line_that_somebody_wrote_behind_half_an_entry_stays() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = log(directory.path(), 0);
    let (at, left) = (path.clone(), std::sync::atomic::AtomicU32::new(2));
    let election = start(options(directory.path(), "a"), move |os, call| match call {
        Call::Append { handle: Handle::LOG, bytes } if bytes.starts_with(b"{\"event\":\"1\"") => {
            match left.load(Ordering::Relaxed) {
                0 => None,
                2 => {
                    let part = bytes[..20].into();
                    let reply = os.perform(&Call::Append { handle: Handle::LOG, bytes: part });
                    append(&at, "another's line\n");
                    left.store(1, Ordering::Relaxed);
                    Some(reply)
                }
                _ => {
                    left.store(0, Ordering::Relaxed);
                    Some(Reply::Failed(NO_SPACE))
                }
            }
        }
        _ => None,
    })
    .expect("nothing is in the way");
    assert_eq!(election.record("0", "1"), Ok(Recorded::Written));
    let error = election.record("1", "1").expect_err("the disk is full");
    assert_eq!(error.cause(), &Cause::Io(NO_SPACE));
    assert_eq!(election.record("2", "1"), Ok(Recorded::Written));
    let text = fs::read_to_string(&path).expect("it is there");
    assert!(text.contains("another's line\n"), "{text}");
    each_once(&path, ["0", "1", "2"]);
}

/// The directory is moved, and another election begins in its place: nothing of it is touched, and it is noticed.
#[test]
fn a_directory_that_is_replaced() {
    let replaced: [fn(&Path); 3] = [
        |election| fs::rename(election, election.with_file_name("moved")).expect("it is there"),
        |election| fs::remove_dir_all(election).expect("it is there"),
        |election| {
            fs::rename(election.join("journal"), election.join("journal.old")).expect("it is there");
            fs::rename(election, election.with_file_name("moved")).expect("it is there");
        },
    ];
    for replaces in replaced {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let election = directory.path().join("election");
        let first = options(directory.path(), "a").rotate(60, 9).join().expect("nothing is in the way");
        for event in ["0", "1"] {
            assert_eq!(first.record(event, "1"), Ok(Recorded::Written));
        }
        replaces(&election);
        let other = options(directory.path(), "b").rotate(60, 9).join().expect("it is a directory of its own");
        for event in ["2", "3"] {
            assert_eq!(other.record(event, "1"), Ok(Recorded::Written));
        }
        let error = first.record("4", "1").expect_err("it is another election's");
        assert_eq!((error.cause(), error.path()), (&Cause::JournalRemoved, &*election.join("journal")));
        assert!(!first.is_primary() && other.is_primary());
        each_once(&log(directory.path(), 0), ["2", "3"]);
        assert!(!log(directory.path(), 1).exists(), "nothing was rotated");
    }
}

#[test]
fn a_journal_that_is_replaced() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = options(directory.path(), "a").join().expect("nothing is in the way");
    let journal = directory.path().join("election/journal");
    fs::copy(&journal, journal.with_file_name("other")).expect("it is there");
    fs::rename(journal.with_file_name("other"), &journal).expect("it is there");
    let error = election.record("0", "1").expect_err("it is another journal");
    assert_eq!(error.cause(), &Cause::JournalRemoved);
    assert!(!log(directory.path(), 0).exists());

    let election = options(directory.path(), "b").join().expect("the election goes on");
    fs::write(&journal, "").expect("it is there");
    let error = election.record("0", "1").expect_err("the journal is empty");
    assert_eq!(error.cause(), &Cause::Lost);
}

/// A secondary, too, reads no other election's log.
#[test]
fn a_secondary_forgets_nothing_by_another_elections_log() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "a").join().expect("nothing is in the way");
    let second = options(directory.path(), "b").rotate(2, 9).join().expect("nothing is in the way");
    let election = directory.path().join("election");
    fs::rename(&election, election.with_file_name("moved")).expect("it is there");
    let other = options(directory.path(), "c").join().expect("it is a directory of its own");
    assert_eq!(other.record("0", "1"), Ok(Recorded::Written));
    let error = second.record("0", "1").expect_err("its log is not there");
    assert_eq!(error.cause(), &Cause::JournalRemoved);
    assert!(first.is_primary(), "nothing was to be written");
}

/// [`Name::Log`] 0 under another name, elsewhere.
#[test]
fn a_log_of_another_name_in_another_directory() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let place = directory.path().join("logs");
    fs::create_dir(&place).expect("it is new");
    let path = place.join("events");
    write(&place.join("events.1.gz"), "not a log");
    write(&place.join("realtime.log.1"), &entry("0", 1, "z"));
    let election: Election =
        options(directory.path(), "a").log(&path).rotate(60, 9).join().expect("nothing is in the way");
    for event in ["0", "1", "2", "3"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    each_once(&path, ["0", "1", "2", "3"]);
    assert!(place.join("events.1").exists());
    assert!(!directory.path().join("election").join(Name::Log(0).file_name()).exists());
}
