//! `race`: processes that start at the same moment, until all of them know the primary.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::contestant::Contestant;
use crate::crew::{Crew, Report};
use crate::{percentiles, scratch};

const GROUP: &str = "race";

pub(crate) fn measure(criterion: &mut Criterion) {
    for size in [2, 4, 16, 64] {
        for contestant in Contestant::ALL {
            // What else a user could have picked is raced where the problem comes from: with four.
            if size == 4 && contestant.can_be_raced()
                || matches!(contestant, Contestant::BareFlock | Contestant::Election)
            {
                race(criterion, contestant, size);
            }
        }
    }
}

fn race(criterion: &mut Criterion, contestant: Contestant, size: usize) {
    let mut group = criterion.benchmark_group(GROUP);
    group.sampling_mode(SamplingMode::Flat);
    let scratch = scratch::directory();
    let mut events = Vec::new();
    let mut crew = None;
    let mut round = 0;
    group.bench_function(BenchmarkId::new(contestant.name(), size), |bencher| {
        let crew = crew.get_or_insert_with(|| Crew::claimants(contestant, size, scratch.path()));
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let directory = crew.directory(round);
                fs::DirBuilder::new().mode(0o700).create(&directory).expect("the round is new");
                let from = crew.go(round);
                let reports = crew.reports();
                let all_know = reports.iter().map(|report| report.after(from)).max().expect("somebody raced");
                verify(contestant, &reports);
                crew.give_up();
                crew.reports();
                fs::remove_dir_all(directory).expect("the round is over");
                round += 1;
                total += all_know;
                events.push(all_know);
            }
            total
        });
    });
    group.finish();
    percentiles::export(GROUP, contestant.name(), size, &mut events);
}

fn verify(contestant: Contestant, reports: &[Report]) {
    let primaries = reports.iter().filter(|report| report.primary).count();
    assert_eq!(primaries, 1, "{contestant:?} elected {primaries}: {reports:?}");
    assert!(reports.iter().all(|report| report.of == reports[0].of), "{contestant:?} disagrees: {reports:?}");
}
