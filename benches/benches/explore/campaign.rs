//! Rounds of a campaign on real processes, beside as many processes that are forked, exit and are waited for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::Criterion;
use serde::Deserialize;

const GROUP: &str = "explore/campaign";
const ROUNDS: u64 = 150;

pub(crate) fn measure(criterion: &mut Criterion) {
    let mut program = None;
    let mut run = |rate: fn(&Report) -> f64| run(program.get_or_insert_with(build), rate);
    crate::measure(criterion, GROUP, "floor", || run(|report| report.floor_rounds_per_second));
    crate::measure(criterion, GROUP, "campaign", || run(|report| report.rounds_per_second));
}

/// What a campaign reports, as far as it is looked at here.
#[derive(Debug, Deserialize)]
struct Report {
    verdict: String,
    rounds: u64,
    primaries: Primaries,
    rounds_per_second: f64,
    floor_rounds_per_second: f64,
}

#[derive(Debug, Deserialize)]
struct Primaries {
    one: u64,
}

fn run(program: &Path, rate: fn(&Report) -> f64) -> (Duration, u64) {
    let output = Command::new(program)
        .args(["campaign", "--seed", "1", "--rounds", &ROUNDS.to_string(), "--export-json", "-"])
        .output()
        .expect("the program has just been built");
    let text = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(
        report.verdict == "holds" && report.rounds == ROUNDS && report.primaries.one == ROUNDS,
        "{report:?} {text}"
    );
    (Duration::from_secs_f64(1.0 / rate(&report)), 1)
}

/// Cargo builds no programs of other packages for a benchmark.
fn build() -> PathBuf {
    let bench = std::env::current_exe().expect("this program has a path");
    let target = bench.ancestors().nth(3).expect("it lies in the target directory");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--quiet", "--package", "stress", "--target-dir"])
        .arg(target)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "`cargo build --release -p stress` fails");
    target.join("release/stress")
}
