//! A report for people, on a terminal.

use std::fmt;

use super::ledger::{NotUnderstood, PassedOver};
use super::looks::Looks;
use super::reading::{Events, entries, events_of, told};
use super::report::{Report, Speed};
use super::tally::Offender;

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, expect, lines, entries: entry_count, events, passed_over, .. } = self;
        let Events { distinct, as_expected, more, fewer, missing, unlisted } = events;
        writeln!(
            formatter,
            "{log}: {lines} lines, {entry_count} entries of {distinct} events, expected of each: {expect}"
        )?;
        for log in &self.logs {
            if !log.forms.is_empty() {
                let forms: Vec<_> = log.forms.iter().copied().collect();
                writeln!(formatter, "{} is {}", log.name, forms.join(", "))?;
            }
        }
        for layout in &self.layout {
            writeln!(formatter, "with {layout}")?;
        }
        let PassedOver { blank, without_event, malformed, given_up } = passed_over;
        writeln!(
            formatter,
            "passed over: {without_event} without an event, {malformed} not understood, {blank} blank, {given_up} too long to search"
        )?;
        if self.interrupted {
            writeln!(formatter, "interrupted: what follows is about the lines before that")?;
        }
        if self.torn_tail {
            writeln!(formatter, "the last line has no newline: it is torn, or still being written")?;
        }
        self.tell_not_understood(formatter)?;
        writeln!(formatter, "\n{:>12}  {:>12}", "entries", "events")?;
        let most = self.histogram.values().copied().max().unwrap_or(0);
        for (entries, events) in &self.histogram {
            writeln!(formatter, "{entries:>12}  {events:>12}  {}", bar(*events, most))?;
        }
        write!(formatter, "\nas expected {as_expected}, more {more}, fewer {fewer}")?;
        match (missing, unlisted) {
            (Some(missing), Some(unlisted)) => writeln!(formatter, ", missing {missing}, not in the list {unlisted}")?,
            _ => writeln!(formatter, ", missing unknown")?,
        }
        self.tell_course(formatter)?;
        self.tell_offenders(formatter)?;
        writeln!(formatter, "\nReading: {}", self.reading)?;
        for doubt in &self.doubts {
            writeln!(formatter, "Not judged: {doubt}.")?;
        }
        writeln!(formatter, "Verdict: {}", self.verdict)?;
        write!(formatter, "{}", self.speed)
    }
}

impl Report {
    fn tell_not_understood(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.not_understood.is_empty() {
            return Ok(());
        }
        writeln!(formatter, "\nNot understood:")?;
        for NotUnderstood { looks: Looks { what, remedy }, count, first_line, sample } in &self.not_understood {
            writeln!(formatter, "{count:>12}  {what}; {remedy}")?;
            writeln!(formatter, "{:>12}  the first on line {}: {sample}", "", self.place(*first_line))?;
        }
        Ok(())
    }

    /// The log over its length.
    fn tell_course(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(chart) = &self.chart {
            write!(
                formatter,
                "\nOver the log's length (# most of the events that begin there, : some, . few):\n{}",
                chart.text()
            )?;
        }
        if self.stretches.len() < 2 {
            return Ok(());
        }
        writeln!(formatter, "\nStretches:")?;
        for stretch in &self.stretches {
            let (from, to) = (self.place(stretch.first_line), self.place(stretch.last_line));
            let exceptions = match stretch.exceptions {
                _ if stretch.is_varying() => String::new(),
                0 => String::new(),
                exceptions => format!(", but for {exceptions}"),
            };
            writeln!(formatter, "  {from} to {to}: {} of {}{exceptions}", events_of(stretch.events), told(stretch))?;
        }
        Ok(())
    }

    fn tell_offenders(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, offenders, place) in [
            ("First with too many entries", &self.first_offenders, "lines"),
            ("Worst", &self.worst_offenders, "lines"),
            ("Too few entries", &self.fewer_offenders, "lines"),
            ("Missing", &self.missing, "on line of the list"),
        ] {
            if offenders.is_empty() || (title == "Worst" && self.worst_offenders == self.first_offenders) {
                continue;
            }
            writeln!(formatter, "\n{title}:")?;
            for offender in offenders {
                let lines = offender
                    .lines
                    .iter()
                    .map(|line| if title == "Missing" { line.to_string() } else { self.place(*line) });
                let ellipsis = if offender.lines_complete { "" } else { ", \u{2026}" };
                let lines = lines.collect::<Vec<_>>().join(", ");
                writeln!(formatter, "  {}: {}, {place} {lines}{ellipsis}", offender.name(), entries(offender.entries))?;
            }
        }
        Ok(())
    }
}

impl Offender {
    /// The event's name as it is told; in quotation marks where it could be taken for a number, or for nothing.
    pub(crate) fn name(&self) -> String {
        match &self.event {
            None => "(the event on this line)".into(),
            Some(name)
                if !self.is_number && (name.trim() != name || name.is_empty() || name.parse::<f64>().is_ok()) =>
            {
                format!("\"{name}\"")
            }
            Some(name) => name.clone(),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds: _, processor_seconds, lines_per_second, floor_lines_per_second, floor_processor_seconds } =
            self;
        let (Some(floor), Some(floor_processor)) = (floor_lines_per_second, floor_processor_seconds) else {
            return Ok(());
        };
        writeln!(
            formatter,
            "Rate: {lines_per_second:.0} lines/s; serde_json alone: {floor:.0} lines/s; ratio {:.2}",
            lines_per_second / floor
        )?;
        writeln!(
            formatter,
            "Processor time: {processor_seconds:.3} s; serde_json alone: {floor_processor:.3} s; ratio {:.2}",
            floor_processor / processor_seconds.max(f64::EPSILON)
        )
    }
}

/// A line whose length shows a share of the longest; what is there at all is shown.
fn bar(part: u64, whole: u64) -> String {
    const WIDTH: u64 = 40;
    let length = (u128::from(part) * u128::from(WIDTH)).div_ceil(u128::from(whole.max(1)));
    "#".repeat(usize::try_from(length).unwrap_or(0))
}
