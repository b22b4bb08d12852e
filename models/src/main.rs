//! The command line of the checkers. People read standard error, machines standard output and files.

mod progress;
mod serve;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum};
use models::export::{Export, Unwritable};
use models::states::plan::plan;
use models::states::{self, Space};
use models::story::{Story, page};
use models::threads::{self, loom, shuttle};
use models::verdict::{Report, Verdict};
use models::zoo::{self, PROTOCOLS, Protocol};

use crate::progress::Progress;
use crate::serve::serve;
use crate::summary::{list, summary, table};

/// Checks the election, and protocols that are known to be wrong, over every interleaving.
///
/// Exit codes: 0 holds, 1 violated, 2 usage, 3 inconclusive, 4 the environment failed. Of all protocols at once: 0 each came
/// to what it must, 1 one did not.
#[derive(Debug, Parser)]
#[command(version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks one protocol, or all of them against what each must come to.
    Check(Check),
    /// Says which protocols and checkers there are.
    List {
        /// Says instead what is promised, what can break it, and which edit of the code this is shown to notice.
        #[arg(long)]
        promises: bool,
    },
    /// Runs a schedule again that shuttle saved, and tells what comes of it: 1 where it fails again.
    Replay {
        /// The saved schedule.
        file: PathBuf,
    },
    /// Opens stateright's Explorer on the journal protocol, in a browser.
    Serve {
        /// Where to listen.
        #[arg(long, default_value = "localhost:3000")]
        address: String,
        /// How many instances take part.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=6))]
        registrants: u8,
        /// How many of their processes crash.
        #[arg(long, default_value_t = 1)]
        crashes: u8,
    },
}

#[derive(Debug, clap::Args)]
struct Check {
    /// A protocol by its name, see `models list`; or all of them, against what each must come to.
    #[arg(long, default_value = "journal", value_parser = protocol_names(), hide_possible_values = true)]
    protocol: String,
    /// How to look.
    #[arg(long, value_enum, default_value_t = Checker::Exhaustive)]
    checker: Checker,
    /// How many instances take part. A broken protocol is refuted with as few as it needs.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=6))]
    registrants: u8,
    /// How many of their processes crash, at any moment.
    #[arg(long, default_value_t = 4)]
    crashes: u8,
    /// How many instances are started after that.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    restarts: u8,
    /// Loom: how often a thread is interrupted where it could go on.
    #[arg(long, default_value_t = 3)]
    preemptions: u8,
    /// Shuttle: how many schedules each of its three schedulers tries.
    #[arg(long, default_value_t = 20_000)]
    schedules: u32,
    /// Shuttle: where its randomness starts. What is found follows from it and the other options.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shuttle: where a failing schedule is saved, for `models replay`.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Writes what was found as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Writes the counterexample as a page for a browser; of several, the first one.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

fn protocol_names() -> PossibleValuesParser {
    PossibleValuesParser::new(PROTOCOLS.iter().map(|protocol| protocol.name).chain(["all"]))
}

/// How to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checker {
    /// Every state there is.
    Exhaustive,
    /// Every schedule of threads up to a number of preemptions.
    Loom,
    /// Random schedules of threads.
    Shuttle,
    /// All checkers.
    All,
}

fn main() -> ExitCode {
    match run(CommandLine::parse()) {
        Ok(verdict) => match verdict {
            Verdict::Holds => ExitCode::SUCCESS,
            Verdict::Violated => ExitCode::from(1),
            Verdict::Inconclusive => ExitCode::from(3),
        },
        Err(Failure::Usage(why)) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Environment(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::from(4)
        }
    }
}

/// Why there is no verdict.
#[derive(Debug)]
enum Failure {
    Usage(String),
    Environment(anyhow::Error),
}

impl From<Unwritable> for Failure {
    fn from(unwritable: Unwritable) -> Self {
        Self::from(anyhow::Error::from(unwritable))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

fn run(command_line: CommandLine) -> Result<Verdict, Failure> {
    match command_line.command {
        Command::Check(options) => check(&options),
        Command::List { promises } => {
            eprint!("{}", if promises { summary::promises() } else { list() });
            Ok(Verdict::Holds)
        }
        Command::Replay { file } => {
            let report = shuttle::replay(&file).context("replaying")?;
            eprint!("{}", summary(&report));
            if let Some(story) = Story::of(&report) {
                eprintln!("{}", story.timeline());
            }
            Ok(report.verdict)
        }
        Command::Serve { address, registrants, crashes } => {
            match serve(find("journal")?, &address, usize::from(registrants), crashes)? {}
        }
    }
}

fn find(name: &str) -> Result<&'static Protocol, Failure> {
    zoo::find(name).ok_or_else(|| Failure::Usage(format!("no protocol is called {name:?}; see `models list`")))
}

fn check(options: &Check) -> Result<Verdict, Failure> {
    let protocols: Vec<&'static Protocol> =
        if options.protocol == "all" { PROTOCOLS.iter().collect() } else { vec![find(&options.protocol)?] };
    let Check {
        protocol,
        checker,
        registrants,
        crashes,
        restarts,
        preemptions,
        schedules,
        seed,
        save: _,
        export_json,
        trace,
    } = options;
    let interrupted = interrupts()?;
    eprintln!(
        "models check --protocol {protocol} --checker {} --registrants {registrants} --crashes {crashes} \
         --restarts {restarts} --preemptions {preemptions} --schedules {schedules} --seed {seed}",
        checker.name(),
    );
    let stdout = Some(Path::new("-"));
    if export_json.as_deref() == stdout && trace.as_deref() == stdout {
        return Err(Failure::Usage("--export-json and --trace cannot both be standard output".into()));
    }
    // Before the run, so that an unwritable path costs no run.
    let json = export_json.as_deref().map(Export::open).transpose()?;
    let trace = trace.as_deref().map(Export::open).transpose()?;

    let mut reports = Vec::new();
    let runs: Vec<_> =
        protocols.iter().flat_map(|protocol| checker.each().map(move |checker| (*protocol, checker))).collect();
    for (number, (protocol, checker)) in (1..).zip(&runs) {
        if interrupted.load(Ordering::Relaxed) {
            eprintln!("interrupted: {} of {} checks were begun", reports.len(), runs.len());
            break;
        }
        let place = format!("{number}/{} {}, {}", runs.len(), protocol.name, checker.name());
        let mut report = check_one(protocol, *checker, place, options, &interrupted)?;
        // The exhaustive check of a protocol comes before the others.
        for earlier in &reports {
            report.compare(earlier);
        }
        eprint!("{}", summary(&report));
        // One counterexample of each protocol is enough: the shortest, which is found first.
        let is_told =
            reports.iter().any(|told: &Report| told.protocol == report.protocol && told.verdict == report.verdict);
        if let Some(story) = Story::of(&report).filter(|_| !is_told) {
            eprintln!("{}", story.timeline());
        }
        reports.push(report);
    }

    if let Some(json) = json {
        let exported: Vec<_> = reports.iter().map(Report::exported).collect();
        let mut text = serde_json::to_vec_pretty(&exported).context("serializing the reports")?;
        text.push(b'\n');
        json.write(&text)?;
    }
    if let Some(trace) = trace {
        match reports.iter().find_map(Story::of) {
            Some(story) => trace.write(page(&story).as_bytes())?,
            None => eprintln!("no promise was broken: there is no counterexample to write"),
        }
    }
    let any = |admitted: fn(&Report) -> bool| reports.iter().any(admitted);
    let is_unfinished = reports.len() < runs.len() || any(|report| report.verdict == Verdict::Inconclusive);
    if runs.len() > 1 {
        eprint!("{}", table(&reports));
    }
    let is_violated = if options.protocol == "all" {
        any(|report| report.verdict != report.expected && report.verdict != Verdict::Inconclusive)
    } else {
        any(|report| report.verdict == Verdict::Violated)
    };
    Ok(match (is_violated, is_unfinished) {
        (true, _) => Verdict::Violated,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Holds,
    })
}

fn check_one(
    protocol: &'static Protocol,
    checker: Checker,
    place: String,
    options: &Check,
    interrupted: &Arc<AtomicBool>,
) -> Result<Report, Failure> {
    // A broken protocol needs no more instances than break it.
    let is_broken = protocol.broken_by.is_some();
    let registrants = usize::from(options.registrants);
    let bounds = threads::Bounds {
        preemptions: Some(usize::from(options.preemptions)),
        schedules: usize::try_from(options.schedules).unwrap_or(usize::MAX),
        seed: options.seed,
        ..threads::Bounds::of(protocol, if is_broken { protocol.needs.instances } else { registrants })
    };
    let (counted, total) = match checker {
        Checker::Exhaustive | Checker::All => ("states", None),
        Checker::Loom => ("executions", None),
        Checker::Shuttle => ("schedules", Some((shuttle::SCHEDULERS * bounds.schedules) as u64)),
    };
    let progress = Arc::new(Progress::new(place, counted, total));
    let goes_on = {
        let (progress, interrupted) = (progress.clone(), interrupted.clone());
        move |part: &str, count: u64| {
            progress.show(part, count);
            !interrupted.load(Ordering::Relaxed)
        }
    };
    let mut saved = None;
    let report = match checker {
        Checker::Exhaustive | Checker::All => {
            let bounds = states::Bounds { registrants, crashes: options.crashes, restarts: options.restarts };
            let parts: Vec<Space> = plan(protocol, bounds.registrants, bounds.crashes, bounds.restarts);
            states::check(protocol, bounds, |space, states| {
                let number = parts.iter().position(|part| part.about == space.about).unwrap_or_default() + 1;
                goes_on(&format!("part {number} of {}, {}", parts.len(), space.about), states)
            })
        }
        Checker::Loom => loom::check_while(protocol, &bounds, move |executions| goes_on("", executions)),
        Checker::Shuttle => {
            let crashes = if is_broken { bounds.crashes } else { usize::from(options.crashes) };
            let bounds = threads::Bounds { crashes, ..bounds };
            let directory = options.save.as_deref();
            let (report, file) =
                shuttle::check_while(protocol, &bounds, directory, move |schedules| goes_on("", schedules))
                    .context("saving a schedule; give another --save")?;
            saved = file;
            report
        }
    };
    progress.finish();
    if let Some(saved) = saved {
        eprintln!("replay it with: models replay {}", saved.display());
    }
    Ok(report)
}

impl Checker {
    /// The checkers that it stands for.
    fn each(self) -> impl Iterator<Item = Self> {
        let all = [Self::Exhaustive, Self::Loom, Self::Shuttle];
        all.into_iter().filter(move |one| self == Self::All || self == *one)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Ctrl-C ends the run with what it found so far; another one ends it at once.
fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(3);
        }
    };
    ctrlc::set_handler(handler).context("handling Ctrl-C")?;
    Ok(interrupted)
}
