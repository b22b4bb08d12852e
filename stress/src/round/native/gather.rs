//! What a round left behind: its history, as its traces, its journals and its log have it.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use single_primary::call::{Call, Failure as Failed, Handle, Name, Reply};

use super::disturbance::Done;
use super::instance::JOURNAL;
use super::trace::{Entry, Region};
use super::validation::Validator;
use super::{Ran, Rig};
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::history::format::{Begin, Line, What};
use crate::history::judge::{elections, entries_in, event_of};
use crate::plan::Plan;
use crate::plan::fault::{Fault, Kind};
use crate::plan::waits::Waits;
use crate::process::clock;

/// What a write past the file-size limit is answered.
const FILE_TOO_LARGE: i32 = rustix::io::Errno::FBIG.raw_os_error();

impl Rig {
    /// Gathers what a round left behind.
    pub(super) fn gather(&self, plan: &Plan, mut done: Done) -> Result<Ran, Failure> {
        let released_ns = self.stage.released_ns.load(Ordering::Acquire);
        let before_ns = clock::now_ns();
        let is_journal = plan.protocol == JOURNAL;
        let promises = Promise::ALL.into_iter().filter(|promise| is_journal || *promise != Promise::RightPrimary);
        let begin = Begin {
            instances: plan.ids.clone(),
            promises: promises.collect(),
            may_refuse: plan.allows_refusal() || done.looks_foreign,
            may_lose: false,
            may_be_silent: false,
        };
        let mut gathered = Gathered {
            lines: vec![(released_ns, What::Begin(begin))],
            waits: Waits::planned(plan, released_ns),
            notes: Vec::new(),
            last_ns: released_ns,
            traces: 0,
            cut_traces: 0,
        };
        for (index, region) in self.regions[..plan.ids.len()].iter().enumerate() {
            gathered.take(plan, index, *region, &done);
        }
        let validation_ns = clock::now_ns() - before_ns;
        let Files { journals, log, removed_log } = self.files(&mut done, is_journal)?;
        let Gathered { mut lines, mut waits, notes, last_ns, traces, cut_traces } = gathered;
        for (at_ns, kind, process) in &done.faults {
            // Done to a process, it is done to all that it hosts, and told of the first.
            let instance = process.map(|process| plan.ids[plan.hosted_by(process).start].clone());
            lines.push((*at_ns, What::Fault { instance, kind: kind.clone(), how: None }));
        }
        if plan.rotates_by_fault() && logs(&self.directory).len() > 1 {
            lines.push((last_ns, What::Fault { instance: None, kind: Kind::Rotate.name(), how: None }));
        }
        lines.extend(done.removed_ns.map(|at_ns| (at_ns, What::Remove)));
        for journal in &journals {
            lines.extend(elections(journal).into_iter().map(|elected| {
                let (term, primary, candidates) = (elected.term, elected.primary, elected.candidates);
                (released_ns, What::Elect { term, primary, candidates })
            }));
        }
        // What was removed is no file of the log that there is now, which may hold the event anew.
        let counts = |log: &[u8]| entries_in(log, plan.events.len());
        for (event, (count, removed)) in counts(&log).into_iter().zip(counts(&removed_log)).enumerate() {
            let count = count.max(removed);
            lines.push((last_ns, What::Entries { event: Plan::event_id(event), count }));
        }
        lines.extend(done.problems.into_iter().map(|why| (last_ns, What::Problem { why })));
        if done.is_starved {
            let why = "the machine did not let its processes run; try again when it is less busy".into();
            lines.push((last_ns, What::Unjudged { why }));
        }
        lines.push((last_ns, What::End));
        for (from_ns, until_ns) in done.waits_ns {
            waits.add(from_ns, until_ns);
        }
        if let Some(journal) = journals.first() {
            waits.window(plan, released_ns, journal);
        }
        Ok(Ran {
            released_ns,
            history: lines.into_iter().map(|(at_ns, what)| Line { round: plan.round, at_ns, what }).collect(),
            validation_ns,
            traces,
            cut_traces,
            boundaries: plan.boundaries(&notes),
            waited_ns: waits.total(released_ns, before_ns),
            acts: done.acts,
        })
    }

    /// The journal and those that were emptied before it, none for a protocol without one; the log; and the log that
    /// was removed.
    fn files(&self, done: &mut Done, is_journal: bool) -> Result<Files, Failure> {
        let mut journals = Vec::new();
        if is_journal {
            journals.extend(read(&self.directory.join("journal"))?);
            if let Ok(past) = fs::read_dir(&self.past) {
                for entry in past.flatten() {
                    journals.extend(read(&entry.path())?);
                }
            }
        }
        let log = self.log()?;
        if let Some(journal) = done.removed.take().filter(|_| is_journal) {
            journals.push(whole(journal)?);
        }
        let mut removed_log = Vec::new();
        for file in std::mem::take(&mut done.removed_logs) {
            removed_log.extend(whole(file)?);
        }
        Ok(Files { journals, log, removed_log })
    }

    /// All files of the log together.
    fn log(&self) -> Result<Vec<u8>, Failure> {
        let mut log = Vec::new();
        for file in logs(&self.directory) {
            log.extend(read(&file)?.unwrap_or_default());
        }
        Ok(log)
    }
}

/// The paths of all files of the log, those that a rotation has renamed first.
pub(super) fn logs(directory: &Path) -> Vec<PathBuf> {
    const CURRENT: &str = "realtime.log";
    let mut rotated: Vec<Name> = match fs::read_dir(directory) {
        Ok(files) => files
            .flatten()
            .filter_map(|file| Name::parse_log(file.file_name().as_bytes(), CURRENT.as_bytes()))
            .collect(),
        Err(_) => Vec::new(),
    };
    rotated.sort_unstable();
    rotated.iter().map(Name::file_name).chain([CURRENT.to_owned()]).map(|file| directory.join(file)).collect()
}

fn whole(mut file: File) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Failure::environment("a removed file", "read", "report this"))?;
    Ok(bytes)
}

/// The files that a round left, as bytes.
#[derive(Debug)]
struct Files {
    journals: Vec<Vec<u8>>,
    log: Vec<u8>,
    removed_log: Vec<u8>,
}

/// What the traces say so far.
#[derive(Debug)]
struct Gathered {
    lines: Vec<(u64, What)>,
    waits: Waits,
    notes: Vec<String>,
    last_ns: u64,
    traces: u64,
    cut_traces: u64,
}

impl Gathered {
    /// Takes in the trace of an instance.
    fn take(&mut self, plan: &Plan, index: usize, region: Region, done: &Done) {
        let id = &plan.ids[index];
        let instance = || id.clone();
        let died_ns = done.deaths_ns[plan.host_of(index)];
        // What an instance does on two threads is written down in an order of its own.
        let is_followed = plan.protocol == JOURNAL && !plan.blocks(index);
        let mut validator = is_followed.then(|| Validator::new(plan, index));
        let (mut believes, mut has_left, mut is_limited) = (false, false, false);
        let mut logging = None;
        let mut last_ns = 0;
        let first_line = self.lines.len();
        for stamped in region.entries() {
            let at_ns = stamped.at_ns;
            last_ns = at_ns;
            let what = match &stamped.entry {
                Entry::Believe { term } => {
                    believes = true;
                    Some(What::Believe { instance: instance(), term: *term })
                }
                Entry::Cease => {
                    believes = false;
                    Some(What::Cease { instance: instance() })
                }
                Entry::Verdict { primary: false } => Some(What::Follow { instance: instance() }),
                Entry::Left => {
                    has_left = true;
                    Some(What::Leave { instance: instance() })
                }
                Entry::Failed(why) => {
                    believes = false;
                    Some(What::Fail { instance: instance(), why: why.clone() })
                }
                Entry::Deliver(event) => {
                    Some(What::Deliver { instance: instance(), event: Plan::event_id(*event as usize) })
                }
                Entry::Recorded(event) => {
                    Some(What::Record { instance: instance(), event: Plan::event_id(*event as usize) })
                }
                Entry::Note(note) => {
                    self.notes.push(note.clone());
                    None
                }
                Entry::Fault(kind) => Some(self.fault(plan, index, at_ns, kind)),
                Entry::Call(Call::Append { handle: Handle::LOG, bytes }) => {
                    logging = event_of(bytes).map(|event| (event.to_owned(), bytes.len()));
                    None
                }
                Entry::Reply(Reply::Wrote(written)) => logging
                    .take()
                    .filter(|(_, length)| length == written)
                    .map(|(event, _)| What::Log { instance: instance(), event }),
                Entry::Reply(Reply::Failed(Failed(error))) => {
                    is_limited |= *error == FILE_TOO_LARGE;
                    None
                }
                Entry::Verdict { primary: true }
                | Entry::Clock(_)
                | Entry::Call(_)
                | Entry::Other(_)
                | Entry::Reply(_)
                | Entry::Leave => None,
            };
            self.lines.extend(what.map(|what| (at_ns, what)));
            if let Some(validator) = &mut validator {
                validator.follow(stamped.entry);
            }
        }
        self.last_ns = self.last_ns.max(last_ns);
        if let Some(died_ns) = died_ns.filter(|_| !has_left) {
            // The dead were primary at least until they were killed.
            let until_ns = if believes { died_ns.max(last_ns) } else { last_ns };
            self.last_ns = self.last_ns.max(until_ns);
            self.lines.push((until_ns, What::Die { instance: instance() }));
        }
        if is_limited {
            // What it could not write is not promised.
            let mut number = 0;
            self.lines.retain(|(_, what)| {
                number += 1;
                number <= first_line || !matches!(what, What::Record { .. })
            });
            let how = Some("a file cannot grow any more".into());
            self.lines.push((last_ns, What::Fault { instance: Some(instance()), kind: Kind::Full.name(), how }));
        }
        let is_late = |fault: &Fault| matches!(fault, Fault::Late { instance, .. } if *instance == index);
        if last_ns > 0 && plan.begins_us(index) > 0 && plan.faults.iter().any(is_late) {
            let what = What::Fault { instance: Some(instance()), kind: Kind::Late.name(), how: None };
            self.lines.push((self.lines[first_line..].iter().map(|(at_ns, _)| *at_ns).min().unwrap_or(last_ns), what));
        }
        if region.is_overflown() {
            self.cut_traces += u64::from(validator.is_some());
        } else if let Some(validator) = validator {
            self.traces += 1;
            if let Err(why) = validator.finish(!has_left) {
                self.lines.push((last_ns, What::Deviate { instance: instance(), why }));
            }
        }
    }

    /// A fault that the instance has noted itself; what is none is wrong.
    fn fault(&mut self, plan: &Plan, index: usize, at_ns: u64, kind: &str) -> What {
        let instance = plan.ids[index].clone();
        if Kind::parse(kind).is_err() {
            return What::Problem { why: kind.to_owned() };
        }
        if kind == Kind::Stall.name() {
            self.waits.stalled(plan, index, at_ns);
        }
        if kind == Kind::Restart.name() {
            // It goes before the others, and leaves what it has not written to them.
            self.lines.push((at_ns, What::Retire { instance: instance.clone() }));
        }
        What::Fault { instance: Some(instance), kind: kind.to_owned(), how: None }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::environment(path.display(), "read", "keep others from changing it")(error)),
    }
}
