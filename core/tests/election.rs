//! Elections on real files, within one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use single_primary::call::{Call, Reply, Time};
use single_primary::kernel::{Bell, Kernel, Monitor};
use single_primary::{Election, InstanceId, Options, Os, Recorded, Role, StdMonitor};

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
        let waiting = scope.spawn(|| second.wait());
        second.leave().expect("nothing keeps it");
        let error = waiting.join().expect("no panic").expect_err("it has left");
        assert_eq!(error.cause(), &single_primary::Cause::Left);
    });
    Ok(())
}

/// A kernel that wakes nobody who waits, and tells when somebody does.
struct Silent {
    os: Os,
    watches: AtomicBool,
}

impl Kernel for Silent {
    type Monitor<T: Send + 'static> = StdMonitor<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        self.os.perform(call)
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn watch(
        &self,
        seat: &InstanceId,
        _bell: &Arc<StdMonitor<Bell>>,
        take_over: impl FnOnce() + Send + 'static,
    ) -> Result<(), Reply> {
        self.os.watch(seat, &Arc::new(Monitor::new(Bell::default())), take_over)?;
        self.watches.store(true, Ordering::Release);
        Ok(())
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

#[test]
fn who_waits_need_not_be_woken_to_take_over() -> Result {
    let directory = tempfile::tempdir()?;
    let first = options(directory.path(), "a").join()?;
    let second = options(directory.path(), "b");
    let kernel = Silent { os: Os::new(second.paths()), watches: AtomicBool::new(false) };
    let second = second.start_on(kernel)?;
    assert_eq!(second.record("e", "1")?, Recorded::Pending);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| second.wait());
        assert!(comes_true(second.kernel(), || second.kernel().watches.load(Ordering::Acquire)));
        drop(first);
        let takes_over = comes_true(second.kernel(), || second.is_primary());
        second.leave().expect("nothing keeps it");
        assert_eq!(waiting.join().expect("no panic").expect_err("it has left").cause(), &single_primary::Cause::Left);
        assert!(takes_over);
    });
    let log = std::fs::read_to_string(directory.path().join("election/realtime.log"))?;
    assert_eq!(log, "{\"event\":\"e\",\"term\":2,\"primary\":\"b\",\"payload\":1}\n");
    Ok(())
}

/// Whether it is so in the end: within two minutes, where each of the last looks comes five milliseconds after the one before.
fn comes_true(kernel: &Silent, is_so: impl Fn() -> bool) -> bool {
    (0..24_000).any(|attempt| {
        kernel.pause(attempt, None);
        is_so()
    })
}
