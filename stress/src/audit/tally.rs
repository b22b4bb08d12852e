//! How many entries each event has, in a few tens of bytes an event.

use std::collections::BTreeMap;

use super::batch::{Batch, Fingerprint};
use super::table::{Account, FETCHED, Table};

/// How many events are shown of each kind of offender.
pub(crate) const SHOWN: usize = 10;

/// How many lines are told of one offender.
const LINES_SHOWN: usize = 8;

/// How much of an event's text is kept, in bytes.
const EVENT_BYTES_SHOWN: usize = 256;

/// An event that has not the number of entries that it should.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Offender {
    /// Its text, cut where it is long; none where the log could not be read again to see it.
    pub(crate) event: Option<String>,
    /// How many entries it has.
    pub(crate) entries: u64,
    /// On which lines, from 1: the first one, and of the others as many as are known.
    pub(crate) lines: Vec<u64>,
    #[serde(skip)]
    fingerprint: Fingerprint,
}

impl Offender {
    /// Whether an entry is the first one of this event.
    pub(crate) fn is(&self, line: u64, fingerprint: Fingerprint) -> bool {
        self.lines[0] == line && self.fingerprint == fingerprint
    }
}

/// Counts the entries of a log.
#[derive(Debug)]
pub(crate) struct Tally {
    expect: u64,
    table: Table,
    listed: u64,
    lines: u64,
    entries: u64,
    /// Those that first had an entry too many, in that order.
    first: Vec<Offender>,
    /// Those that have the most entries.
    worst: Vec<Offender>,
}

impl Tally {
    pub(crate) fn new(expect: u64) -> Self {
        Self { expect, table: Table::new(), listed: 0, lines: 0, entries: 0, first: Vec::new(), worst: Vec::new() }
    }

    /// Takes events that must be in the log.
    pub(crate) fn list(&mut self, batch: &Batch) {
        for (line, fingerprint, _) in batch.entries() {
            let line = self.lines + line + 1;
            self.listed += u64::from(self.table.list(fingerprint, line));
        }
        self.lines += batch.lines;
    }

    /// Ends the list: from here on, lines are counted from 1 again.
    pub(crate) fn end_list(&mut self) {
        self.lines = 0;
    }

    /// Counts the entries of a batch.
    pub(crate) fn count(&mut self, batch: &Batch) {
        let mut ahead = batch.entries().map(|(_, fingerprint, _)| fingerprint);
        for (number, (line, fingerprint, event)) in batch.entries().enumerate() {
            if number % FETCHED == 0 {
                self.table.fetch(ahead.by_ref());
            }
            let line = self.lines + line + 1;
            let Account { line: first_line, entries } = self.table.enter(fingerprint, line);
            self.entries += 1;
            if entries > self.expect {
                let offender = || Offender {
                    event: Some(shown(event)),
                    entries,
                    lines: if entries > 1 { vec![first_line, line] } else { vec![line] },
                    fingerprint,
                };
                let known = meet(&mut self.first, fingerprint, line);
                if !known && entries == self.expect + 1 && self.first.len() < SHOWN {
                    self.first.push(offender());
                }
                if !meet(&mut self.worst, fingerprint, line) {
                    if self.worst.len() < SHOWN {
                        self.worst.push(offender());
                    } else if let Some(mildest) = self.worst.iter_mut().min_by_key(|worst| worst.entries)
                        && mildest.entries < entries
                    {
                        *mildest = offender();
                    }
                }
            }
        }
        self.lines += batch.lines;
    }

    /// What has come of it.
    pub(crate) fn finish(self) -> Counts {
        let mut counts = Counts {
            lines: self.lines,
            entries: self.entries,
            listed: self.listed,
            events: 0,
            histogram: BTreeMap::new(),
            first: self.first,
            worst: self.worst,
            fewer: Vec::new(),
            missing: Vec::new(),
        };
        counts.worst.sort_by_key(|offender| (std::cmp::Reverse(offender.entries), offender.lines.first().copied()));
        // Most events have few entries: they are counted without looking for their number.
        let mut few = [0; 16];
        for (fingerprint, account) in self.table.iter() {
            match usize::try_from(account.entries).ok().and_then(|entries| few.get_mut(entries)) {
                Some(events) => *events += 1,
                None => *counts.histogram.entry(account.entries).or_default() += 1,
            }
            if account.entries == 0 {
                keep_earliest(&mut counts.missing, fingerprint, account);
            } else {
                counts.events += 1;
                if account.entries < self.expect {
                    keep_earliest(&mut counts.fewer, fingerprint, account);
                }
            }
        }
        counts.histogram.extend((0..).zip(few).filter(|(_, events)| *events > 0));
        counts
    }
}

/// What a log was found to hold.
#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) lines: u64,
    pub(crate) entries: u64,
    /// Different events in the list of those that must be there.
    pub(crate) listed: u64,
    /// Different events in the log.
    pub(crate) events: u64,
    /// How many events have how many entries.
    pub(crate) histogram: BTreeMap<u64, u64>,
    pub(crate) first: Vec<Offender>,
    pub(crate) worst: Vec<Offender>,
    /// The earliest of those with too few entries.
    pub(crate) fewer: Vec<Offender>,
    /// The earliest of those with none, by their lines in the list.
    pub(crate) missing: Vec<Offender>,
}

/// The part of an event's text that is shown.
pub(crate) fn shown(event: &[u8]) -> String {
    let cut = event.len().min(EVENT_BYTES_SHOWN);
    let mut text = String::from_utf8_lossy(&event[..cut]).into_owned();
    if cut < event.len() {
        text.push('\u{2026}');
    }
    text
}

/// Counts one more entry of an offender that is known, if it is.
fn meet(known: &mut [Offender], fingerprint: Fingerprint, line: u64) -> bool {
    let Some(offender) = known.iter_mut().find(|offender| offender.fingerprint == fingerprint) else { return false };
    offender.entries += 1;
    if offender.lines.len() < LINES_SHOWN {
        offender.lines.push(line);
    }
    true
}

/// Keeps those that come first, in order.
fn keep_earliest(offenders: &mut Vec<Offender>, fingerprint: Fingerprint, account: Account) {
    let place = offenders.partition_point(|offender| offender.lines[0] < account.line);
    if place < SHOWN {
        offenders.truncate(SHOWN - 1);
        let lines = vec![account.line];
        offenders.insert(place, Offender { event: None, entries: account.entries, lines, fingerprint });
    }
}
