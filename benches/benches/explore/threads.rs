//! Executions under loom and schedules under shuttle, beside those of threads that only take a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::Criterion;
use models::threads::{Bounds, loom as by_loom, shuttle as by_shuttle};
use models::verdict::{Report, Verdict};
use models::zoo;

const REGISTRANTS: usize = 3;
const PREEMPTIONS: usize = 1;
const SCHEDULES: usize = 500;

pub(crate) fn measure(criterion: &mut Criterion) {
    crate::measure(criterion, "explore/loom", "floor", loom_floor);
    crate::measure(criterion, "explore/loom", "journal", loom_journal);
    crate::measure(criterion, "explore/shuttle", "floor", shuttle_floor);
    crate::measure(criterion, "explore/shuttle", "journal", shuttle_journal);
}

fn bounds() -> (&'static zoo::Protocol, Bounds) {
    let protocol = zoo::find("journal").expect("the journal is in the zoo");
    let bounds = Bounds::of(protocol, REGISTRANTS);
    (protocol, Bounds { preemptions: Some(PREEMPTIONS), schedules: SCHEDULES, crashes: 0, ..bounds })
}

fn loom_journal() -> (Duration, u64) {
    let (protocol, bounds) = bounds();
    let report = by_loom::check(protocol, &bounds);
    assert!(report.complete, "{report:?}");
    told(&report)
}

fn shuttle_journal() -> (Duration, u64) {
    let (protocol, bounds) = bounds();
    let (report, _) = by_shuttle::check(protocol, &bounds, None).expect("nothing is saved");
    told(&report)
}

fn told(report: &Report) -> (Duration, u64) {
    assert_eq!(report.verdict, Verdict::Holds, "{report:?}");
    (Duration::from_secs_f64(report.seconds), report.executions.expect("a checker of threads counts executions"))
}

fn loom_floor() -> (Duration, u64) {
    let executions = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check({
        let executions = executions.clone();
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            let lock = Arc::new(loom::sync::Mutex::new(()));
            let take_twice = |lock: Arc<loom::sync::Mutex<()>>| {
                move || (0..2).for_each(|_| drop(lock.lock().expect("nobody panics")))
            };
            let threads: Vec<_> = (1..REGISTRANTS).map(|_| loom::thread::spawn(take_twice(lock.clone()))).collect();
            take_twice(lock)();
            for thread in threads {
                thread.join().expect("nobody panics");
            }
        }
    });
    (started.elapsed(), executions.load(Ordering::Relaxed))
}

fn shuttle_floor() -> (Duration, u64) {
    let executions = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    shuttle::check_random(
        {
            let executions = executions.clone();
            move || {
                executions.fetch_add(1, Ordering::Relaxed);
                let lock = Arc::new(shuttle::sync::Mutex::new(()));
                let take = |lock: Arc<shuttle::sync::Mutex<()>>| move || drop(lock.lock().expect("nobody panics"));
                let threads: Vec<_> = (0..REGISTRANTS).map(|_| shuttle::thread::spawn(take(lock.clone()))).collect();
                for thread in threads {
                    thread.join().expect("nobody panics");
                }
            }
        },
        SCHEDULES,
    );
    (started.elapsed(), executions.load(Ordering::Relaxed))
}
