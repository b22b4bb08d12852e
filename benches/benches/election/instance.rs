//! What an instance that has joined costs: `is_primary`, `record` and `poll`.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use rustix::fs::{FlockOperation, Mode, OFlags};
use single_primary::{Election, Recorded, Role};

use crate::turns::{self, row, timed};
use crate::{floor, scratch};

const PAYLOAD: &str = r#"{"tool":"bash","call":"call_00042","title":"List the files of the project","ok":true}"#;

/// Where the log is renamed, by default.
const ROTATE_BYTES: u64 = 16 << 20;

/// So many entries are timed together: a look at the clock would count beside one.
const TOGETHER: usize = 16;
const EACH: u32 = 16;

pub(crate) fn measure(criterion: &mut Criterion) {
    is_primary(criterion);
    poll_primary(criterion);
    poll_secondary(criterion);
    record(criterion);
}

fn join(directory: &Path) -> Election {
    Election::options(directory).window(Duration::ZERO).join().expect("the election can be joined")
}

fn is_primary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("is_primary");
    let scratch = scratch::directory();
    let election = join(scratch.path());
    let word = AtomicU64::new(1);
    group.bench_function("floor", |bencher| {
        bencher.iter(|| assert_eq!(std::hint::black_box(&word).load(Ordering::Acquire), 1));
    });
    group.bench_function("election", |bencher| {
        bencher.iter(|| assert!(std::hint::black_box(&election).is_primary()));
    });
    group.finish();
}

fn poll_primary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("poll/primary");
    let scratch = scratch::directory();
    let election = join(scratch.path());
    group.bench_function("floor", |bencher| {
        bencher.iter(|| (rustix::process::getpid(), rustix::time::clock_gettime(rustix::time::ClockId::Boottime)));
    });
    group.bench_function("election", |bencher| {
        bencher.iter(|| assert_eq!(election.poll(), Ok(Role::Primary { term: 1 })));
    });
    group.finish();
}

fn poll_secondary(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("poll/secondary");
    let scratch = scratch::directory();
    let primary = join(scratch.path());
    let secondary = join(scratch.path());
    let seat = scratch.path().join(format!("{}.seat", primary.id()));
    let seat = rustix::fs::open(seat, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).expect("the seat is there");
    group.bench_function("floor", |bencher| {
        bencher.iter(|| {
            let process = rustix::process::getpid();
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            let probe = floor::lock(&seat, FlockOperation::NonBlockingLockShared);
            assert_eq!(probe, Err(rustix::io::Errno::AGAIN));
            (process, now)
        });
    });
    group.bench_function("election", |bencher| {
        bencher.iter(|| assert!(matches!(secondary.poll(), Ok(Role::Secondary { term: 1, .. }))));
    });
    group.finish();
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let scratch = scratch::directory();
    let election = join(scratch.path());
    let log = scratch.path().join("realtime.log");
    let mut events = 0_u64;
    let mut next_events = || -> [String; TOGETHER] {
        std::array::from_fn(|_| {
            events += 1;
            format!("call_{events:012}")
        })
    };
    let mut last = next_events()[0].clone();
    assert_eq!(election.record(&last, PAYLOAD), Ok(Recorded::Written));
    let line = fs::read(&log).expect("the entry is written");

    let journal = scratch.path().join("journal");
    let bare = File::options().create(true).append(true).open(scratch.path().join("bare.log")).expect("there is room");
    let mut size = 0;
    let floor = || {
        size += (TOGETHER * line.len()) as u64;
        if size > ROTATE_BYTES {
            bare.set_len(0).expect("the log can be cut");
            size = 0;
        }
        let write = || {
            rustix::fs::lstat(&journal).expect("the journal is there");
            rustix::fs::lstat(&log).expect("the log is there");
            assert_eq!(rustix::io::write(&bare, &line), Ok(line.len()));
        };
        timed(|| (0..TOGETHER).for_each(|_| write())).0 / EACH
    };
    let record = || {
        let events = next_events();
        let write = |event: &String| assert_eq!(election.record(event, PAYLOAD), Ok(Recorded::Written));
        let (took, ()) = timed(|| events.iter().for_each(write));
        let [.., latest] = events;
        last = latest;
        took / EACH
    };
    turns::measure(&mut group, None, vec![row("floor", floor), row("election", record)]);
    group.finish();
    let text = fs::read_to_string(&log).expect("the log can be read");
    let line = text.lines().last().expect("the log has entries");
    assert!(line.contains(&format!("\"event\":\"{last}\"")) && line.contains(PAYLOAD), "the last entry is {line}");
}
