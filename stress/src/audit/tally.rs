//! How many entries each event has, in a few tens of bytes an event.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::batch::Batch;

/// How many events are shown of each kind of offender.
pub(crate) const SHOWN: usize = 10;

/// How many lines are told of one offender.
const LINES_SHOWN: usize = 8;

/// How much of an event's text is kept, in bytes.
const EVENT_BYTES_SHOWN: usize = 256;

/// Tables grow one at a time, so that only a small part of the memory is held twice while one does.
const TABLES: usize = 256;

/// An event: 24 bytes, in a table that is at least 7/16 full once it has grown.
#[derive(Debug)]
struct Slot {
    /// The halves of the fingerprint, which as one number would ask for more alignment.
    fingerprint: [u64; 2],
    /// The line of its first entry in the upper 40 bits, the number of its entries in the lower 24.
    place: u64,
}

impl Slot {
    const ENTRIES_BITS: u32 = 24;
    const ENTRIES_MAX: u64 = (1 << Self::ENTRIES_BITS) - 1;
    const LINE_MAX: u64 = u64::MAX >> Self::ENTRIES_BITS;

    fn new(fingerprint: [u64; 2], line: u64, entries: u64) -> Self {
        Self { fingerprint, place: (line.min(Self::LINE_MAX) << Self::ENTRIES_BITS) | entries }
    }

    fn entries(&self) -> u64 {
        self.place & Self::ENTRIES_MAX
    }

    fn line(&self) -> u64 {
        self.place >> Self::ENTRIES_BITS
    }

    /// Counts an entry; the last number that can be counted stands for all beyond it.
    fn enter(&mut self, line: u64) {
        *self = match self.entries() {
            0 => Self::new(self.fingerprint, line, 1),
            entries => Self::new(self.fingerprint, self.line(), (entries + 1).min(Self::ENTRIES_MAX)),
        };
    }
}

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
    fingerprint: u128,
}

impl Offender {
    /// Whether an entry is the first one of this event.
    pub(crate) fn is(&self, line: u64, fingerprint: u128) -> bool {
        self.lines[0] == line && self.fingerprint == fingerprint
    }
}

/// Counts the entries of a log.
#[derive(Debug)]
pub(crate) struct Tally {
    expect: u64,
    tables: Vec<HashTable<Slot>>,
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
        Self {
            expect,
            tables: std::iter::repeat_with(HashTable::new).take(TABLES).collect(),
            listed: 0,
            lines: 0,
            entries: 0,
            first: Vec::new(),
            worst: Vec::new(),
        }
    }

    /// Takes events that must be in the log.
    pub(crate) fn list(&mut self, batch: &Batch) {
        for (line, fingerprint, _) in batch.entries() {
            let line = self.lines + line + 1;
            if let Entry::Vacant(vacant) = slot(&mut self.tables, fingerprint) {
                vacant.insert(Slot::new(halves(fingerprint), line, 0));
                self.listed += 1;
            }
        }
        self.lines += batch.lines;
    }

    /// Ends the list: from here on, lines are counted from 1 again.
    pub(crate) fn end_list(&mut self) {
        self.lines = 0;
    }

    /// Counts the entries of a batch.
    pub(crate) fn count(&mut self, batch: &Batch) {
        for (line, fingerprint, event) in batch.entries() {
            let line = self.lines + line + 1;
            let (first_line, entries) = match slot(&mut self.tables, fingerprint) {
                Entry::Occupied(mut occupied) => {
                    occupied.get_mut().enter(line);
                    (occupied.get().line(), occupied.get().entries())
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(Slot::new(halves(fingerprint), line, 1));
                    (line, 1)
                }
            };
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
        for slot in self.tables.iter().flat_map(HashTable::iter) {
            *counts.histogram.entry(slot.entries()).or_default() += 1;
            if slot.entries() == 0 {
                keep_earliest(&mut counts.missing, slot);
            } else {
                counts.events += 1;
                if slot.entries() < self.expect {
                    keep_earliest(&mut counts.fewer, slot);
                }
            }
        }
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
fn meet(known: &mut [Offender], fingerprint: u128, line: u64) -> bool {
    let Some(offender) = known.iter_mut().find(|offender| offender.fingerprint == fingerprint) else { return false };
    offender.entries += 1;
    if offender.lines.len() < LINES_SHOWN {
        offender.lines.push(line);
    }
    true
}

/// Keeps those that come first, in order.
fn keep_earliest(offenders: &mut Vec<Offender>, slot: &Slot) {
    let place = offenders.partition_point(|offender| offender.lines[0] < slot.line());
    if place < SHOWN {
        offenders.truncate(SHOWN - 1);
        let lines = vec![slot.line()];
        offenders.insert(
            place,
            Offender { event: None, entries: slot.entries(), lines, fingerprint: whole(slot.fingerprint) },
        );
    }
}

fn slot(tables: &mut [HashTable<Slot>], fingerprint: u128) -> Entry<'_, Slot> {
    // The lowest bits choose the table and the upper half the place in it, so that the two are independent.
    let table = &mut tables[usize::from((fingerprint & 0xFF) as u8)];
    let wanted = halves(fingerprint);
    table.entry(wanted[0], |slot| slot.fingerprint == wanted, |slot| slot.fingerprint[0])
}

#[expect(clippy::cast_possible_truncation, reason = "each half is one number")]
fn halves(fingerprint: u128) -> [u64; 2] {
    [(fingerprint >> 64) as u64, fingerprint as u64]
}

fn whole(halves: [u64; 2]) -> u128 {
    (u128::from(halves[0]) << 64) | u128::from(halves[1])
}
