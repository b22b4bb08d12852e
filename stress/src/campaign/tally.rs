//! What the rounds of a campaign add up to.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::history::distribution::histogram;
use crate::history::judge::Entries;

/// Rounds by the most that were primary at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Primaries {
    /// Nobody ever was.
    pub(crate) zero: u64,
    /// One at a time.
    pub(crate) one: u64,
    /// Several at once.
    pub(crate) many: u64,
}

/// Rounds that something happened in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Affected {
    pub(crate) rounds: u64,
    pub(crate) violated: u64,
}

/// A call boundary that instances were to die at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aimed {
    /// In how many rounds one was to.
    pub(crate) planned: u64,
    /// In how many one did.
    pub(crate) hit: u64,
}

/// Adds the entries of one map to those of another.
pub(crate) fn add_aimed(to: &mut BTreeMap<String, Aimed>, from: &BTreeMap<String, Aimed>) {
    for (boundary, Aimed { planned, hit }) in from {
        let aimed = to.entry(boundary.clone()).or_default();
        aimed.planned += planned;
        aimed.hit += hit;
    }
}

/// More findings than this are counted, and not kept in words.
pub(crate) const FINDINGS_MAX: usize = 1000;

/// What was found in a round, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundIn {
    pub(crate) round: u64,
    pub(crate) texts: Vec<String>,
}

/// What can be added up by adding numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) rounds: u64,
    /// Rounds in which something promised did not hold.
    pub(crate) violated: u64,
    /// Why nothing follows from what is missing in a round, and in how many it was so.
    pub(crate) unjudged: BTreeMap<String, u64>,
    /// The most instances that took part in a round.
    pub(crate) instances_max: u64,
    pub(crate) primaries: Primaries,
    pub(crate) wrong_primary: u64,
    pub(crate) entries: Entries,
    /// Instances that took no part or did not end in good order, without a reason.
    pub(crate) failed: u64,
    /// How often each fault happened.
    pub(crate) faults: BTreeMap<String, u64>,
    /// The rounds that each fault happened in, and how many of them were violated.
    pub(crate) fault_rounds: BTreeMap<String, Affected>,
    /// The call boundaries that instances were to die at, by name.
    pub(crate) boundaries: BTreeMap<String, Aimed>,
    /// Traces that were followed by the machine.
    pub(crate) traces: u64,
    /// Those that are no path of it.
    pub(crate) trace_mismatches: u64,
    /// Those of which the end is missing, for want of room.
    pub(crate) cut_traces: u64,
    /// Time spent in rounds, over all jobs, in nanoseconds.
    pub(crate) busy_ns: u64,
    /// The part of it that went by because the plans say so.
    pub(crate) waited_ns: u64,
    /// The part of it that following the traces took.
    pub(crate) validation_ns: u64,
    /// Rounds of bare processes, and the time spent in them.
    pub(crate) floor_rounds: u64,
    pub(crate) floor_ns: u64,
}

/// What a worker tells at a time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) totals: Totals,
    /// From the common start to each instance's verdict, in nanoseconds.
    pub(crate) latencies_ns: Vec<u64>,
    /// From the end of one tenure to the beginning of the next, in nanoseconds.
    pub(crate) failovers_ns: Vec<u64>,
    /// From the death of a primary to the beginning of the next tenure, in nanoseconds.
    pub(crate) takeovers_ns: Vec<u64>,
    /// From the death of a bare lock's holder to the wake-up of its waiter, in nanoseconds.
    pub(crate) wake_ups_ns: Vec<u64>,
    /// What was found, the first of it.
    pub(crate) findings: Vec<FoundIn>,
}

/// All batches so far.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) totals: Totals,
    pub(crate) latency: Histogram<u64>,
    pub(crate) failover: Histogram<u64>,
    pub(crate) takeover: Histogram<u64>,
    pub(crate) wake_up: Histogram<u64>,
    pub(crate) findings: Vec<FoundIn>,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            totals: Totals::default(),
            latency: histogram(),
            failover: histogram(),
            takeover: histogram(),
            wake_up: histogram(),
            findings: Vec::new(),
        }
    }

    /// Takes a batch in.
    pub(crate) fn add(&mut self, batch: &Batch) {
        self.totals.add(&batch.totals);
        let Batch { totals: _, latencies_ns, failovers_ns, takeovers_ns, wake_ups_ns, findings } = batch;
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(findings.iter().take(room).cloned());
        for (histogram, spans) in [
            (&mut self.latency, latencies_ns),
            (&mut self.failover, failovers_ns),
            (&mut self.takeover, takeovers_ns),
            (&mut self.wake_up, wake_ups_ns),
        ] {
            for span in spans {
                histogram.saturating_record((*span).max(1));
            }
        }
    }
}

impl Totals {
    /// Adds those of other rounds.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            rounds,
            violated,
            unjudged,
            instances_max,
            primaries: Primaries { zero, one, many },
            wrong_primary,
            entries,
            failed,
            faults,
            fault_rounds,
            boundaries,
            traces,
            trace_mismatches,
            cut_traces,
            busy_ns,
            waited_ns,
            validation_ns,
            floor_rounds,
            floor_ns,
        } = other;
        self.rounds += rounds;
        self.violated += violated;
        for (why, count) in unjudged {
            *self.unjudged.entry(why.clone()).or_default() += count;
        }
        self.instances_max = self.instances_max.max(*instances_max);
        self.primaries.zero += zero;
        self.primaries.one += one;
        self.primaries.many += many;
        self.wrong_primary += wrong_primary;
        self.entries.add(entries);
        self.failed += failed;
        for (kind, count) in faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        for (kind, Affected { rounds, violated }) in fault_rounds {
            let affected = self.fault_rounds.entry(kind.clone()).or_default();
            affected.rounds += rounds;
            affected.violated += violated;
        }
        add_aimed(&mut self.boundaries, boundaries);
        self.traces += traces;
        self.trace_mismatches += trace_mismatches;
        self.cut_traces += cut_traces;
        self.busy_ns += busy_ns;
        self.waited_ns += waited_ns;
        self.validation_ns += validation_ns;
        self.floor_rounds += floor_rounds;
        self.floor_ns += floor_ns;
    }
}
