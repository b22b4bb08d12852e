//! The report of a campaign of foreign registrants: for machines as JSON, for people as a few lines.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use models::verdict::Verdict;

use super::Settings;
use super::judge::{Broken, Judged};
use crate::audit::reading_of;
use crate::campaign::bound;
use crate::cli::span;
use crate::history::distribution::{Percentiles, histogram, percentiles};
use crate::plan::fault::program::Fault;
use crate::round::program::{Conditions, LONG_STOP};

/// How many findings are told.
const FINDINGS_MAX: usize = 100;

/// A violated round, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Violation {
    pub(crate) round: u64,
    pub(crate) story: String,
    /// Where its files are, as a shell takes it; or why they are nowhere.
    pub(crate) kept: Option<String>,
    pub(crate) not_kept: Option<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { round: _, story, kept, not_kept } = self;
        formatter.write_str(story)?;
        match (kept, not_kept) {
            (Some(kept), _) => write!(formatter, "  its files are kept in {kept}\nrun it again: stress replay {kept}"),
            (None, Some(why)) => write!(formatter, "  not kept: {why}"),
            (None, None) => Ok(()),
        }
    }
}

/// What has been seen so far.
#[derive(Debug)]
pub(crate) struct Tally {
    /// What was broken in which round, the first of it.
    findings: Vec<String>,
    pub(crate) stories: Vec<Violation>,
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
    /// Whether anybody ever said or wrote anything.
    is_shown: bool,
    /// Rounds with several entries of an event, and those of them in which who wrote them was primary one after the other.
    doubled: u64,
    doubled_by_successors: u64,
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
            findings: Vec::new(),
            stories: Vec::new(),
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
            is_shown: false,
            doubled: 0,
            doubled_by_successors: 0,
        }
    }

    /// Adds a round.
    pub(crate) fn add(&mut self, round: u64, fault: Option<Fault>, is_exercised: bool, judged: &Judged, errors: &str) {
        let Judged {
            broken,
            unjudged,
            primaries,
            is_shown,
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
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings.extend(broken.iter().take(room).map(|broken| format!("round {round}: {broken}")));
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
        self.is_shown |= is_shown;
        for broken in broken {
            if let Broken::Doubled { events: _, by_successors } = broken {
                self.doubled += 1;
                self.doubled_by_successors += u64::from(*by_successors);
            }
        }
        if let Some(fault) = fault {
            let faults = if is_exercised { &mut self.faults } else { &mut self.unexercised };
            *faults.entry(fault.to_string()).or_default() += 1;
        }
    }

    pub(crate) fn rounds(&self) -> u64 {
        self.rounds
    }

    /// What the numbers of entries point at.
    fn reading(&self) -> String {
        if self.doubled > 0 && self.doubled == self.doubled_by_successors {
            return "each successor wrote again what its predecessor had written: it must look into the log first"
                .into();
        }
        reading_of(&self.events.by_entries, self.events.excused)
    }
}

/// How a campaign came to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ending {
    pub(crate) seconds: f64,
    pub(crate) interrupted: bool,
    /// What kept it from going on.
    pub(crate) failure: Option<String>,
    /// Whether the program was seen to elect itself where nothing was done to it.
    pub(crate) is_controlled: bool,
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
    /// How long was waited: of what takes longer, nothing was seen.
    pub(crate) waits: Waits,
    pub(crate) rounds_per_second: f64,
    pub(crate) floor_rounds_per_second: Option<f64>,
    pub(crate) violation_rate_upper_95: f64,
    pub(crate) seconds: f64,
    pub(crate) interrupted: bool,
    /// What was broken in which round, the first of it.
    pub(crate) findings: Vec<String>,
    pub(crate) stories: Vec<Violation>,
}

/// How long was waited, in milliseconds.
#[expect(clippy::struct_field_names, reason = "they are told by these names")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Waits {
    pub(crate) settle_ms: u64,
    /// How long a stop lasted, and how long now and then.
    pub(crate) stop_ms: u64,
    pub(crate) long_stop_ms: u64,
    pub(crate) takeover_ms: u64,
}

impl Waits {
    fn new(conditions: &Conditions) -> Self {
        let Conditions { settle, stop_for, takeover_within, .. } = conditions;
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            settle_ms: millis(*settle),
            stop_ms: millis(stop_for.unwrap_or(*settle)),
            long_stop_ms: millis(stop_for.unwrap_or(LONG_STOP.max(*settle))),
            takeover_ms: millis(*takeover_within),
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settle_ms, stop_ms, long_stop_ms, takeover_ms } = *self;
        let show = |millis| span::show(Duration::from_millis(millis));
        write!(
            formatter,
            "{} for verdicts, up to {} for a takeover, {}",
            show(settle_ms),
            show(takeover_ms),
            show(stop_ms)
        )?;
        if long_stop_ms != stop_ms {
            write!(formatter, " and now and then up to {}", show(long_stop_ms))?;
        }
        write!(formatter, " for a stop")
    }
}

impl Report {
    /// Draws the conclusions.
    pub(crate) fn new(settings: &Settings, tally: Tally, ending: Ending) -> Self {
        let reading = tally.reading();
        let Tally {
            findings,
            stories,
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
            is_shown,
            doubled: _,
            doubled_by_successors: _,
        } = tally;
        let Ending { seconds, interrupted, failure, is_controlled, skipped, floor } = ending;
        let inconclusive = if rounds == 0 {
            Some("no round was run".to_owned())
        } else if let Some((why, count)) = unjudged.iter().max_by_key(|(_, count)| **count) {
            Some(format!("{} of {rounds} rounds show nothing, {count} of them because {why}", rounds - judged))
        } else if let Some(failure) = failure {
            Some(failure)
        } else if !is_shown && !is_controlled {
            Some("nobody ever said or wrote anything: all that was seen is that programs fail".to_owned())
        } else if settings.template.events > 0 && events.delivered == 0 && !settings.conditions.acts.are_seen() {
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
            reading,
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
            waits: Waits::new(&settings.conditions),
            rounds_per_second: rate(rounds, seconds),
            floor_rounds_per_second: floor,
            violation_rate_upper_95: bound::upper_95(violated, judged.max(violated)),
            seconds,
            interrupted,
            findings,
            stories,
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
            waits,
            rounds_per_second,
            floor_rounds_per_second,
            violation_rate_upper_95,
            seconds,
            interrupted,
            findings: _,
            stories: _,
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
            writeln!(
                formatter,
                "  unexercised  {fault}: {rounds} rounds were over before it, or it could not be brought about"
            )?;
        }
        for fault in skipped {
            writeln!(formatter, "  skipped      {fault}")?;
        }
        for (what, spans) in [("verdict", latency_us), ("failover", failover_us)] {
            if let Some(spans) = spans {
                writeln!(formatter, "  {what:12} {spans}")?;
            }
        }
        writeln!(formatter, "  waits        {waits}")?;
        write!(formatter, "  rate         {rounds_per_second:.1} rounds/s")?;
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
