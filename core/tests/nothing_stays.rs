//! Nothing of an instance stays behind, although the primary lives on. A test of its own, as it counts what the process has.
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::Duration;

use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, Role};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// How many threads and descriptors this process has.
fn held() -> Result<(usize, usize)> {
    let threads = fs::read_dir("/proc/self/task")?.count();
    let descriptors = fs::read_dir("/proc/self/fd")?.count();
    Ok((threads, descriptors))
}

#[test]
fn of_two_hundred_that_wait_and_leave() -> Result {
    const INSTANCES: usize = 200;
    let directory = tempfile::tempdir()?;
    let options = || Election::options(directory.path().join("election")).window(Duration::ZERO);
    let primary = options().join()?;
    let before = held()?;
    for is_left in [true, false] {
        let elections: Vec<_> = (0..INSTANCES).map(|_| options().join()).collect::<Result<_, _>>()?;
        thread::scope(|scope| {
            let waiting: Vec<_> = elections.iter().map(|election| scope.spawn(|| election.wait())).collect();
            // All wait: nobody of them looks at anything but in the end of a wait.
            for election in &elections {
                election.leave().expect("nothing keeps it");
            }
            for waiting in waiting {
                let error = waiting.join().expect("no panic").expect_err("it has left");
                assert_eq!(error.cause(), &Cause::Left);
            }
        });
        if is_left {
            // Also before they are dropped.
            assert_eq!(held()?, before);
        }
        drop(elections);
        assert_eq!(held()?, before);
    }
    assert!(matches!(primary.poll()?, Role::Primary { term: 1 }));

    // One whose wait ended as it should, too.
    let successor = options().join()?;
    thread::scope(|scope| {
        let without = held().expect("they can be counted").1;
        let waiting = scope.spawn(|| successor.wait());
        // What it waits with is there.
        assert!((0..24_000).any(|attempt| {
            primary.kernel().pause(attempt, None);
            held().expect("they can be counted").1 > without
        }));
        primary.leave().expect("nothing keeps it");
        assert_eq!(waiting.join().expect("no panic"), Ok(2));
    });
    let last = options().join()?;
    successor.leave()?;
    drop((primary, successor));
    assert!(matches!(last.poll()?, Role::Primary { term: 3 }));
    assert_eq!(held()?, before);
    Ok(())
}
