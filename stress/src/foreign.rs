//! Campaigns of any program that speaks the protocol of `REGISTRANTS.md`.

mod fault;
mod floor;
mod judge;
mod program;
mod registrant;
mod report;
mod round;
mod start_line;
mod story;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) use self::fault::Fault;
use self::judge::Judged;
use self::program::Program;
use self::report::{Ending, Report, Tally};
use self::round::{Ground, Plan};
use crate::exit::{Exit, Failure};
use crate::{export, span};

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
    program: Program,
    rounds: u64,
    duration: Option<Duration>,
    registrants: usize,
    events: usize,
    early: usize,
    faults: Vec<Fault>,
    seed: u64,
    jobs: usize,
    settle: Duration,
    patience: Duration,
    /// Whether any registrant has ever said who is primary.
    speaks: Arc<AtomicBool>,
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
    let mut skipped = Vec::new();
    if rustix::process::geteuid().is_root() && faults.contains(&Fault::Permissions) {
        faults.retain(|fault| *fault != Fault::Permissions);
        skipped.push("permissions: they keep nobody out who is root".to_owned());
    }
    let settings = Settings {
        program: Program::new(text, arguments.shell)?,
        rounds,
        duration,
        registrants,
        events,
        early,
        faults,
        seed,
        jobs,
        settle: arguments.settle,
        patience: arguments.patience,
        speaks: Arc::default(),
    };
    eprintln!("{settings}");
    let base = tempfile::Builder::new().prefix("stress-").tempdir_in(&dir).map_err(Failure::environment(
        dir.display(),
        "mkdir",
        "give a directory that you may write to by --dir",
    ))?;
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let registered = signal_hook::flag::register(signal, interrupt.clone());
        registered.map_err(Failure::environment("signals", "sigaction", "report this"))?;
    }
    let begun = Instant::now();
    let tally = {
        let _load = settings.faults.contains(&Fault::Load).then(Load::start);
        gather(&settings, base.path(), &keep, &interrupt)?
    };
    let seconds = begun.elapsed().as_secs_f64();
    let floor =
        if arguments.floor { Some(floor::rounds_per_second(&settings, base.path(), &interrupt)?) } else { None };
    let interrupted = interrupt.load(Ordering::Relaxed);
    let report = Report::new(&settings, tally, Ending { seconds, interrupted, skipped, floor });
    eprintln!("{report}");
    if let Some(target) = &export_json {
        export::json(target, &report)?;
    }
    Ok(report.exit())
}

impl std::fmt::Display for Settings {
    /// What the campaign is, as it can be run again. Which of several processes is faster, a seed does not say.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = shell_words::quote(self.program.text());
        write!(formatter, "stress campaign --registrant {text} --registrants {}", self.registrants)?;
        match self.duration {
            Some(duration) => write!(formatter, " --duration {}", shell_words::quote(&span::show(duration)))?,
            None => write!(formatter, " --rounds {}", self.rounds)?,
        }
        write!(
            formatter,
            " --events {} --early {} --seed {} --jobs {}",
            self.events, self.early, self.seed, self.jobs
        )?;
        write!(
            formatter,
            " --settle {} --patience {}",
            shell_words::quote(&span::show(self.settle)),
            shell_words::quote(&span::show(self.patience))
        )?;
        if !self.faults.is_empty() {
            let faults: Vec<_> = self.faults.iter().map(ToString::to_string).collect();
            write!(formatter, " --faults {}", faults.join(","))?;
        }
        Ok(())
    }
}

/// What a job tells of a round.
struct News {
    fault: Option<Fault>,
    judged: Judged,
    errors: String,
    story: Option<String>,
}

fn gather(settings: &Settings, base: &Path, keep: &Path, interrupt: &AtomicBool) -> Result<Tally, Failure> {
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
                Ok(Ok(News { fault, judged, errors, story })) => {
                    tally.add(fault, &judged, &errors);
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
            let news = self.round(round);
            let failed = news.is_err();
            if tell.send(news).is_err() || failed {
                return;
            }
        }
    }

    fn round(&self, number: u64) -> Result<News, Failure> {
        let plan = Plan::draw(self.settings, number);
        let failure = |call| {
            Failure::environment::<io::Error>(self.base.display(), call, "free space there, or give another --dir")
        };
        let ground = Ground::new(self.base, &number.to_string()).map_err(failure("mkdir"))?;
        let ran = round::run(&plan, self.settings, &ground).map_err(|error| self.settings.cannot_start(error))?;
        let judged = judge::judge(&plan, &ran);
        let story = (!judged.broken.is_empty() && self.stories.fetch_add(1, Ordering::Relaxed) < STORIES_MAX)
            .then(|| self.keep(&plan, &ground, &story::tell(&plan, &ran, &judged)))
            .transpose()?;
        ground.clear().map_err(failure("removing a round's files"))?;
        Ok(News { fault: plan.fault, judged, errors: ran.errors, story })
    }

    /// Keeps a violated round: its files, and its story.
    fn keep(&self, plan: &Plan, ground: &Ground, story: &str) -> Result<String, Failure> {
        let directory = self.keep.join(format!("foreign-{}-{}", self.settings.seed, plan.round));
        let keep = || -> io::Result<()> {
            std::fs::create_dir_all(&directory)?;
            copy(&ground.directory, &directory)?;
            std::fs::write(directory.join("story.txt"), story)
        };
        let remedy = "give another place by --keep";
        keep().map_err(Failure::environment(directory.display(), "keeping a violated round", remedy))?;
        Ok(format!("{story}  its files are kept in {}", directory.display()))
    }
}

impl Settings {
    fn cannot_start(&self, error: io::Error) -> Failure {
        let name = self.program.name();
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "install it, or give the path of a program that is there by --registrant",
            io::ErrorKind::PermissionDenied => "make it executable, or name its interpreter in --registrant",
            _ => "raise the limits of files and processes, or give fewer --registrants or --jobs",
        };
        Failure::environment(name, "starting a registrant", remedy)(error)
    }
}

/// Copies regular files, and those in directories.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, copied) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &copied)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), copied)?;
        }
    }
    Ok(())
}

/// Threads that keep the processors busy until this is dropped: four for each.
struct Load {
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..4 * thread::available_parallelism().map_or(1, usize::from) {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self { stop }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
