//! `stress merge`: the reports of a campaign's shards as one.

use std::path::PathBuf;

use models::export::Export;

use super::exit::Exit;
use crate::campaign::Report;
use crate::failure::Failure;

/// The options of `stress merge`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Reports that campaigns wrote by --export-json, each with its --shard
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Write the joined report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
}

/// Joins the reports, and ends as one campaign would have ended that ran all of it.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let json = arguments.export_json.as_deref().map(Export::open).transpose()?;
    let mut reports = Vec::new();
    for path in &arguments.reports {
        let failure = |call| {
            Failure::environment::<std::io::Error>(path.display(), call, "give a report that a campaign exported")
        };
        let text = std::fs::read(path).map_err(failure("read"))?;
        let report: Report = serde_json::from_slice(&text).map_err(|error| failure("parse")(error.into()))?;
        reports.push(report);
    }
    let report = Report::merge(&reports).map_err(Failure::Usage)?;
    eprintln!("{report}");
    let exported = json.map_or(Ok(()), |json| json.write(&report.to_json()));
    Exit::after(report.verdict, exported.map_err(Failure::from))
}
