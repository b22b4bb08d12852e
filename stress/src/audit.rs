//! `stress audit`: how many entries each event has in a log that is there already.

#[cfg(test)]
mod arbitrary;
mod batch;
mod floor;
mod key;
mod lines;
mod naming;
mod ordinary;
mod reading;
mod report;
mod room;
mod scan;
mod source;
mod special;
mod table;
mod tally;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use self::batch::{Finder, Fingerprints};
use self::floor::{Floor, Taken};
use self::key::KeyPath;
pub(crate) use self::reading::reading_of;
use self::report::{Read, Report, Speed};
use self::source::is_standard_input;
use self::tally::{Counts, Tally};
use crate::cli::exit::Exit;
use crate::cli::export;
use crate::cli::interrupt::flag_of_signals;
use crate::failure::Failure;

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
    /// Measure as well how fast `serde_json` alone parses the same lines to the same field, in turns with the audit
    #[arg(long, requires = "key")]
    floor: bool,
}

/// A regular expression and the group of it that names the event.
#[derive(Clone, Debug)]
struct Pattern(Finder);

fn parse_pattern(text: &str) -> Result<Pattern, String> {
    Finder::pattern(text).map(Pattern)
}

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
    let interrupt = flag_of_signals()?;
    let mut floor = match (arguments.floor, &arguments.key) {
        (true, Some(path)) => Some(Floor::open(&arguments.log, path, &interrupt).map_err(unreadable(&arguments.log))?),
        _ => None,
    };
    let (begun, processor) = (Instant::now(), processor_time());
    let mut report = audit(arguments, &finder, floor.as_mut(), &interrupt)?;
    let all =
        Taken { lines: report.lines, time: begun.elapsed(), processor: processor_time().saturating_sub(processor) };
    report.speed = Speed::new(all, floor.map(|floor| floor.taken).filter(|_| !report.interrupted));
    eprint!("{report}");
    if let Some(target) = &arguments.export_json {
        export::json(target, &report)?;
    }
    Ok(report.verdict.into())
}

fn audit(
    arguments: &Arguments,
    finder: &Finder,
    mut floor: Option<&mut Floor<'_>>,
    interrupt: &AtomicBool,
) -> Result<Report, Failure> {
    let Arguments { log, expect, events: list, .. } = arguments;
    let fingerprints = Fingerprints::random();
    let mut tally = Tally::new(*expect);
    if let Some(list) = list {
        if is_standard_input(list) && is_standard_input(log) {
            return Err(Failure::Usage("only one of the log and --events can be standard input".into()));
        }
        let source = source::open(list, Some("the list"), interrupt).map_err(unreadable(list))?;
        scan::scan(source, &Finder::Line, &fingerprints, interrupt, |batch| {
            tally.list(batch);
            Ok(())
        })
        .map_err(unreadable(list))?;
        tally.end_list();
    }
    let mut read = Read::default();
    let source = source::open(log, Some("the log"), interrupt).map_err(unreadable(log))?;
    scan::scan(source, finder, &fingerprints, interrupt, |batch| {
        tally.count(batch);
        read.passed_over.add(batch);
        read.torn_tail = batch.torn;
        floor.as_mut().map_or(Ok(()), |floor| floor.step())
    })
    .map_err(unreadable(log))?;
    read.interrupted = interrupt.load(Ordering::Relaxed);
    let mut counts = tally.finish();
    let Counts { fewer, missing, .. } = &mut counts;
    naming::name(fewer, log, finder, &fingerprints, interrupt).map_err(unreadable(log))?;
    if let Some(list) = list {
        naming::name(missing, list, &Finder::Line, &fingerprints, interrupt).map_err(unreadable(list))?;
    }
    let name = if is_standard_input(log) { "standard input".to_owned() } else { log.display().to_string() };
    Ok(Report::new(name, *expect, counts, read))
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    Failure::environment(path.display(), "read", "give a file that can be read to its end, or - for standard input")
}

/// How long this process has kept processors busy.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
