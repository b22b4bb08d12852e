//! What a round left behind: its traces, its journals and its log.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use single_primary::call::{Failure as Failed, Reply};

use super::instance::JOURNAL;
use super::trace::Entry;
use super::validation::Validator;
use super::{Ended, Ran, Rig};
use crate::failure::Failure;
use crate::history::judge::{Evidence, Seen, Tenure};
use crate::plan::Plan;
use crate::plan::fault::{Fault, Kind};
use crate::plan::waits::Waits;
use crate::process;
use crate::process::clock;

/// What a write past the file-size limit is answered.
const FILE_TOO_LARGE: i32 = rustix::io::Errno::FBIG.raw_os_error();

impl Rig {
    /// Gathers what a round left behind. Its files stay until [`Rig::clean`].
    pub(crate) fn gather(&self, plan: &Plan, ended: Ended) -> Result<Ran, Failure> {
        let Ended { released_ns, mut done, children } = ended;
        for child in children {
            process::wait(child).map_err(Failure::environment("a process of the round", "wait", "report this"))?;
        }
        let before_ns = clock::now_ns();
        let journal = plan.protocol == JOURNAL;
        let mut mismatches = Vec::new();
        let mut traces = 0;
        let mut cut_traces = 0;
        let mut fired = Vec::new();
        let mut notes = Vec::new();
        let mut waits = Waits::planned(plan, released_ns);
        let mut full = false;
        let instances: Vec<Seen> = (plan.ids.iter().enumerate().zip(&self.regions))
            .map(|((index, id), region)| {
                let mut validator = journal.then(|| Validator::new(plan, index));
                let mut seen = Seen { id: id.clone(), ..Seen::default() };
                let died_ns = done.deaths_ns[plan.host_of(index)];
                let mut believed = None;
                let mut limited = false;
                let mut late = plan.begins_us(index) > 0;
                let mut last_ns = 0;
                for stamped in region.entries() {
                    last_ns = stamped.at_ns;
                    match &stamped.entry {
                        Entry::Believe { term } => believed = Some((*term, stamped.at_ns)),
                        Entry::Cease => {
                            seen.tenures.extend(believed.take().map(|(term, from_ns)| Tenure {
                                term,
                                from_ns,
                                until_ns: stamped.at_ns,
                            }));
                        }
                        Entry::Verdict { .. } => seen.verdict_ns = Some(stamped.at_ns),
                        Entry::Deliver(event) => seen.delivered.push(*event),
                        Entry::Failed(why) => seen.failed = Some(why.clone()),
                        Entry::Recorded(event) => seen.recorded.push((*event, stamped.at_ns)),
                        Entry::Left => seen.left = true,
                        Entry::Note(note) => notes.push(note.clone()),
                        Entry::Fault(kind) => {
                            if *kind == Kind::Stall.name() {
                                waits.stalled(plan, index, stamped.at_ns);
                            }
                            seen.retired |= *kind == Kind::Restart.name();
                            fired.push(kind.clone());
                        }
                        Entry::Reply(Reply::Failed(Failed(error))) if *error == FILE_TOO_LARGE => {
                            limited = true;
                        }
                        Entry::Clock(_) | Entry::Call(_) | Entry::Other(_) | Entry::Reply(_) | Entry::Leave => {}
                    }
                    if let Some(validator) = &mut validator {
                        validator.follow(stamped.entry);
                    }
                }
                if limited {
                    full = true;
                    // What it could not write is not promised.
                    seen.recorded.clear();
                }
                // The dead were primary at least until they were killed.
                let until_ns = died_ns.unwrap_or(0).max(last_ns);
                seen.tenures.extend(believed.map(|(term, from_ns)| Tenure { term, from_ns, until_ns }));
                seen.died = died_ns.is_some() && !seen.left;
                late &= last_ns > 0;
                if late
                    && plan
                        .faults
                        .iter()
                        .any(|fault| matches!(fault, Fault::Late { instance, .. } if *instance == index))
                {
                    fired.push(Kind::Late.name());
                }
                if region.is_overflown() {
                    cut_traces += u64::from(journal);
                } else if let Some(validator) = validator {
                    traces += 1;
                    if let Err(how) = validator.finish(!seen.left) {
                        mismatches.push(format!("{id}: {how}"));
                    }
                }
                seen
            })
            .collect();
        let validation_ns = clock::now_ns() - before_ns;
        let mut journals = Vec::new();
        if journal {
            journals.extend(read(&self.directory.join("journal"))?);
            if let Ok(past) = fs::read_dir(&self.past) {
                for entry in past.flatten() {
                    journals.extend(read(&entry.path())?);
                }
            }
        }
        let mut log = read(&self.directory.join("realtime.log"))?.unwrap_or_default();
        for (mut file, is_log) in std::mem::take(&mut done.removed).into_iter().zip([false, true]) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(Failure::environment("a removed file", "read", "report this"))?;
            if is_log {
                log.extend(bytes);
            } else if journal {
                journals.push(bytes);
            }
        }
        if full {
            fired.push(Kind::Full.name());
        }
        let is_kind = |name: &String| Kind::parse(name).is_ok();
        for kind in &fired {
            done.count(kind);
        }
        done.problems.extend(fired.into_iter().filter(|kind| !is_kind(kind)));
        done.faults.retain(|kind, _| is_kind(kind));
        let evidence = Evidence {
            instances,
            journals,
            log,
            events: plan.events.len(),
            allows_refusal: plan.allows_refusal() || done.looks_foreign,
            removed_ns: done.removed_ns,
            problems: done.problems,
        };
        for (from_ns, until_ns) in done.waits_ns {
            waits.add(from_ns, until_ns);
        }
        if let Some(journal) = evidence.journals.first() {
            waits.window(plan, released_ns, journal);
        }
        Ok(Ran {
            released_ns,
            evidence,
            faults: done.faults,
            validation_ns,
            mismatches,
            traces,
            cut_traces,
            boundaries: plan.boundaries(&notes),
            waited_ns: waits.total(released_ns, before_ns),
            acts: done.acts,
        })
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::environment(path.display(), "read", "keep others from changing it")(error)),
    }
}
