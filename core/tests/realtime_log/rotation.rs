//! A log that is rotated: nothing is written again, at whatever call somebody dies, and nothing of others' goes with it.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use single_primary::call::{Call, Name, Reply};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Recorded};

use crate::between::{IO_ERROR, append, each_once, entry, log, options, start, write};

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn a_successor_reads_as_far_back_as_there_are_logs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [first, second] =
        ["a", "b"].map(|id| options(directory.path(), id).rotate(400, 20).join().expect("nothing is in the way"));
    let names = numbers(60);
    for event in &names {
        assert_eq!(first.record(event, "1"), Ok(Recorded::Written));
        assert_eq!(second.record(event, "1").map(drop), Ok(()));
    }
    drop(first);
    second.wait().expect("a is gone");
    assert_eq!(second.record("last", "1"), Ok(Recorded::Written));
    let names = names.iter().map(String::as_str).chain(["last"]);
    each_once(&log(directory.path(), 0), names);
    assert!(log(directory.path(), 6).exists(), "it was rotated");
}

/// Whoever dies between two calls makes none of those that follow.
#[test]
fn a_death_at_any_call_of_a_rotation_doubles_and_loses_nothing() {
    let names = numbers(8);
    let mut calls = 0;
    let mut rotations = 0;
    loop {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = Arc::new(AtomicU32::new(0));
        let counted = made.clone();
        let first = start(options(directory.path(), "a").rotate(90, 2), move |_, call| {
            let is_dead = counted.fetch_add(1, Ordering::Relaxed) >= calls && !matches!(call, Call::CloseAll);
            is_dead.then_some(Reply::Failed(IO_ERROR))
        });
        let second = options(directory.path(), "b").rotate(90, 2).join();
        let Ok(second) = second else {
            // It died over its journal: nobody has an event yet.
            calls += 1;
            continue;
        };
        for event in &names {
            if let Ok(first) = &first {
                drop(first.record(event, "1"));
            }
            assert!(second.record(event, "1").is_ok());
        }
        let has_died = made.load(Ordering::Relaxed) > calls;
        drop(first);
        second.wait().expect("a is gone");
        assert_eq!(second.record("last", "1"), Ok(Recorded::Written));
        // Of the logs that were rotated two are kept, so that the first events are gone with theirs.
        let last = names.iter().rev().take(3).rev().map(String::as_str).chain(["last"]);
        let counts = crate::between::entries(&log(directory.path(), 0));
        assert!(counts.values().all(|count| *count == 1), "{calls}: {counts:?}");
        for event in last {
            assert!(counts.contains_key(event), "{calls}: {event} in {counts:?}");
        }
        rotations += u32::from(log(directory.path(), 3).exists());
        if !has_died {
            break;
        }
        calls += 1;
    }
    assert!(calls > 50 && rotations > 20, "{calls} calls, {rotations} times over the third rotation");
}

#[test]
fn a_rotation_takes_the_number_after_the_highest_and_replaces_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "a").rotate(60, 9).join().expect("nothing is in the way");
    write(&log(directory.path(), 7), &entry("seven", 1, "z"));
    assert_eq!(first.record("0", "1"), Ok(Recorded::Written));
    // Somebody takes the number that comes next.
    write(&log(directory.path(), 8), "another's\n");
    for event in ["1", "2", "3"] {
        assert_eq!(first.record(event, "1"), Ok(Recorded::Written));
    }
    assert_eq!(fs::read_to_string(log(directory.path(), 8)).expect("it is there"), "another's\n");
    assert_eq!(
        fs::read_to_string(log(directory.path(), 9)).expect("it is there"),
        entry("0", 1, "a") + &entry("1", 1, "a")
    );
    each_once(&log(directory.path(), 0), ["seven", "0", "1", "2", "3"]);
}

#[test]
fn only_logs_of_ours_are_removed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = options(directory.path(), "a").rotate(60, 2).join().expect("nothing is in the way");
    let target = directory.path().join("precious");
    fs::write(&target, entry("precious", 1, "z")).expect("it is new");
    fs::hard_link(&target, log(directory.path(), 1)).expect("it is new");
    write(&log(directory.path(), 3), "notes of another program\n");
    // Before anything is written, all are read, and one of them is refused.
    let error = election.record("0", "1").expect_err("a second name");
    assert_eq!((error.cause(), error.path()), (&Cause::HardLink, &*log(directory.path(), 1)));
    fs::remove_file(&target).expect("it is there");
    for event in ["0", "1", "2", "3", "4", "5", "6", "7", "8"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    assert!(!log(directory.path(), 1).exists(), "one of our lines in a file of our own");
    assert_eq!(fs::read_to_string(log(directory.path(), 3)).expect("it is there"), "notes of another program\n");
    assert!(!log(directory.path(), 4).exists());
    assert_eq!(election.log_error(), None);
}

/// Its own last rotation is the latest under an older scheme, in which the numbers rose with age.
#[test]
fn logs_that_others_numbered_are_read_as_well() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [first, second] = ["a", "b"].map(|id| options(directory.path(), id).join().expect("nothing is in the way"));
    let logs = [(1, "newer"), (2, "older"), (20_261_129, "of that day")];
    for (number, event) in logs {
        write(&log(directory.path(), number), &entry(event, 1, "z"));
    }
    for event in logs.map(|(_, event)| event).into_iter().chain(["new"]) {
        assert_eq!(second.record(event, "1"), Ok(Recorded::Pending));
    }
    drop(first);
    second.wait().expect("a is gone");
    each_once(&log(directory.path(), 0), ["newer", "older", "of that day", "new"]);
    assert_eq!(fs::read_to_string(log(directory.path(), 0)).expect("it is there"), entry("new", 2, "b"));
}

/// Behind a rotation, the new log may be somebody else's: it is read, or refused, as any other.
#[test]
fn what_stands_in_place_of_the_new_log_is_looked_at() {
    let check = |makes: fn(&std::path::Path), refused: Option<&Cause>, text: &str| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = log(directory.path(), 0);
        let in_time = AtomicBool::new(true);
        let election = start(options(directory.path(), "a").rotate(60, 9), move |os, call| {
            let reply = os.perform(call);
            if matches!(call, Call::RenameNew(Name::Log(0), _)) && in_time.swap(false, Ordering::Relaxed) {
                makes(&path);
            }
            Some(reply)
        })
        .expect("nothing is in the way");
        for event in ["0", "1"] {
            assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
        }
        let recorded = election.record("2", "1");
        assert_eq!(recorded.as_ref().err().map(single_primary::Error::cause), refused);
        let now = fs::read_to_string(log(directory.path(), 0)).unwrap_or_default();
        assert!(now.starts_with(text), "{now}");
        if refused.is_some() {
            assert_eq!((now.len(), election.is_primary()), (text.len(), true));
            fs::remove_file(log(directory.path(), 0)).expect("it is there");
            assert_eq!(election.record("2", "1"), Ok(Recorded::Written));
        }
        each_once(&log(directory.path(), 0), ["0", "1", "2"]);
    };
    check(|path| write(path, "another's\n"), None, "another's\n{\"event\":\"2\"");
    check(|path| write(path, "another's"), None, "another's\n{\"event\":\"2\"");
    check(|path| write(path, &entry("2", 7, "z")), None, &entry("2", 7, "z"));
    check(
        |path| {
            let target = path.with_file_name("target");
            fs::write(&target, "precious").expect("it is new");
            symlink(target, path).expect("it is new");
        },
        Some(&Cause::NotRegular),
        "precious",
    );
}

#[test]
fn a_secondary_forgets_by_bytes_too() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [first, second] =
        ["a", "b"].map(|id| options(directory.path(), id).rotate(10_000, 2).join().expect("nothing is in the way"));
    let payload = format!("\"{}\"", "x".repeat(900));
    let names = numbers(100);
    for event in &names {
        first.record(event, &payload).expect("there is space");
        second.record(event, &payload).expect("there is space");
        assert!(second.pending() < 12, "{}", second.pending());
    }
    drop(first);
    second.wait().expect("a is gone");
    second.record("last", "1").expect("there is space");
    let counts = crate::between::entries(&log(directory.path(), 0));
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert!(!counts.contains_key("0"), "its log was removed long ago");
}

#[test]
fn a_log_that_cannot_be_renamed_grows_and_that_is_told() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fails = Arc::new(AtomicBool::new(true));
    let failing = fails.clone();
    let election = start(options(directory.path(), "a").rotate(60, 9), move |_, call| {
        let is_refused = matches!(call, Call::RenameNew(..)) && failing.load(Ordering::Relaxed);
        is_refused.then_some(Reply::Failed(IO_ERROR))
    })
    .expect("nothing is in the way");
    for event in ["0", "1", "2", "3"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    let error = election.log_error().expect("it is too large");
    assert_eq!((error.cause(), error.path()), (&Cause::Io(IO_ERROR), &*log(directory.path(), 0)));
    fails.store(false, Ordering::Relaxed);
    append(&log(directory.path(), 0), "");
    assert_eq!(election.record("4", "1"), Ok(Recorded::Written));
    assert_eq!(election.log_error(), None);
    assert!(log(directory.path(), 1).exists());
    each_once(&log(directory.path(), 0), ["0", "1", "2", "3", "4"]);
}
