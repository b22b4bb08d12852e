//! Events that happen once in a round, each round in a directory of its own.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::contestant::Contestant;
use crate::crew::Crew;
use crate::{percentiles, scratch, turns};

/// Where the rounds of a crew take place.
pub(crate) struct Round<'a> {
    pub(crate) number: u64,
    /// This round's directory, empty at its start.
    pub(crate) directory: &'a Path,
    /// The directory that all rounds lie in.
    pub(crate) all: &'a Path,
}

/// Measures how long the event of a round takes for each contestant, while they take turns: the mean for criterion, the
/// percentiles beside it.
pub(crate) fn measure(
    criterion: &mut Criterion,
    subject: &str,
    contestants: &[Contestant],
    size: usize,
    start: impl Fn(Contestant, usize, &Path) -> Crew,
    event: impl Fn(Contestant, &mut Crew, &Round<'_>) -> Duration,
) {
    let mut group = criterion.benchmark_group(subject);
    group.sampling_mode(SamplingMode::Flat);
    let scratch = scratch::directory();
    let mut sides: Vec<Side> =
        contestants.iter().map(|&contestant| Side { contestant, crew: None, events: Vec::new() }).collect();
    let mut number = 0;
    let mut run = |side: &mut Side| {
        let crew = side.crew.get_or_insert_with(|| start(side.contestant, size, scratch.path()));
        let directory = crew.directory(number);
        fs::DirBuilder::new().mode(0o700).create(&directory).expect("the round is new");
        let took = event(side.contestant, crew, &Round { number, directory: &directory, all: scratch.path() });
        fs::remove_dir_all(directory).expect("the round is over");
        number += 1;
        side.events.push(took);
        took
    };
    for own in 0..sides.len() {
        let id = BenchmarkId::new(sides[own].contestant.name(), size);
        group.bench_function(id, turns::one_of(own, sides.len(), |turn| run(&mut sides[turn])));
    }
    group.finish();
    for side in &mut sides {
        percentiles::export(subject, side.contestant.name(), size, &mut side.events);
    }
}

/// A contestant with its processes, once it has had a turn, and what its turns took.
struct Side {
    contestant: Contestant,
    crew: Option<Crew>,
    events: Vec<Duration>,
}
