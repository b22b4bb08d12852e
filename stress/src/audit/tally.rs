//! How many entries each event has. It takes 60 to 120 bytes an event, half as much again while it grows, and the names.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};

use indexmap::IndexMap;

use super::event::{Event, Fingerprint, Fingerprints};
use super::ledger::shown;
use super::repeats::{Repeat, Repeats};

/// How many events are shown of each kind of offender.
pub(crate) const SHOWN: usize = 10;

/// How many lines are told of one offender.
const LINES_SHOWN: usize = 12;

/// Of how many events with several entries the lines are kept.
const EVENTS_WITH_LINES_MAX: usize = 1 << 16;

/// How much memory is spent on the names of events, in bytes. Those beyond are told by their first line alone.
const NAMES_BYTES_MAX: usize = 128 << 20;

/// How much of an event's name is kept, in bytes.
const NAME_BYTES_SHOWN: usize = 256;

/// An event that has not the number of entries that it should.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Offender {
    /// Its name, cut where it is long; none where there were too many to keep.
    pub(crate) event: Option<String>,
    /// Whether the name is a number in JSON: 7 and "7" are two events.
    pub(crate) is_number: bool,
    /// How many entries it has.
    pub(crate) entries: u64,
    /// On which lines, from 1, counted on through all logs: as many of the first as are known.
    pub(crate) lines: Vec<u64>,
    /// Whether these are all.
    pub(crate) lines_complete: bool,
}

/// What is known of an event.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// The line of its first entry, from 1; without any, the line of the list that names it.
    line: u64,
    entries: u32,
    /// Tells the content of its first entry from others.
    content: u32,
    /// Where its name stands, behind its length; nowhere, if this is 0.
    name: u32,
    numbers: u32,
}

/// Counts the entries of a log.
#[derive(Debug)]
pub(crate) struct Tally {
    expect: u64,
    fingerprints: Fingerprints,
    accounts: IndexMap<Fingerprint, Account, Spread>,
    /// The second and later lines of events that have several entries.
    later_lines: IndexMap<Fingerprint, Vec<u64>, Spread>,
    names: Names,
    listed: u64,
    entries: u64,
    repeats: Repeats,
    /// The last entry's event.
    last: Option<Fingerprint>,
}

impl Tally {
    pub(crate) fn new(expect: u64) -> Self {
        Self {
            expect,
            fingerprints: Fingerprints::random(),
            accounts: IndexMap::default(),
            later_lines: IndexMap::default(),
            names: Names::default(),
            listed: 0,
            entries: 0,
            repeats: Repeats::default(),
            last: None,
        }
    }

    /// Takes an event that must be in the log.
    pub(crate) fn list(&mut self, line: u64, event: &Event<'_>) {
        let names = &mut self.names;
        self.accounts.entry(self.fingerprints.of(event)).or_insert_with(|| {
            self.listed += 1;
            Account { line, entries: 0, content: 0, name: names.keep(&event.name), numbers: 0 }
        });
    }

    /// Counts an entry.
    pub(crate) fn enter(&mut self, line: u64, content: u32, event: &Event<'_>) {
        let mut fingerprint = self.fingerprints.of(event);
        if event.numbers != 0 && self.listed > 0 {
            // A list cannot tell numbers from text.
            let of_text = fingerprint.of_text(event.numbers);
            if self.accounts.contains_key(&of_text) {
                fingerprint = of_text;
            }
        }
        let names = &mut self.names;
        let account = self.accounts.entry(fingerprint).or_insert_with(|| Account {
            line,
            entries: 0,
            content,
            name: names.keep(&event.name),
            numbers: event.numbers,
        });
        self.entries += 1;
        self.last = Some(fingerprint);
        account.entries = account.entries.saturating_add(1);
        if account.entries == 1 {
            account.line = line;
            account.content = content;
            self.repeats.first();
            return;
        }
        self.repeats.again(line, account.line, content == account.content);
        let room = self.later_lines.len() < EVENTS_WITH_LINES_MAX;
        match self.later_lines.get_mut(&fingerprint) {
            Some(lines) if lines.len() < LINES_SHOWN => lines.push(line),
            None if room && account.entries == 2 => drop(self.later_lines.insert(fingerprint, vec![line])),
            _ => {}
        }
    }

    /// Takes the last entry back, if its event has more than it should: its name may go on, and be another.
    pub(crate) fn take_back_last(&mut self) -> bool {
        let Some((fingerprint, account)) = self.last.and_then(|last| Some((last, self.accounts.get_mut(&last)?)))
        else {
            return false;
        };
        if u64::from(account.entries) <= self.expect {
            return false;
        }
        account.entries -= 1;
        self.entries -= 1;
        if let Some(lines) = self.later_lines.get_mut(&fingerprint)
            && lines.len() as u64 + 1 > u64::from(account.entries)
        {
            lines.pop();
        }
        true
    }

    /// What has come of it.
    pub(crate) fn finish(mut self) -> Counts {
        let mut histogram = BTreeMap::new();
        // Most events have few entries: they are counted without looking for their number.
        let mut few = [0_u64; 16];
        let (mut distinct, mut also_as_text) = (0, 0);
        for (fingerprint, account) in &self.accounts {
            match few.get_mut(account.entries as usize) {
                Some(events) => *events += 1,
                None => *histogram.entry(u64::from(account.entries)).or_default() += 1,
            }
            distinct += u64::from(account.entries > 0);
            let is_also_text =
                account.numbers != 0 && self.accounts.contains_key(&fingerprint.of_text(account.numbers));
            also_as_text += u64::from(is_also_text);
        }
        histogram.extend((0..).zip(few).filter(|(_, events)| *events > 0));
        let mut by_line: Vec<(u64, u32)> = Vec::new();
        if histogram.keys().filter(|entries| **entries > 0).count() > 1 {
            by_line.extend(
                self.accounts
                    .values()
                    .filter(|account| account.entries > 0)
                    .map(|account| (account.line, account.entries)),
            );
            by_line.sort_unstable();
        }
        let expect = self.expect;
        let more = |account: &Account| u64::from(account.entries) > expect;
        Counts {
            entries: self.entries,
            listed: self.listed,
            distinct,
            also_as_text,
            first: self.offenders(more, |account| account.line),
            worst: self.offenders(more, |account| (std::cmp::Reverse(account.entries), account.line)),
            fewer: self.offenders(
                |account| account.entries > 0 && u64::from(account.entries) < expect,
                |account| account.line,
            ),
            missing: self.offenders(|account| account.entries == 0, |account| account.line),
            histogram,
            by_line,
            repeats: self.repeats.finish(),
        }
    }

    /// The first of those events that are wanted, in this order.
    fn offenders<K: Ord>(&self, is_wanted: impl Fn(&Account) -> bool, order: impl Fn(&Account) -> K) -> Vec<Offender> {
        let mut kept: Vec<(K, Fingerprint)> = Vec::new();
        for (fingerprint, account) in self.accounts.iter().filter(|(_, account)| is_wanted(account)) {
            let key = order(account);
            let place = kept.partition_point(|(other, _)| *other < key);
            if place < SHOWN {
                kept.truncate(SHOWN - 1);
                kept.insert(place, (key, *fingerprint));
            }
        }
        kept.into_iter().map(|(_, fingerprint)| self.offender(fingerprint)).collect()
    }

    fn offender(&self, fingerprint: Fingerprint) -> Offender {
        let account = &self.accounts[&fingerprint];
        let mut lines = vec![account.line];
        lines.extend(self.later_lines.get(&fingerprint).into_iter().flatten());
        lines.truncate(LINES_SHOWN);
        Offender {
            event: self.names.get(account.name).map(|name| shown(name, NAME_BYTES_SHOWN)),
            is_number: account.numbers != 0,
            entries: account.entries.into(),
            lines_complete: lines.len() as u64 >= u64::from(account.entries),
            lines,
        }
    }
}

/// What a log was found to hold.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) entries: u64,
    /// Different events in the list of those that must be there.
    pub(crate) listed: u64,
    /// Different events in the log.
    pub(crate) distinct: u64,
    /// Those that are numbers, where there is another one that is the same as text.
    pub(crate) also_as_text: u64,
    /// How many events have how many entries.
    pub(crate) histogram: BTreeMap<u64, u64>,
    /// Where the numbers differ: the first line of each event, and how many entries it has, in order.
    pub(crate) by_line: Vec<(u64, u32)>,
    pub(crate) repeats: Vec<Repeat>,
    pub(crate) first: Vec<Offender>,
    pub(crate) worst: Vec<Offender>,
    /// The earliest of those with too few entries.
    pub(crate) fewer: Vec<Offender>,
    /// The earliest of those with none, by their lines in the list.
    pub(crate) missing: Vec<Offender>,
}

/// Names behind one another, each behind its length.
#[derive(Debug, Default)]
struct Names(Vec<u8>);

impl Names {
    /// Keeps a name, if there is room; where it is, or else 0.
    fn keep(&mut self, name: &[u8]) -> u32 {
        // One byte more shows that it was cut.
        let name = &name[..name.len().min(NAME_BYTES_SHOWN + 1)];
        if self.0.len() + size_of::<u16>() + name.len() > NAMES_BYTES_MAX {
            return 0;
        }
        let place = u32::try_from(self.0.len()).map_or(0, |place| place + 1);
        let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(name);
        place
    }

    fn get(&self, place: u32) -> Option<&[u8]> {
        let (length, names) = self.0.get(place.checked_sub(1)? as usize..)?.split_first_chunk()?;
        names.get(..u16::from_le_bytes(*length).into())
    }
}

/// Takes a fingerprint for its own hash, which it is.
#[derive(Clone, Copy, Debug, Default)]
struct Spread;

impl BuildHasher for Spread {
    type Hasher = LastWord;

    fn build_hasher(&self) -> LastWord {
        LastWord(0)
    }
}

/// Gives back the last number.
#[derive(Debug)]
struct LastWord(u64);

impl Hasher for LastWord {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(events: &[&str], expect: u64) -> Tally {
        let mut tally = Tally::new(expect);
        for (line, event) in (1..).zip(events) {
            tally.enter(line, 0, &Event::text(event.as_bytes()));
        }
        tally
    }

    #[test]
    fn lines_are_complete_or_said_not_to_be() {
        let counts = entered(&["a", "b", "a", "c", "a"], 1).finish();
        let expected = Offender {
            event: Some("a".into()),
            is_number: false,
            entries: 3,
            lines: vec![1, 3, 5],
            lines_complete: true,
        };
        assert_eq!(counts.worst, std::slice::from_ref(&expected));
        assert_eq!(counts.first, [expected]);
        let counts = entered(&["a"; 13], 1).finish();
        assert_eq!((counts.worst[0].lines.len(), counts.worst[0].lines_complete), (12, false));
        assert!(entered(&["a"; 12], 1).finish().worst[0].lines_complete);
    }

    #[test]
    fn numbers_are_no_text_unless_a_list_names_them() {
        let number = Event { name: b"7"[..].into(), numbers: 1 };
        let mut tally = Tally::new(1);
        tally.enter(1, 0, &number);
        tally.enter(2, 0, &Event::text(b"7"));
        let counts = tally.finish();
        assert_eq!((counts.distinct, counts.also_as_text), (2, 1));
        let mut tally = Tally::new(1);
        tally.list(1, &Event::text(b"7"));
        tally.enter(1, 0, &number);
        let counts = tally.finish();
        assert_eq!((counts.histogram, counts.missing.len()), (BTreeMap::from([(1, 1)]), 0));
    }

    #[test]
    fn the_last_entry_is_taken_back_only_where_it_is_one_too_many() {
        let mut tally = entered(&["a", "b", "a"], 1);
        assert!(tally.take_back_last());
        assert_eq!(tally.finish().histogram, BTreeMap::from([(1, 2)]));
        assert!(!entered(&["a", "b"], 1).take_back_last());
    }

    #[test]
    fn long_names_are_cut() {
        let counts = entered(&[&"x".repeat(300), &"x".repeat(300), "", ""], 1).finish();
        assert_eq!(counts.first[0].event.as_deref(), Some(&*("x".repeat(256) + "\u{2026}")));
        assert_eq!(counts.first[1].event.as_deref(), Some(""));
    }
}
