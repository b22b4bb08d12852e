//! A process that runs rounds, one after the other, and tells what came of them.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::attempt::Told;
use super::kept;
use super::shard::Shard;
use super::tally::{Batch, FINDINGS_MAX, FoundIn};
use super::wake_up::WakeUp;
use crate::failure::Failure;
use crate::history::findings::Promise;
use crate::history::format::{self, Line, What};
use crate::history::judge::{self, Judged};
use crate::plan::{Plan, Template};
use crate::process;
use crate::process::clock;
use crate::process::shared_memory;
use crate::round::native::{Ran, Rig};

/// So many rounds go by between two of bare processes.
const FLOOR_EVERY: usize = 8;

/// How often a worker tells what came of its rounds.
const TELL_NS: u64 = 100_000_000;

/// How many violated rounds of a kind are told of and have their directories kept.
const KEPT_MAX: u64 = 3;

/// What a worker tells, one JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Message {
    /// What came of the rounds since the last one.
    Batch(Box<Batch>),
    /// A round was violated.
    Violation {
        /// The gravest of the promises that it broke.
        promise: Promise,
        /// What happened in it.
        told: Told,
        /// Its number.
        round: u64,
        /// Why its files could not be kept, if they could not.
        not_kept: Option<String>,
    },
    /// The lines of a round's history.
    History(String),
    /// It can run no more rounds.
    Failed(String),
    /// It has run all there were to run.
    Done,
}

/// What the workers of a campaign share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared {
    next_round: &'static AtomicU64,
    stop: &'static AtomicU64,
    /// How many rounds broke each promise as the gravest.
    violated: &'static [AtomicU64],
}

impl Shared {
    /// Takes memory for it.
    pub(crate) fn new() -> std::io::Result<Self> {
        let words = shared_memory::map::<AtomicU64>(2 + Promise::COUNT)?;
        Ok(Self { next_round: &words[0], stop: &words[1], violated: &words[2..] })
    }

    /// Has the workers end with the round that they are at.
    pub(crate) fn stop(self) {
        self.stop.store(1, Ordering::Relaxed);
    }
}

/// The rounds that a worker takes from.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    pub(crate) template: &'a Template,
    /// The number behind the last one.
    pub(crate) end: u64,
    /// The part of them that is this campaign's.
    pub(crate) shard: Shard,
    pub(crate) keep: &'a Path,
    /// Whether the history of each round is told.
    pub(crate) tells_history: bool,
}

/// Runs rounds until there are no more or the campaign is stopped. Returns the process's exit code.
pub(crate) fn run(rounds: &Rounds<'_>, shared: Shared, base: &Path, to: File) -> i32 {
    let mut worker = Worker { to, batch: Batch::default(), told_ns: clock::now_ns(), wake_up_ns: None };
    let end = match worker.work(rounds, shared, base) {
        Ok(()) => Message::Done,
        Err(failure) => Message::Failed(failure.to_string()),
    };
    // Where nobody listens any more, the campaign is gone.
    i32::from(worker.tell().and_then(|()| worker.send(&end)).is_err())
}

#[derive(Debug)]
struct Worker {
    to: File,
    batch: Batch,
    told_ns: u64,
    /// The last wake-up that was measured and is not told in a history yet.
    wake_up_ns: Option<u64>,
}

impl Worker {
    fn work(&mut self, rounds: &Rounds<'_>, shared: Shared, base: &Path) -> Result<(), Failure> {
        let rig = Rig::new(base, rounds.template.instances_max())?;
        let wake_up = WakeUp::new().map_err(Failure::environment("shared memory", "mmap", "free some memory"))?;
        let mut taken = 0_usize;
        while shared.stop.load(Ordering::Relaxed) == 0 {
            let round = rounds.shard.number(shared.next_round.fetch_add(1, Ordering::Relaxed));
            if round >= rounds.end {
                break;
            }
            taken += 1;
            if taken % FLOOR_EVERY == 1 {
                self.floor(rounds.template.processes())?;
                if rounds.template.faults.iter().any(|kind| kind.kills()) {
                    self.wake_up(&wake_up, &base.with_extension("lock"))?;
                }
            }
            let begun_ns = clock::now_ns();
            self.round(rounds, shared, &rig, &rounds.template.draw(round))?;
            self.batch.totals.busy_ns += clock::now_ns() - begun_ns;
            if clock::now_ns() - self.told_ns > TELL_NS {
                self.tell().map_err(heard())?;
            }
        }
        Ok(())
    }

    /// Runs a round, counts it, and removes its files.
    fn round(&mut self, rounds: &Rounds<'_>, shared: Shared, rig: &Rig, plan: &Plan) -> Result<(), Failure> {
        let mut ran = rig.run(plan)?;
        if let Some(span_ns) = self.wake_up_ns.take() {
            let line = Line { round: plan.round, at_ns: ran.released_ns, what: What::WakeUp { span_ns } };
            ran.history.insert(ran.history.len().saturating_sub(1), line);
        }
        let judged = judge::judge(&ran.history);
        self.count(&ran, &judged, plan.ids.len());
        if rounds.tells_history {
            let lines = String::from_utf8_lossy(&format::text(&ran.history)).into_owned();
            self.send(&Message::History(lines)).map_err(heard())?;
        }
        let findings = judged.findings;
        if !findings.is_empty() && self.batch.findings.len() < FINDINGS_MAX {
            let texts = findings.all().iter().map(|finding| finding.text.clone()).collect();
            self.batch.findings.push(FoundIn { round: plan.round, texts });
        }
        if let Some(promise) = findings.gravest()
            && shared.violated[promise as usize].fetch_add(1, Ordering::Relaxed) < KEPT_MAX
        {
            let kept = kept::directory(rounds.keep, plan.seed, plan.round);
            let told = Told::new(plan, &ran, rig, &findings);
            let not_kept = kept::keep(&kept, plan, rig, promise, &told).err().map(|failure| failure.to_string());
            let violation = Message::Violation { promise, told, round: plan.round, not_kept };
            self.send(&violation).map_err(heard())?;
        }
        rig.clean()
    }

    /// Adds a round of so many instances to the batch.
    fn count(&mut self, ran: &Ran, judged: &Judged, instances: usize) {
        let Ran { released_ns: _, history: _, validation_ns, traces, cut_traces, boundaries, waited_ns, acts: _ } = ran;
        let Judged {
            findings,
            unjudged,
            primaries,
            entries,
            tenures: _,
            failed,
            faults,
            latencies_ns: latencies,
            failovers_ns: failovers,
            takeovers_ns: takeovers,
            wake_ups_ns: wake_ups,
        } = judged;
        let Batch { totals, latencies_ns, failovers_ns, takeovers_ns, wake_ups_ns, findings: _ } = &mut self.batch;
        totals.rounds += 1;
        totals.violated += u64::from(!findings.is_empty());
        if let Some(why) = unjudged {
            *totals.unjudged.entry(why.clone()).or_default() += 1;
        }
        totals.instances_max = totals.instances_max.max(instances as u64);
        *match primaries {
            None | Some(0) => &mut totals.primaries.zero,
            Some(1) => &mut totals.primaries.one,
            Some(_) => &mut totals.primaries.many,
        } += 1;
        totals.wrong_primary += findings.count(Promise::RightPrimary);
        totals.entries.add(entries);
        totals.failed += failed;
        for (kind, count) in faults {
            *totals.faults.entry(kind.clone()).or_default() += count;
            let affected = totals.fault_rounds.entry(kind.clone()).or_default();
            affected.rounds += 1;
            affected.violated += u64::from(!findings.is_empty());
        }
        totals.traces += traces;
        totals.cut_traces += cut_traces;
        totals.trace_mismatches += findings.count(Promise::PathOfMachine);
        totals.validation_ns += validation_ns;
        totals.waited_ns += waited_ns;
        for (boundary, hit) in boundaries {
            let aimed = totals.boundaries.entry(boundary.to_string()).or_default();
            aimed.planned += 1;
            aimed.hit += u64::from(*hit);
        }
        latencies_ns.extend(latencies);
        failovers_ns.extend(failovers);
        takeovers_ns.extend(takeovers);
        wake_ups_ns.extend(wake_ups);
    }

    /// Runs a round of bare processes: what no campaign can be faster than.
    fn floor(&mut self, processes: usize) -> Result<(), Failure> {
        let failure = |call| {
            Failure::environment(
                "a bare process",
                call,
                "raise the limit of processes, or give fewer --registrants or --jobs",
            )
        };
        let begun_ns = clock::now_ns();
        let mut children = Vec::with_capacity(processes);
        for _ in 0..processes {
            children.push(process::fork(|| 0).map_err(failure("fork"))?);
        }
        for child in children {
            process::wait(child).map_err(|error| failure("wait")(error.into()))?;
        }
        self.batch.totals.floor_ns += clock::now_ns() - begun_ns;
        self.batch.totals.floor_rounds += 1;
        Ok(())
    }

    /// Measures the wake-up of a bare lock: what no failover can be faster than.
    fn wake_up(&mut self, wake_up: &WakeUp, path: &Path) -> Result<(), Failure> {
        let remedy = "raise the limit of processes, or give fewer --registrants or --jobs";
        let span_ns = wake_up.measure(path).map_err(Failure::environment("a bare lock", "fork or kill", remedy))?;
        self.wake_up_ns = span_ns;
        Ok(())
    }

    fn tell(&mut self) -> std::io::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.told_ns = clock::now_ns();
        self.send(&Message::Batch(Box::new(batch)))
    }

    fn send(&mut self, message: &Message) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.to.write_all(&line)
    }
}

fn heard() -> impl FnOnce(std::io::Error) -> Failure {
    Failure::environment("the campaign", "write", "start it again")
}
