//! `stress explore`: every order of the system calls of unmodified programs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use models::verdict::Verdict;
use serde::Serialize;

use super::exit::Exit;
use super::interrupt::flag_of_signals;
use super::{export, span};
use crate::campaign::{Workplace, workplace_parent};
use crate::explore::Reduction;
use crate::explore::execution::Stop;
use crate::explore::rules::{FaultKind, Rules, Threads, Timers};
use crate::explore::scenario::{AnySystem, Scenario, Subject};
use crate::explore::schedule::{Schedule, repeat};
use crate::explore::search::{Complete, Found, Limits, Phase, Progress, Seen, search};
use crate::explore::shrink::shrink;
use crate::explore::story::tell;
use crate::failure::Failure;

/// How often there is a line that says how far it is.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How long a violation is made smaller at most.
const SHRINK_MAX: Duration = Duration::from_secs(30);

/// The options of `stress explore`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Elect among copies of this program, which speaks the protocol of REGISTRANTS.md
    #[arg(long, value_name = "CMD", required_unless_present_any = ["protocol", "command"], conflicts_with_all = ["protocol", "command"])]
    registrant: Option<String>,
    /// Elect among native processes by a protocol of the zoo, or by `journal`
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    protocol: Option<String>,
    /// Run this program, which knows nothing of elections, beside the others that are given so; `{dir}`, `$EXPLORE_DIR` and
    /// its working directory are a fresh directory
    #[arg(long, value_name = "CMD", requires = "invariant")]
    command: Vec<String>,
    /// Have this command fill the directory before each execution
    #[arg(long, value_name = "CMD", requires = "command")]
    setup: Option<String>,
    /// Ask this command after each execution whether all is well: it ends with 0
    #[arg(long, value_name = "CMD", requires = "command")]
    invariant: Option<String>,
    /// Ask it whenever a step has changed anything, and not only at the end
    #[arg(long, requires = "invariant")]
    always: bool,
    /// Have the shell start the registrant
    #[arg(long, requires = "registrant")]
    shell: bool,
    /// How many copies elect among themselves
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=16))]
    registrants: u16,
    /// How many events each copy is told
    #[arg(long, default_value_t = 1)]
    events: usize,
    /// When a timer may fire
    #[arg(long, value_enum, default_value_t = Timers::Any)]
    timers: Timers,
    /// How often timers of one copy may fire in an execution
    #[arg(long, value_name = "N", default_value_t = 2)]
    timer_budget: u32,
    /// Which of the threads and children of a copy goes on
    #[arg(long, value_enum, default_value_t = Threads::First)]
    threads: Threads,
    /// What may go wrong at a call, separated by commas
    #[arg(long, value_enum, value_delimiter = ',')]
    faults: Vec<FaultKind>,
    /// How much may go wrong in one execution
    #[arg(long, value_name = "N", default_value_t = 1)]
    fault_budget: u32,
    /// Look at executions with at most so many preemptions only
    #[arg(long, value_name = "N")]
    bound: Option<u32>,
    /// End after so many executions
    #[arg(long, value_name = "N")]
    budget: Option<u64>,
    /// End after this time
    #[arg(long, default_value = "1m", value_parser = span::parse)]
    duration: Duration,
    /// How many executions are run at random first
    #[arg(long, value_name = "N", default_value_t = 48)]
    walks: u64,
    /// How many steps an execution may have
    #[arg(long, value_name = "N", default_value_t = 2000)]
    steps: usize,
    /// Look also at orders that differ from others in independent steps only
    #[arg(long, value_enum, default_value_t = Reduction::SourceSets)]
    reduction: Reduction,
    /// What everything that is random follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where a violated execution is written, to be repeated by `stress replay`
    #[arg(long, value_name = "FILE", default_value = "violated.schedule.json")]
    schedule: PathBuf,
    /// Write the report as JSON to a file, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Where the directories are made [default: /dev/shm, or the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// What a search came to, for machines.
#[derive(Debug, Serialize)]
struct Report<'a> {
    verdict: Verdict,
    /// Why there is no better one.
    #[serde(skip_serializing_if = "Option::is_none")]
    inconclusive: Option<String>,
    scenario: &'a Scenario,
    executions: u64,
    steps: u64,
    asleep: u64,
    too_long: u64,
    complete: Option<Complete>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
    ends: Vec<&'a String>,
    unjudged: &'a std::collections::BTreeMap<String, u64>,
    uncontrolled: &'a std::collections::BTreeMap<String, u64>,
    doubts: Vec<&'a String>,
    unfixed: &'a [String],
    seconds: f64,
    interrupted: bool,
}

/// Explores: violated where a promise was broken, and holds for what was looked at to the end.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let scenario = scenario(arguments)?;
    let begun = Instant::now();
    let interrupt = flag_of_signals()?;
    let workplace = Workplace::new(&workplace_parent(arguments.dir.as_deref()))?;
    let mut system = scenario.prepare(workplace.path())?;
    eprintln!("stress explore --seed {}: {}", scenario.seed, title(&scenario));
    let limits = Limits {
        executions: arguments.budget,
        until: Some(begun + arguments.duration),
        bound: arguments.bound,
        walks: arguments.walks,
        reduction: arguments.reduction,
        interrupt: interrupt.clone(),
    };
    let mut told = Instant::now();
    let mut seen = search(&mut system, &scenario.rules, &limits, scenario.seed, |progress| {
        if told.elapsed() >= LINE_EVERY {
            told = Instant::now();
            eprintln!("{}", line(&progress, &scenario, begun.elapsed()));
        }
    })?;
    if let Some(found) = seen.found.take() {
        let until = Instant::now() + SHRINK_MAX;
        let goes_on = || Instant::now() < until && !interrupt.load(Ordering::Relaxed);
        seen.found = Some(shrink(&mut system, &scenario.rules, scenario.seed, found, goes_on)?);
    }
    conclude(arguments, &scenario, &system, &seen, begun.elapsed())
}

fn conclude(
    arguments: &Arguments,
    scenario: &Scenario,
    system: &AnySystem,
    seen: &Seen,
    elapsed: Duration,
) -> Result<Exit, Failure> {
    let unfixed = system.unfixed();
    let (verdict, why) = verdict(seen, scenario);
    let seconds = elapsed.as_secs_f64();
    let rate = rate(seen, elapsed);
    let early = if seen.interrupted { ", ended early" } else { "" };
    eprintln!("{}: {verdict}: {why}", title(scenario));
    eprintln!("  executions   {} in {seconds:.1} s, {rate:.0}/s, {} steps{early}", seen.executions, seen.steps);
    if let Some(complete) = seen.complete {
        eprintln!("  complete     {}", covered(&complete, scenario));
    }
    for (why, count) in &seen.unjudged {
        eprintln!("  unjudged     {count} executions: {why}");
    }
    for (why, count) in &seen.uncontrolled {
        eprintln!("  uncontrolled {count} executions: {why}");
    }
    for doubt in &seen.doubts {
        eprintln!("  doubt        {doubt}");
    }
    for what in &unfixed {
        eprintln!("  not fixed    {what}");
    }
    let broken = seen.found.as_ref().and_then(|found| found.outcome.broken.as_ref()).map(|broken| broken.text.clone());
    if let (Some(Found { trace, .. }), Some(broken)) = (&seen.found, &broken) {
        eprintln!("\n{}", tell(&scenario.names(), trace, broken));
        keep(&arguments.schedule, &Schedule::new(scenario.clone(), trace, broken.clone()));
    }
    if let Some(target) = &arguments.export_json {
        let report = Report {
            verdict,
            inconclusive: (verdict == Verdict::Inconclusive).then_some(why),
            scenario,
            executions: seen.executions,
            steps: seen.steps,
            asleep: seen.asleep,
            too_long: seen.too_long,
            complete: seen.complete,
            broken,
            ends: seen.ends.iter().collect(),
            unjudged: &seen.unjudged,
            uncontrolled: &seen.uncontrolled,
            doubts: seen.doubts.iter().collect(),
            unfixed: &unfixed,
            seconds,
            interrupted: seen.interrupted,
        };
        export::json(target, &report)?;
    }
    Ok(verdict.into())
}

/// Writes the schedule. A verdict that is there survives that it cannot be written.
fn keep(path: &Path, schedule: &Schedule) {
    match schedule.write(path) {
        Ok(()) => eprintln!("  again with   stress replay {}", path.display()),
        Err(failure) => eprintln!("  not kept     {failure}"),
    }
}

/// Repeats a schedule: violated where every repetition, or any, broke a promise; inconclusive where one was another.
pub(crate) fn replay(path: &Path, times: u64, dir: Option<&Path>) -> Result<Exit, Failure> {
    let schedule = Schedule::read(path)?;
    eprintln!("stress replay --times {times} {}", path.display());
    if !schedule.is_of_this_kernel() {
        eprintln!("  it was written under another kernel, {}", schedule.kernel);
    }
    let Schedule { scenario, steps, .. } = &schedule;
    let interrupt = flag_of_signals()?;
    let workplace = Workplace::new(&workplace_parent(dir))?;
    let mut system = scenario.prepare(workplace.path())?;
    let (mut runs, mut violated, mut different, mut shown) = (0_u64, 0_u64, 0_u64, None);
    let mut difference = None;
    while runs < times && !interrupt.load(Ordering::Relaxed) {
        runs += 1;
        match repeat(&mut system, &scenario.rules, scenario.seed, steps) {
            Ok(repeated) => {
                if let Some(how) = repeated.difference {
                    different += 1;
                    difference.get_or_insert(how);
                }
                if let Some(broken) = repeated.outcome.broken {
                    violated += 1;
                    shown.get_or_insert((repeated.trace, broken.text));
                }
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Uncontrolled(why) | Stop::Diverged(why)) => {
                different += 1;
                difference.get_or_insert(why);
            }
        }
    }
    eprintln!("{}: violated in {violated} of {runs} repetitions", title(scenario));
    if let Some(how) = difference {
        eprintln!("  different    {different} of them, the first at {how}");
    }
    if let Some((trace, broken)) = &shown {
        eprintln!("\n{}", tell(&scenario.names(), trace, broken));
    }
    Ok(if violated > 0 {
        Exit::Violated
    } else if different > 0 || runs < times {
        Exit::Inconclusive
    } else {
        Exit::Holds
    })
}

fn scenario(arguments: &Arguments) -> Result<Scenario, Failure> {
    let Arguments { registrants, events, timers, timer_budget, threads, faults, fault_budget, steps, seed, .. } =
        arguments;
    let subject = match (&arguments.registrant, &arguments.protocol) {
        (Some(command), _) => {
            let program = if arguments.shell { shell(command) } else { split("--registrant", command)? };
            Subject::Election { program, registrants: *registrants, events: *events }
        }
        (None, Some(name)) => {
            Subject::Election { program: super::registrant::words(name)?, registrants: *registrants, events: *events }
        }
        (None, None) => Subject::Commands {
            commands: arguments.command.iter().map(|one| split("--command", one)).collect::<Result<_, _>>()?,
            setup: arguments.setup.as_ref().map(|one| split("--setup", one)).transpose()?,
            invariant: split("--invariant", arguments.invariant.as_deref().unwrap_or_default())?,
            always: arguments.always,
        },
    };
    let rules = Rules {
        timers: *timers,
        threads: *threads,
        faults: faults.clone(),
        fault_budget: if faults.is_empty() { 0 } else { *fault_budget },
        timers_max: *timer_budget,
        steps_max: *steps,
    };
    Ok(Scenario { subject, rules, seed: *seed })
}

/// A command line, taken apart as a shell would.
fn split(option: &str, command: &str) -> Result<Vec<String>, Failure> {
    let words = shell_words::split(command)
        .map_err(|error| Failure::Usage(format!("{option} {command}: {error}; quote it as for a shell")))?;
    if words.first().is_none_or(String::is_empty) {
        return Err(Failure::Usage(format!("{option}: give the program to start")));
    }
    Ok(words)
}

fn shell(command: &str) -> Vec<String> {
    vec!["sh".into(), "-c".into(), command.into()]
}

/// What is explored, in a few words.
fn title(scenario: &Scenario) -> String {
    match &scenario.subject {
        Subject::Election { program, registrants, events } => {
            format!("{}, {registrants} copies, {}", program.join(" "), counted(*events as u64, "event"))
        }
        Subject::Commands { commands, .. } => {
            commands.iter().map(|words| words.join(" ")).collect::<Vec<_>>().join(" beside ")
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What a search comes to, and why.
fn verdict(seen: &Seen, scenario: &Scenario) -> (Verdict, String) {
    if let Some(broken) = seen.found.as_ref().and_then(|found| found.outcome.broken.as_ref()) {
        return (Verdict::Violated, broken.text.clone());
    }
    let most = |counts: &std::collections::BTreeMap<String, u64>| {
        counts
            .iter()
            .max_by_key(|(_, count)| **count)
            .map(|(why, count)| format!("{count} executions show nothing: {why}"))
    };
    let trouble = seen.doubts.first().map(|doubt| format!("not all is under control: {doubt}"));
    if let Some(why) = most(&seen.uncontrolled).or_else(|| most(&seen.unjudged)).or(trouble) {
        return (Verdict::Inconclusive, why);
    }
    match seen.complete {
        Some(complete) => (Verdict::Holds, covered(&complete, scenario)),
        None if seen.too_long > 0 => (
            Verdict::Inconclusive,
            format!("{} executions had more than {} steps", seen.too_long, scenario.rules.steps_max),
        ),
        None => (Verdict::Inconclusive, "the budget ended before anything was complete".into()),
    }
}

/// What was looked at to the end.
fn covered(complete: &Complete, scenario: &Scenario) -> String {
    let Rules { timers, threads, faults, fault_budget, timers_max, .. } = &scenario.rules;
    let mut covered = match complete.preemptions {
        None => "every order of the calls".to_owned(),
        Some(preemptions) => {
            format!("every order of the calls with at most {}", counted(preemptions.into(), "preemption"))
        }
    };
    let _ = write!(covered, ", in {}", counted(complete.executions, "execution"));
    if *fault_budget > 0 {
        let kinds: Vec<_> = faults.iter().map(|kind| format!("{kind:?}").to_lowercase()).collect();
        let faults = counted((*fault_budget).into(), "fault");
        let _ = write!(covered, "; at most {faults} at any call ({})", kinds.join(", "));
    }
    if complete.withholds_timers {
        let _ = write!(covered, "; timers of each copy fire at most {timers_max} times");
    }
    if *timers == Timers::Idle {
        covered += "; timers fire only when nothing else can happen";
    }
    if *threads == Threads::First {
        covered += "; one order of the threads and children within a copy";
    }
    covered
}

fn rate(seen: &Seen, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded")]
    let executions = (seen.executions + seen.asleep) as f64;
    executions / elapsed.as_secs_f64().max(f64::EPSILON)
}

/// How far a search is.
fn line(progress: &Progress<'_>, scenario: &Scenario, elapsed: Duration) -> String {
    let Progress { phase, open, seen } = progress;
    let phase = match phase {
        Phase::AtRandom => "at random".to_owned(),
        Phase::Within(None) => "every order".to_owned(),
        Phase::Within(Some(bound)) => format!("at most {}", counted((*bound).into(), "preemption")),
    };
    let complete = seen.complete.map_or("nothing yet".to_owned(), |complete| covered(&complete, scenario));
    let rate = rate(seen, elapsed);
    format!("{phase}: {} executions, {rate:.0}/s, {open} rests to go back to; complete: {complete}", seen.executions)
}
