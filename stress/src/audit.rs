//! `stress audit`: how many entries each event has in a log that is there already.
//!
//! A log is unpacked (`unpack`), decoded (`encoding`) and read in order (`window`), as JSON (`json_log`, `key`) or as text
//! (`text_log`). What each line says goes into the `ledger`: entries into the `tally`, and what is not understood by what it
//! `looks` like. What the numbers mean (`reading`) is told from where they change (`stretches`) and from what is there again
//! (`repeats`). Memory holds some of the log, 60 to 120 bytes an event (half as much again while the table grows), at most
//! 128 MiB of names, and what unpacking asks for.

mod chart;
mod encoding;
mod event;
mod find;
mod floor;
mod hint;
mod json_log;
mod key;
mod ledger;
mod looks;
#[cfg(test)]
mod naive;
mod objects;
mod page;
mod peek;
mod period;
mod reading;
mod repeats;
mod report;
mod rotation;
mod source;
mod stretches;
mod summary;
mod tally;
mod text_log;
mod unpack;
mod window;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use models::export::Export;
use models::verdict::Verdict;
use rustix::time::{ClockId, clock_gettime};

use self::floor::Taken;
use self::key::{Key, KeyPath};
use self::ledger::Ledger;
use self::period::Period;
pub(crate) use self::reading::reading_of;
use self::report::{Log, Read, Report, Speed};
use self::source::{is_standard_input, name_of};
use self::tally::Tally;
use self::text_log::Pattern;
use self::unpack::Forms;
use self::window::{End, Window};
use crate::cli::exit::Exit;
use crate::cli::export;
use crate::cli::interrupt::flag_of_signals;
use crate::failure::Failure;

/// The options of `stress audit`.
///
/// Logs may be compressed (gzip, zstd, xz, bzip2), in UTF-8, UTF-16 or Latin-1, and their JSON one value a line, indented, in
/// arrays, behind other text or within strings. What is not understood is counted and shown, and nothing is said to hold.
/// Needs some 100 bytes of memory an event and at most 128 MiB for their names.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("finder").required(true), after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The logs, in order; the files of a rotated log are put in order, the oldest first; - is standard input
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Where JSON names its event, such as `data.call_id`, `Records.*.id` or, with several fields, `job,minute`
    ///
    /// A name goes on into every element of an array and into JSON within a string; a number takes one element, and * every
    /// one. Keys with dots in them are found as well. A dot within a key can also be written \. (and a comma \, and a star
    /// \*, and a backslash \\). The number 7 and the text "7" are two events.
    #[arg(long, value_name = "PATH", group = "finder")]
    key: Option<Key>,
    /// How a line of text names its event: the group called `event`, or the first one; every match in a line counts
    #[arg(long, value_name = "REGEX", group = "finder", value_parser = Pattern::new)]
    pattern: Option<Pattern>,
    /// One event happens in each minute, hour, day or span such as 5m, counted in UTC: --key job --time at --per minute
    #[arg(long, value_name = "PERIOD")]
    per: Option<Period>,
    /// Where JSON says when an entry was made; with --pattern that is the group called `time`
    #[arg(long, value_name = "PATH", requires = "per", requires = "key")]
    time: Option<KeyPath>,
    /// How many entries an event is to have
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    expect: u64,
    /// Events that must be in the log, one a line: without them nobody can see that one has no entry
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Judge what was understood, and pass over what was not
    #[arg(long)]
    lenient: bool,
    /// Write the report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Write the report as a page to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_html: Option<PathBuf>,
    /// Measure as well how fast `serde_json` alone passes over the same lines, in turns with the audit
    #[arg(long, requires = "key")]
    floor: bool,
}

const EXAMPLES: &str = "Examples:
  stress audit realtime.log --key data.call_id
  stress audit app.log app.log.1 app.log.2.gz --key 'trace.id' --events expected.txt
  stress audit cron.log --pattern '^(?<time>\\S+ \\S+) ran (?<event>\\w+)' --per minute
  kubectl logs my-pod | stress audit - --key job,run";

/// What names the events.
#[derive(Clone, Debug)]
enum Finder {
    Key(Key),
    Pattern(Pattern),
}

impl Finder {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let Arguments { key, pattern, per, time, .. } = arguments;
        match (key, pattern, per, time) {
            (Some(key), _, None, _) => Ok(Self::Key(key.clone())),
            (Some(key), _, Some(period), Some(time)) => Ok(Self::Key(key.clone().per(time.clone(), *period))),
            (Some(_), _, Some(_), None) => {
                Err(Failure::Usage("--per with --key needs --time, such as --time timestamp".into()))
            }
            (None, Some(pattern), None, _) => Ok(Self::Pattern(pattern.clone())),
            (None, Some(pattern), Some(period), _) => {
                pattern.clone().per(*period).map(Self::Pattern).map_err(Failure::Usage)
            }
            (None, None, ..) => Err(Failure::Usage("give --key or --pattern".into())),
        }
    }
}

/// Counts the entries of logs and judges them.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let finder = Finder::new(arguments)?;
    let inputs = arguments.logs.iter().chain(&arguments.events);
    if inputs.filter(|path| is_standard_input(path)).count() > 1 {
        return Err(Failure::Usage("only one of the logs and --events can be standard input".into()));
    }
    refuse_same_file(&arguments.logs)?;
    let interrupt = flag_of_signals()?;
    let (begun, processor) = (Instant::now(), processor_time());
    let mut floor = arguments.floor.then(Taken::default);
    let mut report = audit(arguments, &finder, floor.as_mut(), &interrupt)?;
    let all =
        Taken { lines: report.lines, time: begun.elapsed(), processor: processor_time().saturating_sub(processor) };
    report.speed = Speed::new(all, floor.filter(|_| !report.interrupted));
    tell(&report);
    let mut is_complete = !report.has_failure();
    if let Err(failure) = export(arguments, &report) {
        // The verdict stands, whoever is to be told of it.
        tell(&format_args!("error: {failure}\n"));
        is_complete = false;
    }
    Ok(if is_complete || report.verdict == Verdict::Violated { report.verdict.into() } else { Exit::Environment })
}

fn export(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    if let Some(target) = &arguments.export_json {
        export::json(target, report)?;
    }
    if let Some(target) = &arguments.export_html {
        Export::open(target)?.write(page::render(report).as_bytes())?;
    }
    Ok(())
}

fn audit(
    arguments: &Arguments,
    finder: &Finder,
    mut floor: Option<&mut Taken>,
    interrupt: &Arc<AtomicBool>,
) -> Result<Report, Failure> {
    let Arguments { logs, expect, events: list, lenient, .. } = arguments;
    let key = match finder {
        Finder::Key(key) => Some(key),
        Finder::Pattern(_) => None,
    };
    let mut ledger = Ledger::new(Tally::new(*expect), key.and_then(|key| key.first().last_name()));
    if let Some(list) = list {
        let source = source::open(list, "the list", &Forms::default(), interrupt).map_err(unreadable(list))?;
        let mut on_chunk = |_: &[u8]| {};
        let mut window = Window::new(source, interrupt.clone(), &mut on_chunk);
        text_log::read_list(&mut window, &mut ledger);
        if let Some(failure) = window.finish().failure {
            return Err(unreadable(list)(failure));
        }
        ledger.end_list();
    }
    let mut read = Read { logs: Vec::new(), expect: *expect, lenient: *lenient, torn_tail: false, interrupted: false };
    for path in rotation::in_order(logs) {
        let first_line = ledger.lines() + 1;
        let forms = Forms::default();
        let end = match source::open(&path, "the log", &forms, interrupt) {
            Ok(source) => {
                let mut on_chunk = |chunk: &[u8]| {
                    if let Some(floor) = &mut floor {
                        floor.measure(chunk);
                    }
                };
                let mut window = Window::new(source, interrupt.clone(), &mut on_chunk);
                match finder {
                    Finder::Key(key) => json_log::read(&mut window, key, &mut ledger),
                    Finder::Pattern(pattern) => text_log::read(&mut window, pattern, &mut ledger),
                }
                window.finish()
            }
            Err(error) => End { lines: 0, is_torn: false, failure: Some(error) },
        };
        ledger.end_log(end.lines);
        read.torn_tail |= end.is_torn;
        let failure = end.failure.map(|failure| {
            let told = failure.to_string();
            tell(&format_args!("error: {}\n", unreadable(&path)(failure)));
            told
        });
        read.logs.push(Log { name: name_of(&path), first_line, lines: end.lines, forms: forms.take(), failure });
    }
    read.interrupted = interrupt.load(Ordering::Relaxed);
    Ok(Report::new(ledger, read, key))
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Failure + use<> {
    Failure::environment(name_of(path), "read", "give a file that can be read to its end, or - for standard input")
}

/// Tells people. Where standard error is closed nobody listens, and the verdict is the same.
fn tell(what: &dyn Display) {
    let _ = write!(io::stderr(), "{what}");
}

/// A file that is given twice would seem to have every entry twice.
fn refuse_same_file(logs: &[PathBuf]) -> Result<(), Failure> {
    let identity = |path: &PathBuf| {
        path.metadata().ok().filter(std::fs::Metadata::is_file).map(|status| (status.dev(), status.ino()))
    };
    let known: Vec<_> = logs.iter().filter_map(|path| Some((path, identity(path)?))).collect();
    for (place, (path, file)) in known.iter().enumerate() {
        if let Some((other, _)) = known[..place].iter().find(|(_, earlier)| earlier == file) {
            let (path, other) = (path.display(), other.display());
            return Err(Failure::Usage(format!("{path} is the same file as {other}: give each log once")));
        }
    }
    Ok(())
}

/// How long this process has kept processors busy.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
