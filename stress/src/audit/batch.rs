//! From the lines of a block to the events that they name.

use std::io::{self, Read};
use std::ops::Range;

use regex::bytes::Regex;
use xxhash_rust::xxh3::xxh3_128_with_secret;

use super::key::{Found, KeyPath};
use super::lines::{LongLine, STRING_BYTES_MAX};
use super::ordinary::{self, Ordinary};
use super::special::Specials;

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

/// Tells events apart by 80 bits in place of their text. Two of a thousand million events are taken for one with a
/// probability below one in a million.
pub(crate) type Fingerprint = u128;

/// Takes fingerprints. What they depend on beside the event is random, so that nobody can choose events that collide.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    secret: [u8; 192],
}

impl Fingerprints {
    /// With a secret of its own.
    pub(crate) fn random() -> Self {
        let mut secret = [0; _];
        fastrand::fill(&mut secret);
        Self { secret }
    }

    fn of(&self, event: &[u8]) -> Fingerprint {
        xxh3_128_with_secret(event, &self.secret) >> 48
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
    /// The block that the lines stand in, and behind it those events that do not stand there as they are meant.
    bytes: Vec<u8>,
    /// What is special in the block, where it is JSON.
    specials: Specials,
}

/// One line's word on its event.
#[derive(Clone, Debug)]
struct Entry {
    fingerprint: Fingerprint,
    /// Which line of the block it is, from 0.
    line: u32,
    /// Where its event stands in `bytes`.
    event: Range<u32>,
}

impl Batch {
    /// The entries, in order: the line in this block from 0, the event's fingerprint and its text.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, Fingerprint, &[u8])> + Clone {
        self.entries.iter().map(|Entry { fingerprint, line, event }| {
            (u64::from(*line), *fingerprint, &self.bytes[event.start as usize..event.end as usize])
        })
    }

    /// The memory for the next block.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Reads whole lines, in place of what was read before: memory that was just used costs less than new memory.
    pub(crate) fn read(&mut self, block: Vec<u8>, finder: &Finder, fingerprints: &Fingerprints) {
        let Self { mut entries, mut specials, .. } = std::mem::take(self);
        entries.clear();
        if let Finder::Key(_) = finder {
            specials.mark(&block);
        }
        let end_of_block = block.len();
        let torn = block.last().is_some_and(|&last| last != b'\n');
        *self = Self { torn, entries, bytes: block, specials, ..Self::default() };
        let batch = self;
        let mut locations = match finder {
            Finder::Pattern(pattern, _) => Some(pattern.capture_locations()),
            Finder::Key(_) | Finder::Line => None,
        };
        let mut begin = 0;
        while begin < end_of_block {
            let block = &batch.bytes[..end_of_block];
            if let Finder::Key(path) = finder
                && let Some(Ordinary { event, end }) = ordinary::read(path.keys(), block, &batch.specials, begin)
            {
                match event {
                    Some(place) => batch.enter(place, fingerprints),
                    None => batch.without_event += 1,
                }
                batch.lines += 1;
                begin = end + 1;
                continue;
            }
            let end = memchr::memchr(b'\n', &block[begin..]).map_or(end_of_block, |length| begin + length);
            let line = block[begin..end].strip_suffix(b"\r").unwrap_or(&block[begin..end]);
            match (finder, &mut locations) {
                _ if line.is_empty() => batch.blank += 1,
                (Finder::Key(path), _) => match path.find(line) {
                    Ok(Found::Event(event)) => {
                        let event = event.into_owned();
                        batch.enter_text(event.as_bytes(), fingerprints);
                    }
                    Ok(Found::Nothing) => batch.without_event += 1,
                    Ok(Found::TooWide) => batch.given_up += 1,
                    Err(_) => batch.malformed += 1,
                },
                (Finder::Pattern(pattern, group), Some(locations)) => {
                    let event = pattern.captures_read(locations, line).and_then(|_| locations.get(*group));
                    match event {
                        Some((from, to)) => batch.enter(begin + from..begin + to, fingerprints),
                        None => batch.without_event += 1,
                    }
                }
                (Finder::Line, _) => batch.enter(begin..begin + line.len(), fingerprints),
                (Finder::Pattern(..), None) => unreachable!("a pattern has locations"),
            }
            batch.lines += 1;
            begin = end + 1;
        }
    }

    /// Reads one line that is longer than a block: JSON to its end, text as far as a block goes.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn of_long<R: Read>(
        mut line: LongLine<'_, R>,
        finder: &Finder,
        fingerprints: &Fingerprints,
    ) -> io::Result<Self> {
        let mut batch = Self::default();
        match finder {
            Finder::Key(path) => match path.find_in(line.abridged()) {
                Ok(Found::Event(event)) if event.len() < STRING_BYTES_MAX / 6 => {
                    batch.enter_text(event.as_bytes(), fingerprints);
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
                    Some(event) if event.end() < line.head().len() => batch.enter_text(event.as_bytes(), fingerprints),
                    _ => batch.given_up = 1,
                }
            }
        }
        batch.torn = !line.finish()?;
        batch.lines = 1;
        Ok(batch)
    }

    /// Enters an event that stands in the block.
    fn enter(&mut self, event: Range<usize>, fingerprints: &Fingerprints) {
        let fingerprint = fingerprints.of(&self.bytes[event.clone()]);
        let narrow = |number: usize| u32::try_from(number).expect("a block and its events are below 4 GiB");
        let line = u32::try_from(self.lines).expect("a block has no more lines than bytes");
        self.entries.push(Entry { fingerprint, line, event: narrow(event.start)..narrow(event.end) });
    }

    /// Enters one that does not.
    fn enter_text(&mut self, event: &[u8], fingerprints: &Fingerprints) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(event);
        self.enter(begin..self.bytes.len(), fingerprints);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::{line, path};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_block_is_read_as_its_lines_are_one_by_one(
            lines in prop::collection::vec(
                prop_oneof![4 => line(), 1 => prop::collection::vec(any::<u8>(), 0..30)],
                1..12,
            ),
            path in path(),
            end in prop::sample::select(&["", "\n", "\r\n"][..]),
        ) {
            let block = [&lines.join(&b'\n'), end.as_bytes()].concat();
            let mut naive = (Vec::new(), 0, 0, 0);
            for (number, line) in (0..).zip(block.strip_suffix(b"\n").unwrap_or(&block).split(|&byte| byte == b'\n')) {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                match path.find(line) {
                    _ if line.is_empty() => naive.1 += u64::from(!block.is_empty()),
                    Ok(Found::Event(event)) => naive.0.push((number, event.into_owned().into_bytes())),
                    Ok(_) => naive.2 += 1,
                    Err(_) => naive.3 += 1,
                }
            }
            let fingerprints = Fingerprints::random();
            let mut batch = Batch::default();
            // What was read before leaves nothing behind.
            batch.read(b"{\"id\":1}\n{".to_vec(), &Finder::Key("id".parse().expect("a path")), &fingerprints);
            batch.read(block.clone(), &Finder::Key(path), &fingerprints);
            for (_, fingerprint, event) in batch.entries() {
                prop_assert_eq!(fingerprint, fingerprints.of(event));
            }
            let entries: Vec<_> = batch.entries().map(|(line, _, event)| (line, event.to_vec())).collect();
            prop_assert_eq!((entries, batch.blank, batch.without_event, batch.malformed), naive);
            prop_assert_eq!(batch.torn, !block.is_empty() && !block.ends_with(b"\n"));
        }
    }
}
