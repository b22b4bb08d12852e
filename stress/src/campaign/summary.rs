//! The report of a campaign, for people: a few lines.

use std::collections::BTreeMap;
use std::fmt;

use super::report::{Boundaries, Events, Report, Traces};
use super::tally::Primaries;

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
            findings: _,
            unjudged,
            primaries,
            wrong_primary,
            events,
            failed_instances,
            faults,
            fault_rounds: _,
            boundaries,
            traces,
            latency_us,
            failover_us,
            failover_bound,
            rounds_per_second,
            rounds_per_second_without_waits,
            floor_rounds_per_second,
            violation_rate_upper_95,
            seconds,
            interrupted,
            latency_histogram_ns: _,
            failover_histogram_ns: _,
            takeover_histogram_ns: _,
            wake_up_histogram_ns: _,
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
        for (why, count) in unjudged {
            writeln!(formatter, "  unjudged     {count} rounds: {why}")?;
        }
        if *failed_instances > 0 {
            writeln!(formatter, "  failed       {failed_instances} instances without an orderly end")?;
        }
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            writeln!(formatter, "  faults       {}", faults.join(", "))?;
        }
        if boundaries.sweep > 0 || !boundaries.by_boundary.is_empty() {
            writeln!(formatter, "  boundaries   {boundaries}")?;
        }
        let Traces { followed, mismatched, cut, time_share } = traces;
        if *followed + *cut > 0 {
            let share = time_share * 100.0;
            let cut = if *cut > 0 { format!(", {cut} too long to be kept whole") } else { String::new() };
            writeln!(
                formatter,
                "  traces       {followed} followed by the machine, {mismatched} no path of it{cut} ({share:.0} % of the time)"
            )?;
        }
        for (what, spans) in [("verdict", latency_us), ("failover", failover_us)] {
            if let Some(spans) = spans {
                writeln!(formatter, "  {what:12} {spans}")?;
            }
        }
        if !failover_bound.is_empty() {
            writeln!(formatter, "  after death  {failover_bound}")?;
        }
        let without_waits = if faults.is_empty() {
            String::new()
        } else {
            format!(", {rounds_per_second_without_waits:.0} without planned waits")
        };
        writeln!(
            formatter,
            "  rate         {rounds_per_second:.0} rounds/s{without_waits}; bare fork, exit and wait: {floor_rounds_per_second:.0}"
        )?;
        let percent = violation_rate_upper_95 * 100.0;
        write!(formatter, "  violations   {violated_rounds} rounds; at most {percent:.2} % of all with 95 % confidence")
    }
}

impl fmt::Display for Boundaries {
    /// `80 of 88 calls died before or after: candidate 40, leaver 4, …; not in turn yet 8`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: BTreeMap<&str, usize> = BTreeMap::new();
        for (boundary, aimed) in &self.by_boundary {
            *parts.entry(boundary.split(' ').next().unwrap_or("")).or_default() += usize::from(aimed.hit > 0);
        }
        write!(formatter, "{} of {} died at", self.hit(), self.sweep.max(self.by_boundary.len()))?;
        for (number, (part, hit)) in parts.iter().enumerate() {
            write!(formatter, "{} {part} {hit}", if number == 0 { ":" } else { "," })?;
        }
        let waiting = self.sweep.saturating_sub(self.by_boundary.len());
        if waiting > 0 {
            write!(formatter, "; {waiting} not in turn yet")?;
        }
        let missed: Vec<_> =
            self.by_boundary.iter().filter(|(_, aimed)| aimed.hit == 0).map(|(name, _)| name.as_str()).collect();
        if !missed.is_empty() {
            write!(formatter, "; missed in their turn: {}", missed.join(", "))?;
        }
        Ok(())
    }
}
