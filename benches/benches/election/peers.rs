//! `peer`: one process until it knows whether it is it, where nobody is and where another process is.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use criterion::{BatchSize, Criterion};

use crate::contestant::{Claim, Contestant};
use crate::crew::Crew;
use crate::{journal, scratch};

pub(crate) fn measure(criterion: &mut Criterion) {
    for contestant in Contestant::ALL {
        free(criterion, contestant);
    }
    for contestant in Contestant::ALL.into_iter().filter(|contestant| contestant.can_be_refused()) {
        taken(criterion, contestant);
    }
}

fn free(criterion: &mut Criterion, contestant: Contestant) {
    let mut group = criterion.benchmark_group("peer/free");
    group.bench_function(contestant.name(), |bencher| {
        bencher.iter_batched(
            scratch::directory,
            |scratch| {
                let claim = contestant.claim(scratch.path(), 1);
                assert!(claim.primary, "nobody else is there");
                (claim, scratch)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn taken(criterion: &mut Criterion, contestant: Contestant) {
    let mut group = criterion.benchmark_group("peer/taken");
    let scratch = scratch::directory();
    let mut holder = None;
    group.bench_function(contestant.name(), |bencher| {
        let (crew, primary) = holder.get_or_insert_with(|| {
            let mut crew = Crew::claimants(contestant, 1, scratch.path());
            fs::DirBuilder::new().mode(0o700).create(crew.directory(0)).expect("the directory is new");
            crew.go(0);
            let primary = crew.report();
            assert!(primary.primary, "nobody else is there: {primary:?}");
            (crew, primary)
        });
        let directory = crew.directory(0);
        bencher.iter_batched(
            || forget_visitors(&directory, primary.of.as_deref()),
            |()| {
                let claim = contestant.claim(&directory, 1);
                assert!(!claim.primary && claim.of == primary.of, "another is: {claim:?}");
                claim
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// No visitor is to find more than the first one did.
fn forget_visitors(directory: &Path, primary: Option<&str>) {
    if primary.is_some() {
        journal::restore(directory, 2, &Claim::contested_file(primary));
    }
}
