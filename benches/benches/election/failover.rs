//! `failover`: from the SIGKILL of the primary until a survivor is primary.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};

use crate::contestant::{Claim, Contestant};
use crate::crew::Crew;
use crate::{percentiles, scratch};

const GROUP: &str = "failover";

pub(crate) fn measure(criterion: &mut Criterion) {
    for survivors in [1, 3] {
        for contestant in [Contestant::BareFlock, Contestant::Election] {
            fail_over(criterion, contestant, survivors);
        }
    }
}

fn fail_over(criterion: &mut Criterion, contestant: Contestant, size: usize) {
    let mut group = criterion.benchmark_group(GROUP);
    group.sampling_mode(SamplingMode::Flat);
    let scratch = scratch::directory();
    let mut events = Vec::new();
    let mut crew = None;
    let mut round = 0;
    group.bench_function(BenchmarkId::new(contestant.name(), size), |bencher| {
        let survivors = crew.get_or_insert_with(|| Crew::survivors(contestant, size, scratch.path()));
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                let directory = survivors.directory(round);
                fs::DirBuilder::new().mode(0o700).create(&directory).expect("the round is new");
                let mut victim = Crew::claimants(contestant, 1, scratch.path());
                victim.go(round);
                let primary = victim.report();
                assert!(primary.primary, "nobody else is there: {primary:?}");
                survivors.go(round);
                for survivor in survivors.reports() {
                    assert!(!survivor.primary && survivor.of == primary.of, "the primary lives: {survivor:?}");
                }
                survivors.await_blocked(&directory.join(Claim::contested_file(primary.of.as_deref())));

                let from = victim.kill();
                let successor = survivors.report();
                assert!(successor.primary, "a survivor took over: {successor:?}");
                total += successor.after(from);
                events.push(successor.after(from));

                // The others each get their turn as the one before gives up.
                survivors.give_up_one();
                for _ in 1..size {
                    let (first, second) = (survivors.report(), survivors.report());
                    assert!(first.primary != second.primary, "one gave up, one took over: {first:?} {second:?}");
                    survivors.give_up_one();
                }
                let last = survivors.report();
                assert!(!last.primary, "the last one gave up: {last:?}");
                fs::remove_dir_all(directory).expect("the round is over");
                round += 1;
            }
            total
        });
    });
    group.finish();
    percentiles::export(GROUP, contestant.name(), size, &mut events);
}
