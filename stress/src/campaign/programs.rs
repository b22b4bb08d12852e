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
use self::report::{Ending, Report, Tally};
use super::Workplace;
use crate::cli::exit::Exit;
use crate::cli::interrupt::flag_of_signals;
use crate::cli::{export, span};
use crate::control::stall;
use crate::failure::Failure;
pub(crate) use crate::plan::fault::program::Fault;
use crate::plan::program::{Plan, Template};
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
    /// Elect among copies of this program, which speaks the protocol of REGISTRANTS.md
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
        speaks: Arc::default(),
        interrupt: flag_of_signals()?,
    };
    let base = workplace(&dir)?;
    let is_root = rustix::process::geteuid().is_root();
    let mut skipped = Vec::new();
    for (fault, why) in [
        (Fault::Stall, &stall::why_impossible as &dyn Fn() -> Option<String>),
        (Fault::Permissions, &|| if is_root { why_not_unprivileged(&conditions, base.path()) } else { None }),
    ] {
        if let Some(why) = faults.contains(&fault).then(why).flatten() {
            faults.retain(|one| *one != fault);
            skipped.push(format!("{fault}: {why}"));
        }
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
    let tally = {
        let _load = settings.template.faults.contains(&Fault::Load).then(Load::start);
        gather(&settings, base.path(), &keep)
    };
    orphan::end(None);
    let tally = tally?;
    let seconds = begun.elapsed().as_secs_f64();
    let floor = if arguments.floor { Some(floor::rounds_per_second(&settings, base.path())?) } else { None };
    let interrupted = settings.conditions.interrupt.load(Ordering::Relaxed);
    let report = Report::new(&settings, tally, Ending { seconds, interrupted, skipped, floor });
    eprintln!("{report}");
    if let Some(target) = &export_json {
        export::json(target, &report)?;
    }
    Ok(report.verdict.into())
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
        let Conditions { program, settle, patience, .. } = &self.conditions;
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
        write!(
            formatter,
            " --settle {} --patience {}",
            shell_words::quote(&span::show(*settle)),
            shell_words::quote(&span::show(*patience))
        )?;
        if !self.template.faults.is_empty() {
            let faults: Vec<_> = self.template.faults.iter().map(ToString::to_string).collect();
            write!(formatter, " --faults {}", faults.join(","))?;
        }
        Ok(())
    }
}

/// What a job tells of a round.
struct News {
    fault: Option<Fault>,
    /// Whether it happened: a registrant may have ended before.
    is_exercised: bool,
    judged: Judged,
    errors: String,
    story: Option<String>,
}

fn gather(settings: &Settings, base: &Path, keep: &Path) -> Result<Tally, Failure> {
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
                Ok(Ok(News { fault, is_exercised, judged, errors, story })) => {
                    tally.add(fault, is_exercised, &judged, &errors);
                    if let Some(story) = story {
                        bar.suspend(|| eprintln!("\n{story}"));
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
        failed.map_or(Ok(tally), Err)
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

    /// Runs a round; nothing comes of one that is interrupted.
    fn round(&self, number: u64) -> Result<Option<News>, Failure> {
        let Self { settings, base, .. } = self;
        let plan = Plan::draw(&settings.template, number);
        let Some((ground, ran)) = settings.conditions.run(&plan, base)? else { return Ok(None) };
        let judged = judge::judge(&plan, &ran);
        let story = (!judged.broken.is_empty() && self.stories.fetch_add(1, Ordering::Relaxed) < STORIES_MAX)
            .then(|| self.keep(&plan, &ground, &story::tell(&plan, &ran, &judged)))
            .transpose()?;
        let is_exercised = ran.is_exercised(&plan);
        clear(&ground, base)?;
        Ok(Some(News { fault: plan.fault, is_exercised, judged, errors: ran.errors, story }))
    }

    /// Keeps a violated round: its files, its story, and what runs it again.
    fn keep(&self, plan: &Plan, ground: &Ground, story: &str) -> Result<String, Failure> {
        let Settings { conditions, template: Template { seed, faults, .. }, .. } = self.settings;
        let directory = self.keep.join(format!("foreign-{seed}-{}", plan.round));
        let has_load = faults.contains(&Fault::Load);
        let kept = Kept { conditions: conditions.clone(), seed: *seed, has_load, plan: plan.clone() };
        kept::keep(&directory, &kept, ground, story)?;
        Ok(format!(
            "{story}  its files are kept in {directory}\nrun it again: stress replay {directory}",
            directory = directory.display()
        ))
    }
}

/// Why the program cannot run as a user whom permissions keep out, if it cannot: one of it must elect itself.
fn why_not_unprivileged(conditions: &Conditions, base: &Path) -> Option<String> {
    const USER: &str = "who is root is kept out by no permissions, and as another user";
    let plan = Plan::unprivileged();
    match conditions.run(&plan, base) {
        Ok(None) => Some("it was interrupted".into()),
        Ok(Some((ground, ran))) => {
            let judged = judge::judge(&plan, &ran);
            let broken = judged.broken.first().map(ToString::to_string);
            let why = judged.unjudged.or(broken).or_else(|| clear(&ground, base).err().map(|error| error.to_string()));
            why.map(|why| format!("{USER} the program fails: {why} {}", ran.errors.trim()).trim_end().to_owned())
        }
        Err(failure) => Some(format!("{USER}: {failure}")),
    }
}
