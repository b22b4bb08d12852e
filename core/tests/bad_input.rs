//! Everything that must be refused: nobody is primary, nothing is overwritten, and the error names path and remedy.
#![expect(clippy::disallowed_methods, reason = "a test prepares files and looks at them")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use single_primary::call::Time;
use single_primary::{Cause, Election, InstanceId, Kind, Options, Record, Role};

/// A user other than root and other than whoever runs this, for a test that root runs.
const NOBODY: u32 = 65_534;

fn options(election: &Path, id: &str) -> Options {
    Election::options(election).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

fn record(kind: Kind, id: &str) -> Vec<u8> {
    let id = InstanceId::new(id).expect("a valid ID");
    Record { kind, term: 1, id, at: Time::from_micros(7) }.encode().to_vec()
}

/// Prepares a directory in which nobody lives, joins, and expects the refusal; every file is to stay as it was.
#[track_caller]
fn refuses(prepare: impl FnOnce(&Path), expected: &Cause, about: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    prepare(&election);
    let before = contents(directory.path());
    let error = options(&election, "a").join().expect_err("it must be refused");
    assert_eq!(error.cause(), expected, "{error}");
    assert_eq!(error.path(), directory.path().join(about), "{error}");
    let message = error.to_string();
    assert!(message.starts_with(&*error.path().to_string_lossy()) && message.ends_with(expected.remedy()), "{message}");
    assert_eq!(contents(directory.path()), before, "nothing of it may be written to");
}

/// Every regular file below a directory that has anything in it.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.expect("the directory can be listed");
        match entry.file_type().expect("it has a type") {
            kind if kind.is_dir() => files.extend(contents(&entry.path())),
            kind if kind.is_file() => files.push((entry.path(), fs::read(entry.path()).expect("it can be read"))),
            _ => {}
        }
    }
    files.retain(|(_, bytes)| !bytes.is_empty());
    files.sort();
    files
}

fn private_directory(path: &Path) {
    fs::create_dir(path).expect("it is new");
    fs::set_permissions(path, PermissionsExt::from_mode(0o700)).expect("it is ours");
}

fn journal_with(bytes: &[u8]) -> impl FnOnce(&Path) {
    move |election| {
        private_directory(election);
        let journal = election.join("journal");
        fs::write(&journal, bytes).expect("it is ours");
        fs::set_permissions(journal, PermissionsExt::from_mode(0o600)).expect("it is ours");
    }
}

#[test]
fn instance_ids() {
    for id in ["", ".", "..", ".a", "a/b", "../a", "a\n", "a\0", "a b", "ä", "a:b", &"x".repeat(65)] {
        let error = InstanceId::new(id).expect_err("it is not a file name");
        assert!(error.to_string().contains("use 1 to 64 characters"), "{error}");
    }
    for id in ["a", "plugin-1712345678901-abc123", "A.b_c-9", &"x".repeat(64)] {
        assert_eq!(InstanceId::new(id).map(|id| id.to_string()), Ok(id.to_owned()));
    }
}

#[test]
fn a_journal_of_someone_else() {
    refuses(journal_with(b"{\"primary\":\"me\"}\n"), &Cause::Foreign, "election/journal");
    refuses(journal_with(b"\0\0\0notes"), &Cause::Foreign, "election/journal");
    refuses(journal_with(&[0xff; 5000]), &Cause::Foreign, "election/journal");
}

#[test]
fn a_journal_of_a_later_version() {
    refuses(journal_with(b"spj3 register 1 a 7\n"), &Cause::Newer, "election/journal");
    refuses(journal_with(b"spj12 anything"), &Cause::Newer, "election/journal");
}

#[test]
fn a_later_version_joins_a_living_election() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    let first = options(&election, "a").join().expect("nothing is in the way");
    let mut journal = fs::OpenOptions::new().append(true).open(election.join("journal")).expect("it is there");
    std::io::Write::write_all(&mut journal, b"spj3 register 1 z 7\n").expect("it can be appended to");
    let error = options(&election, "b").join().expect_err("who is primary cannot be known");
    assert_eq!(error.cause(), &Cause::Newer);
    assert!(first.is_primary());
}

#[test]
fn things_in_the_place_of_the_journal() {
    let in_place = |make: fn(&Path)| {
        move |election: &Path| {
            private_directory(election);
            make(&election.join("journal"));
        }
    };
    refuses(in_place(|journal| fs::create_dir(journal).expect("it is new")), &Cause::NotRegular, "election/journal");
    refuses(
        in_place(|journal| {
            let target = journal.with_file_name("target");
            fs::write(&target, "precious").expect("it is new");
            symlink(target, journal).expect("it is new");
        }),
        &Cause::NotRegular,
        "election/journal",
    );
    refuses(
        in_place(|journal| {
            let target = journal.with_file_name("target");
            fs::write(&target, "").expect("it is new");
            fs::set_permissions(&target, PermissionsExt::from_mode(0o600)).expect("it is ours");
            fs::hard_link(target, journal).expect("it is new");
        }),
        &Cause::HardLink,
        "election/journal",
    );
    refuses(
        in_place(|journal| {
            rustix::fs::mknodat(rustix::fs::CWD, journal, rustix::fs::FileType::Fifo, 0o600.into(), 0)
                .expect("it is new");
        }),
        &Cause::NotRegular,
        "election/journal",
    );
    refuses(
        |election| {
            journal_with(b"")(election);
            fs::set_permissions(election.join("journal"), PermissionsExt::from_mode(0o666)).expect("it is ours");
        },
        &Cause::WritableByOthers(0o666),
        "election/journal",
    );
}

#[test]
fn things_in_the_place_of_the_directory() {
    refuses(|election| fs::write(election, "a file").expect("it is new"), &Cause::NotDirectory, "election");
    refuses(
        |election| {
            private_directory(&election.with_file_name("real"));
            symlink(election.with_file_name("real"), election).expect("it is new");
        },
        &Cause::NotDirectory,
        "election",
    );
    refuses(
        |election| {
            private_directory(election);
            fs::set_permissions(election, PermissionsExt::from_mode(0o777)).expect("it is ours");
        },
        &Cause::WritableByOthers(0o777),
        "election",
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let error = options(&directory.path().join("missing/election"), "a").join().expect_err("its parent is missing");
    assert_eq!(error.cause(), &Cause::NoDirectory);
}

#[test]
fn a_directory_of_another_user() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = if geteuid().is_root() {
        chown(directory.path(), Some(NOBODY), None).expect("root may");
        directory.path()
    } else {
        Path::new("/usr")
    };
    let error = options(election, "a").join().expect_err("it is another user's");
    assert_eq!(error.cause(), &Cause::OtherOwner);
}

#[test]
fn a_directory_that_cannot_be_written_to() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    private_directory(&election);
    fs::set_permissions(&election, PermissionsExt::from_mode(0o500)).expect("it is ours");
    if geteuid().is_root() {
        fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
        chown(&election, Some(NOBODY), None).expect("root may");
    }
    let joined = std::thread::scope(|scope| {
        let join = || {
            // Root may write everywhere: the system call gives up that right for this thread alone.
            if geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(NOBODY);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
            }
            options(&election, "a").join().map(|election| election.role())
        };
        scope.spawn(join).join().expect("no panic")
    });
    let error = joined.expect_err("no journal can be made");
    assert!(matches!(error.cause(), Cause::Io(failure) if failure.to_string().contains("denied")), "{error}");
    assert_eq!(error.path(), election.join("journal"));
}

#[test]
fn ids_that_live_or_have_lived() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    let first = options(&election, "a").join().expect("nothing is in the way");
    let second = options(&election, "b").join().expect("nothing is in the way");
    let error = options(&election, "b").join().expect_err("b lives");
    assert_eq!((error.cause(), error.path()), (&Cause::IdInUse, &*election.join("b.seat")));
    second.leave().expect("nothing keeps it");
    let error = options(&election, "b").join().expect_err("b has lived");
    assert_eq!((error.cause(), error.path()), (&Cause::IdUsed, &*election.join("journal")));
    assert!(first.is_primary());
    drop(first);
    let again = options(&election, "b").join().expect("everyone is gone, so the journal begins anew");
    assert_eq!(again.role(), Role::Primary { term: 2 });
}

/// What a power loss, a crash or a vandal leaves in a journal of ours counts as ours, and the election begins anew.
#[test]
fn leftovers_are_taken_over() {
    let register = record(Kind::Register, "a");
    let zeros = |count| vec![0; count];
    let leftovers = [
        (vec![], 1),
        (zeros(1), 1),
        (zeros(200_000), 1),
        (register.clone(), 1),
        (register[..50].to_vec(), 1),
        (register[..3].to_vec(), 1),
        ([&zeros(128 * 600)[..], &register].concat(), 1),
        ([&b"garbage without end "[..], &register].concat(), 1),
        ([&register[..], b"garbage in the middle\n\n\xff\xfe", &register[..40], &record(Kind::Seal, "a")].concat(), 2),
    ];
    for (leftover, term) in leftovers {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let election = directory.path().join("election");
        journal_with(&leftover)(&election);
        fs::write(election.join("dead.seat"), "").expect("it is ours");
        let joined = options(&election, "a").join().unwrap_or_else(|error| panic!("{error}: {leftover:?}"));
        assert_eq!(joined.role(), Role::Primary { term });
        let records = if leftover.is_empty() { 2 } else { 3 };
        assert_eq!(fs::read(election.join("journal")).expect("it is there").len(), records * 128);
        assert_eq!(
            election.join("dead.seat").exists(),
            leftover.is_empty(),
            "seats go with a journal that is begun anew"
        );
    }
}

#[test]
fn garbage_and_a_cut_record_in_a_living_journal_change_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    let first = options(&election, "b").join().expect("nothing is in the way");
    let mut journal = fs::OpenOptions::new().append(true).open(election.join("journal")).expect("it is there");
    let cut = &record(Kind::Register, "cut")[..40];
    let garbage = [b"garbage\n\0\xff\n", cut].concat();
    std::io::Write::write_all(&mut journal, &garbage).expect("it can be appended to");
    let second = options(&election, "a").join().expect("nothing is in the way");
    assert!(first.is_primary() && !second.is_primary());
    assert_eq!(second.fold().damaged_lines(), 3);
    drop(first);
    assert_eq!(second.wait(), Ok(2));
}

#[test]
fn a_vanished_seat_or_journal_stops_everyone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = directory.path().join("election");
    let first = options(&election, "a").join().expect("nothing is in the way");
    fs::remove_file(election.join("a.seat")).expect("it is there");
    let error = options(&election, "b").join().expect_err("whether a lives cannot be known");
    assert_eq!((error.cause(), error.path()), (&Cause::SeatMissing, &*election.join("a.seat")));
    assert!(first.is_primary());
    fs::remove_file(election.join("journal")).expect("it is there");
    let error = first.record("event", "1").expect_err("others may elect over another journal");
    assert_eq!((error.cause(), error.path()), (&Cause::JournalRemoved, &*election.join("journal")));
    assert!(!first.is_primary());
    assert!(
        !election.join("realtime.log").exists()
            || fs::read(election.join("realtime.log")).expect("readable").is_empty()
    );
}

#[test]
fn events() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let election = options(&directory.path().join("election"), "a").join().expect("nothing is in the way");
    let (long_id, long_payload) = ("x".repeat(257), format!("\"{}\"", "x".repeat(1 << 20)));
    let refused: [(&str, &str); 7] =
        [("", "1"), (&long_id, "1"), ("e", ""), ("e", "{"), ("e", "1 2"), ("e", "[1,\n2]"), ("e", &long_payload)];
    for (event, payload) in refused {
        let error = election.record(event, payload).expect_err("it is not an entry");
        assert!(matches!(error.cause(), Cause::Event(_)), "{error}");
    }
    assert!(election.is_primary(), "a bad event is the caller's fault");
}
