//! Sums up what `cargo bench` measured: ratios to the floor, and what has moved since a stored summary.
//!
//! Exit codes: 0 nothing has become worse, 1 a ratio has grown beyond its spread, 2 usage, 3 nothing was measured or nothing
//! could be compared, 4 a file cannot be read or written.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use benches::{comparison, ratio, readme, results, summary::Summary, table};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about, version)]
struct Arguments {
    /// Criterion's directory, with the results of one run
    #[arg(long, default_value = "target/criterion")]
    criterion: PathBuf,
    /// The stored summary to compare with
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Where the summary is written; `-` for the standard output
    #[arg(long)]
    export_json: Option<PathBuf>,
    /// The README whose figures are replaced by this run's
    #[arg(long)]
    export_readme: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(4)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Arguments { criterion, baseline, export_json, export_readme } = arguments;
    let summary = Summary::of(ratio::ratios(&results::read(criterion)?));
    if summary.ratios.is_empty() {
        eprintln!("inconclusive: {} has no benchmark beside its floor; run `cargo bench`", criterion.display());
        return Ok(ExitCode::from(3));
    }
    eprint!("{}", table::text(&summary));

    let mut code = ExitCode::SUCCESS;
    if let Some(path) = baseline {
        let before = Summary::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let comparison = comparison::compare(&before, &summary);
        eprint!("\n{}", table::moves(&comparison, &before, &summary));
        if comparison.compared == 0 {
            code = ExitCode::from(3);
        } else if !comparison.worse.is_empty() {
            code = ExitCode::from(1);
        }
    }
    if let Some(path) = export_json {
        write(path, &summary.to_json())?;
    }
    if let Some(path) = export_readme {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let text = readme::with_figures(&text, &summary).ok_or_else(|| {
            format!("{}: no place for figures; put the line {:?} there", path.display(), readme::START)
        })?;
        write(path, &text)?;
    }
    Ok(code)
}

/// Replaces a file as a whole, so that nobody reads half of it.
fn write(path: &PathBuf, text: &str) -> Result<(), String> {
    if path.as_os_str() == "-" {
        print!("{text}");
        return Ok(());
    }
    let temporary = path.with_extension("part");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}
