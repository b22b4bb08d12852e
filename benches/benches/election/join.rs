//! `join`: a lone instance that waits for nobody, until it knows the primary.

use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use single_primary::call::Name;
use single_primary::{Election, RECORD_BYTES, Role};

use crate::turns::{self, row, timed};
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
    let floor = || {
        let seat = floor::Seat::new();
        let scratch = scratch::directory();
        let directory = scratch.path().join("election");
        let (took, joined) = timed(|| floor::join_fresh(&directory, &seat.name, &seat.record));
        assert_eq!(joined.expect("the calls succeed").1, 2 * RECORD_BYTES);
        took
    };
    let election = || {
        let scratch = scratch::directory();
        let directory = scratch.path().join("election");
        timed(|| join_as_primary(&directory)).0
    };
    turns::measure(&mut group, None, vec![row("floor", floor), row("election", election)]);
    group.finish();
}

fn leftover(criterion: &mut Criterion, records: usize) {
    let mut group = criterion.benchmark_group("join/leftover");
    let prepare = || {
        let scratch = scratch::directory();
        journal::leftover(scratch.path(), records);
        scratch
    };
    let floor = || {
        let seat = floor::Seat::new();
        let scratch = prepare();
        let (took, joined) = timed(|| floor::join_leftover(scratch.path(), &seat.name, &seat.record));
        assert_eq!(joined.expect("the calls succeed").1, 2 * RECORD_BYTES);
        took
    };
    let election = || {
        let scratch = prepare();
        timed(|| join_as_primary(scratch.path())).0
    };
    turns::measure(&mut group, Some(records), vec![row("floor", floor), row("election", election)]);
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
    let reader = |look: Look| {
        let seat = floor::Seat::new();
        prepare();
        let (took, joined) = timed(|| floor::join_living(scratch.path(), &seat.name, &rival, &seat.record, look));
        assert_eq!(joined.expect("the calls succeed").1, size + RECORD_BYTES);
        took
    };
    let election = || {
        prepare();
        let (took, election) =
            timed(|| Election::options(scratch.path()).window(Duration::ZERO).join().expect("there is room"));
        assert!(matches!(election.role(), Role::Secondary { term: 1, primary: of } if of == *primary.id()));
        took
    };
    // Beside the floor what a reader cannot do without either: the checksum of each record.
    let rows =
        vec![row("floor", || reader(|_| ())), row("checksums", || reader(floor::verify)), row("election", election)];
    turns::measure(&mut group, Some(records), rows);
    group.finish();
}

fn join_as_primary(directory: &Path) -> Election {
    let election = Election::options(directory).window(Duration::ZERO).join().expect("nobody is in the way");
    assert!(election.is_primary());
    election
}
