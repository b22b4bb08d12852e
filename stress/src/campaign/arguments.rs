//! What a campaign is told on its command line, and what follows from it.

use std::borrow::Cow;
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum as _;
use models::verdict::Verdict;
use models::zoo;

use super::programs;
use super::shard::Shard;
use super::workplace;
use crate::cli::span;
use crate::failure::Failure;
use crate::plan::Template;
use crate::plan::fault::Kind;
use crate::round::native::instance::JOURNAL;

/// More than this cannot be told apart in a report, and few machines let one user run so many processes.
const REGISTRANTS_MAX: usize = 1024;

/// The options of `stress campaign`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many elections to run
    #[arg(long, default_value_t = 10_000, conflicts_with = "duration", allow_negative_numbers = true)]
    rounds: u64,
    /// Run for so long in place of a number of rounds, such as 90s or 10m
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How many instances take part in each
    #[arg(long, default_value_t = 4, allow_negative_numbers = true)]
    registrants: usize,
    /// How many events each of them receives
    #[arg(long, default_value_t = 3, allow_negative_numbers = true)]
    events: usize,
    /// How long the first term stays open for registration
    #[arg(long, default_value = "150ms", value_parser = span::parse)]
    window: Duration,
    /// How many registrations close the window at once: a number, or none [default: the number of registrants]
    #[arg(long, value_name = "N|none", value_parser = parse_expect)]
    expect: Option<Expect>,
    /// How many of the events reach the instances before the verdict [default: a third; none where a process hosts
    /// several instances of a protocol that forgets them]
    #[arg(long, value_name = "EVENTS")]
    early: Option<usize>,
    /// How many instances each process hosts, polled by one thread [default: 1, or what breaks the protocol]
    #[arg(long, value_name = "K")]
    in_process: Option<NonZeroUsize>,
    /// Drive the instances of a process by a thread each
    #[arg(long)]
    threads: bool,
    /// From which size on the log is rotated, in bytes, or from half of what its entries take, where that is more [default: 16
    /// MiB, which no round comes to]
    #[arg(long, value_name = "BYTES")]
    rotate: Option<NonZeroU64>,
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = Kind::parse, help = faults_help())]
    faults: Vec<Vec<Kind>>,
    #[arg(long, default_value = "journal", value_name = "NAME", help = protocol_help())]
    protocol: String,
    /// What plans are drawn from [default: a random number]
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Run only the K-th of N parts of the rounds, to be joined by `stress merge`
    #[arg(long, value_name = "K/N", default_value_t = Shard::WHOLE)]
    shard: Shard,
    /// How many rounds run side by side [default: one per processor; eight where each waits for the window; no more than
    /// there are processors for all instances where a broken protocol is to race]
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Where the election directories are made [default: /dev/shm, or the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the directories of violated rounds are kept [default: stress-kept-UID in the temporary
    /// directory]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Tell violated rounds as they were, without looking for smaller ones that break the same promise
    #[arg(long)]
    no_shrink: bool,
    /// Write the report as one JSON object to this file, or to stdout for -
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,
    /// Write the report as XML to this file, as CI systems show it (`JUnit`)
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the report as a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    export_html: Option<PathBuf>,
    /// Write what every instance did and believed to this file, for `stress check`
    #[arg(long, value_name = "FILE")]
    export_history: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) foreign: programs::Arguments,
}

/// How many registrations close the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Registrations(usize),
    Nothing,
}

/// The help of --faults, which names them.
fn faults_help() -> String {
    let names: Vec<_> = Kind::value_variants().iter().map(|kind| kind.name()).collect();
    format!("What is done to the rounds, in turns, separated by commas: {}, or all", names.join(", "))
}

/// The help of --protocol, which names them.
fn protocol_help() -> String {
    let names: Vec<_> = zoo::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
    format!("The protocol: {}", names.join(", "))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    match span::parse(text)? {
        Duration::ZERO => Err("in no time no round is run: give a span such as 90s or 10m".into()),
        duration => Ok(duration),
    }
}

fn parse_expect(text: &str) -> Result<Expect, String> {
    if text == "none" {
        return Ok(Expect::Nothing);
    }
    match text.parse() {
        Ok(count) if count > 0 => Ok(Expect::Registrations(count)),
        _ => Err("give a number of instances, at least 1, or none".into()),
    }
}

/// When a campaign is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// After so many rounds.
    Rounds(u64),
    /// After so long.
    Duration(Duration),
}

/// A campaign, with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) budget: Budget,
    pub(crate) template: Template,
    /// The part of the rounds that is run.
    pub(crate) shard: Shard,
    pub(crate) jobs: usize,
    /// How many of them have a processor.
    pub(crate) floor_jobs: usize,
    pub(crate) dir: PathBuf,
    pub(crate) keep: PathBuf,
    /// Whether violated rounds are shrunk before they are told.
    pub(crate) shrinks: bool,
    pub(crate) export_json: Option<PathBuf>,
    pub(crate) junit: Option<PathBuf>,
    pub(crate) export_html: Option<PathBuf>,
    pub(crate) export_history: Option<PathBuf>,
}

impl Arguments {
    /// Fills in what was left to choose.
    pub(crate) fn resolve(&self) -> Result<Options, Failure> {
        let usage = |text: String| Err(Failure::Usage(text));
        let registrants = self.registrants;
        if registrants == 0 || registrants > REGISTRANTS_MAX {
            return usage(format!(
                "--registrants {registrants}: an election takes 1 to {REGISTRANTS_MAX} instances; give such a number"
            ));
        }
        let Some(protocol) = zoo::find(&self.protocol) else {
            let known: Vec<_> = zoo::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
            return usage(format!(
                "--protocol {}: there is no such protocol; give one of {}",
                self.protocol,
                known.join(", ")
            ));
        };
        let crowded = protocol.needs.instances_per_process > 1;
        let in_process = self.in_process.map_or(if crowded { registrants } else { 1 }, NonZeroUsize::get);
        if in_process > registrants {
            return usage(format!(
                "--in-process {in_process}: there are only {registrants} instances; give at most that or raise --registrants"
            ));
        }
        let forgetful = protocol.expected() == Verdict::Violated && crowded;
        let early = self.early.unwrap_or(if forgetful { 0 } else { self.events.div_ceil(3) });
        if early > self.events {
            return usage(format!("--early {early}: there are only {} events; raise --events", self.events));
        }
        let mut faults: Vec<Kind> = self.faults.iter().flatten().copied().collect();
        faults.sort_unstable();
        faults.dedup();
        if !self.foreign.is_wanted() {
            let is_all = Kind::value_variants().iter().all(|kind| faults.contains(kind));
            if let Some(kind) = faults.iter().find(|kind| kind.is_for_programs() && !is_all) {
                return usage(format!("--faults {}: it is for programs; give one by --registrant", kind.name()));
            }
            faults.retain(|kind| !kind.is_for_programs());
        }
        if self.threads && !faults.is_empty() {
            return usage("--threads: faults happen to processes; leave it away, or leave --faults away".into());
        }
        if self.rotate.is_some() && self.protocol != JOURNAL {
            return usage(format!("--rotate: {} never rotates its log; leave it away", self.protocol));
        }
        let expect = match self.expect {
            None => Some(registrants),
            Some(Expect::Registrations(count)) => Some(count),
            Some(Expect::Nothing) => None,
        };
        let is_broken = protocol.expected() == Verdict::Violated;
        let waits = !self.window.is_zero()
            && (protocol.waits && (is_broken || expect.is_none_or(|count| count > registrants)) || !faults.is_empty());
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        if self.shard != Shard::WHOLE && self.seed.is_none() {
            return usage(format!("--shard {}: the parts share a seed; give it by --seed", self.shard));
        }
        let jobs = self.jobs.map_or_else(
            || match (waits, is_broken) {
                (true, _) => 8 * processors,
                (false, false) => processors,
                // Only those that run at the same moment race: no more rounds at once than there are processors for.
                (false, true) => (processors / registrants).max(1),
            },
            NonZeroUsize::get,
        );
        Ok(Options {
            budget: self.duration.map_or(Budget::Rounds(self.rounds), Budget::Duration),
            template: Template {
                protocol: self.protocol.clone(),
                seed: self.seed.unwrap_or_else(|| fastrand::u64(..)),
                registrants,
                events: self.events,
                early,
                window: self.window,
                expect,
                in_process,
                threads: self.threads,
                rotate_bytes: self.rotate.map(NonZeroU64::get),
                faults,
            },
            shard: self.shard,
            jobs,
            floor_jobs: jobs.min(processors),
            dir: workplace::parent(self.dir.as_deref()),
            keep: self.keep.clone().unwrap_or_else(default_keep),
            shrinks: !self.no_shrink,
            export_json: self.export_json.clone(),
            junit: self.junit.clone(),
            export_html: self.export_html.clone(),
            export_history: self.export_history.clone(),
        })
    }
}

impl Arguments {
    /// What a campaign of foreign registrants takes from the options of all campaigns.
    pub(crate) fn for_foreign(&self) -> Result<programs::Common, Failure> {
        let Options { budget, template, dir, keep, export_json, .. } = self.resolve()?;
        if template.rotate_bytes.is_some() {
            return Err(Failure::Usage("--rotate: a program rotates its log itself, or not; leave it away".into()));
        }
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(programs::Common {
            rounds: match budget {
                Budget::Rounds(rounds) => rounds,
                Budget::Duration(_) => u64::MAX,
            },
            duration: self.duration,
            registrants: template.registrants,
            events: template.events,
            early: template.early,
            faults: programs::Fault::of(&template.faults)?,
            seed: template.seed,
            // More of them would keep one another's registrants from starting at once.
            jobs: self.jobs.map_or(processors, NonZeroUsize::get),
            dir,
            keep,
            export_json,
        })
    }
}

impl Options {
    /// Whether who is primary can be recomputed.
    pub(crate) fn has_journal(&self) -> bool {
        self.template.protocol == JOURNAL
    }
}

impl fmt::Display for Options {
    /// The first line of a campaign: the command that runs it again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { budget, template, shard, jobs, dir, keep, .. } = self;
        let Template {
            protocol,
            seed,
            registrants,
            events,
            early,
            window,
            expect,
            in_process,
            threads,
            rotate_bytes,
            faults,
        } = template;
        write!(formatter, "stress campaign --seed {seed} --protocol {protocol}")?;
        match budget {
            Budget::Rounds(rounds) => write!(formatter, " --rounds {rounds}")?,
            Budget::Duration(duration) => write!(formatter, " --duration {}", quoted(&span::show(*duration)))?,
        }
        let window = quoted(&span::show(*window)).into_owned();
        write!(formatter, " --registrants {registrants} --events {events} --early {early} --window {window}")?;
        match expect {
            Some(count) => write!(formatter, " --expect {count}")?,
            None => write!(formatter, " --expect none")?,
        }
        write!(formatter, " --in-process {in_process}{}", if *threads { " --threads" } else { "" })?;
        if let Some(bytes) = rotate_bytes {
            write!(formatter, " --rotate {bytes}")?;
        }
        if !faults.is_empty() {
            let names: Vec<_> = faults.iter().map(|kind| kind.name()).collect();
            write!(formatter, " --faults {}", names.join(","))?;
        }
        if *shard != Shard::WHOLE {
            write!(formatter, " --shard {shard}")?;
        }
        let (dir, keep) = (dir.to_string_lossy(), keep.to_string_lossy());
        write!(formatter, " --jobs {jobs} --dir {} --keep {}", quoted(&dir), quoted(&keep))
    }
}

/// Where violated rounds are kept that are not told where: a directory of this user's own.
fn default_keep() -> PathBuf {
    std::env::temp_dir().join(format!("stress-kept-{}", rustix::process::geteuid().as_raw()))
}

/// A path for a shell, whatever bytes it is of.
pub(crate) fn quoted_path(path: &Path) -> String {
    if let Some(text) = path.to_str() {
        return quoted(text).into_owned();
    }
    let escaped = path.as_os_str().as_bytes().iter().map(|&byte| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    });
    format!("$'{}'", escaped.collect::<String>())
}

/// For a shell.
pub(super) fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=+:@%".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''")).into()
    }
}
