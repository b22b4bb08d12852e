//! Reports as JSON, where a run has nothing else to export.

use std::path::Path;

use models::export::Export;
use serde::Serialize;

use crate::failure::Failure;

/// Writes a report as JSON to a file, which appears whole or not at all, or to stdout for `-`.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn json(target: &Path, report: &impl Serialize) -> Result<(), Failure> {
    let remedy = "report this: it is no JSON";
    let mut bytes = serde_json::to_vec_pretty(report)
        .map_err(|error| Failure::environment::<std::io::Error>(target.display(), "write", remedy)(error.into()))?;
    bytes.push(b'\n');
    Ok(Export::open(target)?.write(&bytes)?)
}
