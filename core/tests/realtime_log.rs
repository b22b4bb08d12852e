//! realtime.log on real files: one entry per event over changes of primary, torn tails, rotation and full disks.
#![expect(clippy::disallowed_methods, reason = "a test prepares files and looks at them")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use single_primary::call::{Call, Failure, Handle, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, InstanceId, Options, Os, Recorded, StdMutex};

const NO_SPACE: Failure = Failure(rustix::io::Errno::NOSPC.raw_os_error());

fn options(directory: &Path, id: &str) -> Options {
    Election::options(directory.join("election")).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

fn log(directory: &Path) -> PathBuf {
    directory.join("election/realtime.log")
}

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
    assert_eq!(events(&log(directory.path())), ["both", "not yet at b", "only \"b\" \u{1f}ü", "late"]);
}

#[test]
fn torn_and_foreign_tails() {
    let entry = "{\"event\":\"x\",\"term\":1,\"primary\":\"z\",\"payload\":1}\n";
    let cases = [
        ("", ""),
        (entry, entry),
        ("{\"ev", ""),
        (&entry[..20], ""),
        (&entry[..entry.len() - 1], ""),
        ("someone else's words", "someone else's words\n"),
        ("{\"other\":1}", "{\"other\":1}\n"),
    ];
    for (tail, repaired) in cases {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let election = options(directory.path(), "a").join().expect("nothing is in the way");
        let before = format!("a line of another program\n{tail}");
        let log = log(directory.path());
        fs::write(&log, before).expect("it is new");
        fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
        assert_eq!(election.record("x", "1"), Ok(Recorded::Written));
        let text = fs::read_to_string(&log).expect("it is there");
        let written = if tail == entry { "" } else { "{\"event\":\"x\",\"term\":1,\"primary\":\"a\",\"payload\":1}\n" };
        assert_eq!(text, format!("a line of another program\n{repaired}{written}"), "{tail:?}");
    }
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
    assert_eq!(events(&log(directory.path())), ["1", "2", "3", "4"]);
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
    let rotated = |number| directory.path().join(format!("election/realtime.log.{number}"));
    let mut all: Vec<_> = (1..=20).rev().flat_map(|number| events(&rotated(number))).collect();
    all.extend(events(&log(directory.path())));
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
    drop(first);
    second.wait().expect("a is gone");
    assert_eq!(second.record("one more", "1"), Ok(Recorded::Written));
}

/// The operating system with a disk on which a file of this handle has only so many bytes left.
struct Full {
    os: Os,
    handle: Handle,
    bytes_left: Arc<AtomicI64>,
}

impl Kernel for Full {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = std::sync::atomic::AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        match call {
            Call::Append { handle, bytes } if *handle == self.handle => {
                let length = i64::try_from(bytes.len()).expect("a record");
                let left = self.bytes_left.load(Ordering::Relaxed).clamp(0, length);
                if left == 0 {
                    return Reply::Failed(NO_SPACE);
                }
                self.bytes_left.fetch_sub(left, Ordering::Relaxed);
                let part = &bytes[..usize::try_from(left).expect("not negative")];
                self.os.perform(&Call::Append { handle: *handle, bytes: part.into() })
            }
            call => self.os.perform(call),
        }
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.os.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.os.end_waits();
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

fn on_full_disk(
    options: Options,
    handle: Handle,
    bytes: i64,
) -> (Result<Election<Full>, single_primary::Error>, Arc<AtomicI64>) {
    let bytes_left = Arc::new(AtomicI64::new(bytes));
    let kernel = Full { os: Os::new(options.paths()), handle, bytes_left: bytes_left.clone() };
    (options.start_on(kernel), bytes_left)
}

#[test]
fn a_full_disk_under_the_log_loses_nothing() {
    for bytes in [0, 1, 10, 48, 49, 50, 70, 97] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (election, bytes_left) = on_full_disk(options(directory.path(), "a"), Handle::LOG, bytes);
        let election = election.expect("the journal has space");
        let results = ["1", "2"].map(|event| election.record(event, "1"));
        assert!(results.iter().any(Result::is_err), "{bytes}");
        for error in results.into_iter().filter_map(Result::err) {
            assert_eq!((error.cause(), error.path()), (&Cause::Io(NO_SPACE), &*log(directory.path())));
        }
        assert!(election.is_primary());
        bytes_left.store(i64::MAX, Ordering::Relaxed);
        election.record("3", "1").expect("there is space again");
        assert_eq!(events(&log(directory.path())), ["1", "2", "3"], "{bytes}");
    }
}

#[test]
fn a_full_disk_under_the_journal_elects_nobody_and_the_next_one_goes_on() {
    for bytes in [0, 1, 36, 127, 128, 129, 200, 255] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (election, _) = on_full_disk(options(directory.path(), "a"), Handle::JOURNAL, bytes);
        let error = election.expect_err("neither record fits");
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
    let (second, bytes_left) = {
        let bytes_left = Arc::new(AtomicI64::new(36));
        let options = options(directory.path(), "a");
        let kernel =
            Refilled(Full { os: Os::new(options.paths()), handle: Handle::JOURNAL, bytes_left: bytes_left.clone() });
        (options.start_on(kernel).expect("the second attempt has space"), bytes_left)
    };
    assert!(bytes_left.load(Ordering::Relaxed) > 36, "it came short once");
    assert!(!second.is_primary());
    assert_eq!(second.fold().damaged_lines(), 1);
    assert_eq!(fs::metadata(directory.path().join("election/journal")).expect("it is there").len() % 128, 0);
    drop(first);
    assert_eq!(second.wait(), Ok(2));
}

/// A disk on which someone makes space as soon as it was full.
struct Refilled(Full);

impl Kernel for Refilled {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = std::sync::atomic::AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        let reply = self.0.perform(call);
        if self.0.bytes_left.load(Ordering::Relaxed) == 0 {
            self.0.bytes_left.store(1 << 20, Ordering::Relaxed);
        }
        reply
    }

    fn now(&self) -> Time {
        self.0.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.0.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.0.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.0.end_waits();
    }

    fn is_original(&self) -> bool {
        self.0.is_original()
    }
}
