//! What criterion left behind, and the percentiles beside it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The file with a benchmark's [`Percentiles`], in its directory among criterion's results.
pub const PERCENTILES_FILE: &str = "percentiles.json";

/// A measured time in nanoseconds, with the spread that its measurement had.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The figure itself.
    pub middle: f64,
    /// The low end of its spread.
    pub low: f64,
    /// The high end.
    pub high: f64,
}

/// The half and the tail of the times that single events took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many events there were.
    pub events: usize,
    /// What half of them took at most; its spread is the middle half of them.
    pub p50: Spread,
    /// What 99 of 100 took at most; its spread is where the true percentile lies in 19 of 20 measurements.
    pub p99: Spread,
}

/// One benchmark's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The group, such as `join/fresh`, and where it has one the parameter: what is compared is compared within these.
    pub subject: String,
    /// Who was measured: `floor`, `election`, or a peer.
    pub contestant: String,
    /// The parameter, where it is a number.
    pub parameter: Option<u64>,
    /// The median of the samples with their middle half.
    pub median: Spread,
    /// Where single events were timed.
    pub percentiles: Option<Percentiles>,
}

/// Why criterion's results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A file or directory of them.
    #[error("{path}: {source}; run `cargo bench -p benches` first")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file whose contents are not what criterion writes.
    #[error("{path}: {source}; is it of another version of criterion? Remove the directory and measure again")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl Percentiles {
    /// Of the times of single events; `None` where there are none.
    #[must_use]
    pub fn of(events: &mut [Duration]) -> Option<Self> {
        events.sort_unstable();
        let nanos: Vec<f64> = events.iter().map(|event| event.as_secs_f64() * 1e9).collect();
        let median = middle_half(&nanos)?;
        // How many of the events fall below the true percentile scatters binomially.
        let (count, share) = (count(nanos.len()), 0.99);
        let scatter = 1.96 * (share * (1.0 - share) / count).sqrt();
        let p99 = Spread {
            middle: quantile(&nanos, share)?,
            low: quantile(&nanos, share - scatter)?,
            high: quantile(&nanos, share + scatter)?,
        };
        Some(Self { events: nanos.len(), p50: median, p99 })
    }
}

/// Everything that was measured under criterion's directory, sorted by subject and contestant.
///
/// # Errors
/// Where a file of it cannot be read or is not what criterion writes.
pub fn read(criterion: &Path) -> Result<Vec<Measurement>, Unreadable> {
    let mut measurements = Vec::new();
    let mut directories = vec![criterion.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).map_err(|source| Unreadable::File { path: directory.clone(), source })?;
        for entry in entries {
            let path = entry.map_err(|source| Unreadable::File { path: directory.clone(), source })?.path();
            if !path.is_dir() {
                continue;
            }
            if path.file_name() == Some(OsStr::new("new")) {
                measurements.push(read_one(&directory, &path)?);
            } else {
                directories.push(path);
            }
        }
    }
    measurements.sort_by_cached_key(|one| (one.subject.clone(), one.parameter, one.contestant.clone()));
    Ok(measurements)
}

fn read_one(directory: &Path, latest: &Path) -> Result<Measurement, Unreadable> {
    #[derive(Deserialize)]
    struct Benchmark {
        group_id: String,
        function_id: Option<String>,
        value_str: Option<String>,
    }
    #[derive(Deserialize)]
    struct Sample {
        iters: Vec<f64>,
        times: Vec<f64>,
    }
    let benchmark: Benchmark = read_json(&latest.join("benchmark.json"))?;
    let sample: Sample = read_json(&latest.join("sample.json"))?;
    let percentiles = directory.join(PERCENTILES_FILE);
    let mut each: Vec<f64> = sample.times.iter().zip(&sample.iters).map(|(time, count)| time / count).collect();
    each.sort_unstable_by(f64::total_cmp);
    let empty = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "there is no sample in it");
    Ok(Measurement {
        parameter: benchmark.value_str.and_then(|value| value.parse().ok()),
        subject: benchmark.group_id,
        contestant: benchmark.function_id.unwrap_or_default(),
        median: middle_half(&each)
            .ok_or_else(|| Unreadable::File { path: latest.join("sample.json"), source: empty() })?,
        percentiles: if percentiles.exists() { Some(read_json(&percentiles)?) } else { None },
    })
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, Unreadable> {
    let text = fs::read(path).map_err(|source| Unreadable::File { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| Unreadable::Format { path: path.to_owned(), source })
}

/// The median of sorted values, with their quartiles as its spread.
fn middle_half(sorted: &[f64]) -> Option<Spread> {
    Some(Spread { middle: quantile(sorted, 0.5)?, low: quantile(sorted, 0.25)?, high: quantile(sorted, 0.75)? })
}

/// The value that the share of the sorted values does not exceed, interpolated between the two nearest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index between 0 and the length")]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share.clamp(0.0, 1.0) * (count(sorted.len()) - 1.0);
    let below = sorted.get(at.floor() as usize)?;
    let above = sorted.get(at.ceil() as usize)?;
    Some(below + (above - below) * at.fract())
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 samples")]
fn count(items: usize) -> f64 {
    items as f64
}
