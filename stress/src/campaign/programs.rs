//! Campaigns of any program that speaks the protocol of `REGISTRANTS.md`.

mod floor;
mod judge;
mod kept;
mod replay;
mod report;
mod story;

use std::io::{self, IsTerminal as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use self::judge::Judged;
use self::kept::Kept;
pub(crate) use self::kept::is_kept;
pub(crate) use self::replay::replay;
use self::report::{Ending, Report, Tally, Violation};
use super::{Workplace, quoted_path};
use crate::cli::exit::Exit;
use crate::cli::interrupt::flag_of_signals;
use crate::cli::{export, span};
use crate::control::follower;
use crate::failure::Failure;
pub(crate) use crate::plan::fault::program::Fault;
use crate::plan::program::{Plan, Template};
use crate::round::program::acts::Acts;
use crate::round::program::command::Program;
use crate::round::program::ground::Ground;
use crate::round::program::load::Load;
use crate::round::program::{Conditions, clear, orphan};

/// How many stories are told and kept.
const STORIES_MAX: u64 = 3;

/// The options of a campaign that only foreign registrants have.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options for programs of your own")]
#[group(id = "foreign")]
pub(crate) struct Arguments {
    /// Elect among copies of this program, which speaks the protocol of REGISTRANTS.md, or is seen to act by --acts-when or
    /// --acts-file; {dir}, {id} and {log} stand for the election directory, the copy's ID and the log
    #[arg(
        long,
        value_name = "CMD",
        conflicts_with_all = ["protocol", "window", "expect", "in_process", "threads", "shard", "junit", "export_html", "export_history"]
    )]
    registrant: Option<String>,
    /// Have the shell start it
    #[arg(long, requires = "registrant")]
    shell: bool,
    /// How long to wait for registrants to say who is primary, before and after a fault; longer where some have said it
    #[arg(long, default_value = "1s", value_parser = span::parse, requires = "registrant")]
    settle: Duration,
    /// How long a registrant may take to end once it is told to quit
    #[arg(long, default_value = "10s", value_parser = span::parse, requires = "registrant")]
    patience: Duration,
    /// How long a primary is stopped: a lease that lasts longer is not seen to fail [default: as long as --settle, and 16s
    /// now and then, or until another is primary]
    #[arg(long, value_name = "SPAN", value_parser = span::parse, requires = "registrant")]
    stop_for: Option<Duration>,
    /// How long it may take until somebody is primary again; nobody waits longer than it takes
    #[arg(long, value_name = "SPAN", default_value = "15s", value_parser = span::parse, requires = "registrant")]
    takeover_within: Duration,
    /// Run this command of the shell before each round, such as one that leaves a stale lock in {dir}
    #[arg(long, value_name = "CMD", requires = "registrant")]
    setup: Option<String>,
    /// What the copies elect over beside the election directory: a path, or @NAME for an abstract socket; may be given again
    #[arg(long, value_name = "PATH", requires = "registrant")]
    watch: Vec<String>,
    /// A copy acts from the first line on that this matches, on standard output or error: for programs that speak no protocol
    #[arg(long, value_name = "REGEX", requires = "registrant")]
    acts_when: Option<String>,
    /// A copy acts from its first write to this file on: its own where {id} stands in the path, else it is known by its ID or
    /// process ID in what is written
    #[arg(long, value_name = "PATH", requires = "registrant")]
    acts_file: Option<String>,
    /// Measure as well how fast the program is started and waited for alone
    #[arg(long, requires = "registrant")]
    floor: bool,
}

/// What a foreign campaign has in common with any other.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// How many rounds; or for how long.
    pub(crate) rounds: u64,
    pub(crate) duration: Option<Duration>,
    pub(crate) registrants: usize,
    pub(crate) events: usize,
    pub(crate) early: usize,
    pub(crate) faults: Vec<Fault>,
    pub(crate) seed: u64,
    pub(crate) jobs: usize,
    pub(crate) dir: PathBuf,
    pub(crate) keep: PathBuf,
    pub(crate) export_json: Option<PathBuf>,
}

/// A campaign of foreign registrants, with nothing left open.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    conditions: Conditions,
    rounds: u64,
    duration: Option<Duration>,
    template: Template,
    jobs: usize,
}

impl Arguments {
    /// Whether the campaign is one of foreign registrants.
    pub(crate) fn is_wanted(&self) -> bool {
        self.registrant.is_some()
    }
}

/// Runs the campaign.
pub(crate) fn run(arguments: &Arguments, common: Common) -> Result<Exit, Failure> {
    let text = arguments.registrant.as_deref().unwrap_or_default();
    let Common { rounds, duration, registrants, events, early, mut faults, seed, jobs, dir, keep, export_json } =
        common;
    let conditions = Conditions {
        program: Program::new(text, arguments.shell)?,
        settle: arguments.settle,
        patience: arguments.patience,
        stop_for: arguments.stop_for,
        takeover_within: arguments.takeover_within,
        setup: arguments.setup.clone(),
        watch: arguments.watch.clone(),
        acts: Acts { when: arguments.acts_when.clone(), file: arguments.acts_file.clone() },
        speaks: Arc::default(),
        interrupt: flag_of_signals()?,
    };
    conditions.acts.pattern()?;
    let base = workplace(&dir)?;
    let is_root = rustix::process::geteuid().is_root();
    let mut skipped = Vec::new();
    let mut skip = |faults: &mut Vec<Fault>, is_skipped: fn(Fault) -> bool, why: &str| {
        skipped.extend(faults.iter().filter(|fault| is_skipped(**fault)).map(|fault| format!("{fault}: {why}")));
        faults.retain(|fault| !is_skipped(*fault));
    };
    if faults.iter().any(|fault| fault.follows())
        && let Some(why) = follower::why_impossible()
    {
        skip(&mut faults, Fault::follows, &why);
    }
    // Whether failing is an answer is known of a program alone that does elect itself where it can.
    let is_needed = faults.iter().any(|fault| fault.lets_fail());
    let control = if is_needed { control(&conditions, base.path(), is_root) } else { Ok(()) };
    if is_root && let Err(why) = &control {
        const USER: &str = "who is root is kept out by no permissions, and as another user the program fails";
        skip(&mut faults, |fault| fault == Fault::Permissions, &format!("{USER}: {why}"));
    }
    let settings = Settings {
        conditions,
        rounds,
        duration,
        template: Template { seed, registrants, events, early, faults, is_root },
        jobs,
    };
    eprintln!("{settings}");
    let begun = Instant::now();
    let (tally, failure) = {
        let _load = settings.template.faults.contains(&Fault::Load).then(Load::start);
        gather(&settings, base.path(), &keep)
    };
    orphan::end(None);
    let failure = match failure {
        // What was seen before stands.
        Some(failure) if tally.violated > 0 => {
            eprintln!("error: {failure}");
            Some(failure.to_string())
        }
        Some(failure) => return Err(failure),
        None => None,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let interrupted = settings.conditions.interrupt.load(Ordering::Relaxed);
    let floor = if arguments.floor && !interrupted && failure.is_none() {
        Some(floor::rounds_per_second(&settings, base.path())?)
    } else {
        None
    };
    let is_controlled = is_needed && control.is_ok();
    let report = Report::new(&settings, tally, Ending { seconds, interrupted, failure, is_controlled, skipped, floor });
    eprintln!("{report}");
    let exported = export_json.as_deref().map_or(Ok(()), |target| export::json(target, &report));
    Exit::after(report.verdict, exported)
}

/// A directory for rounds, through which whoever runs as another user finds its way.
fn workplace(parent: &Path) -> Result<Workplace, Failure> {
    let workplace = Workplace::new(parent)?;
    let remedy = "give a directory that you may write to by --dir";
    std::fs::set_permissions(workplace.path(), std::fs::Permissions::from_mode(0o711))
        .map_err(Failure::environment(parent.display(), "chmod", remedy))?;
    Ok(workplace)
}

impl std::fmt::Display for Settings {
    /// What the campaign is, as it can be run again. Which of several processes is faster, a seed does not say.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Conditions {
            program,
            settle,
            patience,
            stop_for,
            takeover_within,
            setup,
            watch,
            acts: Acts { when, file },
            speaks: _,
            interrupt: _,
        } = &self.conditions;
        let text = shell_words::quote(program.text());
        let shell = if program.is_for_shell() { " --shell" } else { "" };
        write!(formatter, "stress campaign --registrant {text}{shell} --registrants {}", self.template.registrants)?;
        match self.duration {
            Some(duration) => write!(formatter, " --duration {}", shell_words::quote(&span::show(duration)))?,
            None => write!(formatter, " --rounds {}", self.rounds)?,
        }
        write!(
            formatter,
            " --events {} --early {} --seed {} --jobs {}",
            self.template.events, self.template.early, self.template.seed, self.jobs
        )?;
        let spans = [("settle", settle), ("patience", patience), ("takeover-within", takeover_within)];
        for (name, span) in spans.into_iter().chain(stop_for.as_ref().map(|span| ("stop-for", span))) {
            write!(formatter, " --{name} {}", shell_words::quote(&span::show(*span)))?;
        }
        let texts = [("setup", setup), ("acts-when", when), ("acts-file", file)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        for (name, text) in texts.chain(watch.iter().map(|path| ("watch", path))) {
            write!(formatter, " --{name} {}", shell_words::quote(text))?;
        }
        if !self.template.faults.is_empty() {
            let faults: Vec<_> = self.template.faults.iter().map(ToString::to_string).collect();
            write!(formatter, " --faults {}", faults.join(","))?;
        }
        Ok(())
    }
}

/// What a job tells of a round.
struct News {
    round: u64,
    fault: Option<Fault>,
    /// Whether it happened: a registrant may have ended before.
    is_exercised: bool,
    judged: Judged,
    errors: String,
    story: Option<Violation>,
}

/// Runs the rounds, and adds up what they show; and says what kept it from going on, if anything did.
fn gather(settings: &Settings, base: &Path, keep: &Path) -> (Tally, Option<Failure>) {
    let interrupt = &settings.conditions.interrupt;
    let (next, stories, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let mut tally = Tally::new();
    let bar = progress(settings);
    let begun = Instant::now();
    thread::scope(|scope| {
        let (tell, news) = channel();
        for _ in 0..settings.jobs {
            let (tell, next, stories, stop) = (tell.clone(), &next, &stories, &stop);
            scope.spawn(move || {
                let job = Job { settings, base, keep, next, stories, stop };
                job.run(&tell);
            });
        }
        drop(tell);
        let mut failed = None;
        loop {
            let is_over = settings.duration.is_some_and(|duration| begun.elapsed() >= duration);
            if is_over || interrupt.load(Ordering::Relaxed) || failed.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            match news.recv_timeout(Duration::from_millis(50)) {
                Ok(Ok(News { round, fault, is_exercised, judged, errors, story })) => {
                    tally.add(round, fault, is_exercised, &judged, &errors);
                    if let Some(story) = story {
                        bar.suspend(|| eprintln!("\n{story}"));
                        tally.stories.push(story);
                    }
                    bar.set_position(tally.rounds());
                    bar.set_message(format!("{} violated", tally.violated));
                }
                Ok(Err(failure)) => failed = failed.or(Some(failure)),
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        bar.finish_and_clear();
        (tally, failed)
    })
}

fn progress(settings: &Settings) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match settings.duration {
        None => (ProgressBar::new(settings.rounds), "{bar:30} {pos}/{len} rounds, {msg} {eta}"),
        Some(_) => (ProgressBar::new_spinner(), "{spinner} {pos} rounds, {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is a constant"))
}

/// One of those that run rounds side by side.
struct Job<'a> {
    settings: &'a Settings,
    base: &'a Path,
    keep: &'a Path,
    next: &'a AtomicU64,
    stories: &'a AtomicU64,
    stop: &'a AtomicBool,
}

impl Job<'_> {
    fn run(&self, tell: &Sender<Result<News, Failure>>) {
        while !self.stop.load(Ordering::Relaxed) {
            let round = self.next.fetch_add(1, Ordering::Relaxed);
            if round >= self.settings.rounds {
                return;
            }
            let Some(news) = self.round(round).transpose() else { return };
            let failed = news.is_err();
            if tell.send(news).is_err() || failed {
                return;
            }
        }
    }

    /// Runs a round; nothing comes of one that is interrupted before anything is seen.
    fn round(&self, number: u64) -> Result<Option<News>, Failure> {
        let Self { settings, base, .. } = self;
        let mut plan = Plan::draw(&settings.template, number);
        let (mut ground, mut ran) = settings.conditions.run(&plan, base)?;
        let is_interrupted = || settings.conditions.interrupt.load(Ordering::Relaxed);
        let nearer = ran.done.missed_at.map(|counted| plan.clone().aimed_within(counted));
        if let Some(nearer) = nearer.filter(|nearer| *nearer != plan && !is_interrupted()) {
            // It makes fewer touches than the plan had it make.
            clear(&ground, base)?;
            plan = nearer;
            (ground, ran) = settings.conditions.run(&plan, base)?;
        }
        let judged = judge::judge(&plan, &ran);
        if judged.broken.is_empty() && settings.conditions.interrupt.load(Ordering::Relaxed) {
            return clear(&ground, base).map(|()| None);
        }
        let story = (!judged.broken.is_empty() && self.stories.fetch_add(1, Ordering::Relaxed) < STORIES_MAX)
            .then(|| self.keep(&plan, &ground, &story::tell(&plan, &ran, &judged)));
        let is_exercised = ran.is_exercised(&plan);
        if let Err(failure) = clear(&ground, base) {
            // What was seen in it stands.
            eprintln!("warning: {failure}");
        }
        Ok(Some(News { round: plan.round, fault: plan.fault, is_exercised, judged, errors: ran.errors, story }))
    }

    /// Keeps a violated round: its files, its story, and what runs it again. One that cannot be kept is told all the same.
    fn keep(&self, plan: &Plan, ground: &Ground, story: &str) -> Violation {
        let Settings { conditions, template: Template { seed, faults, .. }, .. } = self.settings;
        let directory = self.keep.join(format!("foreign-{seed}-{}", plan.round));
        let kept = std::env::current_dir()
            .map_err(Failure::environment("the working directory", "getcwd", "run it in one that is there"))
            .and_then(|working_directory| {
                let has_load = faults.contains(&Fault::Load);
                let kept = Kept {
                    conditions: conditions.clone(),
                    seed: *seed,
                    has_load,
                    plan: plan.clone(),
                    working_directory,
                };
                kept::keep(&directory, &kept, ground, story)
            });
        let (kept, not_kept) = match kept {
            Ok(()) => (Some(quoted_path(&directory)), None),
            Err(failure) => (None, Some(failure.to_string())),
        };
        Violation { round: plan.round, story: story.to_owned(), kept, not_kept }
    }
}

/// Whether one copy elects itself where nothing is done to it, as a user whom permissions keep out; if not, why.
fn control(conditions: &Conditions, base: &Path, unprivileged: bool) -> Result<(), String> {
    let plan = Plan::control(unprivileged);
    let hint = unreachable_hint(unprivileged);
    let (ground, ran) = conditions.run(&plan, base).map_err(|failure| format!("{failure}{hint}"))?;
    let judged = judge::judge(&plan, &ran);
    let broken = judged.broken.first().map(ToString::to_string);
    clear(&ground, base).map_err(|failure| failure.to_string())?;
    match judged.unjudged.or(broken) {
        Some(why) => Err(format!("{why} {}{hint}", ran.errors.trim()).trim_end().to_owned()),
        None => Ok(()),
    }
}

/// What may keep another user from a program.
fn unreachable_hint(unprivileged: bool) -> &'static str {
    if unprivileged { " (the program and its interpreter must be within the reach of user 65534)" } else { "" }
}
