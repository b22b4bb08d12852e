//! The command line of the checkers. People read standard error, machines standard output and files.

mod export;
mod progress;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use models::explore::search::Checked;
use models::explore::{self, Space};
use models::story::{Story, page};
use models::threads::{self, loom, shuttle};
use models::verdict::{Report, Verdict};
use models::zoo::{self, PROTOCOLS, Protocol};
use stateright::Model as _;

use crate::export::Export;
use crate::progress::Progress;

/// Checks the election, and protocols that are known to be wrong, over every interleaving.
///
/// Exit codes: 0 what was to be found was found, 1 it was not, 2 usage, 3 inconclusive, 4 the environment failed.
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
    List,
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
    /// A protocol by its name, see `models list`; or all.
    #[arg(long, default_value = "journal")]
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
    /// Shuttle: where its randomness starts. A run is determined by it and by the other options.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shuttle: where a failing schedule is saved, for `models replay`.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Writes what was found as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Writes the counterexample as a page for a browser.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
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

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Environment(error)
    }
}

fn run(command_line: CommandLine) -> Result<Verdict, Failure> {
    match command_line.command {
        Command::Check(options) => check(&options),
        Command::List => {
            eprint!("{}", list());
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
            serve(&address, usize::from(registrants), crashes)?;
            Ok(Verdict::Holds)
        }
    }
}

fn check(options: &Check) -> Result<Verdict, Failure> {
    let protocols: Vec<&'static Protocol> = if options.protocol == "all" {
        PROTOCOLS.iter().collect()
    } else {
        let unknown = || Failure::Usage(format!("no protocol is called {:?}; see `models list`", options.protocol));
        vec![zoo::find(&options.protocol).ok_or_else(unknown)?]
    };
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
    eprintln!(
        "models check --protocol {protocol} --checker {} --registrants {registrants} --crashes {crashes} \
         --restarts {restarts} --preemptions {preemptions} --schedules {schedules} --seed {seed}",
        checker.name(),
    );
    // Before the run, so that an unwritable path costs no run.
    let json = export_json.as_deref().map(Export::open).transpose()?;
    let trace = trace.as_deref().map(Export::open).transpose()?;

    let interrupted = interrupts()?;
    let mut reports = Vec::new();
    // One checker after another: the panic hook that shuttle leaves behind would tell of every execution under loom.
    let runs: Vec<_> = checker
        .each()
        .into_iter()
        .flat_map(|checker| protocols.iter().map(move |protocol| (*protocol, checker)))
        .collect();
    for (protocol, checker) in &runs {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        let report = check_one(protocol, *checker, options, &interrupted)?;
        eprint!("{}", summary(&report));
        if let Some(story) = Story::of(&report) {
            eprintln!("{}", story.timeline());
        }
        reports.push(report);
    }

    reports.sort_by_key(|report| protocols.iter().position(|protocol| protocol.name == report.protocol));

    if let Some(json) = json {
        let mut text = serde_json::to_vec_pretty(&reports).context("serializing the reports")?;
        text.push(b'\n');
        json.write(&text)?;
    }
    if let Some(trace) = trace {
        match reports.iter().rev().find_map(Story::of) {
            Some(story) => trace.write(page(&story).as_bytes())?,
            None => eprintln!("no promise was broken: there is no counterexample to write"),
        }
    }
    if options.protocol != "all" {
        let any = |verdict| reports.iter().any(|report| report.verdict == verdict);
        return Ok(if any(Verdict::Violated) {
            Verdict::Violated
        } else if any(Verdict::Inconclusive) || reports.len() < runs.len() {
            Verdict::Inconclusive
        } else {
            Verdict::Holds
        });
    }
    eprint!("{}", table(&reports));
    let mismatch =
        reports.iter().any(|report| report.verdict != report.expected && report.verdict != Verdict::Inconclusive);
    let unfinished = reports.len() < runs.len() || reports.iter().any(|report| report.verdict == Verdict::Inconclusive);
    Ok(match (mismatch, unfinished) {
        (true, _) => Verdict::Violated,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Holds,
    })
}

fn check_one(
    protocol: &'static Protocol,
    checker: Checker,
    options: &Check,
    interrupted: &AtomicBool,
) -> Result<Report, Failure> {
    let registrants = usize::from(options.registrants);
    if checker == Checker::Exhaustive || checker == Checker::All {
        let bounds = explore::Bounds { registrants, crashes: options.crashes, restarts: options.restarts };
        let mut progress = Progress::new(protocol.name);
        let report = explore::check(protocol, bounds, |space, states| {
            progress.show(space.about, states);
            !interrupted.load(Ordering::Relaxed)
        });
        progress.finish();
        return Ok(report);
    }
    // A broken protocol needs no more instances than break it.
    let registrants = if protocol.broken_by.is_some() { protocol.needs.instances } else { registrants };
    let bounds = threads::Bounds {
        preemptions: Some(usize::from(options.preemptions)),
        schedules: usize::try_from(options.schedules).unwrap_or(usize::MAX),
        seed: options.seed,
        ..threads::Bounds::of(protocol, registrants)
    };
    if checker == Checker::Loom {
        // What tries again and again multiplies the schedules: a fourth instance of the zoo's correct ones adds nothing but those.
        let registrants = if protocol.name == "journal" { registrants } else { registrants.min(3) };
        return Ok(loom::check(protocol, &threads::Bounds { registrants, ..bounds }));
    }
    let bounds = threads::Bounds {
        crashes: if protocol.broken_by.is_some() { bounds.crashes } else { usize::from(options.crashes) },
        ..bounds
    };
    let (report, saved) = shuttle::check(protocol, &bounds, options.save.as_deref()).context("saving a schedule")?;
    if let Some(saved) = saved {
        eprintln!("replay it with: models replay {}", saved.display());
    }
    Ok(report)
}

impl Checker {
    /// The checkers that it stands for.
    fn each(self) -> Vec<Self> {
        match self {
            Self::All => vec![Self::Exhaustive, Self::Loom, Self::Shuttle],
            one => vec![one],
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Ctrl-C ends the run with what it found so far.
fn interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("handling Ctrl-C")?;
    Ok(interrupted)
}

fn serve(address: &str, registrants: usize, crashes: u8) -> Result<(), Failure> {
    let journal = zoo::find("journal").ok_or_else(|| Failure::Usage("there is no journal".into()))?;
    let space = Space { about: "crashes", crashes, events: 1, ..Space::race(journal, registrants) };
    // stateright panics where it cannot listen, so it is tried before.
    drop(
        std::net::TcpListener::bind(address)
            .with_context(|| format!("listening on {address}; choose another --address"))?,
    );
    eprintln!("{space}\nopen http://{address} in a browser; Ctrl-C ends it");
    Checked(Arc::new(explore::check::world(space))).checker().serve(address);
    Ok(())
}

/// What a report comes to, in a few lines.
fn summary(report: &Report) -> String {
    let Report { protocol, checker, registrants, crashes, expected, verdict, complete, .. } = report;
    let Report { states, executions, behaviours, seconds, why, parts, counterexample: _, .. } = report;
    let mut text = format!(
        "{protocol}: {verdict} ({checker}, expected: {expected}), {registrants} registrants, {crashes} crashes, "
    );
    for (count, what) in [(states, "states"), (executions, "executions"), (behaviours, "behaviours")] {
        if let Some(count) = count {
            let _ = write!(text, "{count} {what}, ");
        }
    }
    let _ = writeln!(text, "{seconds:.1} s{}", if *complete { ", all there are" } else { "" });
    if parts.len() > 1 {
        for part in parts {
            let _ = writeln!(
                text,
                "  {:<50} {:<12} {:>10} states {:>6.1} s  {}",
                part.about, part.verdict, part.states, part.seconds, part.bounds
            );
        }
    }
    if let Some(why) = why {
        let _ = writeln!(text, "  {why}");
    }
    text
}

/// Every protocol, expected against found.
fn table(reports: &[Report]) -> String {
    let mut text = format!(
        "\n{:<20} {:<12} {:<14} {:<14} {:>10}  steps\n",
        "protocol", "checker", "expected", "found", "looked at"
    );
    for report in reports {
        let mark = if report.verdict == report.expected { "" } else { "  <- not as expected" };
        let _ = writeln!(
            text,
            "{:<20} {:<12} {:<14} {:<14} {:>10}  {}{mark}",
            report.protocol,
            report.checker,
            report.expected,
            report.verdict,
            report.states.or(report.executions).unwrap_or_default(),
            report.counterexample.len()
        );
    }
    text
}

fn list() -> String {
    let mut text = String::from("Protocols\n");
    for protocol in PROTOCOLS {
        let _ = writeln!(text, "  {:<20} {}: {}", protocol.name, protocol.expected(), protocol.summary);
        if let Some(broken_by) = protocol.broken_by {
            let _ = writeln!(text, "  {:<20} broken by {broken_by}", "");
        }
    }
    text.push_str("Checkers\n");
    for checker in Checker::value_variants() {
        if let Some(value) = checker.to_possible_value() {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {:<20} {help}", value.get_name());
        }
    }
    text
}
