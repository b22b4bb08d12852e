//! The report of a campaign: for machines as JSON, for people as a few lines.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use models::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::arguments::Options;
use super::tally::{Affected, Primaries, Tally, Totals};
use crate::bound;
use crate::exit::Exit;

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
    pub(crate) primaries: Primaries,
    /// `null` for a protocol without a journal to recompute it from.
    pub(crate) wrong_primary: Option<u64>,
    pub(crate) events: Events,
    pub(crate) failed_instances: u64,
    /// How often each fault happened that was asked for.
    pub(crate) faults: BTreeMap<String, u64>,
    /// For each of them, in how many rounds it happened and how many were violated.
    pub(crate) fault_rounds: BTreeMap<String, FaultRounds>,
    pub(crate) traces: Traces,
    pub(crate) latency_us: Option<Percentiles>,
    pub(crate) failover_us: Option<Percentiles>,
    pub(crate) rounds_per_second: f64,
    pub(crate) floor_rounds_per_second: f64,
    pub(crate) violation_rate_upper_95: f64,
    pub(crate) seconds: f64,
    /// Whether it was ended before its rounds were run.
    pub(crate) interrupted: bool,
    /// The distributions behind the percentiles: nanoseconds, and how many took so long.
    pub(crate) latency_histogram_ns: Vec<(u64, u64)>,
    pub(crate) failover_histogram_ns: Vec<(u64, u64)>,
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
    /// The share of the rounds' time that following them took.
    pub(crate) time_share: f64,
}

/// A distribution, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) count: u64,
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
        let Tally { totals, latency, failover } = tally;
        let Totals {
            rounds,
            violated,
            primaries,
            wrong_primary,
            entries,
            failed,
            mut faults,
            fault_rounds,
            traces,
            trace_mismatches,
            busy_ns,
            validation_ns,
            floor_rounds,
            floor_ns,
        } = totals.clone();
        for kind in &options.template.faults {
            faults.entry(kind.name()).or_default();
        }
        let (verdict, inconclusive) = conclude(rounds, violated, &faults);
        Self {
            verdict,
            inconclusive,
            command: options.to_string(),
            seed: options.template.seed,
            protocol: options.template.protocol.clone(),
            rounds,
            registrants: options.template.registrants,
            violated_rounds: violated,
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
            traces: Traces {
                followed: traces,
                mismatched: trace_mismatches,
                time_share: ratio(validation_ns, busy_ns),
            },
            latency_us: percentiles(latency),
            failover_us: percentiles(failover),
            // Jobs run side by side, so that each one's time is a part of the whole. Bare processes wait for nothing: no more
            // of their rounds than there are processors go on at a time.
            rounds_per_second: ratio(rounds, busy_ns) * 1e9 * count(options.jobs as u64),
            floor_rounds_per_second: ratio(floor_rounds, floor_ns) * 1e9 * count(options.floor_jobs as u64),
            violation_rate_upper_95: bound::upper_95(violated, rounds),
            seconds: ending.seconds,
            interrupted: ending.interrupted,
            latency_histogram_ns: recorded(latency),
            failover_histogram_ns: recorded(failover),
        }
    }

    /// Joins the reports of a campaign's shards. They must be of one seed, protocol and number of instances.
    pub(crate) fn merge(reports: &[Self]) -> Result<Self, String> {
        let [first, rest @ ..] = reports else { return Err("there is no report to merge".into()) };
        let mut all = first.clone();
        let mut latency = Tally::new();
        for report in rest {
            if (report.seed, &report.protocol, report.registrants) != (first.seed, &first.protocol, first.registrants) {
                return Err(format!(
                    "these are not parts of one campaign: {} and {}; give the reports of one seed's shards",
                    first.command, report.command
                ));
            }
            if report.command == first.command {
                return Err(format!("the same part twice: {}; give each report once", first.command));
            }
            all.add(report);
        }
        for report in reports {
            for (histogram, recorded) in [
                (&mut latency.latency, &report.latency_histogram_ns),
                (&mut latency.failover, &report.failover_histogram_ns),
            ] {
                for (span, count) in recorded {
                    histogram.saturating_record_n((*span).max(1), *count);
                }
            }
        }
        all.latency_us = percentiles(&latency.latency);
        all.failover_us = percentiles(&latency.failover);
        all.latency_histogram_ns = recorded(&latency.latency);
        all.failover_histogram_ns = recorded(&latency.failover);
        (all.verdict, all.inconclusive) = conclude(all.rounds, all.violated_rounds, &all.faults);
        all.violation_rate_upper_95 = bound::upper_95(all.violated_rounds, all.rounds);
        Ok(all)
    }

    /// Adds what can be added; what follows from it is drawn anew.
    fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.violated_rounds += other.violated_rounds;
        self.primaries.zero += other.primaries.zero;
        self.primaries.one += other.primaries.one;
        self.primaries.many += other.primaries.many;
        self.wrong_primary = self.wrong_primary.zip(other.wrong_primary).map(|(one, other)| one + other);
        let Events { delivered, once, never, many, excused, by_entries } = &other.events;
        self.events.delivered += delivered;
        self.events.once += once;
        self.events.never += never;
        self.events.many += many;
        self.events.excused += excused;
        for (entries, events) in by_entries {
            *self.events.by_entries.entry(*entries).or_default() += events;
        }
        self.failed_instances += other.failed_instances;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
        for (kind, fault) in &other.fault_rounds {
            let entry = self.fault_rounds.entry(kind.clone()).or_insert_with(|| FaultRounds::new(0, 0));
            *entry = FaultRounds::new(entry.rounds + fault.rounds, entry.violated + fault.violated);
        }
        let (before, more) = (count(self.traces.followed), count(other.traces.followed));
        if before + more > 0.0 {
            self.traces.time_share =
                (self.traces.time_share * before + other.traces.time_share * more) / (before + more);
        }
        self.traces.followed += other.traces.followed;
        self.traces.mismatched += other.traces.mismatched;
        // The parts ran on machines of their own, each at its rate.
        self.rounds_per_second += other.rounds_per_second;
        self.floor_rounds_per_second += other.floor_rounds_per_second;
        self.seconds = self.seconds.max(other.seconds);
        self.interrupted |= other.interrupted;
    }

    /// The exit code that it ends in.
    pub(crate) fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Holds => Exit::Holds,
            Verdict::Violated => Exit::Violated,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }

    /// One JSON object on a line.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec(self).expect("numbers and strings are JSON");
        json.push(b'\n');
        json
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            inconclusive,
            command: _,
            seed: _,
            protocol,
            rounds,
            registrants,
            violated_rounds,
            primaries,
            wrong_primary,
            events,
            failed_instances,
            faults,
            fault_rounds: _,
            traces,
            latency_us,
            failover_us,
            rounds_per_second,
            floor_rounds_per_second,
            violation_rate_upper_95,
            seconds,
            interrupted,
            latency_histogram_ns: _,
            failover_histogram_ns: _,
        } = self;
        let reason = inconclusive.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let early = if *interrupted { ", ended early" } else { "" };
        writeln!(formatter, "{protocol} {verdict}{reason}: {rounds} rounds of {registrants} in {seconds:.1} s{early}")?;
        let Primaries { zero, one, many } = primaries;
        write!(formatter, "  primaries    {one} rounds with one, {many} with several at once, {zero} with none")?;
        match wrong_primary {
            Some(wrong) => writeln!(formatter, "; {wrong} not the one that the journal elects")?,
            None => writeln!(formatter)?,
        }
        let Events { delivered, once, never, many, excused, by_entries } = events;
        write!(
            formatter,
            "  events       {delivered} delivered: {once} logged once, {never} never, {many} more than once"
        )?;
        writeln!(formatter, "{}", if *excused > 0 { format!(", {excused} excused") } else { String::new() })?;
        if *many > 0 {
            let by: Vec<_> = by_entries.iter().map(|(entries, events)| format!("{events} with {entries}")).collect();
            writeln!(formatter, "  entries      {}", by.join(", "))?;
        }
        if *failed_instances > 0 {
            writeln!(formatter, "  failed       {failed_instances} instances without an orderly end")?;
        }
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            writeln!(formatter, "  faults       {}", faults.join(", "))?;
        }
        let Traces { followed, mismatched, time_share } = traces;
        if *followed > 0 {
            let share = time_share * 100.0;
            writeln!(
                formatter,
                "  traces       {followed} followed by the machine, {mismatched} no path of it ({share:.0} % of the time)"
            )?;
        }
        for (what, spans) in [("verdict", latency_us), ("failover", failover_us)] {
            if let Some(Percentiles { p50, p90, p99, max, count: _ }) = spans {
                writeln!(formatter, "  {what:12} p50 {p50:.0} µs, p90 {p90:.0}, p99 {p99:.0}, max {max:.0}")?;
            }
        }
        writeln!(
            formatter,
            "  rate         {rounds_per_second:.0} rounds/s; bare fork, exit and wait: {floor_rounds_per_second:.0}"
        )?;
        let percent = violation_rate_upper_95 * 100.0;
        write!(formatter, "  violations   {violated_rounds} rounds; at most {percent:.2} % of all with 95 % confidence")
    }
}

impl FaultRounds {
    fn new(rounds: u64, violated: u64) -> Self {
        Self { rounds, violated, violation_rate_upper_95: bound::upper_95(violated, rounds) }
    }
}

fn unjudged() -> Verdict {
    Verdict::Inconclusive
}

/// What the rounds come to; where they show too little, why.
fn conclude(rounds: u64, violated: u64, faults: &BTreeMap<String, u64>) -> (Verdict, Option<String>) {
    let missing: Vec<_> = faults.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind.as_str()).collect();
    if violated > 0 {
        (Verdict::Violated, None)
    } else if rounds == 0 {
        (Verdict::Inconclusive, Some("no round was run".into()))
    } else if !missing.is_empty() {
        let why = format!("these faults never happened: {}; run more rounds", missing.join(", "));
        (Verdict::Inconclusive, Some(why))
    } else {
        (Verdict::Holds, None)
    }
}

fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect()
}

fn percentiles(histogram: &Histogram<u64>) -> Option<Percentiles> {
    let at = |quantile| count(histogram.value_at_quantile(quantile)) / 1000.0;
    (!histogram.is_empty()).then(|| Percentiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: count(histogram.max()) / 1000.0,
        count: histogram.len(),
    })
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "for people and rates, 52 bits are enough")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tally::Batch;
    use crate::campaign::tests::options;

    fn tally() -> Tally {
        let mut batch = Batch { latencies_ns: vec![400_000, 500_000, 1_000_000], ..Batch::default() };
        let totals = &mut batch.totals;
        totals.rounds = 3_000;
        totals.primaries.one = 3_000;
        (totals.entries.delivered, totals.entries.once) = (9_000, 9_000);
        (totals.traces, totals.busy_ns, totals.validation_ns) = (12_000, 2_000_000_000, 100_000_000);
        (totals.floor_rounds, totals.floor_ns) = (180, 100_000_000);
        let mut tally = Tally::new();
        tally.add(&batch);
        tally
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
        let ending = Ending { seconds: 1.0, interrupted: true };
        insta::assert_snapshot!("violated", Report::new(&options(), &violated, ending));
        insta::assert_snapshot!("nothing", Report::new(&options(), &Tally::new(), ending));
    }

    #[test]
    fn merged_parts_are_the_whole() {
        let part = |shard: &str, seed| {
            let mut options = options();
            options.shard = shard.parse().expect("a shard");
            options.template.seed = seed;
            options.template.faults = vec![crate::fault::Kind::Kill];
            let mut tally = tally();
            tally.totals.faults.insert("kill".into(), u64::from(shard == "1/2"));
            Report::new(&options, &tally, Ending { seconds: 1.0, interrupted: false })
        };
        let (first, second) = (part("1/2", 5), part("2/2", 5));
        assert_eq!((first.verdict, second.verdict), (Verdict::Holds, Verdict::Inconclusive));
        let all = Report::merge(&[first.clone(), second.clone()]).expect("two parts");
        assert_eq!((all.verdict, all.rounds, all.events.once), (Verdict::Holds, 6_000, 18_000));
        assert_eq!(all.latency_us.map(|spans| spans.count), Some(6));
        assert!((all.violation_rate_upper_95 - 0.0005).abs() < 1e-9);
        let json = second.to_json();
        assert_eq!(serde_json::from_slice::<Report>(&json).expect("its own JSON"), second);
        assert!(Report::merge(&[first.clone(), first.clone()]).expect_err("twice").contains("the same part twice"));
        assert!(Report::merge(&[first, part("2/2", 6)]).expect_err("another").contains("not parts of one campaign"));
        assert!(Report::merge(&[]).is_err());
    }

    #[test]
    fn the_json_has_what_is_documented() {
        let report = Report::new(&options(), &tally(), Ending { seconds: 1.0, interrupted: false });
        let json: serde_json::Value = serde_json::from_slice(&report.to_json()).expect("JSON");
        insta::assert_snapshot!("json", serde_json::to_string_pretty(&json).expect("JSON"));
    }
}
