//! The report of a campaign: for machines as JSON, for people as a few lines.

mod joined;

use std::collections::BTreeMap;

use models::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::arguments::Options;
use super::bound;
use super::tally::{Affected, Aimed, FINDINGS_MAX, FoundIn, Primaries, Tally, Totals};
use crate::history::distribution::{Percentiles, float, percentiles, ratio, recorded};
use crate::history::failover::{Bound, FACTOR_EACH};
use crate::plan::fault::Kind;

/// What a campaign found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Drawn anew where a report is read.
    #[serde(skip_deserializing, default = "unjudged")]
    pub(crate) verdict: Verdict,
    /// Why there is no better one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inconclusive: Option<String>,
    pub(crate) command: String,
    pub(crate) seed: u64,
    pub(crate) protocol: String,
    pub(crate) rounds: u64,
    pub(crate) registrants: usize,
    pub(crate) violated_rounds: u64,
    /// What was found in them, round by round, the first of it.
    #[serde(default)]
    pub(crate) findings: Vec<String>,
    /// Why nothing follows from what is missing in a round, and in how many it was so.
    #[serde(default)]
    pub(crate) unjudged: BTreeMap<String, u64>,
    pub(crate) primaries: Primaries,
    /// `null` for a protocol without a journal to recompute it from.
    pub(crate) wrong_primary: Option<u64>,
    pub(crate) events: Events,
    pub(crate) failed_instances: u64,
    /// How often each fault happened that was asked for.
    pub(crate) faults: BTreeMap<String, u64>,
    /// For each of them, in how many rounds it happened and how many were violated.
    pub(crate) fault_rounds: BTreeMap<String, FaultRounds>,
    /// The call boundaries of the machine that `kill-at-call` takes in turn.
    pub(crate) boundaries: Boundaries,
    pub(crate) traces: Traces,
    pub(crate) latency_us: Option<Percentiles>,
    /// From the end of each tenure, orderly or not, to the beginning of the next.
    pub(crate) failover_us: Option<Percentiles>,
    /// From the death of a primary to the next one, beside what the kernel takes to wake up a bare lock.
    pub(crate) failover_bound: Bound,
    pub(crate) rounds_per_second: f64,
    /// At least so many there would be if no round waited because its plan says so: without these waits, no more rounds go
    /// on at a time than there are processors.
    pub(crate) rounds_per_second_without_waits: f64,
    pub(crate) floor_rounds_per_second: f64,
    pub(crate) violation_rate_upper_95: f64,
    pub(crate) seconds: f64,
    /// Whether it was ended before its rounds were run.
    pub(crate) interrupted: bool,
    /// The distributions behind the percentiles: nanoseconds, and how many took so long.
    pub(crate) latency_histogram_ns: Vec<(u64, u64)>,
    pub(crate) failover_histogram_ns: Vec<(u64, u64)>,
    pub(crate) takeover_histogram_ns: Vec<(u64, u64)>,
    pub(crate) wake_up_histogram_ns: Vec<(u64, u64)>,
}

/// Which boundaries instances died at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boundaries {
    /// How many there are in a sweep.
    pub(crate) sweep: usize,
    /// For each whose turn has come, in how many rounds an instance was to die there, and in how many one did.
    pub(crate) by_boundary: BTreeMap<String, Aimed>,
}

/// The rounds that a fault happened in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FaultRounds {
    pub(crate) rounds: u64,
    pub(crate) violated: u64,
    pub(crate) violation_rate_upper_95: f64,
}

/// What became of the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Events {
    pub(crate) delivered: u64,
    pub(crate) once: u64,
    pub(crate) never: u64,
    pub(crate) many: u64,
    pub(crate) excused: u64,
    /// How many events have so many entries.
    pub(crate) by_entries: BTreeMap<u64, u64>,
}

/// What became of the traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Traces {
    /// Followed to their end by the machine.
    pub(crate) followed: u64,
    /// Those that are no path of it.
    pub(crate) mismatched: u64,
    /// Those of which the end is missing, for want of room.
    #[serde(default)]
    pub(crate) cut: u64,
    /// The share of the rounds' time that following them took.
    pub(crate) time_share: f64,
}

/// How a campaign came to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) seconds: f64,
    pub(crate) interrupted: bool,
}

impl Report {
    /// Draws the conclusions.
    pub(crate) fn new(options: &Options, tally: &Tally, ending: Ending) -> Self {
        let Tally { totals, latency, failover, takeover, wake_up, findings } = tally;
        let Totals {
            rounds,
            violated,
            unjudged,
            instances_max,
            primaries,
            wrong_primary,
            entries,
            failed,
            mut faults,
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
        } = totals.clone();
        for kind in &options.template.faults {
            faults.entry(kind.name()).or_default();
        }
        let is_swept = options.has_journal() && options.template.faults.contains(&Kind::KillAtCall);
        let rounds_per_second = ratio(rounds, busy_ns) * 1e9 * float(options.jobs as u64);
        let sweep = if is_swept { options.template.sweep().boundaries().len() } else { 0 };
        Self {
            verdict: Verdict::Inconclusive,
            inconclusive: None,
            command: options.to_string(),
            seed: options.template.seed,
            protocol: options.template.protocol.clone(),
            rounds,
            registrants: options.template.registrants,
            violated_rounds: violated,
            findings: in_words(findings),
            unjudged,
            primaries,
            wrong_primary: options.has_journal().then_some(wrong_primary),
            events: Events {
                delivered: entries.delivered,
                once: entries.once,
                never: entries.never,
                many: entries.many,
                excused: entries.excused,
                by_entries: entries.by_number,
            },
            failed_instances: failed,
            faults,
            fault_rounds: fault_rounds
                .into_iter()
                .map(|(kind, Affected { rounds, violated })| (kind, FaultRounds::new(rounds, violated)))
                .collect(),
            boundaries: Boundaries { sweep, by_boundary: boundaries },
            traces: Traces {
                followed: traces,
                mismatched: trace_mismatches,
                cut: cut_traces,
                time_share: ratio(validation_ns, busy_ns),
            },
            latency_us: percentiles(latency),
            failover_us: percentiles(failover),
            failover_bound: Bound::new(wake_up, takeover, FACTOR_EACH * float(instances_max)),
            // Jobs run side by side, so that each one's time is a part of the whole. Bare processes wait for nothing: no more
            // of their rounds than there are processors go on at a time.
            rounds_per_second,
            rounds_per_second_without_waits: {
                let unhindered = ratio(rounds, busy_ns.saturating_sub(waited_ns)) * 1e9;
                (unhindered * float(options.floor_jobs as u64)).max(rounds_per_second)
            },
            floor_rounds_per_second: ratio(floor_rounds, floor_ns) * 1e9 * float(options.floor_jobs as u64),
            violation_rate_upper_95: bound::upper_95(violated, rounds),
            seconds: ending.seconds,
            interrupted: ending.interrupted,
            latency_histogram_ns: recorded(latency),
            failover_histogram_ns: recorded(failover),
            takeover_histogram_ns: recorded(takeover),
            wake_up_histogram_ns: recorded(wake_up),
        }
        .concluded()
    }

    /// With the verdict that all the rest comes to; where it shows too little, why.
    fn concluded(mut self) -> Self {
        let missing: Vec<_> =
            self.faults.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind.as_str()).collect();
        let missed: Vec<_> = self.boundaries.missed().collect();
        (self.verdict, self.inconclusive) = if self.violated_rounds > 0 || self.failover_bound.is_broken() {
            (Verdict::Violated, None)
        } else if self.rounds == 0 {
            (Verdict::Inconclusive, Some("no round was run".into()))
        } else if let Some((why, _)) = self.unjudged.iter().max_by_key(|(_, count)| **count) {
            let count: u64 = self.unjudged.values().sum();
            (Verdict::Inconclusive, Some(format!("{count} of {} rounds could not be judged: {why}", self.rounds)))
        } else if self.interrupted {
            (Verdict::Inconclusive, Some("it was ended early".into()))
        } else if self.primaries.one + self.primaries.many + self.events.once == 0 {
            (Verdict::Inconclusive, Some("nobody was ever primary: nothing was judged".into()))
        } else if !missing.is_empty() {
            let why = format!("these faults never happened: {}; run more rounds", missing.join(", "));
            (Verdict::Inconclusive, Some(why))
        } else if !missed.is_empty() {
            let why =
                format!("no instance died at these boundaries, whose turn came again and again: {}", missed.join(", "));
            (Verdict::Inconclusive, Some(why))
        } else {
            (Verdict::Holds, None)
        };
        self.violation_rate_upper_95 = bound::upper_95(self.violated_rounds, self.rounds);
        self
    }

    /// One JSON object on a line.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("numbers and strings are JSON");
        json.push(b'\n');
        json
    }
}

/// The findings of rounds, in the rounds' order.
fn in_words(findings: &[FoundIn]) -> Vec<String> {
    let mut findings: Vec<&FoundIn> = findings.iter().collect();
    findings.sort_by_key(|found| found.round);
    let texts = findings.into_iter().flat_map(|found| {
        let FoundIn { round, texts } = found;
        texts.iter().map(move |text| format!("round {round}: {text}"))
    });
    texts.take(FINDINGS_MAX).collect()
}

impl FaultRounds {
    fn new(rounds: u64, violated: u64) -> Self {
        Self { rounds, violated, violation_rate_upper_95: bound::upper_95(violated, rounds) }
    }
}

fn unjudged() -> Verdict {
    Verdict::Inconclusive
}

/// So many times a boundary has its turn before it must have been died at: in a single round the part that is aimed at may
/// fall to nobody.
const TURNS: u64 = 3;

impl Boundaries {
    /// How many were died at.
    pub(crate) fn hit(&self) -> usize {
        self.by_boundary.values().filter(|aimed| aimed.hit > 0).count()
    }

    /// Those that were not, though they had their turns.
    pub(crate) fn missed(&self) -> impl Iterator<Item = &str> {
        let missed = |(_, aimed): &(&String, &Aimed)| aimed.planned >= TURNS && aimed.hit == 0;
        self.by_boundary.iter().filter(missed).map(|(boundary, _)| boundary.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tally::Batch;
    use crate::campaign::tests::options;

    pub(super) fn tally() -> Tally {
        let mut batch = Batch { latencies_ns: vec![400_000, 500_000, 1_000_000], ..Batch::default() };
        let totals = &mut batch.totals;
        (totals.rounds, totals.instances_max) = (3_000, 4);
        totals.primaries.one = 3_000;
        (totals.entries.delivered, totals.entries.once) = (9_000, 9_000);
        (totals.traces, totals.busy_ns, totals.validation_ns) = (12_000, 2_000_000_000, 100_000_000);
        (totals.floor_rounds, totals.floor_ns) = (180, 100_000_000);
        let mut tally = Tally::new();
        tally.add(&batch);
        tally
    }

    #[test]
    fn a_boundary_that_is_never_reached_in_its_turns_leaves_the_run_inconclusive() {
        let check = |planned, hit, expected| {
            let mut options = options();
            options.template.faults = vec![Kind::KillAtCall];
            let mut tally = tally();
            tally.totals.faults.insert("kill-at-call".into(), 1);
            tally.totals.boundaries.insert("primary before write log".into(), Aimed { planned, hit });
            let report = Report::new(&options, &tally, Ending { seconds: 1.0, interrupted: false });
            assert_eq!(report.verdict, expected, "{report}");
            assert_eq!(report.inconclusive.is_some(), expected == Verdict::Inconclusive);
        };
        check(2, 0, Verdict::Holds);
        check(3, 1, Verdict::Holds);
        check(3, 0, Verdict::Inconclusive);
    }

    #[test]
    fn failovers_beyond_their_bound_violate() {
        let mut slow = tally();
        slow.takeover.record_n(50_000_000, 100).expect("in bounds");
        slow.wake_up.record_n(100_000, 100).expect("in bounds");
        let report = Report::new(&options(), &slow, Ending { seconds: 1.0, interrupted: false });
        assert_eq!(report.verdict, Verdict::Violated);
        slow.wake_up.record_n(2_000_000, 1_000).expect("in bounds");
        let report = Report::new(&options(), &slow, Ending { seconds: 1.0, interrupted: false });
        assert_eq!(report.verdict, Verdict::Holds, "the kernel itself was slow");
    }

    #[test]
    fn summaries() {
        let ending = Ending { seconds: 1.0, interrupted: false };
        insta::assert_snapshot!("holds", Report::new(&options(), &tally(), ending));
        let mut violated = tally();
        let totals = &mut violated.totals;
        totals.violated = 2;
        (totals.primaries.one, totals.primaries.many, totals.primaries.zero) = (2_997, 2, 1);
        (totals.entries.once, totals.entries.never, totals.entries.many) = (8_990, 4, 6);
        totals.entries.by_number = [(0, 4), (1, 8_990), (4, 6)].into();
        totals.failed = 1;
        totals.trace_mismatches = 1;
        totals.faults.insert("kill".into(), 7);
        totals.fault_rounds.insert("kill".into(), Affected { rounds: 7, violated: 2 });
        violated.failover.record(90_000).expect("in bounds");
        violated.takeover.record_n(300_000, 40).expect("in bounds");
        violated.wake_up.record_n(90_000, 20).expect("in bounds");
        let aimed = |planned, hit| Aimed { planned, hit };
        let boundaries = [("candidate before mkdir", aimed(2, 2)), ("leaver after close all", aimed(3, 0))];
        totals.boundaries = boundaries.map(|(name, aimed)| (name.to_owned(), aimed)).into();
        let ending = Ending { seconds: 1.0, interrupted: true };
        insta::assert_snapshot!("violated", Report::new(&options(), &violated, ending));
        insta::assert_snapshot!("nothing", Report::new(&options(), &Tally::new(), ending));
    }

    #[test]
    fn the_json_has_what_is_documented() {
        let report = Report::new(&options(), &tally(), Ending { seconds: 1.0, interrupted: false });
        let json: serde_json::Value = serde_json::from_slice(&report.to_json()).expect("JSON");
        insta::assert_snapshot!("json", serde_json::to_string_pretty(&json).expect("JSON"));
    }
}
