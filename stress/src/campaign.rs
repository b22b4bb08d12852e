//! `stress campaign`: rounds of real elections among real processes, each counted.

mod arguments;
pub(crate) mod attempt;
mod bound;
mod junit;
pub(crate) mod kept;
pub(crate) mod page;
pub(crate) mod programs;
mod progress;
mod report;
mod shard;
pub(crate) mod shrink;
mod summary;
mod tally;
mod wake_up;
mod worker;
mod workplace;

pub(crate) use arguments::{Arguments, quoted_path};
pub(crate) use report::Report;
pub(crate) use workplace::{Workplace, parent as workplace_parent};

use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use models::export::Export;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use self::arguments::{Budget, Options};
use self::attempt::{Attempts, Told};
use self::page::Scenes;
use self::progress::Progress;
use self::report::Ending;
use self::shrink::shrink;
use self::tally::Tally;
use self::worker::{Message, Rounds, Shared};
use crate::cli::exit::Exit;
use crate::cli::interrupt::{SIGNALS, flag_of_signals};
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::plan::Plan;
use crate::process;

/// How many stories are told, those of the gravest violations; all violations are counted.
const STORIES_MAX: usize = 3;

/// How many points of the rate over time are kept, about: more seldom the longer it takes.
const SAMPLES: f64 = 100.0;

/// How long the campaign waits for news before it looks at the clock and at signals.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Runs the campaign.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if arguments.foreign.is_wanted() {
        return programs::run(&arguments.foreign, arguments.for_foreign()?);
    }
    let options = arguments.resolve()?;
    eprintln!("{options}");
    let json = options.export_json.as_deref().map(Export::open).transpose()?;
    let junit = options.junit.as_deref().map(Export::open).transpose()?;
    let html = options.export_html.as_deref().map(Export::open).transpose()?;
    let mut history = options.export_history.as_deref().map(Export::open).transpose()?;
    let workplace = Workplace::new(&options.dir)?;
    let begun = Instant::now();
    let interrupt = flag_of_signals()?;
    let Gathered { tally, progress, mut violated, interrupted } =
        gather(&options, &workplace, history.as_mut(), &interrupt)?;
    let report = Report::new(&options, &tally, Ending { seconds: begun.elapsed().as_secs_f64(), interrupted });
    for violated in &mut violated {
        if options.shrinks
            && !interrupt.load(Ordering::Relaxed)
            && let Err(failure) = violated.shrink(&workplace, &interrupt)
        {
            eprintln!("not shrunk: {failure}");
        }
        eprintln!("\n{}{}", violated.first().told.story, violated.first().replay());
    }
    let violations = violated.iter().map(Violated::scene).collect();
    let scenes = Scenes { progress, violations };
    drop(workplace);
    if !scenes.violations.is_empty() {
        eprintln!();
    }
    eprintln!("{report}");
    let export = || -> Result<(), Failure> {
        if let Some(json) = json {
            json.write(&report.to_json())?;
        }
        if let Some(junit) = junit {
            junit.write(junit::render(&report)?.as_bytes())?;
        }
        if let Some(html) = html {
            html.write(page::render(&report, &scenes).as_bytes())?;
        }
        if let Some(history) = history {
            history.finish()?;
        }
        Ok(())
    };
    Exit::after(report.verdict, export())
}

/// What the workers told.
#[derive(Debug)]
struct Gathered {
    tally: Tally,
    /// Rounds done by the end of each stretch of time, in seconds.
    progress: Vec<(f64, u64)>,
    /// The first round that broke each promise.
    violated: Vec<Violated>,
    interrupted: bool,
}

/// The first rounds that broke a promise as the gravest.
#[derive(Debug)]
struct Violated {
    promise: Promise,
    rounds: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    /// Why it is not there, if it is not.
    why_not: Option<String>,
    told: Told,
}

impl Kept {
    /// How it is run again, or why it cannot be.
    fn replay(&self) -> String {
        match &self.why_not {
            None => format!("run it again: stress replay {}", quoted_path(&self.directory)),
            Some(why) => format!("not kept: {why}"),
        }
    }
}

impl Violated {
    /// The one to tell.
    fn first(&self) -> &Kept {
        self.rounds.first().expect("one was violated")
    }

    fn scene(&self) -> page::Violation {
        let kept = self.first();
        let Told { story, history, .. } = &kept.told;
        page::Violation {
            broken: self.promise.broken(),
            story: story.clone(),
            history: history.clone(),
            replay: kept.replay(),
        }
    }

    /// Looks for the smallest plan that breaks the promise, from the first of the rounds whose plan fails again.
    fn shrink(&mut self, workplace: &Workplace, interrupt: &AtomicBool) -> Result<(), Failure> {
        eprintln!("shrinking: {}", self.promise.broken());
        for number in 0..self.rounds.len() {
            if self.rounds[number].why_not.is_some() {
                continue;
            }
            let (plan, promise) = kept::plan(&self.rounds[number].directory)?;
            let base = workplace.path().join(format!("shrink-{}-{number}", promise as usize));
            std::fs::create_dir(&base).map_err(Failure::environment(base.display(), "mkdir", "free space there"))?;
            let attempts = Attempts::new(&base, plan.ids.len(), side_by_side(&plan))?;
            if let Some(shrunk) = shrink(&plan, promise, &attempts, || !interrupt.load(Ordering::Relaxed))? {
                self.rounds.swap(0, number);
                kept::keep_shrunk(&self.rounds[0].directory, &shrunk.plan)?;
                self.rounds[0].told = shrunk.told;
                return Ok(());
            }
        }
        eprintln!(
            "none of the {} rounds that were kept failed so again: the first is told as it was",
            self.rounds.len()
        );
        Ok(())
    }
}

/// How many runs of a plan go on side by side: many where each mostly waits.
pub(crate) fn side_by_side(plan: &Plan) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    if plan.faults.is_empty() && plan.window_us == 0 { processors } else { 8 * processors }
}

/// Starts the workers and takes in what they tell until they are done or interrupted.
fn gather(
    options: &Options,
    workplace: &Workplace,
    mut history: Option<&mut Export>,
    interrupt: &Arc<AtomicBool>,
) -> Result<Gathered, Failure> {
    let shared = Shared::new().map_err(Failure::environment("shared memory", "mmap", "free some memory"))?;
    let rounds = Rounds {
        template: &options.template,
        end: match options.budget {
            Budget::Rounds(rounds) => rounds,
            Budget::Duration(_) => u64::MAX,
        },
        shard: options.shard,
        keep: &options.keep,
        tells_history: history.is_some(),
    };
    let mut workers = Vec::new();
    for job in 0..options.jobs {
        workers.push(start(&rounds, shared, workplace, job)?);
    }
    let begun = Instant::now();
    let mut gathered =
        Gathered { tally: Tally::new(), progress: vec![(0.0, 0)], violated: Vec::new(), interrupted: false };
    let Gathered { tally, progress: samples, violated, interrupted } = &mut gathered;
    let mut progress = Progress::new(options.budget);
    let mut failed = None;
    while workers.iter().any(|worker| worker.from.is_some()) {
        let is_over = match options.budget {
            Budget::Rounds(_) => false,
            Budget::Duration(duration) => begun.elapsed() >= duration,
        };
        *interrupted |= interrupt.load(Ordering::Relaxed);
        if is_over || *interrupted || failed.is_some() {
            shared.stop();
        }
        for message in news(&mut workers)? {
            match message {
                Message::Batch(batch) => tally.add(&batch),
                Message::Violation { promise, told, round, not_kept } => {
                    let kept = Kept {
                        directory: kept::directory(&options.keep, options.template.seed, round),
                        why_not: not_kept,
                        told,
                    };
                    let first_line = format!("{}; {}", kept.told.story.lines().next().unwrap_or(""), kept.replay());
                    if let Some(violated) = violated.iter_mut().find(|violated| violated.promise == promise) {
                        violated.rounds.push(kept);
                    } else {
                        progress.print(&first_line);
                        violated.push(Violated { promise, rounds: vec![kept] });
                    }
                }
                Message::History(lines) => {
                    if let Some(history) = &mut history
                        && let Err(unwritable) = history.append(lines.as_bytes())
                    {
                        failed.get_or_insert_with(|| unwritable.to_string());
                    }
                }
                Message::Failed(why) => failed = failed.or(Some(why)),
                Message::Done => {}
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        if samples.last().is_some_and(|(at, _)| seconds >= at + seconds.max(10.0) / SAMPLES) {
            samples.push((seconds, tally.totals.rounds));
        }
        progress.show(&tally.totals);
    }
    progress.finish();
    for worker in &workers {
        let status = process::wait(worker.process).map_err(Failure::environment("a worker", "wait", "report this"))?;
        if status.exit_status() != Some(0) {
            failed
                .get_or_insert_with(|| format!("a worker ended with {status:?}: look at what it said, and report it"));
        }
    }
    gathered.violated.sort_by_key(|violated| violated.promise);
    gathered.violated.truncate(STORIES_MAX);
    match failed {
        // What was seen before stands.
        Some(why) if gathered.tally.totals.violated > 0 => {
            eprintln!("error: {why}");
            Ok(gathered)
        }
        Some(why) => Err(Failure::Worker(why)),
        None => Ok(gathered),
    }
}

/// A worker, as the campaign sees it.
#[derive(Debug)]
struct Running {
    process: rustix::process::Pid,
    /// Where it tells; nothing once it has ended.
    from: Option<File>,
    /// What of a message has come.
    received: Vec<u8>,
}

fn start(rounds: &Rounds<'_>, shared: Shared, workplace: &Workplace, job: usize) -> Result<Running, Failure> {
    let remedy = "raise the limits of files and processes, or give fewer --jobs";
    let (from, to) = pipe_with(PipeFlags::CLOEXEC).map_err(Failure::environment("a worker", "pipe", remedy))?;
    let base = workplace.path().join(job.to_string());
    let process = process::fork(|| {
        // A terminal and a CI system signal the whole group: the campaign alone has it end, with what was found so far.
        match SIGNALS.into_iter().try_for_each(process::ignore) {
            Ok(()) => worker::run(rounds, shared, &base, to.into()),
            Err(_) => 1,
        }
    })
    .map_err(Failure::environment("a worker", "fork", remedy))?;
    Ok(Running { process, from: Some(from.into()), received: Vec::new() })
}

/// Waits for messages, for a moment.
fn news(workers: &mut [Running]) -> Result<Vec<Message>, Failure> {
    let failure = |call| Failure::environment::<std::io::Error>("a worker", call, "report this");
    let mut ready = {
        let mut waited: Vec<_> = workers
            .iter()
            .filter_map(|worker| worker.from.as_ref())
            .map(|from| PollFd::new(from, PollFlags::IN))
            .collect();
        match poll(&mut waited, Some(&LOOK)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(failure("poll")(error.into())),
        }
        waited.iter().map(|one| !one.revents().is_empty()).collect::<Vec<_>>().into_iter()
    };
    let mut messages = Vec::new();
    for worker in workers {
        let Some(from) = &mut worker.from else { continue };
        if ready.next() != Some(true) {
            continue;
        }
        let mut chunk = vec![0; 64 * 1024];
        match from.read(&mut chunk) {
            Ok(0) => worker.from = None,
            Ok(count) => worker.received.extend(&chunk[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure("read")(error)),
        }
        while let Some(end) = worker.received.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = worker.received.drain(..=end).collect();
            messages.push(serde_json::from_slice(&line).map_err(|error| failure("parse")(error.into()))?);
        }
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::Template;

    /// Options of a campaign, for tests of what is made of them.
    pub(super) fn options() -> Options {
        Options {
            budget: Budget::Rounds(3_000),
            template: Template {
                protocol: "journal".into(),
                seed: 5,
                registrants: 4,
                events: 3,
                early: 1,
                window: Duration::from_millis(150),
                expect: Some(4),
                in_process: 1,
                threads: false,
                rotate_bytes: None,
                faults: Vec::new(),
            },
            shard: shard::Shard::WHOLE,
            jobs: 2,
            floor_jobs: 2,
            dir: "/dev/shm".into(),
            keep: "/tmp/stress-kept".into(),
            shrinks: true,
            export_json: None,
            junit: None,
            export_html: None,
            export_history: None,
        }
    }
}
