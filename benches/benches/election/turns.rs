//! Rows of a group that take turns: whatever the machine does at a moment, and whatever one row leaves behind for the next,
//! it does to all of them. Measured one after the other, each would have a machine of its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId};

/// What is measured under a name: runs once and says how long the measured part of it took.
pub(crate) type Row<'a> = (&'static str, Box<dyn FnMut() -> Duration + 'a>);

/// A row.
pub(crate) fn row<'a>(name: &'static str, run: impl FnMut() -> Duration + 'a) -> Row<'a> {
    (name, Box::new(run))
}

/// Measures each row while all of them run in turns.
pub(crate) fn measure(group: &mut BenchmarkGroup<'_, WallTime>, parameter: Option<usize>, mut rows: Vec<Row<'_>>) {
    let count = rows.len();
    // Each is given its time once more for every other.
    group.measurement_time(Duration::from_secs(3) / u32::try_from(count).expect("there are few"));
    for own in 0..count {
        let name = rows[own].0;
        let measured = one_of(own, count, |turn| (rows[turn].1)());
        match parameter {
            Some(parameter) => group.bench_function(BenchmarkId::new(name, parameter), measured),
            None => group.bench_function(name, measured),
        };
    }
}

/// What criterion is to measure of one of several that run in turns, each as often the first as any other. `run` gives one
/// of them its turn and says how long it took.
pub(crate) fn one_of(
    own: usize,
    count: usize,
    mut run: impl FnMut(usize) -> Duration,
) -> impl FnMut(&mut Bencher<'_, WallTime>) {
    let mut first = 0;
    move |bencher| {
        bencher.iter_custom(|iterations| {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                first += 1;
                for turn in 0..count {
                    let number = (first + turn) % count;
                    let took = run(number);
                    if number == own {
                        total += took;
                    }
                }
            }
            total
        });
    }
}

/// How long something takes, and what comes of it.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let begun = Instant::now();
    let output = black_box(run());
    (begun.elapsed(), output)
}
