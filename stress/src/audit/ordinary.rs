//! The event of a line of JSON as programs write them, found in one pass and without building anything.
//!
//! What is found here, `serde_json` would find as well: every byte of the line is held against the grammar. Where that
//! takes more than a look (escapes in a key or an event, arrays on the way to it, whitespace that nobody writes into a
//! log) and where something is wrong, nothing is concluded and the line is left to it.

use std::ops::Range;

use super::special::Specials;

/// How deep arrays and objects may lie in one another here: a bit is kept for each.
const DEPTH_MAX: u32 = u64::BITS;

/// More keys than this lead deeper than `serde_json` goes along.
const KEYS_MAX: usize = 100;

/// A line that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordinary {
    /// Where its event stands, if it names one.
    pub(crate) event: Option<Range<usize>>,
    /// Where it ends: at its newline, or at the end of the block.
    pub(crate) end: usize,
}

/// Where an event stands, if there is one: its end in the upper half, its beginning in the lower one. What is one number
/// comes back from a call in a register, and not by way of memory.
#[derive(Clone, Copy, Debug)]
struct Event(u64);

impl Event {
    /// No string ends before it begins.
    const NONE: Self = Self(1);

    fn at(place: Range<usize>) -> Self {
        Self((place.end as u64) << u32::BITS | place.start as u64)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half is a place in a block")]
    fn place(self) -> Option<Range<usize>> {
        let (begin, end) = (self.0 as u32 as usize, (self.0 >> u32::BITS) as usize);
        (begin <= end).then_some(begin..end)
    }
}

/// Reads the line that begins at a place of a block, whose special bytes are known; nothing where it is not an ordinary
/// one.
pub(crate) fn read(keys: &[String], block: &[u8], specials: &Specials, begin: usize) -> Option<Ordinary> {
    if keys.len() > KEYS_MAX || u32::try_from(block.len()).is_err() {
        return None;
    }
    let mut scanner = Scanner { bytes: block, specials, at: begin };
    let event = scanner.find(keys)?;
    scanner.end_of_line()?;
    Some(Ordinary { event: event.place(), end: scanner.at })
}

struct Scanner<'block> {
    bytes: &'block [u8],
    specials: &'block Specials,
    at: usize,
}

impl Scanner<'_> {
    /// What stands under the keys, in the object that begins here.
    fn find(&mut self, keys: &[String]) -> Option<Event> {
        let Some((wanted, rest)) = keys.split_first() else { return self.event() };
        self.take(b'{')?;
        let mut event = Event::NONE;
        if self.next() == b'}' {
            self.at += 1;
            return Some(event);
        }
        loop {
            self.take(b'"')?;
            let begin = self.at;
            if self.string()? {
                return None;
            }
            let place = begin..self.at - 1;
            let key = &self.bytes[place.clone()];
            self.take(b':')?;
            if key == wanted.as_bytes() {
                // Of keys that come twice the last counts.
                event = self.find(rest)?;
            } else if self.specials.is_ascii(&place) {
                self.value()?;
            } else {
                return None;
            }
            match self.next() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(event);
                }
                _ => return None,
            }
        }
    }

    /// The value under the last key: a string or a number names an event, null and truth values do not.
    fn event(&mut self) -> Option<Event> {
        let is_string = match self.next() {
            b'"' => true,
            b'-' | b'0'..=b'9' => false,
            b'n' | b't' | b'f' => return self.value().map(|()| Event::NONE),
            _ => return None,
        };
        let begin = self.at;
        if !is_string {
            self.value()?;
            return Some(Event::at(begin..self.at));
        }
        self.at += 1;
        let is_escaped = self.string()?;
        let event = begin + 1..self.at - 1;
        let is_text = self.specials.is_ascii(&event) || std::str::from_utf8(&self.bytes[event.clone()]).is_ok();
        (!is_escaped && is_text).then(|| Event::at(event))
    }

    /// Passes over a value of any kind.
    fn value(&mut self) -> Option<()> {
        // Of each array or object that is open, whether it is an object: the innermost in the lowest bit.
        let (mut depth, mut objects) = (0, 0_u64);
        loop {
            match self.next() {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    if self.next() == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else if depth == DEPTH_MAX {
                        return None;
                    } else {
                        (depth, objects) = (depth + 1, objects << 1 | u64::from(is_object));
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                _ => return None,
            }
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = objects & 1 == 1;
                match self.next() {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                self.at += 1;
                (depth, objects) = (depth - 1, objects >> 1);
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.take(b'"')?;
        self.string()?;
        self.take(b':')
    }

    /// Passes over a string, from behind its first quotation mark to behind its last; whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        let (mut at, mut is_escaped) = (self.at, false);
        loop {
            at = self.specials.next(at)?;
            match self.bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(is_escaped);
                }
                b'\\' => {
                    is_escaped = true;
                    at += match self.bytes.get(at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' if self.bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => 6,
                        _ => return None,
                    };
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.here() == b'-');
        if self.here() == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.here() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.bytes.get(self.at..)?.first_chunk().is_some_and(|&eight| are_digits(u64::from_le_bytes(eight))) {
            self.at += 8;
        }
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_it = self.bytes[self.at..].starts_with(word);
        self.at += word.len();
        is_it.then_some(())
    }

    fn end_of_line(&mut self) -> Option<()> {
        match (self.next(), self.bytes.get(self.at + 1)) {
            (b'\n', _) => Some(()),
            (b'\r', Some(b'\n')) => {
                self.at += 1;
                Some(())
            }
            _ => (self.at == self.bytes.len()).then_some(()),
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        let is_it = self.next() == wanted;
        self.at += 1;
        is_it.then_some(())
    }

    /// The next byte that is no space.
    fn next(&mut self) -> u8 {
        while self.here() == b' ' {
            self.at += 1;
        }
        self.here()
    }

    /// The byte here; at the end of the block one that stands nowhere in JSON.
    fn here(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }
}

/// Whether eight bytes are digits: their upper halves are 3, also when six more would carry beyond 9.
fn are_digits(eight: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let upper = |eight: u64| eight & (ONES * 0xF0);
    upper(eight) == ONES * 0x30 && upper(eight.wrapping_add(ONES * 6)) == ONES * 0x30
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::super::arbitrary::{line, path};
    use super::super::key::Found;
    use super::*;

    #[test]
    fn what_is_found_is_what_serde_json_finds() {
        let (ordinary, with_event) = (Cell::new(0), Cell::new(0));
        let config = Config { cases: 20_000, failure_persistence: None, ..Config::default() };
        let cases = (line(), path(), 0..70_usize);
        let outcome = TestRunner::new(config).run(&cases, |(line, path, before)| {
            let block = [&vec![b'x'; before], &line[..], b"\nrest"].concat();
            let mut specials = Specials::default();
            specials.mark(&block);
            let Some(read) = read(path.keys(), &block, &specials, before) else { return Ok(()) };
            prop_assert_eq!(read.end, before + line.len());
            let found = path.find(line.strip_suffix(b"\r").unwrap_or(&line));
            let found = found.map_err(|error| TestCaseError::fail(format!("passed here, but {error}")))?;
            let event = match read.event {
                Some(place) => Found::Event(String::from_utf8_lossy(&block[place]).into_owned().into()),
                None => Found::Nothing,
            };
            prop_assert_eq!(&event, &found);
            ordinary.set(ordinary.get() + 1);
            with_event.set(with_event.get() + u32::from(found != Found::Nothing));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        let (ordinary, with_event) = (ordinary.get(), with_event.get());
        assert!(ordinary > 2_000 && with_event > 500, "{ordinary} lines were read here, {with_event} with an event");
    }

    #[test]
    fn lines_as_programs_write_them_are_read_here() {
        for (line, event) in [
            (r#"{"id":"a"}"#, Some("a")),
            (r#"{"at": 1.5e3, "data": {"id": 0}, "id": -17, "list": [1, [], {}, {"x": [null]}]}"#, Some("-17")),
            (
                r#"{"text":"a \"quoted\" text, \u00e9, \\, ü","flag":true,"id":"plugin-1700000000000-abc123"}"#,
                Some("plugin-1700000000000-abc123"),
            ),
            (r#"{"id":null,"other":false}"#, None),
            ("{}", None),
        ] {
            for end in ["\n", "\r\n", ""] {
                let block = format!("{line}{end}");
                let mut specials = Specials::default();
                specials.mark(block.as_bytes());
                let read = read(&["id".to_owned()], block.as_bytes(), &specials, 0).expect(line);
                let place = event.map(|event| line.rfind(event).map_or(0..0, |begin| begin..begin + event.len()));
                assert_eq!(read.event, place, "{line}");
                assert_eq!(read.end, block.trim_end_matches('\n').len(), "{line}");
            }
        }
    }
}
