//! Terms rise for as long as the directory exists: over full restarts, deaths while the journal begins anew, and what an
//! earlier version left behind.
#![expect(clippy::disallowed_methods, reason = "a test prepares files and looks at them")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs2::FileExt;
use single_primary::call::{Call, Failure, Handle, Mode, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, Fold, InstanceId, Kind, Options, Os, Record, Role, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn options(directory: &Path, id: &str) -> Options {
    Election::options(directory.join("election")).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

fn journal(directory: &Path) -> Fold {
    let mut fold = Fold::default();
    fold.read(&fs::read(directory.join("election/journal")).expect("it is there"));
    fold
}

fn files(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory.join("election")).expect("it is there");
    let mut names: Vec<_> =
        files.map(|file| file.expect("it can be listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn over_full_restarts() -> Result {
    let directory = tempfile::tempdir()?;
    let mut last = 0;
    for round in 0..4 {
        let first = options(directory.path(), &format!("a{round}")).join()?;
        let second = options(directory.path(), &format!("b{round}")).join()?;
        let Role::Primary { term } = first.role() else { panic!("{first:?} is alone") };
        assert_eq!(term, last + 1);
        drop(first);
        assert_eq!(second.wait(), Ok(term + 1));
        last = term + 1;
        let seats = ["a", "b"].map(|name| format!("{name}{round}.seat"));
        assert_eq!(files(directory.path()), [&seats[0], &seats[1], "journal"], "nothing is left of those before");
    }
    Ok(())
}

#[test]
fn a_term_without_a_primary_is_not_used_up() -> Result {
    let directory = tempfile::tempdir()?;
    drop(options(directory.path(), "a").join()?);
    for id in ["b", "c"] {
        let undecided = options(directory.path(), id).window(Duration::from_mins(1)).start()?;
        assert_eq!((undecided.role(), undecided.fold().term()), (Role::Undecided, 2));
    }
    assert_eq!(options(directory.path(), "d").join()?.role(), Role::Primary { term: 2 });
    Ok(())
}

#[test]
fn the_first_election_after_nobody_lived_has_its_window() -> Result {
    let directory = tempfile::tempdir()?;
    drop(options(directory.path(), "a").join()?);
    let with_window = |id| options(directory.path(), id).window(Duration::from_mins(1)).expect(2).start();
    let (second, first) = (with_window("c")?, with_window("b")?);
    assert_eq!(first.poll()?, Role::Primary { term: 2 });
    let primary = first.id().clone();
    assert_eq!(second.poll()?, Role::Secondary { term: 2, primary });
    // A successor's term has none.
    drop(first);
    assert_eq!(second.poll()?, Role::Primary { term: 3 });
    Ok(())
}

/// A kernel under which the process dies at a call: what it holds is let go of, and nothing more is done.
struct Mortal {
    os: Os,
    calls_left: AtomicU32,
    /// How much of that call is still done, where it is an append.
    torn_at: Option<usize>,
    /// What others do just before.
    meanwhile: Mutex<Option<Meanwhile>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

impl Mortal {
    fn new(options: &Options, calls: u32) -> Self {
        let os = Os::new(options.paths());
        Self { os, calls_left: AtomicU32::new(calls), torn_at: None, meanwhile: Mutex::new(None) }
    }
}

impl Kernel for Mortal {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        let left = self.calls_left.load(Ordering::Relaxed);
        self.calls_left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left > 1 {
            return self.os.perform(call);
        }
        if let Some(meanwhile) = self.meanwhile.lock().expect("no panic").take() {
            meanwhile();
        }
        if let (1, Call::Append { handle, bytes }, Some(torn_at)) = (left, call, self.torn_at) {
            self.os.perform(&Call::Append { handle: *handle, bytes: bytes[..torn_at].into() });
        }
        self.os.perform(&Call::CloseAll);
        Reply::Failed(Failure(5))
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

/// Whether the instance comes to be primary before it dies.
fn is_primary_by(directory: &Path, id: &str, calls: u32, torn_at: Option<usize>) -> bool {
    let options = options(directory, id);
    let mortal = Mortal { torn_at, ..Mortal::new(&options, calls) };
    options.start_on(mortal).is_ok_and(|one| one.is_primary())
}

#[test]
fn over_a_death_at_any_call_of_a_beginning() -> Result {
    for torn_at in [None, Some(0), Some(1), Some(64), Some(127), Some(128)] {
        let mut calls = 0;
        loop {
            calls += 1;
            let directory = tempfile::tempdir()?;
            drop(options(directory.path(), "a").join()?);
            let last = journal(directory.path()).next_term();
            // Twice in the same place: what the first leaves is in the way of the second.
            let became_primary = ["b", "c"].map(|id| is_primary_by(directory.path(), id, calls, torn_at));
            let next = options(directory.path(), "d").join()?;
            let Role::Primary { term } = next.role() else { panic!("{next:?} is alone after {calls} calls") };
            let used = if became_primary[0] { 2 } else { 0 };
            assert!(term >= last + used && term <= last + 2, "term {term} after {last}, {calls} calls, {torn_at:?}");
            assert!(!files(directory.path()).contains(&"journal.next".to_owned()), "after {calls} calls, {torn_at:?}");
            let seats = files(directory.path()).iter().filter(|name| name.contains(".seat")).count();
            assert!(seats <= 3, "the seat of the dead stays at most once");
            if became_primary == [true, true] {
                break;
            }
            assert!(calls < 100, "a beginning comes to its end");
        }
        assert!(calls > 20, "there was a beginning: {calls}");
    }
    Ok(())
}

/// Lets a primary die without a word in the journal, and returns its term.
fn primary_dies(directory: &Path, id: &str) -> u64 {
    let options = options(directory, id);
    let mortal = Mortal::new(&options, u32::MAX);
    let election = options.start_on(mortal).expect("nothing keeps it");
    let Role::Primary { term } = election.role() else { panic!("{election:?} is alone") };
    election.kernel().calls_left.store(0, Ordering::Relaxed);
    term
}

/// Whoever found the lock taken by one who begins the journal anew goes on when that one dies, whatever it had done.
#[test]
fn over_a_death_at_any_call_of_a_beginning_for_which_another_waits() -> Result {
    for calls in 1..60 {
        let directory = tempfile::tempdir()?;
        let last = primary_dies(directory.path(), "r");
        let first = options(directory.path(), "a");
        let mortal = Mortal::new(&first, calls);
        let second = Arc::new(Mutex::new(None));
        let (joins, into) = (options(directory.path(), "b"), second.clone());
        *mortal.meanwhile.lock().expect("no panic") = Some(Box::new(move || {
            *into.lock().expect("no panic") = Some(joins.start());
        }));
        drop(first.start_on(mortal));
        let Some(second) = second.lock().expect("no panic").take() else { return Ok(()) };
        let second = second.unwrap_or_else(|error| panic!("after {calls} calls: {error}"));
        let role = second.decided().unwrap_or_else(|error| panic!("after {calls} calls: {error}"));
        let Role::Primary { term } = role else { panic!("{role:?} after {calls} calls, where nobody else lives") };
        assert!(term > last, "term {term} after {last}, {calls} calls");
    }
    panic!("the first never comes to its end")
}

/// A kernel under which others do something before the first call of a kind.
struct Interrupted {
    os: Os,
    at: fn(&Call) -> bool,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl Kernel for Interrupted {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        if (self.at)(call)
            && let Some(meanwhile) = self.meanwhile.lock().expect("no panic").take()
        {
            meanwhile();
        }
        self.os.perform(call)
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

#[test]
fn whoever_has_opened_a_journal_that_was_replaced_starts_over() -> Result {
    let directory = tempfile::tempdir()?;
    let last = primary_dies(directory.path(), "r");
    let second = options(directory.path(), "b");
    let first = Arc::new(Mutex::new(None));
    let (joins, into) = (options(directory.path(), "a"), first.clone());
    let meanwhile: Meanwhile = Box::new(move || *into.lock().expect("no panic") = Some(joins.join()));
    let at = |call: &Call| matches!(call, Call::Lock(Handle::JOURNAL, Mode::Exclusive));
    let kernel = Interrupted { os: Os::new(second.paths()), at, meanwhile: Mutex::new(Some(meanwhile)) };
    let second = second.start_on(kernel)?;
    let first = first.lock().expect("no panic").take().expect("it was let in")?;
    assert_eq!(first.role(), Role::Primary { term: last + 1 });
    assert_eq!(second.decided()?, Role::Secondary { term: last + 1, primary: first.id().clone() });
    assert_eq!(journal(directory.path()).candidates().count(), 2, "both are in one journal");
    Ok(())
}

#[test]
fn nobody_joins_while_the_seats_of_the_dead_are_removed() -> Result {
    let directory = tempfile::tempdir()?;
    let last = primary_dies(directory.path(), "r");
    let first = options(directory.path(), "a");
    let second = Arc::new(Mutex::new(None));
    let (joins, into) = (options(directory.path(), "b"), second.clone());
    let meanwhile: Meanwhile = Box::new(move || *into.lock().expect("no panic") = Some(joins.start()));
    let at = |call: &Call| matches!(call, Call::List);
    let kernel = Interrupted { os: Os::new(first.paths()), at, meanwhile: Mutex::new(Some(meanwhile)) };
    let first = first.start_on(kernel)?;
    let second = second.lock().expect("no panic").take().expect("it was let in")?;
    assert_eq!(second.role(), Role::Undecided, "it waits");
    assert_eq!(first.decided()?, Role::Primary { term: last + 1 });
    assert_eq!(second.decided()?, Role::Secondary { term: last + 1, primary: first.id().clone() });
    assert_eq!(files(directory.path()), ["a.seat", "b.seat", "journal"]);
    Ok(())
}

#[test]
fn those_who_begin_at_once_begin_one_election() -> Result {
    for _ in 0..20 {
        let directory = tempfile::tempdir()?;
        drop(options(directory.path(), "a").join()?);
        let joined: Vec<_> = std::thread::scope(|scope| {
            let directory = directory.path();
            let joining = ["b", "c", "d", "e"].map(|id| scope.spawn(move || options(directory, id).join()));
            joining.into_iter().map(|joining| joining.join().expect("no panic")).collect::<Result<_, _>>()
        })?;
        let terms: Vec<_> = joined
            .iter()
            .filter_map(|one| if let Role::Primary { term } = one.role() { Some(term) } else { None })
            .collect();
        assert_eq!(terms, [2]);
        assert_eq!(journal(directory.path()).candidates().count(), 4, "all are in one journal");
    }
    Ok(())
}

/// CRC-32 as ISO 3309 defines it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc)))
}

/// A journal as the version before wrote it, whose term 7 has a primary.
fn journal_of_the_version_before() -> Vec<u8> {
    let mut fields = vec!["register 1 x 5".to_owned(), "register 1 y 5".into()];
    for term in 1..7 {
        fields.push(format!("seal {term} x{term} 6"));
        fields.push(format!("depose {term} x 7"));
        fields.push(format!("register {term} x{term} 8"));
    }
    fields.push("seal 7 y 9".into());
    let record = |fields: &String| {
        let text = format!("{:<119}", format!("spj1 {fields}"));
        format!("{text}{:08x}\n", crc32(text.as_bytes())).into_bytes()
    };
    fields.iter().flat_map(record).collect()
}

fn left_by_the_version_before(directory: &Path) -> fs::File {
    use std::os::unix::fs::PermissionsExt;
    let election = directory.join("election");
    fs::create_dir(&election).expect("it is new");
    fs::set_permissions(&election, PermissionsExt::from_mode(0o700)).expect("it is ours");
    fs::write(election.join("journal"), journal_of_the_version_before()).expect("it is ours");
    fs::set_permissions(election.join("journal"), PermissionsExt::from_mode(0o600)).expect("it is ours");
    fs::File::open(election.join("journal")).expect("it is there")
}

#[test]
fn from_what_the_version_before_left() -> Result {
    let directory = tempfile::tempdir()?;
    left_by_the_version_before(directory.path());
    assert_eq!(options(directory.path(), "a").join()?.role(), Role::Primary { term: 8 });
    Ok(())
}

#[test]
fn where_the_version_before_lives_nobody_joins() -> Result {
    let directory = tempfile::tempdir()?;
    let living = left_by_the_version_before(directory.path());
    FileExt::lock_shared(&living)?;
    let error = options(directory.path(), "a").join().expect_err("the two do not understand each other");
    assert_eq!((error.cause(), error.path()), (&Cause::Older, &*directory.path().join("election/journal")));
    assert_eq!(fs::read(directory.path().join("election/journal"))?, journal_of_the_version_before());
    Ok(())
}

#[test]
fn the_next_journal_of_someone_else_stays() -> Result {
    use std::os::unix::fs::PermissionsExt;
    for theirs in [&b"my notes\n"[..], b"spj3 begin 1 a 5\n"] {
        let directory = tempfile::tempdir()?;
        drop(options(directory.path(), "a").join()?);
        let next = directory.path().join("election/journal.next");
        fs::write(&next, theirs)?;
        fs::set_permissions(&next, PermissionsExt::from_mode(0o600))?;
        let error = options(directory.path(), "b").join().expect_err("it is in the way");
        assert!(matches!(error.cause(), Cause::Foreign | Cause::Newer), "{error}");
        assert_eq!((error.path(), &*fs::read(&next)?), (&*next, theirs));
        fs::remove_file(&next)?;
        assert_eq!(options(directory.path(), "b").join()?.role(), Role::Primary { term: 2 });
    }
    Ok(())
}

#[test]
fn no_begin_counts_behind_a_registration() {
    let id = InstanceId::new("a").expect("a valid ID");
    let record = |kind, term| Record { kind, term, id: id.clone(), at: Time::default() };
    let mut fold = Fold::default();
    for (kind, term, expected) in [
        (Kind::Begin, 5, 5),
        (Kind::Begin, 3, 5),
        (Kind::Begin, u64::MAX, 5),
        (Kind::Register, 5, 5),
        (Kind::Begin, 9, 5),
        (Kind::Seal, 5, 5),
        (Kind::Leave, 5, 6),
        (Kind::Begin, 9, 6),
    ] {
        fold.apply(&record(kind, term));
        assert_eq!((fold.term(), fold.is_first()), (expected, expected == 5), "after {kind:?} {term}");
    }
}
