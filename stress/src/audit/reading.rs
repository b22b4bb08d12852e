//! What the numbers of entries mean, after the failures in which such numbers were seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::repeats::Repeat;
use super::stretches::{Course, Stretch, greatest_common_divisor};

/// How many stretches, and how many runs, are told one by one.
const TOLD: usize = 8;

/// How many events have how many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Events {
    /// Different events in the log.
    pub(crate) distinct: u64,
    /// Those with as many entries as expected.
    pub(crate) as_expected: u64,
    /// Those with more.
    pub(crate) more: u64,
    /// Those with fewer, but some, and not cut off by the beginning or the end of the log.
    pub(crate) fewer: u64,
    /// Those that must be there and have none; none is known where no list was given.
    pub(crate) missing: Option<u64>,
    /// Those that are there but not in the list.
    pub(crate) unlisted: Option<u64>,
}

/// What the counts point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Pattern {
    /// As expected, every time.
    Expected,
    /// Always the same number, which is not the expected one.
    Constant,
    /// The same number over many events, and then another.
    Stretches,
    /// Now this, now that, and always a multiple of the same number.
    Multiples,
    /// Whole runs of entries that are there again.
    Repeated,
    /// Now this, now that.
    Varying,
    /// One event alone shows no pattern.
    Single,
    /// There is nothing to be read from.
    Empty,
}

/// What is read.
#[derive(Clone, Copy)]
pub(crate) struct Evidence<'counts> {
    pub(crate) expect: u64,
    /// Number of entries to number of events, without those that may be cut off.
    pub(crate) histogram: &'counts BTreeMap<u64, u64>,
    pub(crate) events: Events,
    pub(crate) course: &'counts Course,
    pub(crate) repeats: &'counts [Repeat],
    /// Where a line is, in words.
    pub(crate) place: &'counts dyn Fn(u64) -> String,
}

impl Evidence<'_> {
    /// The numbers of entries that events have, with how many have them. An event without any tells of delivery, and
    /// would hide what the others tell.
    fn written(&self) -> impl Iterator<Item = (u64, u64)> {
        self.histogram.iter().map(|(entries, events)| (*entries, *events)).filter(|(entries, _)| *entries > 0)
    }

    /// The pattern of the numbers of entries.
    pub(crate) fn pattern(&self) -> Pattern {
        let mut written = self.written();
        match (written.next(), written.next()) {
            (None, _) => Pattern::Empty,
            (Some((entries, _)), None) if entries == self.expect => Pattern::Expected,
            _ if self.is_repeated() => Pattern::Repeated,
            (Some((_, 1)), None) => Pattern::Single,
            (Some(_), None) => Pattern::Constant,
            (Some(_), Some(_)) if self.copies().is_some() => Pattern::Multiples,
            (Some(_), Some(_)) => match &self.course.stretches[..] {
                [_, _, ..] => Pattern::Stretches,
                _ => Pattern::Varying,
            },
        }
    }

    /// Whether the runs that are there again are all that is too much.
    fn is_repeated(&self) -> bool {
        let excess: u64 = self.written().map(|(entries, events)| entries.saturating_sub(self.expect) * events).sum();
        let repeated: u64 = self.repeats.iter().map(|repeat| repeat.entries).sum();
        let runs = self.repeats.len() as u64;
        // Many short ones are those of instances that write several entries at once.
        excess > 0 && repeated * 20 >= excess * 19 && runs * runs <= repeated
    }

    /// The number that all numbers are multiples of, if that is no chance.
    fn copies(&self) -> Option<u64> {
        let divisor = self.written().fold(0, |divisor, (entries, _)| greatest_common_divisor(divisor, entries));
        let events: u64 = self.written().map(|(_, events)| events).sum();
        let is_chance = divisor < 2
            || divisor.checked_pow(u32::try_from(events).unwrap_or(u32::MAX)).is_some_and(|power| power < 1000);
        (!is_chance && divisor > self.expect).then_some(divisor)
    }

    /// What the counts mean.
    pub(crate) fn reading(&self) -> String {
        let mut text = String::new();
        let (expect, events, pattern) = (self.expect, self.events, self.pattern());
        let least = self.written().next().map_or(0, |(entries, _)| entries);
        let most = self.written().last().map_or(0, |(entries, _)| entries);
        let _ = match pattern {
            Pattern::Empty if events.missing.is_some_and(|missing| missing > 0) => {
                write!(text, "No event has an entry.")
            }
            Pattern::Empty => write!(text, "There is no entry, so nothing was judged."),
            Pattern::Expected => write!(text, "Every event that was seen has {}.", entries(expect)),
            Pattern::Single => write!(text, "The one event has {}; one alone shows no pattern.", entries(least)),
            Pattern::Constant => {
                write!(
                    text,
                    "Every event that was seen has {}, never more or fewer. A number that is always the same does not come \
                     from a race. {}",
                    entries(least),
                    meaning(least, expect)
                )
            }
            Pattern::Stretches => self.tell_stretches(&mut text),
            Pattern::Multiples => {
                let copies = self.copies().unwrap_or(least);
                write!(
                    text,
                    "The number of entries varies, from {least} to {most}, but it is always a multiple of {copies}: {copies} \
                     copies write whatever is to be written, as {copies} instances with one ID do, or {copies} that all \
                     take an error for being primary, and some events came to them several times. No race gives such \
                     numbers."
                )
            }
            Pattern::Repeated => {
                write!(
                    text,
                    "Runs of lines are there again as a whole: {}. So a file was read or collected again, restored, or \
                     appended to itself, or someone wrote again what it had already written before. An election whose \
                     instances write at the same time would give each event its entries close to one another.",
                    self.told_repeats()
                )
            }
            Pattern::Varying => self.tell_varying(&mut text, least, most),
        };
        if pattern != Pattern::Repeated && !self.repeats.is_empty() {
            let _ = write!(
                text,
                " Some runs of lines are there again as a whole ({}): those were read again or restored, whatever the \
                 election does.",
                self.told_repeats()
            );
        }
        let (begin, end) = self.course.cut_off;
        if begin + end > 0 {
            let places = match (begin, end) {
                (_, 0) => "at the beginning of the log",
                (0, _) => "at the end of the log",
                _ => "at the beginning and at the end of the log",
            };
            let cut = begin + end;
            let (verb, pronoun) = if cut == 1 { ("has", "it") } else { ("have", "they") };
            let _ = write!(
                text,
                " {} {places} {verb} fewer entries than those beside {pronoun}: {pronoun} may be cut off, and {} no evidence.",
                events_of(cut as u64),
                if cut == 1 { "is" } else { "are" },
            );
        }
        match events.missing {
            None if pattern != Pattern::Empty => {
                text.push_str(
                    " Events without any entry cannot be seen without a list of those that must be there (--events).",
                );
            }
            Some(missing) if missing > 0 => {
                let _ = write!(
                    text,
                    " {missing} of the listed events have no entry: they were delivered while nobody was elected yet, or \
                     to instances that give way to a primary which does not receive them. An election must cover exactly \
                     the instances that receive the same events."
                );
            }
            _ => {}
        }
        text
    }

    fn tell_varying(&self, text: &mut String, least: u64, most: u64) -> std::fmt::Result {
        write!(text, "The number of entries varies, from {least} to {most}. ")?;
        let (usual, count) = self.written().max_by_key(|(_, events)| *events).unwrap_or((0, 0));
        let all: u64 = self.written().map(|(_, events)| events).sum();
        if usual > self.expect && count * 20 >= all * 19 && all >= 20 {
            write!(
                text,
                "But {count} of {all} events have {usual}, and a number that is nearly always the same does not come from a \
                 race. {} Where it is another, instances started, ended or lost entries.",
                meaning(usual, self.expect)
            )
        } else if self.events.more > 0 {
            text.write_str(
                "That points at a race: the election lets several be primary when their steps fall together, or when one \
                 stalls for longer than it waits. An ID that all share, or failing open, would give the same number every \
                 time.",
            )
        } else {
            text.write_str("None has more than expected: nobody writes twice, but entries get lost.")
        }
    }

    fn tell_stretches(&self, text: &mut String) -> std::fmt::Result {
        let stretches = &self.course.stretches;
        text.write_str("The number of entries stays the same over many events, and then changes: ")?;
        for (place, stretch) in stretches.iter().take(TOLD).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(
                text,
                "{separator}from line {} on {} ({})",
                (self.place)(stretch.first_line),
                told(stretch),
                events_of(stretch.events)
            )?;
        }
        if stretches.len() > TOLD {
            write!(text, "; and so on, {} stretches in all", stretches.len())?;
        }
        text.write_str(". ")?;
        if let Some(varying) = stretches.iter().find(|stretch| stretch.is_varying()) {
            write!(
                text,
                "From line {} on the number varies from event to event, as it does in a race; in the other stretches it \
                 does not. ",
                (self.place)(varying.first_line)
            )?;
        } else {
            text.write_str(
                "A race gives a number that changes from event to event; this one changes only where something was \
                 changed: the program, its configuration, or how many instances run. ",
            )?;
        }
        let constant = stretches.iter().filter(|stretch| !stretch.is_varying() && stretch.entries != self.expect);
        let mut numbers: Vec<u64> = constant.map(|stretch| stretch.entries).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            write!(text, "{} ", meaning(number, self.expect))?;
        }
        let mut was_right = None;
        let mut was_wrong_before = false;
        for stretch in stretches.iter().take(TOLD) {
            let is_right = !stretch.is_varying() && stretch.entries == self.expect;
            match (was_right, is_right) {
                (Some(false), true) => write!(text, "It was mended at line {}. ", (self.place)(stretch.first_line))?,
                (Some(true), false) if was_wrong_before => {
                    write!(text, "It came back at line {}. ", (self.place)(stretch.first_line))?;
                }
                (Some(true), false) => write!(text, "It began at line {}. ", (self.place)(stretch.first_line))?,
                _ => {}
            }
            was_wrong_before |= !is_right;
            was_right = Some(is_right);
        }
        text.truncate(text.trim_end().len());
        Ok(())
    }

    fn told_repeats(&self) -> String {
        let mut text = String::new();
        for (number, repeat) in self.repeats.iter().take(TOLD).enumerate() {
            let place = self.place;
            let _ = write!(
                text,
                "{}lines {} to {} on lines {} to {}",
                if number == 0 { "" } else { ", " },
                place(repeat.first_line),
                place(repeat.last_line),
                place(repeat.again_first_line),
                place(repeat.again_last_line)
            );
        }
        if self.repeats.len() > TOLD {
            let _ = write!(text, ", and {} more", self.repeats.len() - TOLD);
        }
        text
    }
}

/// What the numbers of entries of many events point at, where one entry is expected of each and some that have none are
/// excused.
pub(crate) fn reading_of(histogram: &BTreeMap<u64, u64>, excused: u64) -> String {
    let mut histogram = histogram.clone();
    if let Some(zero) = histogram.get_mut(&0) {
        *zero -= excused.min(*zero);
    }
    histogram.retain(|_, events| *events > 0);
    let number_of = |wanted: &dyn Fn(u64) -> bool| -> u64 {
        histogram.iter().filter(|(entries, _)| wanted(**entries)).map(|(_, events)| events).sum()
    };
    let events = Events {
        distinct: number_of(&|entries| entries > 0),
        as_expected: number_of(&|entries| entries == 1),
        more: number_of(&|entries| entries > 1),
        fewer: 0,
        missing: Some(number_of(&|entries| entries == 0)),
        unlisted: Some(0),
    };
    let course = Course::default();
    let place = |line: u64| line.to_string();
    Evidence { expect: 1, histogram: &histogram, events, course: &course, repeats: &[], place: &place }.reading()
}

/// What a number that is always the same, and not the expected one, means.
fn meaning(number: u64, expect: u64) -> String {
    if number > expect {
        format!(
            "A constant {number} points at identity ({number} instances share one ID, so that each finds itself elected) or \
             at failing open (missing or unreadable state, or an error, is taken for being primary)."
        )
    } else {
        format!("With a constant {number}, some of those who are expected to write never do.")
    }
}

/// The number of entries of a stretch, in words.
pub(crate) fn told(stretch: &Stretch) -> String {
    if stretch.is_varying() {
        format!("{} to {} entries, varying", stretch.least, stretch.most)
    } else {
        format!("{} each", entries(stretch.entries))
    }
}

/// So many entries, in words.
pub(crate) fn entries(number: u64) -> String {
    match number {
        0 => "no entry".into(),
        1 => "1 entry".into(),
        number => format!("{number} entries"),
    }
}

/// So many events, in words.
pub(crate) fn events_of(number: u64) -> String {
    if number == 1 { "1 event".into() } else { format!("{number} events") }
}
