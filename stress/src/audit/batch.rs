//! From the lines of a block to the events that they name.

use std::io::{self, Read};

use regex::bytes::Regex;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::key::{Found, KeyPath};
use super::lines::{LongLine, STRING_BYTES_MAX};

/// What names the event of an entry.
#[derive(Clone, Debug)]
pub(crate) enum Finder {
    /// A value in a line of JSON.
    Key(KeyPath),
    /// What a group of a regular expression captures in a line of text: `event`, or the first one.
    Pattern(Regex, usize),
    /// The whole line is the event.
    Line,
}

impl Finder {
    /// Finds by a regular expression.
    ///
    /// # Errors
    /// Where it cannot be understood or captures nothing.
    pub(crate) fn pattern(text: &str) -> Result<Self, String> {
        let pattern = Regex::new(text).map_err(|error| error.to_string())?;
        let named = pattern.capture_names().position(|name| name == Some("event"));
        if pattern.captures_len() < 2 {
            return Err("put what names the event into parentheses, such as call=([0-9a-f]+)".into());
        }
        Ok(Self::Pattern(pattern, named.unwrap_or(1)))
    }
}

/// Tells events apart by 128 bits in place of their text. Two of a thousand million events are taken for one with a
/// probability below one in 10^20; the keys are random, so that nobody can choose events that collide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint(u64, u64);

impl Fingerprint {
    /// With keys of its own.
    pub(crate) fn random() -> Self {
        Self(fastrand::u64(..), fastrand::u64(..))
    }

    pub(crate) fn of(self, event: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        std::hash::Hasher::write(&mut hasher, event);
        hasher.finish128().as_u128()
    }
}

/// What a block of lines holds.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// How many lines it has.
    pub(crate) lines: u64,
    /// Of these, those with nothing in them.
    pub(crate) blank: u64,
    /// Those that name no event.
    pub(crate) without_event: u64,
    /// Those that are not JSON.
    pub(crate) malformed: u64,
    /// Those so long that the search for their event was given up.
    pub(crate) given_up: u64,
    /// Whether the last line has no newline.
    pub(crate) torn: bool,
    entries: Vec<Entry>,
    events: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: u128,
    /// Which line of the block it is, from 0.
    line: u64,
    /// Where its event ends in `events`; it begins where the one before ends.
    end: usize,
}

impl Batch {
    /// The entries, in order: the line in this block from 0, the event's fingerprint and its text.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, u128, &[u8])> {
        let begins = std::iter::once(0).chain(self.entries.iter().map(|entry| entry.end));
        self.entries
            .iter()
            .zip(begins)
            .map(|(entry, begin)| (entry.line, entry.fingerprint, &self.events[begin..entry.end]))
    }

    /// Reads whole lines.
    pub(crate) fn of(block: &[u8], finder: &Finder, fingerprint: Fingerprint) -> Self {
        let mut batch = Self { torn: !block.is_empty() && block.last() != Some(&b'\n'), ..Self::default() };
        let mut begin = 0;
        let mut locations = match finder {
            Finder::Pattern(pattern, _) => Some(pattern.capture_locations()),
            Finder::Key(_) | Finder::Line => None,
        };
        while begin < block.len() {
            let end = memchr::memchr(b'\n', &block[begin..]).map_or(block.len(), |length| begin + length);
            let line = block[begin..end].strip_suffix(b"\r").unwrap_or(&block[begin..end]);
            begin = end + 1;
            match (finder, &mut locations) {
                _ if line.is_empty() => batch.blank += 1,
                (Finder::Key(path), _) => match path.find(line) {
                    Ok(Found::Event(event)) => batch.enter(event.as_bytes(), fingerprint),
                    Ok(Found::Nothing) => batch.without_event += 1,
                    Ok(Found::TooWide) => batch.given_up += 1,
                    Err(_) => batch.malformed += 1,
                },
                (Finder::Pattern(pattern, group), Some(locations)) => {
                    let event = pattern.captures_read(locations, line).and_then(|_| locations.get(*group));
                    match event {
                        Some((from, to)) => batch.enter(&line[from..to], fingerprint),
                        None => batch.without_event += 1,
                    }
                }
                (Finder::Line, _) => batch.enter(line, fingerprint),
                (Finder::Pattern(..), None) => unreachable!("a pattern has locations"),
            }
            batch.lines += 1;
        }
        batch
    }

    /// Reads one line that is longer than a block: JSON to its end, text as far as a block goes.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn of_long<R: Read>(
        mut line: LongLine<'_, R>,
        finder: &Finder,
        fingerprint: Fingerprint,
    ) -> io::Result<Self> {
        let mut batch = Self::default();
        match finder {
            Finder::Key(path) => match path.find_in(line.abridged()) {
                Ok(Found::Event(event)) if event.len() < STRING_BYTES_MAX / 6 => {
                    batch.enter(event.as_bytes(), fingerprint);
                }
                Ok(Found::Event(_) | Found::TooWide) => batch.given_up = 1,
                Ok(Found::Nothing) => batch.without_event = 1,
                Err(error) if error.io_error_kind().is_some_and(|kind| kind != io::ErrorKind::InvalidData) => {
                    return Err(error.into());
                }
                Err(_) => batch.malformed = 1,
            },
            Finder::Line => batch.given_up = 1,
            Finder::Pattern(pattern, group) => {
                match pattern.captures(line.head()).and_then(|captures| captures.get(*group)) {
                    // What is captured up to the cut may go on behind it.
                    Some(event) if event.end() < line.head().len() => batch.enter(event.as_bytes(), fingerprint),
                    _ => batch.given_up = 1,
                }
            }
        }
        batch.torn = !line.finish()?;
        batch.lines = 1;
        Ok(batch)
    }

    fn enter(&mut self, event: &[u8], fingerprint: Fingerprint) {
        self.events.extend_from_slice(event);
        self.entries.push(Entry { fingerprint: fingerprint.of(event), line: self.lines, end: self.events.len() });
    }
}
