//! What the figures are meant to be, on tmpfs and two processors.

use crate::ratio::{Key, Ratio, Statistic};

/// The most that a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// So many times the floor.
    Ratio(f64),
    /// So long.
    Nanoseconds(f64),
}

impl Goal {
    /// The goal for a figure of the election or of its checkers, if there is one.
    #[must_use]
    pub fn of(key: &Key) -> Option<Self> {
        Some(match (key.subject.as_str(), key.contestant.as_str(), key.parameter, key.statistic) {
            ("join/fresh", "election", _, Statistic::Median) => Self::Ratio(1.15),
            ("race", "election", Some(4), Statistic::P50) => Self::Ratio(1.3),
            ("race", "election", _, Statistic::Growth) => Self::Ratio(1.0),
            ("failover", "election", _, Statistic::P50) => Self::Ratio(1.3),
            ("failover", "election", _, Statistic::P99) => Self::Ratio(2.0),
            ("record", "election", _, Statistic::Median) => Self::Ratio(1.2),
            ("is_primary", "election", _, Statistic::Median) => Self::Nanoseconds(2.0),
            // Two million states a second.
            ("explore/exhaustive", "journal", _, Statistic::Median) => Self::Nanoseconds(500.0),
            _ => return None,
        })
    }

    /// Whether the figure reaches it.
    #[must_use]
    pub fn is_met(self, figure: &Ratio) -> bool {
        match self {
            Self::Ratio(most) => figure.ratio.middle <= most,
            Self::Nanoseconds(most) => figure.nanoseconds < most,
        }
    }
}
