//! `join`: a lone instance that waits for nobody, until it knows the primary.

use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use single_primary::call::{Name, Time};
use single_primary::{Election, InstanceId, Kind, RECORD_BYTES, Record, Role};

use crate::{floor, journal, scratch};

const RECORDS: [usize; 3] = [10, 100, 1000];

pub(crate) fn measure(criterion: &mut Criterion) {
    fresh(criterion);
    for records in RECORDS {
        living(criterion, records);
    }
    for records in RECORDS {
        leftover(criterion, records);
    }
}

fn fresh(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join/fresh");
    let seat = Seat::new();
    group.bench_function("floor", |bencher| {
        bencher.iter_batched(
            scratch::directory,
            |scratch| {
                let (held, size) = floor::join_fresh(&scratch.path().join("election"), &seat.name, &seat.record)
                    .expect("the calls succeed");
                assert_eq!(size, 2 * RECORD_BYTES);
                (held, scratch)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("election", |bencher| {
        bencher.iter_batched(
            scratch::directory,
            |scratch| (join_as_primary(&scratch.path().join("election")), scratch),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn leftover(criterion: &mut Criterion, records: usize) {
    let mut group = criterion.benchmark_group("join/leftover");
    let seat = Seat::new();
    let prepare = || {
        let scratch = scratch::directory();
        journal::leftover(scratch.path(), records);
        scratch
    };
    group.bench_function(criterion::BenchmarkId::new("floor", records), |bencher| {
        bencher.iter_batched(
            prepare,
            |scratch| {
                let (held, size) =
                    floor::join_leftover(scratch.path(), &seat.name, &seat.record).expect("the calls succeed");
                assert_eq!(size, 2 * RECORD_BYTES);
                (held, scratch)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function(criterion::BenchmarkId::new("election", records), |bencher| {
        bencher.iter_batched(prepare, |scratch| (join_as_primary(scratch.path()), scratch), BatchSize::PerIteration);
    });
    group.finish();
}

/// What a reader does with each piece of a journal.
type Look = fn(&[u8]);

fn living(criterion: &mut Criterion, records: usize) {
    let mut group = criterion.benchmark_group("join/living");
    let scratch = scratch::directory();
    let primary = journal::living(scratch.path(), records);
    let rival = Name::Seat(primary.id().clone()).file_name();
    let size = records * RECORD_BYTES;
    let prepare = || {
        journal::restore(scratch.path(), records, &rival);
        assert!(primary.is_primary());
    };
    let seat = Seat::new();
    // Beside the floor what a reader cannot do without either: the checksum of each record.
    let readers: [(&str, Look); 2] = [("floor", |_| ()), ("checksums", floor::verify)];
    for (name, look) in readers {
        group.bench_function(criterion::BenchmarkId::new(name, records), |bencher| {
            bencher.iter_batched(
                prepare,
                |()| {
                    let (held, read) = floor::join_living(scratch.path(), &seat.name, &rival, &seat.record, look)
                        .expect("the calls succeed");
                    assert_eq!(read, size + RECORD_BYTES);
                    held
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.bench_function(criterion::BenchmarkId::new("election", records), |bencher| {
        bencher.iter_batched(
            prepare,
            |()| {
                let election = Election::options(scratch.path()).window(Duration::ZERO).join().expect("there is room");
                assert!(matches!(election.role(), Role::Secondary { term: 1, primary: of } if of == *primary.id()));
                election
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn join_as_primary(directory: &Path) -> Election {
    let election = Election::options(directory).window(Duration::ZERO).join().expect("nobody is in the way");
    assert!(election.is_primary());
    election
}

/// What the floor claims and writes: of the same length as an election's.
struct Seat {
    name: String,
    record: floor::Bytes,
}

impl Seat {
    fn new() -> Self {
        let id = InstanceId::generate().expect("there is randomness");
        let name = Name::Seat(id.clone()).file_name();
        Self { name, record: Record { kind: Kind::Register, term: 1, id, at: Time::default() }.encode() }
    }
}
