//! The part of the README that tells the stored summary's figures.

use crate::summary::Summary;
use crate::table;

/// Stands before the figures.
pub const START: &str = "<!-- figures: written by `ci/bench.sh --store` -->\n";

/// Stands behind them.
pub const END: &str = "<!-- end of figures -->\n";

/// The README with the summary's figures in place of those that it has; `None` where it has no place for them.
#[must_use]
pub fn with_figures(readme: &str, summary: &Summary) -> Option<String> {
    let (before, rest) = readme.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, START, &table::markdown(summary), END, after].concat())
}
