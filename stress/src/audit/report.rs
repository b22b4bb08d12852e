//! What an audit found, for machines, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use models::verdict::Verdict;

use super::chart::Chart;
use super::floor::Taken;
use super::hint::hint;
use super::key::Key;
use super::ledger::{Ledger, NotUnderstood, PassedOver};
use super::reading::{Events, Evidence, Pattern};
use super::repeats::Repeat;
use super::stretches::{Course, Stretch};
use super::tally::{Counts, Offender};

/// How many parts of the log are drawn side by side.
const COLUMNS: usize = 72;

/// An audit's result.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// The logs' names, in the order in which they were read.
    pub(crate) log: String,
    pub(crate) logs: Vec<Log>,
    pub(crate) expect: u64,
    pub(crate) lines: u64,
    pub(crate) entries: u64,
    pub(crate) passed_over: PassedOver,
    /// What was not understood, by what it looks like, in the order in which it was met.
    pub(crate) not_understood: Vec<NotUnderstood>,
    /// Whether that was to be passed over.
    pub(crate) lenient: bool,
    /// How entries are laid out, where that is not one a line.
    pub(crate) layout: BTreeSet<&'static str>,
    /// Whether the last line of a log has no newline.
    pub(crate) torn_tail: bool,
    pub(crate) events: Events,
    /// Number of entries to number of events.
    pub(crate) histogram: BTreeMap<u64, u64>,
    pub(crate) pattern: Pattern,
    pub(crate) reading: String,
    /// Where the number of entries stays the same, in order; empty where it is the same everywhere.
    pub(crate) stretches: Vec<Stretch>,
    /// How many events may be cut off by the beginning or the end.
    pub(crate) cut_off: u64,
    /// Runs of entries that are there again as a whole.
    pub(crate) repeated: Vec<Repeat>,
    /// Why nothing is said to hold.
    pub(crate) doubts: Vec<String>,
    pub(crate) first_offenders: Vec<Offender>,
    pub(crate) worst_offenders: Vec<Offender>,
    pub(crate) fewer_offenders: Vec<Offender>,
    /// Their lines are those of the list.
    pub(crate) missing: Vec<Offender>,
    /// Whether reading was interrupted.
    pub(crate) interrupted: bool,
    #[serde(flatten)]
    pub(crate) speed: Speed,
    #[serde(skip)]
    pub(crate) chart: Option<Chart>,
}

/// One of the logs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Log {
    pub(crate) name: String,
    /// Its first line, where lines are counted on through all logs.
    pub(crate) first_line: u64,
    pub(crate) lines: u64,
    /// What it was packed and written in, beside plain UTF-8.
    pub(crate) forms: BTreeSet<&'static str>,
    /// What kept it from being read to its end.
    pub(crate) failure: Option<String>,
}

/// How fast it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Speed {
    pub(crate) seconds: f64,
    /// By the clock of the processor.
    pub(crate) processor_seconds: f64,
    pub(crate) lines_per_second: f64,
    /// Lines per second that `serde_json` alone passes over, where that was measured.
    pub(crate) floor_lines_per_second: Option<f64>,
    /// What that took by the clock of the processor.
    pub(crate) floor_processor_seconds: Option<f64>,
}

impl Speed {
    /// What an audit took, and what its floor took of that.
    pub(crate) fn new(all: Taken, floor: Option<Taken>) -> Self {
        let part = floor.unwrap_or_default();
        let seconds = all.time.saturating_sub(part.time).as_secs_f64();
        Self {
            seconds,
            processor_seconds: all.processor.saturating_sub(part.processor).as_secs_f64(),
            lines_per_second: rate(all.lines, seconds),
            floor_lines_per_second: floor.map(|floor| rate(floor.lines, floor.time.as_secs_f64())),
            floor_processor_seconds: floor.map(|floor| floor.processor.as_secs_f64()),
        }
    }
}

/// Lines per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is rounded")]
fn rate(lines: u64, seconds: f64) -> f64 {
    lines as f64 / seconds.max(f64::EPSILON)
}

/// How the logs were read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) logs: Vec<Log>,
    pub(crate) expect: u64,
    pub(crate) lenient: bool,
    pub(crate) torn_tail: bool,
    pub(crate) interrupted: bool,
}

impl Report {
    /// Judges what was counted. Where something was not read, more entries than expected say what they always say, and too
    /// few, or none, say nothing.
    pub(crate) fn new(ledger: Ledger, read: Read, key: Option<&Key>) -> Self {
        let Read { logs, expect, lenient, torn_tail, interrupted } = read;
        let lines = ledger.lines();
        let Ledger { tally, passed_over, not_understood, unnamed, notes: layout, .. } = ledger;
        let Counts {
            entries,
            listed,
            distinct,
            also_as_text,
            histogram,
            by_line,
            repeats,
            first,
            worst,
            fewer,
            missing,
        } = tally.finish();
        let course = Course::of(&by_line);
        let (begin, end) = course.cut_off;
        let cut: Vec<_> = by_line[..begin].iter().chain(&by_line[by_line.len() - end..]).collect();
        let cut_lines: BTreeSet<u64> =
            cut.iter().filter(|(_, entries)| u64::from(*entries) < expect).map(|(line, _)| *line).collect();
        let mut whole = histogram.clone();
        for (_, entries) in cut {
            whole.entry(u64::from(*entries)).and_modify(|events| *events -= 1);
        }
        whole.retain(|_, events| *events > 0);
        let number_of = |wanted: &dyn Fn(u64) -> bool| -> u64 {
            histogram.iter().filter(|(entries, _)| wanted(**entries)).map(|(_, events)| events).sum()
        };
        let zero = number_of(&|entries| entries == 0);
        let has_list = listed > 0;
        let events = Events {
            distinct,
            as_expected: number_of(&|entries| entries == expect),
            more: number_of(&|entries| entries > expect),
            fewer: number_of(&|entries| 0 < entries && entries < expect) - cut_lines.len() as u64,
            missing: has_list.then_some(zero),
            unlisted: has_list.then_some(distinct - (listed - zero)),
        };
        let mut not_understood: Vec<_> = not_understood.into_values().collect();
        not_understood.sort_by_key(|kind| kind.first_line);
        let unread = doubts_of_reading(&not_understood, &logs, lenient, interrupted);
        let place = |line| place(&logs, line);
        let evidence =
            Evidence { expect, histogram: &whole, events, course: &course, repeats: &repeats, place: &place };
        let pattern = evidence.pattern();
        let is_lacking = events.fewer > 0 || zero > 0;
        let mut doubts = unread;
        let verdict = if events.more > 0 {
            Verdict::Violated
        } else if is_lacking {
            if has_list && zero == listed && distinct > 0 {
                doubts.push(
                    "none of the listed events is in the log: the list names other things than the key or the pattern"
                        .into(),
                );
            }
            if doubts.is_empty() { Verdict::Violated } else { Verdict::Inconclusive }
        } else {
            if !cut_lines.is_empty() && !lenient {
                doubts.push(
                    "events at the edge of the log may be cut off: give the logs before and after it as well".into(),
                );
            }
            if entries == 0 {
                doubts.push("no entry names an event".into());
            }
            if doubts.is_empty() { Verdict::Holds } else { Verdict::Inconclusive }
        };
        let mut reading = evidence.reading();
        if is_lacking && verdict == Verdict::Inconclusive {
            reading.push_str(" But not all was read as it is meant, and what seems to be missing may be there.");
        }
        if also_as_text > 0 {
            let _ = write!(
                reading,
                " {also_as_text} of the events are numbers in some entries and the same as text in others; these are \
                 counted as two."
            );
        }
        let is_unnamed = entries == 0 && passed_over.without_event + passed_over.malformed > 0;
        let hint = key.zip(unnamed).and_then(|(key, unnamed)| Some((hint(key.first(), &unnamed.text)?, unnamed)));
        let _ = match hint {
            Some((hint, _)) if is_unnamed => write!(reading, " No line names an event: check the key; {hint}."),
            None if is_unnamed => write!(reading, " No line names an event: check the key or the pattern."),
            Some((hint, unnamed)) if unnamed.has_name => {
                write!(reading, " Of the entry on line {}, which names no event, {hint}.", unnamed.line)
            }
            _ => Ok(()),
        };
        let names: Vec<_> = logs.iter().map(|log| log.name.as_str()).collect();
        Self {
            verdict,
            log: names.join(", "),
            logs,
            expect,
            lines,
            entries,
            passed_over,
            not_understood,
            lenient,
            layout,
            torn_tail,
            events,
            pattern,
            reading,
            cut_off: (course.cut_off.0 + course.cut_off.1) as u64,
            stretches: course.stretches,
            repeated: repeats,
            doubts,
            first_offenders: first,
            worst_offenders: worst,
            fewer_offenders: fewer.into_iter().filter(|offender| !cut_lines.contains(&offender.lines[0])).collect(),
            missing,
            interrupted,
            speed: Speed::default(),
            chart: Chart::of(&by_line, lines, usize::try_from(lines).unwrap_or(COLUMNS).min(COLUMNS)),
            histogram,
        }
    }

    /// Where a line is, in words.
    pub(crate) fn place(&self, line: u64) -> String {
        place(&self.logs, line)
    }

    /// Whether a log could not be read to its end.
    pub(crate) fn has_failure(&self) -> bool {
        self.logs.iter().any(|log| log.failure.is_some())
    }
}

/// Where a line is: its number in the log that it is in, with the log's name where there are several.
fn place(logs: &[Log], line: u64) -> String {
    match logs.iter().rev().find(|log| log.first_line <= line) {
        Some(log) if logs.len() > 1 => format!("{}:{}", log.name, line - log.first_line + 1),
        _ => line.to_string(),
    }
}

/// What was not read, in words.
fn doubts_of_reading(not_understood: &[NotUnderstood], logs: &[Log], lenient: bool, interrupted: bool) -> Vec<String> {
    let mut doubts = Vec::new();
    let count: u64 = not_understood.iter().map(|kind| kind.count).sum();
    if count > 0 && !lenient {
        let (lines, verb) = if count == 1 { ("line", "was") } else { ("lines", "were") };
        doubts.push(format!(
            "{count} {lines} {verb} not understood: see to what is told of them, or pass over them with --lenient"
        ));
    }
    for log in logs {
        if let Some(failure) = &log.failure {
            doubts.push(format!("{} was not read to its end: {failure}", log.name));
        }
    }
    if interrupted {
        doubts.push("it was interrupted".into());
    }
    doubts
}
