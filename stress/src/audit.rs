//! `stress audit`: how many entries each event has in a log that is there already.

mod batch;
mod floor;
mod key;
mod lines;
mod report;
mod scan;
mod tally;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use self::batch::{Batch, Finder, Fingerprint};
use self::key::KeyPath;
use self::lines::{Lines, Piece, unpacked};
pub(crate) use self::report::reading_of;
use self::report::{PassedOver, Report, Verdict};
use self::tally::{Counts, Offender, Tally, shown};
use crate::exit::{Exit, Failure};
use crate::export;

/// The options of `stress audit`.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("finder").required(true))]
pub(crate) struct Arguments {
    /// The log, gzipped or not; - is standard input
    log: PathBuf,
    /// Where a line of JSON names its event, such as `data.call_id`; a dot within a key is written \.
    #[arg(long, value_name = "PATH", group = "finder")]
    key: Option<KeyPath>,
    /// How a line of text names its event: the group called `event`, or the first one
    #[arg(long, value_name = "REGEX", group = "finder", value_parser = parse_pattern)]
    pattern: Option<Pattern>,
    /// How many entries an event is to have
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    expect: u64,
    /// Events that must be in the log, one a line, gzipped or not: without them nobody can see that one has no entry
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write the report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Measure as well how fast `serde_json` alone parses the same lines to the same field
    #[arg(long, requires = "key")]
    floor: bool,
}

/// A regular expression and the group of it that names the event.
#[derive(Clone, Debug)]
struct Pattern(Finder);

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    Finder::pattern(text).map(Pattern)
}

const STANDARD_INPUT: &str = "-";

/// Counts the entries of a log and judges them.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let finder = match (&arguments.key, &arguments.pattern) {
        (Some(path), _) => Finder::Key(path.clone()),
        (None, Some(Pattern(finder))) => finder.clone(),
        (None, None) => return Err(Failure::Usage("give --key or --pattern".into())),
    };
    if arguments.floor && is_standard_input(&arguments.log) {
        return Err(Failure::Usage("--floor reads the log twice; give it as a file".into()));
    }
    let begun = Instant::now();
    let mut report = audit(arguments, &finder)?;
    report.seconds = begun.elapsed().as_secs_f64();
    report.lines_per_second = rate(report.lines, report.seconds);
    if let (true, Some(path)) = (arguments.floor, &arguments.key) {
        report.floor_lines_per_second =
            Some(floor::lines_per_second(&arguments.log, path).map_err(unreadable(&arguments.log))?);
    }
    eprint!("{report}");
    if let Some(floor) = report.floor_lines_per_second {
        let rate = report.lines_per_second;
        eprintln!("Rate: {rate:.0} lines/s; serde_json alone: {floor:.0} lines/s; ratio {:.2}", rate / floor);
    }
    if let Some(target) = &arguments.export_json {
        export::json(target, &report)?;
    }
    Ok(match report.verdict {
        Verdict::Holds => Exit::Holds,
        Verdict::Violated => Exit::Violated,
        Verdict::Inconclusive => Exit::Inconclusive,
    })
}

fn audit(arguments: &Arguments, finder: &Finder) -> Result<Report, Failure> {
    let fingerprint = Fingerprint::random();
    let mut tally = Tally::new(arguments.expect);
    if let Some(list) = &arguments.events {
        if is_standard_input(list) && is_standard_input(&arguments.log) {
            return Err(Failure::Usage("only one of the log and --events can be standard input".into()));
        }
        scan::scan(open(list, "the list")?, &Finder::Line, fingerprint, |batch| tally.list(batch))
            .map_err(unreadable(list))?;
        tally.end_list();
    }
    let mut passed_over = PassedOver::default();
    let mut torn_tail = false;
    scan::scan(open(&arguments.log, "the log")?, finder, fingerprint, |batch| {
        tally.count(batch);
        passed_over.add(batch);
        torn_tail = batch.torn;
    })
    .map_err(unreadable(&arguments.log))?;
    let mut counts = tally.finish();
    let Counts { fewer, missing, .. } = &mut counts;
    name(fewer, &arguments.log, finder, fingerprint).map_err(unreadable(&arguments.log))?;
    if let Some(list) = &arguments.events {
        name(missing, list, &Finder::Line, fingerprint).map_err(unreadable(list))?;
    }
    let log = if is_standard_input(&arguments.log) {
        "standard input".to_owned()
    } else {
        arguments.log.display().to_string()
    };
    Ok(Report::new(log, arguments.expect, counts, passed_over, torn_tail))
}

/// Lines per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is rounded")]
fn rate(lines: u64, seconds: f64) -> f64 {
    lines as f64 / seconds.max(f64::EPSILON)
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::environment(path.display(), "read", "give a file that can be read to its end, or - for standard input")
}

/// Opens a log, with a bar that shows on a terminal how far it has been read.
fn open(path: &Path, what: &'static str) -> Result<Box<dyn Read + Send>, Failure> {
    let read = || -> io::Result<Box<dyn Read + Send>> {
        if is_standard_input(path) {
            return unpacked(progress(None, what).wrap_read(io::stdin()));
        }
        let file = File::open(path)?;
        let status = file.metadata()?;
        let bytes = status.is_file().then_some(status.len());
        unpacked(progress(bytes, what).wrap_read(file))
    };
    read().map_err(unreadable(path))
}

fn progress(bytes: Option<u64>, what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    bar.with_style(style).with_message(what).with_finish(indicatif::ProgressFinish::AndClear)
}

/// Reads a file again for the texts of events of which only the line is known. What cannot be read twice stays unnamed.
fn name(offenders: &mut [Offender], path: &Path, finder: &Finder, fingerprint: Fingerprint) -> io::Result<()> {
    if offenders.is_empty() || is_standard_input(path) || !std::fs::metadata(path)?.is_file() {
        return Ok(());
    }
    let mut lines = Lines::new(unpacked(File::open(path)?)?);
    let mut before = 0;
    while let Some(piece) = lines.next()?
        && offenders.iter().any(|offender| offender.lines[0] > before)
    {
        let batch = match piece {
            Piece::Block(block) => {
                let count = memchr::memchr_iter(b'\n', &block).count() as u64;
                if !offenders.iter().any(|offender| (before..=before + count).contains(&(offender.lines[0] - 1))) {
                    before += count;
                    continue;
                }
                Batch::of(&block, finder, fingerprint)
            }
            Piece::Long(line) => Batch::of_long(line, finder, fingerprint)?,
        };
        for (line, entry, event) in batch.entries() {
            for offender in offenders.iter_mut().filter(|offender| offender.is(before + line + 1, entry)) {
                offender.event = Some(shown(event));
            }
        }
        before += batch.lines;
    }
    Ok(())
}
