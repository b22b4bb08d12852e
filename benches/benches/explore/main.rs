//! What a check costs, each beside the least that its tool can do: a state, an execution, a schedule, a round.
//!
//! A check runs as a whole. Its time is told by the unit, so that one "iteration" of criterion's is one state or round.

mod campaign;
mod exhaustive;
mod threads;

use std::time::Duration;

use criterion::{Criterion, SamplingMode};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    exhaustive::measure(&mut criterion);
    threads::measure(&mut criterion);
    campaign::measure(&mut criterion);
    criterion.final_summary();
}

/// Measures something that tells how long it took for how many units of work.
fn measure(criterion: &mut Criterion, group: &str, name: &str, mut run: impl FnMut() -> (Duration, u64)) {
    let mut group = criterion.benchmark_group(group);
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let (elapsed, units) = run();
            assert!(units > 0, "nothing was exercised");
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of either")]
            elapsed.mul_f64(iterations as f64 / units as f64)
        });
    });
    group.finish();
}
