//! The reports of a campaign's parts as one.

use models::verdict::Verdict;

use super::{Events, FaultRounds, Report};
use crate::campaign::tally::{FINDINGS_MAX, add_aimed};
use crate::history::distribution::{self, float, percentiles, recorded};
use crate::history::failover::Bound;

impl Report {
    /// Joins the reports of a campaign's shards, which must be parts of one campaign. Where some of them are missing, nothing
    /// follows from what the others have not seen.
    pub(crate) fn merge(reports: &[Self]) -> Result<Self, String> {
        let [first, rest @ ..] = reports else { return Err("there is no report to merge".into()) };
        let mut all = first.clone();
        for report in rest {
            let (_, parts) = report.part();
            if report.whole() != first.whole() || parts != first.part().1 {
                return Err(format!(
                    "these are not parts of one campaign: {} and {}; give the reports of one seed's shards",
                    first.command, report.command
                ));
            }
            all.add(report);
        }
        let parts: Vec<u64> = reports.iter().map(|report| report.part().0).collect();
        if let Some(part) = parts.iter().find(|part| parts.iter().filter(|other| other == part).count() > 1) {
            return Err(format!("the same part twice: {part} of {}; give each report once", first.part().1));
        }
        let joined = |kept: fn(&Self) -> &Vec<(u64, u64)>| distribution::joined(reports.iter().map(kept));
        let latency = joined(|report| &report.latency_histogram_ns);
        let failover = joined(|report| &report.failover_histogram_ns);
        let takeover = joined(|report| &report.takeover_histogram_ns);
        let wake_up = joined(|report| &report.wake_up_histogram_ns);
        let factor = reports.iter().map(|report| report.failover_bound.factor).fold(0.0, f64::max);
        all.latency_us = percentiles(&latency);
        all.failover_us = percentiles(&failover);
        all.failover_bound = Bound::new(&wake_up, &takeover, factor);
        all.latency_histogram_ns = recorded(&latency);
        all.failover_histogram_ns = recorded(&failover);
        all.takeover_histogram_ns = recorded(&takeover);
        all.wake_up_histogram_ns = recorded(&wake_up);
        let mut all = all.concluded();
        let missing: Vec<_> =
            (1..=first.part().1).filter(|part| !parts.contains(part)).map(|part| part.to_string()).collect();
        if !missing.is_empty() && all.verdict == Verdict::Holds {
            let why = format!("of {} parts these are missing: {}", first.part().1, missing.join(", "));
            (all.verdict, all.inconclusive) = (Verdict::Inconclusive, Some(why));
        }
        Ok(all)
    }

    /// Which part of the campaign it is of, of how many: as its command says.
    fn part(&self) -> (u64, u64) {
        let shard = self.command.split_once(" --shard ").and_then(|(_, rest)| rest.split(' ').next());
        let numbers = shard.and_then(|shard| shard.split_once('/'));
        numbers.and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?))).unwrap_or((1, 1))
    }

    /// The campaign that it is a part of: its command without what each part has for itself.
    fn whole(&self) -> &str {
        let end = [" --shard ", " --jobs "].iter().filter_map(|option| self.command.find(option)).min();
        &self.command[..end.unwrap_or(self.command.len())]
    }

    /// Adds what can be added; what follows from it is drawn anew.
    fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.violated_rounds += other.violated_rounds;
        self.findings.extend(other.findings.iter().cloned());
        self.findings.truncate(FINDINGS_MAX);
        for (why, count) in &other.unjudged {
            *self.unjudged.entry(why.clone()).or_default() += count;
        }
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
        add_aimed(&mut self.boundaries.by_boundary, &other.boundaries.by_boundary);
        let (before, more) = (float(self.traces.followed), float(other.traces.followed));
        if before + more > 0.0 {
            self.traces.time_share =
                (self.traces.time_share * before + other.traces.time_share * more) / (before + more);
        }
        self.traces.followed += other.traces.followed;
        self.traces.mismatched += other.traces.mismatched;
        self.traces.cut += other.traces.cut;
        // The parts ran on machines of their own, each at its rate.
        self.rounds_per_second += other.rounds_per_second;
        self.rounds_per_second_without_waits += other.rounds_per_second_without_waits;
        self.floor_rounds_per_second += other.floor_rounds_per_second;
        self.seconds = self.seconds.max(other.seconds);
        self.interrupted |= other.interrupted;
    }
}

#[cfg(test)]
mod tests {
    use models::verdict::Verdict;

    use super::super::Ending;
    use super::super::tests::tally;
    use super::*;
    use crate::campaign::tests::options;

    #[test]
    fn merged_parts_are_the_whole() {
        let part = |shard: &str, seed| {
            let mut options = options();
            options.shard = shard.parse().expect("a shard");
            options.template.seed = seed;
            options.template.faults = vec![crate::plan::fault::Kind::Kill];
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
        let alone = Report::merge(std::slice::from_ref(&first)).expect("one part");
        assert_eq!((alone.verdict, alone.inconclusive.is_some()), (Verdict::Inconclusive, true), "one is missing");
        assert!(Report::merge(&[first.clone(), first.clone()]).expect_err("twice").contains("the same part twice"));
        assert!(Report::merge(&[first.clone(), part("2/3", 5)]).expect_err("of more").contains("not parts of one"));
        assert!(Report::merge(&[first, part("2/2", 6)]).expect_err("another").contains("not parts of one campaign"));
        assert!(Report::merge(&[]).is_err());
    }
}
