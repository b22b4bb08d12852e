//! One entry per event over changes of primary, long lines and full disks, under the log and under the journal.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use single_primary::call::{Call, Handle, Reply};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Os, Recorded};

use crate::between::{NO_SPACE, log, options, start};

/// The events of a log's lines, in order; every line must be a whole entry.
fn events(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "torn: {text:?}");
    let event = |line| {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON")["event"].as_str().expect("text").to_owned()
    };
    text.lines().map(event).collect()
}

#[test]
fn what_a_secondary_has_kept_is_completed_and_nothing_is_doubled() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "a").join().expect("nothing is in the way");
    let second = options(directory.path(), "b").join().expect("nothing is in the way");
    for event in ["both", "only \"b\" \u{1f}ü", "late"] {
        assert_eq!(second.record(event, "1"), Ok(Recorded::Pending));
    }
    assert_eq!(first.record("both", "1"), Ok(Recorded::Written));
    assert_eq!(first.record("not yet at b", "1"), Ok(Recorded::Written));
    drop(first);
    second.wait().expect("a is gone");
    assert_eq!(second.record("not yet at b", "1"), Ok(Recorded::Written), "its predecessor wrote it");
    assert_eq!(events(&log(directory.path(), 0)), ["both", "not yet at b", "only \"b\" \u{1f}ü", "late"]);
}

#[test]
fn lines_longer_than_a_read_are_passed_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = options(directory.path(), "a").join().expect("nothing is in the way");
    let payload = format!("\"{}\"", "x".repeat(300_000));
    for event in ["1", "2", "3"] {
        election.record(event, &payload).expect("there is space");
    }
    drop(election);
    let again = options(directory.path(), "b").join().expect("nothing is in the way");
    for event in ["1", "2", "3", "4"] {
        again.record(event, "null").expect("there is space");
    }
    assert_eq!(events(&log(directory.path(), 0)), ["1", "2", "3", "4"]);
}

#[test]
fn rotation_keeps_every_entry_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let rotating = |id: &str| options(directory.path(), id).rotate(400, 20);
    let names: Vec<_> = (0..60).map(|number| number.to_string()).collect();
    let mut election = rotating("a").join().expect("nothing is in the way");
    for (number, event) in names.iter().enumerate() {
        if number % 13 == 7 {
            let next = rotating(&format!("b{number}")).join().expect("nothing is in the way");
            assert_eq!(next.record(event, "1"), Ok(Recorded::Pending));
            drop(std::mem::replace(&mut election, next));
            election.wait().expect("its predecessor is gone");
        }
        election.record(event, "1").expect("there is space");
        if number > 0 {
            assert_eq!(election.record(&names[number - 1], "1"), Ok(Recorded::Written));
        }
    }
    let rotated = |number| log(directory.path(), number);
    let mut all: Vec<_> = (1..=20).flat_map(|number| events(&rotated(number))).collect();
    all.extend(events(&log(directory.path(), 0)));
    assert_eq!(all, names);
    assert!(rotated(1).exists() && fs::metadata(rotated(1)).expect("it is there").len() < 500);
}

#[test]
fn a_secondary_forgets_what_is_in_the_log_and_refuses_more_than_it_may_keep() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "a").join().expect("nothing is in the way");
    let second = options(directory.path(), "b").pending_max(300).join().expect("nothing is in the way");
    for number in 0..1000 {
        let event = number.to_string();
        first.record(&event, "1").expect("there is space");
        second.record(&event, "1").expect("it forgets what the primary wrote");
    }
    assert!(second.pending() < 300);
    for number in 0..300 {
        let _ = second.record(&format!("only b {number}"), "1");
    }
    let error = second.record("one more", "1").expect_err("it keeps as many as it may");
    assert_eq!(error.cause(), &Cause::PendingFull);
    assert_eq!(second.record("only b 7", "1"), Ok(Recorded::Pending), "it is kept already");
    assert_eq!(second.record("999", "1"), Ok(Recorded::Written), "it is in the log");
    drop(first);
    second.wait().expect("a is gone");
    assert_eq!(second.record("one more", "1"), Ok(Recorded::Written));
}

/// A disk on which a file of this handle has only so many bytes left.
fn full(handle: Handle, bytes: i64) -> (impl Fn(&Os, &Call) -> Option<Reply> + Send + Sync + 'static, Arc<AtomicI64>) {
    let bytes_left = Arc::new(AtomicI64::new(bytes));
    let left = bytes_left.clone();
    let answer = move |os: &Os, call: &Call| match call {
        Call::Append { handle: to, bytes } if *to == handle => {
            let length = i64::try_from(bytes.len()).expect("a record");
            let room = left.load(Ordering::Relaxed).clamp(0, length);
            if room == 0 {
                return Some(Reply::Failed(NO_SPACE));
            }
            left.fetch_sub(room, Ordering::Relaxed);
            let part = &bytes[..usize::try_from(room).expect("not negative")];
            Some(os.perform(&Call::Append { handle: *to, bytes: part.into() }))
        }
        _ => None,
    };
    (answer, bytes_left)
}

#[test]
fn a_full_disk_under_the_log_loses_nothing() {
    for bytes in [0, 1, 10, 48, 49, 50, 70, 97] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (disk, bytes_left) = full(Handle::LOG, bytes);
        let election = start(options(directory.path(), "a"), disk).expect("the journal has space");
        let results = ["1", "2"].map(|event| election.record(event, "1"));
        assert!(results.iter().any(Result::is_err), "{bytes}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!((error.cause(), error.path()), (&Cause::Io(NO_SPACE), &*log(directory.path(), 0)));
        }
        assert!(election.is_primary());
        bytes_left.store(i64::MAX, Ordering::Relaxed);
        election.record("3", "1").expect("there is space again");
        assert_eq!(events(&log(directory.path(), 0)), ["1", "2", "3"], "{bytes}");
    }
}

#[test]
fn a_full_disk_under_the_journal_elects_nobody_and_the_next_one_goes_on() {
    for bytes in [0, 1, 36, 127, 128, 129, 200, 255] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (disk, _) = full(Handle::JOURNAL, bytes);
        let joined = start(options(directory.path(), "a"), disk).and_then(|election| election.decided());
        let error = joined.expect_err("neither record fits");
        assert!(matches!(error.cause(), Cause::Io(NO_SPACE) | Cause::Short), "{bytes}: {error}");
        assert_eq!(error.path(), directory.path().join("election/journal"));
        let next = options(directory.path(), "b").join().expect("there is space again");
        assert!(next.is_primary());
    }
}

/// A short append that is repaired at once leaves later records aligned, and everyone reads the same election.
#[test]
fn a_short_append_is_repaired() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "b").join().expect("nothing is in the way");
    let (disk, bytes_left) = full(Handle::JOURNAL, 36);
    let left = bytes_left.clone();
    let second = start(options(directory.path(), "a"), move |os, call| {
        let reply = disk(os, call);
        // Somebody makes space as soon as it is full.
        if left.load(Ordering::Relaxed) == 0 {
            left.store(1 << 20, Ordering::Relaxed);
        }
        reply
    })
    .expect("the second attempt has space");
    assert!(bytes_left.load(Ordering::Relaxed) > 36, "it came short once");
    assert!(!second.is_primary());
    assert_eq!(second.fold().damaged_lines(), 1);
    assert_eq!(fs::metadata(directory.path().join("election/journal")).expect("it is there").len() % 128, 0);
    drop(first);
    assert_eq!(second.wait(), Ok(2));
}
