//! `stress check`: a history, judged by what it says alone.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use models::verdict::Verdict;
use serde::Serialize;

use super::exit::Exit;
use super::export;
use super::span;
use crate::failure::Failure;
use crate::history::failover::Bound;
use crate::history::reader::{LINE_BYTES_MAX, Reader};

/// How many findings are told to people; all are counted.
const TOLD_MAX: usize = 20;

/// The options of `stress check`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The history: lines of JSON as a campaign exports them, or - for stdin
    history: PathBuf,
    /// How long may pass between the end of a tenure and the next one at most
    #[arg(long, value_parser = span::parse, value_name = "SPAN")]
    failover_max: Option<Duration>,
    /// How many times the median wake-up of a bare lock the median failover after a death may take; the history tells both
    /// [default: eight for each instance]
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    failover_factor: Option<f64>,
    /// Write the report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
}

fn parse_factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        _ => Err("give a positive number".into()),
    }
}

/// What was found in a history.
#[derive(Debug, Serialize)]
struct Report {
    verdict: Verdict,
    lines: u64,
    rounds: u64,
    tenures: u64,
    events: u64,
    violations: u64,
    failover: Bound,
    /// What was found, the first of it.
    findings: Vec<String>,
}

/// Checks a history: violated where anything in it breaks a promise, inconclusive where it is cut, damaged or empty.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let failure = |call| {
        Failure::environment::<std::io::Error>(arguments.history.display(), call, "give a file that can be read")
    };
    let mut input: Box<dyn BufRead> = if arguments.history.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(1 << 20, File::open(&arguments.history).map_err(failure("open"))?))
    };
    let mut reader = Reader::new(arguments.failover_max, arguments.failover_factor);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).map_err(failure("read"))? == 0 {
            break;
        }
        if line.len() == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            input.skip_until(b'\n').map_err(failure("read"))?;
        }
        reader.take(&line);
    }
    let report = report(reader);
    for finding in report.findings.iter().take(TOLD_MAX) {
        eprintln!("{finding}");
    }
    let Report { verdict, lines, rounds, tenures, events, violations, failover, findings: _ } = &report;
    if !failover.is_empty() {
        eprintln!("failover after a death: {failover}");
    }
    eprintln!("{verdict}: {lines} lines, {rounds} rounds, {tenures} tenures, {events} events; {violations} violations");
    if let Some(target) = &arguments.export_json {
        export::json(target, &report)?;
    }
    Ok(report.verdict.into())
}

fn report(reader: Reader) -> Report {
    let found = reader.finish();
    let verdict = if found.violations > 0 {
        Verdict::Violated
    } else if found.doubts > 0 {
        Verdict::Inconclusive
    } else {
        Verdict::Holds
    };
    Report {
        verdict,
        lines: found.lines,
        rounds: found.rounds,
        tenures: found.tenures,
        events: found.events,
        violations: found.violations,
        failover: found.failover,
        findings: found.findings,
    }
}
