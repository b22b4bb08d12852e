//! Elections on real files, within one process.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use single_primary::call::{Call, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Election, InstanceId, Options, Os, Recorded, Role, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn options(directory: &std::path::Path, id: &str) -> Options {
    Election::options(directory.join("election")).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

#[test]
fn a_lone_instance_is_primary_and_writes() -> Result {
    let directory = tempfile::tempdir()?;
    let election = options(directory.path(), "a").join()?;
    assert!(election.is_primary());
    assert_eq!(election.role(), Role::Primary { term: 1 });
    assert_eq!(election.record("one", "{\"x\":1}")?, Recorded::Written);
    assert_eq!(election.record("one", "{\"x\":1}")?, Recorded::Written);
    let log = std::fs::read_to_string(directory.path().join("election/realtime.log"))?;
    assert_eq!(log, "{\"event\":\"one\",\"term\":1,\"primary\":\"a\",\"payload\":{\"x\":1}}\n");
    Ok(())
}

#[test]
fn four_instances_on_one_thread_elect_by_polling() -> Result {
    let directory = tempfile::tempdir()?;
    let started =
        ["d", "b", "c", "a"].map(|id| options(directory.path(), id).window(Duration::from_mins(1)).expect(4).start());
    let elections: Vec<_> = started.into_iter().collect::<Result<_, _>>()?;
    while elections.iter().any(|election| election.role() == Role::Undecided) {
        for election in &elections {
            election.record("early", "null")?;
        }
    }
    let primaries: Vec<_> =
        elections.iter().filter(|election| election.is_primary()).map(|election| election.id().as_str()).collect();
    assert_eq!(primaries, ["a"]);
    Ok(())
}

#[test]
fn a_wait_ends_when_the_primary_goes_and_what_was_pending_is_written() -> Result {
    let directory = tempfile::tempdir()?;
    let first = options(directory.path(), "a").join()?;
    let second = options(directory.path(), "b").join()?;
    assert_eq!(second.record("e", "1")?, Recorded::Pending);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| second.wait());
        assert!(!second.is_primary());
        drop(first);
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    });
    assert_eq!(second.pending(), 0);
    assert!(second.is_primary());
    Ok(())
}

#[test]
fn another_thread_ends_a_wait_by_leaving() -> Result {
    let directory = tempfile::tempdir()?;
    let _first = options(directory.path(), "a").join()?;
    let second = options(directory.path(), "b").join()?;
    std::thread::scope(|scope| {
        let waiting = [(); 3].map(|()| scope.spawn(|| second.wait()));
        second.leave().expect("nothing keeps it");
        for waiting in waiting {
            let error = waiting.join().expect("no panic").expect_err("it has left");
            assert_eq!(error.cause(), &single_primary::Cause::Left);
        }
    });
    Ok(())
}

#[test]
fn all_threads_that_wait_are_told_the_term() -> Result {
    let directory = tempfile::tempdir()?;
    let first = options(directory.path(), "a").join()?;
    let second = options(directory.path(), "b").join()?;
    std::thread::scope(|scope| {
        let waiting = [(); 3].map(|()| scope.spawn(|| second.wait()));
        drop(first);
        for waiting in waiting {
            assert_eq!(waiting.join().expect("no panic"), Ok(2));
        }
    });
    Ok(())
}

#[test]
fn a_wait_goes_on_over_several_primaries() -> Result {
    let directory = tempfile::tempdir()?;
    let elections = ["a", "b", "c", "d"].map(|id| options(directory.path(), id).join());
    let [first, second, third, last] = elections;
    let (first, second, third, last) = (first?, second?, third?, last?);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| last.wait());
        for (election, term) in [(first, 1), (second, 2), (third, 3)] {
            assert_eq!(election.wait(), Ok(term));
        }
        assert_eq!(waiting.join().expect("no panic"), Ok(4));
    });
    Ok(())
}

/// A kernel that notes on which threads the election goes on.
struct Noting {
    os: Os,
    threads: Mutex<BTreeSet<String>>,
    is_waiting: AtomicBool,
}

impl Kernel for Noting {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        let thread = thread::current().name().unwrap_or("nameless").to_owned();
        self.threads.lock().expect("no panic").insert(thread);
        self.os.perform(call)
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, mut look: impl FnMut() -> bool) {
        self.os.await_vacancy(seat, || {
            let is_over = look();
            self.is_waiting.store(true, Ordering::Release);
            is_over
        });
    }

    fn end_waits(&self) {
        self.os.end_waits();
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

#[test]
fn whoever_waits_takes_over_on_the_thread_that_waits() -> Result {
    let directory = tempfile::tempdir()?;
    let first = options(directory.path(), "a").join()?;
    let second = options(directory.path(), "b");
    let kernel = Noting { os: Os::new(second.paths()), threads: Mutex::default(), is_waiting: AtomicBool::new(false) };
    let second = second.start_on(kernel)?;
    assert_eq!(second.record("e", "1")?, Recorded::Pending);
    second.kernel().threads.lock().expect("no panic").clear();
    thread::scope(|scope| {
        let waiting = thread::Builder::new().name("waiting".into()).spawn_scoped(scope, || second.wait());
        let waiting = waiting.expect("a thread can be started");
        assert!((0..24_000).any(|attempt| {
            first.kernel().pause(attempt, None);
            second.kernel().is_waiting.load(Ordering::Acquire)
        }));
        drop(first);
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    });
    let threads = second.kernel().threads.lock().expect("no panic").clone();
    assert_eq!(threads, BTreeSet::from(["waiting".to_owned()]));
    let log = std::fs::read_to_string(directory.path().join("election/realtime.log"))?;
    assert_eq!(log, "{\"event\":\"e\",\"term\":2,\"primary\":\"b\",\"payload\":1}\n");
    Ok(())
}
