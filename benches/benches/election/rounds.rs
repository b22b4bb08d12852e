//! Events that happen once in a round, each round in a directory of its own.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::contestant::Contestant;
use crate::crew::Crew;
use crate::{percentiles, scratch};

/// Where the rounds of a crew take place.
pub(crate) struct Round<'a> {
    pub(crate) number: u64,
    /// This round's directory, empty at its start.
    pub(crate) directory: &'a Path,
    /// The directory that all rounds lie in.
    pub(crate) all: &'a Path,
}

/// Measures how long the event of a round takes: the mean for criterion, the percentiles beside it.
pub(crate) fn measure(
    criterion: &mut Criterion,
    subject: &str,
    (contestant, size): (Contestant, usize),
    start: impl Fn(Contestant, usize, &Path) -> Crew,
    event: impl Fn(&mut Crew, &Round<'_>) -> Duration,
) {
    let mut group = criterion.benchmark_group(subject);
    group.sampling_mode(SamplingMode::Flat);
    let scratch = scratch::directory();
    let mut events = Vec::new();
    let mut crew = None;
    let mut number = 0;
    group.bench_function(BenchmarkId::new(contestant.name(), size), |bencher| {
        let crew = crew.get_or_insert_with(|| start(contestant, size, scratch.path()));
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let directory = crew.directory(number);
                fs::DirBuilder::new().mode(0o700).create(&directory).expect("the round is new");
                let took = event(crew, &Round { number, directory: &directory, all: scratch.path() });
                fs::remove_dir_all(directory).expect("the round is over");
                number += 1;
                total += took;
                events.push(took);
            }
            total
        });
    });
    group.finish();
    percentiles::export(subject, contestant.name(), size, &mut events);
}
