//! Two summaries, one earlier and one later.

use crate::ratio::{Key, Ratio};
use crate::results::Spread;
use crate::summary::Summary;

/// A ratio that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// Of what.
    pub key: Key,
    /// What it was.
    pub before: Spread,
    /// What it is.
    pub after: Spread,
}

/// How a summary differs from an earlier one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Ratios that have grown beyond their spread: the election has become slower, in proportion.
    pub worse: Vec<Move>,
    /// Ratios that have shrunk beyond it.
    pub better: Vec<Move>,
    /// Ratios that only one of the two has.
    pub unmatched: Vec<Key>,
    /// How many both have.
    pub compared: usize,
}

/// Which ratios have moved beyond their spread.
#[must_use]
pub fn compare(before: &Summary, after: &Summary) -> Comparison {
    let mut comparison = Comparison::default();
    let find = |ratios: &[Ratio], key: &Key| ratios.iter().find(|ratio| ratio.key == *key).map(|ratio| ratio.ratio);
    for Ratio { key, ratio: now, .. } in &after.ratios {
        let Some(then) = find(&before.ratios, key) else {
            comparison.unmatched.push(key.clone());
            continue;
        };
        comparison.compared += 1;
        let moved = Move { key: key.clone(), before: then, after: *now };
        if !is_within(now.middle, then) && !is_within(then.middle, *now) {
            if now.middle > then.middle { &mut comparison.worse } else { &mut comparison.better }.push(moved);
        }
    }
    let gone = before.ratios.iter().filter(|ratio| find(&after.ratios, &ratio.key).is_none());
    comparison.unmatched.extend(gone.map(|ratio| ratio.key.clone()));
    comparison
}

fn is_within(value: f64, spread: Spread) -> bool {
    (spread.low..=spread.high).contains(&value)
}
