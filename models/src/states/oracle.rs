//! Independent readers of the journal and of realtime.log: they share no code with the election.
//!
//! They take the files as text, split it at blanks, and know nothing of the codec or the fold. They need not withstand
//! damage that nobody does in a model.

use crate::end::Change;
use crate::kernel::Hand;

/// What the journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What has changed, and for whom, in order.
    pub changes: Vec<(Change, String)>,
    /// The term that is open or has a primary.
    pub term: u64,
    /// Its primary, once it is sealed.
    pub primary: Option<String>,
    /// Those registered and not gone.
    pub present: Vec<String>,
    /// Every term that was sealed, with its primary.
    pub terms: Vec<(u64, String)>,
}

impl History {
    /// The primary of a term, if it was sealed.
    #[must_use]
    pub fn primary_of(&self, term: u64) -> Option<&str> {
        self.terms.iter().find(|(sealed, _)| *sealed == term).map(|(_, primary)| primary.as_str())
    }
}

/// Reads the journal.
#[must_use]
pub fn history(journal: &[u8]) -> History {
    let text = String::from_utf8_lossy(journal);
    let mut history = History { term: 1, ..History::default() };
    let mut ever: Vec<&str> = Vec::new();
    let mut present: Vec<&str> = Vec::new();
    let mut primary: Option<&str> = None;
    // The last line counts only with its newline.
    for line in text.split('\n').rev().skip(1).collect::<Vec<_>>().into_iter().rev() {
        // Behind a torn record, the next one is the last 127 characters of the line.
        let record = line.get(line.len().saturating_sub(127)..).unwrap_or_default();
        let words: Vec<&str> = record.split_whitespace().collect();
        let ["spj2", kind, term, id, _, check] = words[..] else { continue };
        if record.len() != 127 || check.len() != 8 {
            continue;
        }
        let is_current = term.parse() == Ok(history.term);
        let mut ended = false;
        match kind {
            "begin" if ever.is_empty() => history.term = term.parse().unwrap_or(history.term).max(history.term),
            "register" if !ever.contains(&id) => {
                ever.push(id);
                present.push(id);
                history.changes.push((Change::Registered, id.to_owned()));
            }
            "seal" if is_current && primary.is_none() => {
                primary = present.iter().copied().min();
                history.terms.extend(primary.map(|primary| (history.term, primary.to_owned())));
                history.changes.extend(primary.map(|primary| (Change::Elected, primary.to_owned())));
            }
            "depose" if is_current && primary.is_some() => {
                present.retain(|other| Some(*other) != primary);
                history.changes.extend(primary.map(|primary| (Change::Deposed, primary.to_owned())));
                ended = true;
            }
            "leave" => {
                if present.contains(&id) {
                    history.changes.push((Change::Left, id.to_owned()));
                }
                present.retain(|other| *other != id);
                ended = primary == Some(id);
            }
            _ => {}
        }
        if ended {
            primary = None;
            history.term += 1;
        }
    }
    history.primary = primary.map(str::to_owned);
    history.present = present.into_iter().map(str::to_owned).collect();
    history
}

/// What is in realtime.log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// How many entries each event has.
    pub counts: Vec<(String, usize)>,
    /// How many whole lines hold more than one entry, or an entry behind something else, or nothing that anyone wrote.
    pub garbled: usize,
    /// How many lines of somebody else, whole or begun, are there.
    pub others: usize,
}

impl Entries {
    /// How many entries an event has.
    #[must_use]
    pub fn of(&self, event: &str) -> usize {
        self.counts.iter().find(|(id, _)| id == event).map_or(0, |(_, count)| *count)
    }

    /// Takes in those of another file.
    pub fn add(&mut self, other: &Self) {
        for (event, count) in &other.counts {
            match self.counts.iter_mut().find(|(id, _)| id == event) {
                Some((_, sum)) => *sum += count,
                None => self.counts.push((event.clone(), *count)),
            }
        }
        self.garbled += other.garbled;
        self.others += other.others;
    }
}

/// How every entry begins.
const START: &str = "{\"event\":\"";

/// Reads a log.
#[must_use]
pub fn entries(log: &[u8]) -> Entries {
    let text = String::from_utf8_lossy(log);
    let mut entries = Entries { others: text.matches(Hand::MARK).count(), ..Entries::default() };
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let has_others = line.contains(Hand::MARK);
        match (line.matches(START).count(), event_in(line.as_bytes())) {
            (1, Some(event)) if line.ends_with("}\n") && !has_others => {
                entries.add(&Entries { counts: vec![(event, 1)], ..Entries::default() });
            }
            // A part of an entry, which nobody could complete and somebody has ended, with whatever came next.
            (1, Some(_)) => {}
            (0, _) if has_others || START.starts_with(line.trim_end()) => {}
            _ => entries.garbled += 1,
        }
    }
    entries
}

/// The event whose entry a line is or begins.
#[must_use]
pub fn event_in(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    text.strip_prefix(START)?.split('"').next().map(str::to_owned)
}
