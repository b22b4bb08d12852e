//! What keeps a survivor from taking over for a while does not end it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use single_primary::call::{Access, Call, Failure, Handle, Mode, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, InstanceId, Options, Os, Recorded, Role, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

const NO_SPACE: Failure = Failure(28);

/// Which calls fail while something is wrong.
type Fails = fn(&Call) -> Option<Reply>;

/// The operating system, with which something is wrong for a while.
struct Ailing {
    os: Os,
    fails: Fails,
    is_ill: AtomicBool,
    failures: AtomicUsize,
}

impl Kernel for Ailing {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        let is_ill = self.is_ill.load(Ordering::Acquire);
        match (self.fails)(call).filter(|_| is_ill) {
            Some(reply) => {
                self.failures.fetch_add(1, Ordering::AcqRel);
                if let (Call::Append { handle, bytes }, Reply::Wrote(written)) = (call, &reply) {
                    return self.os.perform(&Call::Append { handle: *handle, bytes: bytes[..*written].into() });
                }
                reply
            }
            None => self.os.perform(call),
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

fn options(directory: &std::path::Path, id: &str) -> Options {
    Election::options(directory.join("election")).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

fn ailing(directory: &std::path::Path, id: &str, fails: Fails) -> Result<Election<Ailing>, single_primary::Error> {
    let options = options(directory, id);
    let os = Os::new(options.paths());
    options.start_on(Ailing { os, fails, is_ill: AtomicBool::new(false), failures: AtomicUsize::new(0) })
}

const WAYS: [(Fails, Cause); 5] = [
    (|call| is_append(call).then_some(Reply::Failed(NO_SPACE)), Cause::Io(NO_SPACE)),
    (|call| is_append(call).then_some(Reply::Wrote(50)), Cause::Short),
    (
        |call| matches!(call, Call::Read { handle: Handle::JOURNAL, .. }).then_some(Reply::Failed(Failure(5))),
        Cause::Io(Failure(5)),
    ),
    (
        |call| matches!(call, Call::Lock(Handle::RIVAL, Mode::Shared)).then_some(Reply::Failed(Failure(37))),
        Cause::Io(Failure(37)),
    ),
    (
        |call| {
            matches!(call, Call::Open { handle: Handle::RIVAL, access: Access::Read, .. })
                .then_some(Reply::Failed(Failure(24)))
        },
        Cause::Io(Failure(24)),
    ),
];

fn is_append(call: &Call) -> bool {
    matches!(call, Call::Append { handle: Handle::JOURNAL, .. })
}

/// Two instances that elect the first of them.
fn two(directory: &std::path::Path) -> Result<[Election<Ailing>; 2], single_primary::Error> {
    Ok([ailing(directory, "a", WAYS[0].0)?, ailing(directory, "b", WAYS[0].0)?])
}

/// Instances die: they give up their seats and say nothing in the journal.
fn die(elections: [Election<Ailing>; 2]) {
    for election in elections {
        election.kernel().is_ill.store(true, Ordering::Release);
    }
}

#[test]
fn a_poll_tells_it_and_the_next_tries_again() -> Result {
    for (fails, cause) in WAYS {
        let directory = tempfile::tempdir()?;
        let others = two(directory.path())?;
        let election = ailing(directory.path(), "c", fails)?;
        assert_eq!(election.record("event", "1")?, Recorded::Pending);
        election.kernel().is_ill.store(true, Ordering::Release);
        die(others);
        for _ in 0..3 {
            let error = election.poll().expect_err("it cannot go on");
            assert_eq!(error.cause(), &cause, "{error}");
            let role = election.role();
            assert!(matches!(role, Role::Undecided | Role::Secondary { .. }), "{role:?} after {error}");
        }
        election.kernel().is_ill.store(false, Ordering::Release);
        assert_eq!(election.poll()?, Role::Primary { term: 3 });
        assert_eq!(election.pending(), 0);
        let another = options(directory.path(), "d").join()?;
        assert_eq!(another.fold().primary(), Some(election.id()), "all can read the journal");
    }
    Ok(())
}

#[test]
fn a_wait_tries_again_by_itself() -> Result {
    for (fails, cause) in WAYS {
        let directory = tempfile::tempdir()?;
        let others = two(directory.path())?;
        let election = ailing(directory.path(), "c", fails)?;
        thread::scope(|scope| {
            election.kernel().is_ill.store(true, Ordering::Release);
            let waiting = scope.spawn(|| election.wait());
            die(others);
            let failures = || election.kernel().failures.load(Ordering::Acquire);
            assert!(comes_true(&election, || failures() > 2), "{cause:?} comes again and again");
            assert!(!election.is_primary());
            election.kernel().is_ill.store(false, Ordering::Release);
            assert_eq!(waiting.join().expect("no panic"), Ok(3));
        });
    }
    Ok(())
}

#[test]
fn another_thread_ends_a_wait_that_tries_again() -> Result {
    let directory = tempfile::tempdir()?;
    let others = two(directory.path())?;
    let election = ailing(directory.path(), "c", WAYS[0].0)?;
    thread::scope(|scope| {
        election.kernel().is_ill.store(true, Ordering::Release);
        let waiting = scope.spawn(|| election.wait());
        die(others);
        assert!(comes_true(&election, || election.kernel().failures.load(Ordering::Acquire) > 0));
        election.leave().expect("nothing keeps it");
        assert_eq!(waiting.join().expect("no panic").expect_err("it has left").cause(), &Cause::Left);
    });
    Ok(())
}

#[test]
fn what_keeps_it_from_registering_ends_the_join() -> Result {
    let directory = tempfile::tempdir()?;
    let options = options(directory.path(), "a");
    let os = Os::new(options.paths());
    let full = Ailing { os, fails: WAYS[0].0, is_ill: AtomicBool::new(true), failures: AtomicUsize::new(0) };
    let error = options.start_on(full).map(|election| election.role()).expect_err("there is no space");
    assert_eq!((error.cause(), error.path()), (&Cause::Io(NO_SPACE), &*directory.path().join("election/journal")));
    assert_eq!(self::options(directory.path(), "a").join()?.role(), Role::Primary { term: 1 });
    Ok(())
}

/// Whether it is so in the end: within two minutes, where each of the last looks comes five milliseconds after the one before.
fn comes_true(election: &Election<Ailing>, is_so: impl Fn() -> bool) -> bool {
    (0..24_000).any(|attempt| {
        election.kernel().pause(attempt, None);
        is_so()
    })
}
