//! The election: a pure fold over the journal. Append order decides, so that racing registrants need no lock among them.

use crate::call::Time;
use crate::id::InstanceId;
use crate::record::{Kind, Line, RECORD_BYTES, Record, View};
use crate::roster::Roster;

/// What the journal says so far. Everyone who has read the same bytes holds the same value.
///
/// - `begin(t)` counts only before the first registration: the term is t from there on, unless it is higher already.
/// - `register` adds its ID once, ever.
/// - `seal(t)` counts only for the current open term and with a candidate: the smallest becomes primary.
/// - `depose(t)` counts only for the current sealed term: its primary is gone, term t+1 opens.
/// - `leave(id)` removes the ID; if it was primary, the next term opens.
/// - Everything else changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fold {
    first_term: u64,
    term: u64,
    primary: Option<InstanceId>,
    roster: Roster,
    opened_at: Option<Time>,
    damaged_lines: u64,
    older: bool,
    newer: bool,
}

/// An unfinished line longer than this is damage: only its last bytes can still be part of a record.
const UNFINISHED_LINE_BYTES_MAX: usize = 4096;

/// No journal comes to such a term, so that there is always one after a term that it begins with.
const TERM_MAX: u64 = u64::MAX / 2;

impl Default for Fold {
    fn default() -> Self {
        Self {
            first_term: 1,
            term: 1,
            primary: None,
            roster: Roster::default(),
            opened_at: None,
            damaged_lines: 0,
            older: false,
            newer: false,
        }
    }
}

impl Fold {
    /// Takes in what was read behind all that was taken in before, and says how many of its bytes are done with. The rest,
    /// a line whose end has not been seen, is to be given again with what follows it.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        loop {
            let rest = &bytes[done..];
            // A record has no newline but its last byte, so that where one stands no line's end is to be searched for.
            if let Some(record) = rest.first_chunk().and_then(View::decode) {
                self.take_in(&record);
                done += RECORD_BYTES;
                continue;
            }
            let Some(newline) = rest.iter().position(|&byte| byte == b'\n') else {
                if rest.len() > UNFINISHED_LINE_BYTES_MAX {
                    done += rest.len() - (RECORD_BYTES - 1);
                }
                return done;
            };
            let line = &rest[..=newline];
            match View::read_line(line) {
                Line::Record(record, excess) => {
                    self.damaged_lines += u64::from(excess > 0);
                    self.take_in(&record);
                }
                Line::Newer => self.newer = true,
                Line::Damage => self.damaged_lines += 1,
            }
            done += line.len();
        }
    }

    /// Takes in one record.
    pub fn apply(&mut self, record: &Record) {
        self.take_in(&record.view());
    }

    fn take_in(&mut self, record: &View<'_>) {
        self.older |= record.is_older;
        match record.kind {
            Kind::Begin => {
                if self.roster.len() == 0 && record.term <= TERM_MAX {
                    self.term = self.term.max(record.term);
                    self.first_term = self.term;
                }
            }
            Kind::Register => {
                if self.roster.add(record.id) {
                    self.opened_at.get_or_insert(record.at);
                }
            }
            Kind::Seal => {
                if record.term == self.term && self.primary.is_none() {
                    self.primary = self.roster.first();
                }
            }
            Kind::Depose => {
                if record.term == self.term
                    && let Some(primary) = self.primary.take()
                {
                    self.roster.remove(primary.as_valid());
                    self.term += 1;
                }
            }
            Kind::Leave => {
                self.roster.remove(record.id);
                if self.primary.as_ref().is_some_and(|primary| primary.as_valid() == record.id) {
                    self.primary = None;
                    self.term += 1;
                }
            }
        }
    }

    /// The number of the current election. The first in a directory is 1.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Whether the current election is the first since nobody lived: the one that stays open for the window.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.term == self.first_term
    }

    /// The first term that nobody has been primary of.
    #[must_use]
    pub fn next_term(&self) -> u64 {
        self.term + u64::from(self.primary.is_some())
    }

    /// The primary of the current term, once it is sealed.
    #[must_use]
    pub fn primary(&self) -> Option<&InstanceId> {
        self.primary.as_ref()
    }

    /// Those registered and not gone, the smallest first.
    pub fn candidates(&self) -> impl Iterator<Item = InstanceId> {
        self.roster.standing()
    }

    /// Whether the ID was ever registered.
    #[must_use]
    pub fn knows(&self, id: &InstanceId) -> bool {
        self.roster.has_met(id.as_valid())
    }

    /// Whether the ID is registered and not gone.
    #[must_use]
    pub fn is_candidate(&self, id: &InstanceId) -> bool {
        self.roster.is_standing(id.as_valid())
    }

    /// How many have ever registered.
    #[must_use]
    pub fn registered_count(&self) -> usize {
        self.roster.len()
    }

    /// When the first of them registered: from then on the first term stays open for the window.
    #[must_use]
    pub fn opened_at(&self) -> Option<Time> {
        self.opened_at
    }

    /// How many lines were not exactly one record. They change nothing.
    #[must_use]
    pub fn damaged_lines(&self) -> u64 {
        self.damaged_lines
    }

    /// Whether an earlier version of this library has written to the journal. What it says is taken in like any other; but
    /// while such an instance lives, the two do not understand each other.
    #[must_use]
    pub fn is_older(&self) -> bool {
        self.older
    }

    /// Whether a later version of this library has written to the journal, so that this one cannot tell who is primary.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.newer
    }
}
