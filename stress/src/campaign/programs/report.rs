//! The report of a campaign of foreign registrants: for machines as JSON, for people as a few lines.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use models::verdict::Verdict;

use super::Settings;
use super::judge::Judged;
use crate::audit::reading_of;
use crate::campaign::bound;
use crate::history::distribution::{Percentiles, histogram, percentiles};
use crate::plan::fault::program::Fault;

/// What has been seen so far.
#[derive(Debug)]
pub(crate) struct Tally {
    rounds: u64,
    pub(crate) violated: u64,
    judged: u64,
    unjudged: BTreeMap<String, u64>,
    primaries: Primaries,
    events: Events,
    faults: BTreeMap<String, u64>,
    /// Rounds that were over before their fault.
    unexercised: BTreeMap<String, u64>,
    ends: BTreeMap<String, u64>,
    odd_lines: u64,
    latency: Histogram<u64>,
    failover: Histogram<u64>,
    /// What was printed on stderr in the first round that showed nothing.
    errors: Option<String>,
}

/// How many rounds had so many primaries at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Primaries {
    pub(crate) zero: u64,
    pub(crate) one: u64,
    pub(crate) many: u64,
    /// Rounds in which no registrant said anything.
    pub(crate) unknown: u64,
}

/// What became of the events.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Events {
    pub(crate) delivered: u64,
    pub(crate) once: u64,
    pub(crate) never: u64,
    pub(crate) many: u64,
    pub(crate) excused: u64,
    pub(crate) by_entries: BTreeMap<u64, u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            rounds: 0,
            violated: 0,
            judged: 0,
            unjudged: BTreeMap::new(),
            primaries: Primaries::default(),
            events: Events::default(),
            faults: BTreeMap::new(),
            unexercised: BTreeMap::new(),
            ends: BTreeMap::new(),
            odd_lines: 0,
            latency: histogram(),
            failover: histogram(),
            errors: None,
        }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, fault: Option<Fault>, is_exercised: bool, judged: &Judged, errors: &str) {
        let Judged {
            broken,
            unjudged,
            primaries,
            delivered,
            once,
            never,
            many,
            excused,
            by_entries,
            latencies_ns,
            failover_ns,
            ends,
            odd_lines,
        } = judged;
        self.rounds += 1;
        if !broken.is_empty() {
            self.violated += 1;
        }
        match unjudged {
            Some(why) => {
                *self.unjudged.entry(why.clone()).or_default() += 1;
                if !errors.is_empty() {
                    self.errors.get_or_insert_with(|| errors.to_owned());
                }
            }
            None => self.judged += 1,
        }
        match primaries {
            None => self.primaries.unknown += 1,
            Some(0) => self.primaries.zero += 1,
            Some(1) => self.primaries.one += 1,
            Some(_) => self.primaries.many += 1,
        }
        self.events.delivered += delivered;
        self.events.once += once;
        self.events.never += never;
        self.events.many += many;
        self.events.excused += excused;
        for (entries, events) in by_entries {
            *self.events.by_entries.entry(*entries).or_default() += events;
        }
        for latency_ns in latencies_ns {
            self.latency.saturating_record(*latency_ns);
        }
        if let Some(failover_ns) = failover_ns {
            self.failover.saturating_record(*failover_ns);
        }
        for (end, count) in ends {
            *self.ends.entry(end.clone()).or_default() += count;
        }
        self.odd_lines += odd_lines;
        if let Some(fault) = fault {
            let faults = if is_exercised { &mut self.faults } else { &mut self.unexercised };
            *faults.entry(fault.to_string()).or_default() += 1;
        }
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }
}

/// How a campaign came to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ending {
    pub(crate) seconds: f64,
    pub(crate) interrupted: bool,
    /// Faults that were asked for and cannot be had here, and why.
    pub(crate) skipped: Vec<String>,
    /// Rounds per second of starting and waiting alone, where that was measured.
    pub(crate) floor: Option<f64>,
}

/// What a campaign found.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// Why there is no better one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inconclusive: Option<String>,
    pub(crate) registrant: String,
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    pub(crate) judged_rounds: u64,
    pub(crate) violated_rounds: u64,
    pub(crate) registrants: usize,
    pub(crate) primaries: Primaries,
    /// Who should have been is not known of a foreign election.
    pub(crate) wrong_primary: Option<u64>,
    pub(crate) events: Events,
    /// What the numbers of entries point at.
    pub(crate) reading: String,
    pub(crate) unjudged: BTreeMap<String, u64>,
    pub(crate) irregular_ends: BTreeMap<String, u64>,
    pub(crate) odd_lines: u64,
    pub(crate) errors: Option<String>,
    pub(crate) faults: BTreeMap<String, u64>,
    /// Rounds that were over before their fault, or in which it could not be brought about.
    pub(crate) unexercised: BTreeMap<String, u64>,
    pub(crate) skipped: Vec<String>,
    pub(crate) latency_us: Option<Percentiles>,
    pub(crate) failover_us: Option<Percentiles>,
    pub(crate) rounds_per_second: f64,
    pub(crate) floor_rounds_per_second: Option<f64>,
    pub(crate) violation_rate_upper_95: f64,
    pub(crate) seconds: f64,
    pub(crate) interrupted: bool,
}

impl Report {
    /// Draws the conclusions.
    pub(crate) fn new(settings: &Settings, tally: Tally, ending: Ending) -> Self {
        let Tally {
            rounds,
            violated,
            judged,
            unjudged,
            primaries,
            events,
            faults,
            unexercised,
            ends,
            odd_lines,
            latency,
            failover,
            errors,
        } = tally;
        let Ending { seconds, interrupted, skipped, floor } = ending;
        let inconclusive = if rounds == 0 {
            Some("no round was run".to_owned())
        } else if let Some((why, count)) = unjudged.iter().max_by_key(|(_, count)| **count) {
            Some(format!("{} of {rounds} rounds show nothing, {count} of them because {why}", rounds - judged))
        } else if settings.template.events > 0 && events.delivered == 0 {
            Some("no event was delivered".to_owned())
        } else if interrupted {
            Some("it was interrupted".to_owned())
        } else if let Some(fault) = unexercised.keys().find(|fault| !faults.contains_key(*fault)) {
            Some(format!("a fault was never exercised: {fault}"))
        } else if !skipped.is_empty() {
            Some(format!("a fault could not be exercised: {}", skipped.join("; ")))
        } else {
            None
        };
        let verdict = match (violated, &inconclusive) {
            (1.., _) => Verdict::Violated,
            (0, Some(_)) => Verdict::Inconclusive,
            (0, None) => Verdict::Holds,
        };
        Self {
            verdict,
            inconclusive: inconclusive.filter(|_| violated == 0),
            registrant: settings.conditions.program.text().to_owned(),
            seed: settings.template.seed,
            rounds,
            judged_rounds: judged,
            violated_rounds: violated,
            registrants: settings.template.registrants,
            primaries,
            wrong_primary: None,
            reading: reading_of(&events.by_entries, events.excused),
            events,
            unjudged,
            irregular_ends: ends,
            odd_lines,
            errors,
            faults,
            unexercised,
            skipped,
            latency_us: percentiles(&latency),
            failover_us: percentiles(&failover),
            rounds_per_second: rate(rounds, seconds),
            floor_rounds_per_second: floor,
            violation_rate_upper_95: bound::upper_95(violated, judged.max(violated)),
            seconds,
            interrupted,
        }
    }
}

/// Rounds per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is rounded")]
pub(crate) fn rate(rounds: u64, seconds: f64) -> f64 {
    rounds as f64 / seconds.max(f64::EPSILON)
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verdict,
            inconclusive,
            registrant,
            seed: _,
            rounds,
            judged_rounds: _,
            violated_rounds,
            registrants,
            primaries: Primaries { zero, one, many, unknown },
            wrong_primary: _,
            events,
            reading,
            unjudged,
            irregular_ends,
            odd_lines,
            errors,
            faults,
            unexercised,
            skipped,
            latency_us,
            failover_us,
            rounds_per_second,
            floor_rounds_per_second,
            violation_rate_upper_95,
            seconds,
            interrupted,
        } = self;
        let reason = inconclusive.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let early = if *interrupted { ", ended early" } else { "" };
        writeln!(
            formatter,
            "{registrant} {verdict}{reason}: {rounds} rounds of {registrants} in {seconds:.1} s{early}"
        )?;
        write!(formatter, "  primaries    {one} rounds with one, {many} with several at once, {zero} with none")?;
        writeln!(formatter, "{}", if *unknown > 0 { format!(", {unknown} unknown") } else { String::new() })?;
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
        writeln!(formatter, "  reading      {reading}")?;
        for (why, count) in unjudged {
            writeln!(formatter, "  unjudged     {count} rounds: {why}")?;
        }
        for (end, count) in irregular_ends {
            writeln!(formatter, "  registrants  {count} {end}")?;
        }
        if *odd_lines > 0 {
            writeln!(formatter, "  registrants  printed {odd_lines} lines that are no word of the protocol")?;
        }
        if let Some(errors) = errors {
            writeln!(formatter, "  stderr       {}", errors.trim_end().replace('\n', "\n               "))?;
        }
        if !faults.is_empty() {
            let faults: Vec<_> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            writeln!(formatter, "  faults       {}", faults.join(", "))?;
        }
        for (fault, rounds) in unexercised {
            writeln!(formatter, "  unexercised  {fault}: {rounds} rounds were over before it")?;
        }
        for fault in skipped {
            writeln!(formatter, "  skipped      {fault}")?;
        }
        for (what, spans) in [("verdict", latency_us), ("failover", failover_us)] {
            if let Some(spans) = spans {
                writeln!(formatter, "  {what:12} {spans}")?;
            }
        }
        write!(formatter, "  rate         {rounds_per_second:.0} rounds/s")?;
        match floor_rounds_per_second {
            Some(floor) => {
                writeln!(formatter, "; bare spawn and wait: {floor:.0}; ratio {:.2}", rounds_per_second / floor)?;
            }
            None => writeln!(formatter)?,
        }
        let percent = violation_rate_upper_95 * 100.0;
        write!(formatter, "  violations   {violated_rounds} rounds; at most {percent:.2} % of all with 95 % confidence")
    }
}
