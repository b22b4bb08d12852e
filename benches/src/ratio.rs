//! Measurements beside their floor.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::results::{Measurement, Spread};

/// The contestant that the others are compared with: the bare system calls.
pub const FLOOR: &str = "floor";

/// A figure in proportion to that of the floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// What is compared with what.
    #[serde(flatten)]
    pub key: Key,
    /// How many times the floor's figure.
    pub ratio: Spread,
    /// The figure itself in nanoseconds, for the reader: it is never compared.
    pub nanoseconds: f64,
    /// The floor's.
    pub floor_nanoseconds: f64,
}

/// What a ratio is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// What was done, such as `join/fresh`.
    pub subject: String,
    /// With how many.
    pub parameter: Option<u64>,
    /// By whom.
    pub contestant: String,
    /// Which figure of it.
    pub statistic: Statistic,
}

/// A figure of many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Of criterion's samples, each an average.
    Median,
    /// Of single events.
    P50,
    /// Of single events.
    P99,
    /// How much more the largest parameter takes than four does.
    Growth,
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Median => "median",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Growth => "growth from 4",
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.subject, self.contestant)?;
        if let Some(parameter) = self.parameter {
            write!(formatter, "/{parameter}")?;
        }
        write!(formatter, " {}", self.statistic)
    }
}

/// Every measurement in proportion to the floor of the same subject and parameter.
#[must_use]
pub fn ratios(measurements: &[Measurement]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for measured in measurements.iter().filter(|measured| measured.contestant != FLOOR) {
        let find = |contestant: &str, parameter| {
            measurements.iter().find(|other| {
                other.contestant == contestant && other.subject == measured.subject && other.parameter == parameter
            })
        };
        let Some(floor) = find(FLOOR, measured.parameter) else { continue };
        let mut push = |statistic, figure: Spread, of: Spread| {
            let key = Key {
                subject: measured.subject.clone(),
                parameter: measured.parameter,
                contestant: measured.contestant.clone(),
                statistic,
            };
            let (nanoseconds, floor_nanoseconds) = (figure.middle, of.middle);
            ratios.push(Ratio { key, ratio: quotient(figure, of), nanoseconds, floor_nanoseconds });
        };
        match (&measured.percentiles, &floor.percentiles) {
            (Some(figures), Some(of)) => {
                push(Statistic::P50, figures.p50, of.p50);
                push(Statistic::P99, figures.p99, of.p99);
            }
            _ => push(Statistic::Median, measured.median, floor.median),
        }
        let largest =
            measurements.iter().filter(|other| other.subject == measured.subject).filter_map(|other| other.parameter);
        if measured.percentiles.is_some()
            && measured.parameter > Some(4)
            && measured.parameter == largest.max()
            && let (Some(four), Some(four_floor)) = (find(&measured.contestant, Some(4)), find(FLOOR, Some(4)))
        {
            push(Statistic::Growth, quotient(half(measured), half(four)), quotient(half(floor), half(four_floor)));
        }
    }
    ratios
}

/// The figure that half of the events did not exceed.
fn half(measurement: &Measurement) -> Spread {
    measurement.percentiles.as_ref().map_or(measurement.median, |percentiles| percentiles.p50)
}

fn quotient(figure: Spread, of: Spread) -> Spread {
    Spread { middle: figure.middle / of.middle, low: figure.low / of.high, high: figure.high / of.low }
}
