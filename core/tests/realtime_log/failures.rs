//! A log that cannot be read, written or synced: nobody is kept from being elected, nothing is lost, and it is over as soon
//! as its cause is. And how much of it one call does.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use single_primary::call::{Access, Call, Handle, Name, Reply};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Recorded, Role};

use crate::between::{IO_ERROR, each_once, entries, entry, log, options, start, write};

#[test]
fn an_entry_that_could_not_be_synced_stays_until_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let fails = Arc::new(AtomicU32::new(0));
    let syncs = Arc::new(AtomicU32::new(0));
    let (failing, counted) = (fails.clone(), syncs.clone());
    let election = start(options(directory.path(), "a").durable(true).rotate(100, 9), move |_, call| {
        let is_sync = matches!(call, Call::Sync(Handle::LOG));
        counted.fetch_add(u32::from(is_sync), Ordering::Relaxed);
        let fails =
            is_sync && failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        fails.then_some(Reply::Failed(IO_ERROR))
    })
    .expect("nothing is in the way");
    assert_eq!(election.record("0", "1"), Ok(Recorded::Written));
    let before = syncs.load(Ordering::Relaxed);
    assert_eq!(election.record("1", "1"), Ok(Recorded::Written));
    assert_eq!(syncs.load(Ordering::Relaxed), before + 1, "one an entry");
    for failures in 1..4 {
        fails.store(failures, Ordering::Relaxed);
        let event = format!("x{failures}");
        for _ in 0..failures {
            let error = election.record(&event, "1").expect_err("it may not be on the disk");
            assert_eq!(error.cause(), &Cause::Io(IO_ERROR));
            assert_eq!(election.log_error(), Some(error));
            assert_eq!((election.pending(), election.poll().is_ok()), (1, true));
            fails.store(failures, Ordering::Relaxed);
        }
        fails.store(0, Ordering::Relaxed);
        assert_eq!(election.record(&event, "1"), Ok(Recorded::Written));
        assert_eq!((election.pending(), election.log_error()), (0, None));
    }
    each_once(&log(directory.path(), 0), ["0", "1", "x1", "x2", "x3"]);
}

/// What a file system dropped after a failed sync is written anew.
#[test]
fn an_entry_that_has_gone_with_its_page_is_written_anew() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = log(directory.path(), 0);
    let length = entry("0", 1, "a").len();
    let (at, drops) = (path.clone(), AtomicBool::new(true));
    let election = start(options(directory.path(), "a").durable(true), move |_, call| {
        let is_second = fs::metadata(&at).is_ok_and(|log| log.len() == 2 * length as u64);
        if !matches!(call, Call::Sync(Handle::LOG)) || !is_second || !drops.swap(false, Ordering::Relaxed) {
            return None;
        }
        let file = fs::OpenOptions::new().write(true).open(&at).expect("it is there");
        std::os::unix::fs::FileExt::write_all_at(&file, &vec![0; length], length as u64).expect("it can be written");
        Some(Reply::Failed(IO_ERROR))
    })
    .expect("nothing is in the way");
    assert_eq!(election.record("0", "1"), Ok(Recorded::Written));
    assert!(election.record("1", "1").is_err());
    assert_eq!(election.record("1", "1"), Ok(Recorded::Written));
    each_once(&path, ["0", "1"]);
}

#[test]
fn a_durable_log_is_synced_before_it_is_relied_on_and_so_are_its_names() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(directory.path().join("election")).expect("it is new");
    fs::set_permissions(directory.path().join("election"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("it is ours");
    write(&log(directory.path(), 4), &entry("4", 1, "z"));
    write(&log(directory.path(), 0), &entry("0", 1, "z"));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = calls.clone();
    let election = start(options(directory.path(), "a").durable(true).rotate(60, 9), move |_, call| {
        let about = match call {
            Call::Open { name: Name::Log(number), access, .. } => {
                format!("open {number}{}", if *access == Access::Append { " to append" } else { "" })
            }
            Call::Read { handle: Handle::LOG, .. } => "read".into(),
            Call::Append { handle: Handle::LOG, .. } => "write".into(),
            Call::Sync(Handle::LOG) => "sync".into(),
            Call::SyncLogDirectory => "sync names".into(),
            Call::RenameNew(Name::Log(from), Name::Log(to)) => format!("rename {from} {to}"),
            _ => return None,
        };
        noted.lock().expect("nobody panicked").push(about);
        None
    })
    .expect("nothing is in the way");
    for event in ["4", "0", "1"] {
        assert_eq!(election.record(event, "1"), Ok(Recorded::Written));
    }
    let read = ["open 4", "read", "sync", "open 0 to append", "sync names", "read", "sync"];
    let rest = ["write", "sync"];
    let taken = || std::mem::take(&mut *calls.lock().expect("nobody panicked"));
    assert_eq!(taken(), [&read[..], &rest].concat());
    assert_eq!(election.record("2", "1"), Ok(Recorded::Written));
    let rotated = ["rename 0 5", "open 0 to append", "sync names", "read", "sync"];
    assert_eq!(taken(), [&rotated[..], &rest].concat());
    each_once(&log(directory.path(), 0), ["4", "0", "1", "2"]);
}

type Meddles = fn(&std::path::Path);

/// However the log is broken and for however long, somebody takes over; once it is mended, everything has its entry.
#[test]
fn a_broken_log_keeps_nobody_from_taking_over() {
    let breaks: [(&str, Meddles, Meddles); 4] = [
        (
            "a link in place of a rotated log",
            |log| symlink("nowhere", log.with_extension("log.1")).expect("it is new"),
            |log| fs::remove_file(log.with_extension("log.1")).expect("it is there"),
        ),
        (
            "a directory in place of a rotated log",
            |log| fs::create_dir(log.with_extension("log.1")).expect("it is new"),
            |log| fs::remove_dir(log.with_extension("log.1")).expect("it is there"),
        ),
        (
            "a link in place of the log",
            |log| {
                fs::rename(log, log.with_extension("log.3")).expect("it is there");
                symlink("nowhere", log).expect("it is new");
            },
            |log| fs::remove_file(log).expect("it is there"),
        ),
        (
            "a log that others may write to",
            |log| fs::set_permissions(log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("it is ours"),
            |log| fs::set_permissions(log, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours"),
        ),
    ];
    for (about, breaks, mends) in breaks {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = log(directory.path(), 0);
        let [first, second] = ["a", "b"].map(|id| options(directory.path(), id).join().expect("nothing is in the way"));
        assert_eq!(first.record("first", "1"), Ok(Recorded::Written));
        breaks(&path);
        let names: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        for event in &names {
            assert_eq!(second.record(event, "1"), Ok(Recorded::Pending), "{about}");
        }
        assert!(second.log_error().is_some(), "{about}: it has looked for them");
        drop(first);
        assert_eq!(second.poll(), Ok(Role::Primary { term: 2 }), "{about}");
        assert_eq!(second.wait(), Ok(2), "{about}");
        let error = second.record("last", "1").expect_err("it cannot be written");
        assert_eq!(second.log_error().as_ref(), Some(&error), "{about}");
        assert!(error.to_string().starts_with(&*error.path().to_string_lossy()), "{error}");
        mends(&path);
        while second.pending() > 0 {
            assert_eq!(second.poll(), Ok(Role::Primary { term: 2 }), "{about}");
            assert_eq!(second.log_error(), None, "{about}");
        }
        each_once(&path, names.iter().map(String::as_str).chain(["first", "last"]));
    }
}

#[test]
fn leaving_tells_what_was_not_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = options(directory.path(), "a").join().expect("nothing is in the way");
    symlink("nowhere", log(directory.path(), 0)).expect("it is new");
    assert!(election.record("0", "1").is_err());
    let error = election.leave().expect_err("an entry is missing");
    assert_eq!((error.cause(), election.role()), (&Cause::NotRegular, Role::Left));
}

#[test]
fn a_log_whose_directory_is_missing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("missing/realtime.log");
    let election = options(directory.path(), "a").log(&path).join().expect("the log is not needed for that");
    for event in ["0", "1"] {
        let error = election.record(event, "1").expect_err("there is no place for it");
        assert_eq!((error.cause(), error.path()), (&Cause::NoDirectory, &*path));
        assert!(error.to_string().ends_with("create the directory that is to hold it"), "{error}");
    }
    fs::create_dir(directory.path().join("missing")).expect("it is new");
    assert_eq!(election.record("1", "1"), Ok(Recorded::Written));
    each_once(&path, ["0", "1"]);
}

/// One call reads at most 1 MiB of the log, and writes at most 64 entries.
#[test]
fn a_call_does_a_bounded_amount_of_work() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let first = options(directory.path(), "a").join().expect("nothing is in the way");
    let payload = format!("\"{}\"", "x".repeat(1 << 19));
    for number in 0..10 {
        first.record(&format!("long {number}"), &payload).expect("there is space");
    }
    let work = Arc::new([const { AtomicU32::new(0) }; 2]);
    let counted = work.clone();
    let second = start(options(directory.path(), "b"), move |os, call| {
        let reply = os.perform(call);
        match &reply {
            Reply::Bytes(bytes) => counted[0].fetch_add(u32::try_from(bytes.len()).expect("few"), Ordering::Relaxed),
            Reply::Wrote(_) => counted[1].fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        Some(reply)
    })
    .expect("nothing is in the way");
    let taken = || [0, 1].map(|at| work[at].swap(0, Ordering::Relaxed));
    let names: Vec<_> = (0..200).map(|number| number.to_string()).collect();
    for event in &names {
        assert_eq!(second.record(event, "1"), Ok(Recorded::Pending));
    }
    taken();
    drop(first);
    let mut polls = 0;
    while second.pending() > 0 {
        assert!(second.poll().is_ok());
        polls += 1;
        let [read, written] = taken();
        // Beside the log, of the journal one record is written to take over.
        assert!(read <= 1 << 20 | 1 << 10 && written <= 64 + 2, "{read} {written}");
        assert_eq!(second.role(), Role::Primary { term: 2 });
    }
    assert!(polls >= 6 + 3, "{polls}");
    let counts = entries(&log(directory.path(), 0));
    assert!(counts.len() == 210 && counts.values().all(|count| *count == 1));

    // One event waits for its turn; leaving does it all.
    let third = options(directory.path(), "c").join().expect("nothing is in the way");
    for event in names.iter().map(|event| format!("late {event}")) {
        third.record(&event, "1").expect("it can be kept");
    }
    drop(second);
    assert_eq!(third.record("last", "1"), Ok(Recorded::Pending), "others come first");
    assert_eq!(third.leave(), Ok(()));
    let counts = entries(&log(directory.path(), 0));
    assert!(counts.len() == 411 && counts.values().all(|count| *count == 1));
}
