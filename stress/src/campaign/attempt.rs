//! A plan run again and again, several runs side by side, and how they ended.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::history::findings::{Findings, Promise};
use crate::history::{format, judge, story};
use crate::plan::Plan;
use crate::plan::order::{self, Steps};
use crate::process;
use crate::round::native::{Ran, Rig, calls};

/// The exit codes of a run: what it broke is added to the last.
const HELD: i32 = 0;
const FAILED: i32 = 1;
const BROKEN: i32 = 32;

/// Room for runs side by side.
#[derive(Debug)]
pub(crate) struct Attempts {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    rig: Rig,
    told: PathBuf,
}

/// How runs of a plan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) runs: u64,
    /// How many of them broke anything.
    pub(crate) violated: u64,
    /// How many broke each promise as the gravest.
    pub(crate) broken: [u64; Promise::COUNT],
    /// What was told of the first that broke the gravest of all.
    pub(crate) told: Option<(Promise, Told)>,
}

/// A run, for those who read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) story: String,
    pub(crate) history: String,
    /// In which order the steps of it were taken.
    pub(crate) order: Vec<Steps>,
}

impl Told {
    /// Tells of the run that a rig has just made.
    pub(crate) fn new(plan: &Plan, ran: &Ran, rig: &Rig, findings: &Findings) -> Self {
        let Plan { round, seed, ids, protocol, .. } = plan;
        let title = format!("round {round} of seed {seed}, {} instances of {protocol}", ids.len());
        // The calls stand before the end, which is the last line of every round.
        let (told, end) = ran.history.split_at(ran.history.len().saturating_sub(1));
        let history = [told, &calls::of(plan, rig.regions()), end].concat();
        Self {
            story: story::tell(&title, &history, findings),
            history: String::from_utf8_lossy(&format::text(&history)).into_owned(),
            order: order::of(plan, rig.regions(), &ran.acts),
        }
    }
}

impl Attempts {
    /// Room for runs of at most so many instances, so many at a time, under `base`, a directory that there is.
    pub(crate) fn new(base: &Path, instances: usize, jobs: usize) -> Result<Self, Failure> {
        let place = |job: usize| -> Result<Place, Failure> {
            let rig = Rig::new(&base.join(format!("attempt-{job}")), instances)?;
            Ok(Place { rig, told: base.join(format!("attempt-{job}.json")) })
        };
        Ok(Self { places: (0..jobs).map(place).collect::<Result<_, Failure>>()? })
    }

    /// Runs a plan up to so many times: fewer where a run breaks `wanted`.
    pub(crate) fn run(&self, plan: &Plan, times: u64, wanted: Option<Promise>) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        while outcome.runs < times && wanted.is_none_or(|wanted| outcome.broken[wanted as usize] == 0) {
            let batch =
                usize::try_from(times - outcome.runs).map_or(self.places.len(), |left| left.min(self.places.len()));
            let mut children: Vec<(Pid, &Place)> = Vec::with_capacity(batch);
            for place in &self.places[..batch] {
                match process::fork(|| place.attempt(plan)) {
                    Ok(child) => children.push((child, place)),
                    Err(error) => {
                        for (child, _) in children {
                            let _ = kill_process(child, Signal::KILL);
                            let _ = process::wait(child);
                        }
                        let remedy = "raise the limit of processes";
                        return Err(Failure::environment("a run of the plan", "fork", remedy)(error));
                    }
                }
            }
            let mut failed = false;
            for (child, place) in children {
                let status = process::wait(child).map_err(Failure::environment("a run", "wait", "report this"))?;
                failed |= !outcome.add(status.exit_status().unwrap_or(FAILED), place)?;
            }
            if failed {
                return Err(Failure::Worker("a run of the plan failed, and has said why".into()));
            }
        }
        Ok(outcome)
    }
}

impl Outcome {
    /// Adds a run that ended so; whether it is one that counts.
    fn add(&mut self, code: i32, place: &Place) -> Result<bool, Failure> {
        if code == HELD {
            self.runs += 1;
            return Ok(true);
        }
        let Some(promise) = code.checked_sub(BROKEN).and_then(Promise::of) else { return Ok(false) };
        self.runs += 1;
        self.violated += 1;
        self.broken[promise as usize] += 1;
        if self.told.as_ref().is_none_or(|(gravest, _)| promise < *gravest) {
            let text = fs::read(&place.told).map_err(place.failure("read"))?;
            let told = serde_json::from_slice(&text).map_err(|error| place.failure("parse")(error.into()))?;
            self.told = Some((promise, told));
        }
        Ok(true)
    }
}

impl Place {
    /// Runs the plan once, in a process of its own. Returns its exit code.
    fn attempt(&self, plan: &Plan) -> i32 {
        let run = || -> Result<i32, Failure> {
            let (ran, findings) = attempt(plan, &self.rig)?;
            if let Some(promise) = findings.gravest() {
                let told = Told::new(plan, &ran, &self.rig, &findings);
                let text = serde_json::to_vec(&told).expect("text is JSON");
                fs::write(&self.told, text).map_err(self.failure("write"))?;
                self.rig.clean()?;
                return Ok(BROKEN + promise as i32);
            }
            self.rig.clean()?;
            Ok(HELD)
        };
        run().unwrap_or_else(|failure| {
            eprintln!("error: {failure}");
            FAILED
        })
    }

    fn failure(&self, call: &'static str) -> impl FnOnce(std::io::Error) -> Failure {
        Failure::environment(self.told.display(), call, "keep others from writing there")
    }
}

/// Runs a plan in this process and says what it did not keep.
fn attempt(plan: &Plan, rig: &Rig) -> Result<(Ran, Findings), Failure> {
    let ran = rig.run(plan)?;
    let findings = judge::judge(&ran.history).findings;
    Ok((ran, findings))
}
