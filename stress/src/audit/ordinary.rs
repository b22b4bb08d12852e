//! The event of a line of JSON as programs write them, found in one pass and without building anything.
//!
//! What is found here, `serde_json` would find as well: every byte of the line is held against the grammar. Where that
//! takes more than a look (escapes in a key or an event, arrays on the way to it, whitespace that nobody writes into a
//! log) and where something is wrong, nothing is concluded and the line is left to it.

use std::ops::Range;

use super::special::{STEP, first_special};

/// How deep arrays and objects may lie in one another here: a bit is kept for each.
const DEPTH_MAX: u32 = u64::BITS;

/// More keys than this lead deeper than `serde_json` goes along.
const KEYS_MAX: usize = 100;

/// A line that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordinary {
    /// What it says of its event.
    pub(crate) event: Event,
    /// Where it ends: at its newline, or at the end of the block.
    pub(crate) end: usize,
}

/// What a line says of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It stands here.
    At(Range<usize>),
    /// There is none.
    None,
}

/// Reads the line that begins at a place of a block; nothing where it is not an ordinary one.
pub(crate) fn read(keys: &[String], block: &[u8], begin: usize) -> Option<Ordinary> {
    if keys.len() > KEYS_MAX {
        return None;
    }
    let mut scanner = Scanner { bytes: block, at: begin };
    let event = scanner.find(keys)?;
    scanner.end_of_line()?;
    Some(Ordinary { event, end: scanner.at })
}

struct Scanner<'block> {
    bytes: &'block [u8],
    at: usize,
}

impl Scanner<'_> {
    /// What stands under the keys, in the object that begins here.
    fn find(&mut self, keys: &[String]) -> Option<Event> {
        let Some((wanted, rest)) = keys.split_first() else { return self.event() };
        self.take(b'{')?;
        let mut event = Event::None;
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
            let key = &self.bytes[begin..self.at - 1];
            self.take(b':')?;
            if key == wanted.as_bytes() {
                // Of keys that come twice the last counts.
                event = self.find(rest)?;
            } else if key.is_ascii() {
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
            b'n' | b't' | b'f' => return self.value().map(|()| Event::None),
            _ => return None,
        };
        let begin = self.at;
        if !is_string {
            self.value()?;
            return Some(Event::At(begin..self.at));
        }
        self.at += 1;
        let is_escaped = self.string()?;
        let event = begin + 1..self.at - 1;
        let text = &self.bytes[event.clone()];
        (!is_escaped && (text.is_ascii() || std::str::from_utf8(text).is_ok())).then_some(Event::At(event))
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
            while let Some((bytes, _)) = self.bytes.get(at..)?.split_first_chunk() {
                let special = first_special(bytes);
                at += special;
                if special < STEP {
                    break;
                }
            }
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
                // Fewer bytes than a step are left.
                b' '.. => at += 1,
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

#[cfg(test)]
mod tests {
    use super::super::key::{Found, KeyPath};
    use super::*;

    /// Lines that are, or nearly are, JSON.
    fn line(random: &mut fastrand::Rng, depth: u32) -> String {
        let space = |random: &mut fastrand::Rng| if random.u8(..8) == 0 { " " } else { "" };
        let strings = [
            "a",
            "b",
            "id",
            "id",
            "a",
            "",
            "x y",
            "\\n",
            "\\u00e9",
            "\\ud800",
            "\u{e9}",
            "call_0123456789abcdef",
            "a\\\"b",
        ];
        let scalars =
            ["0", "-1", "17", "1.5", "1e9", "-0.5E-3", "1e999", "01", "1.", "-", "true", "false", "null", "nul"];
        match random.u8(..if depth == 0 { 4 } else { 7 }) {
            0 | 1 => format!("\"{}\"", strings[random.usize(..strings.len())]),
            2 | 3 => scalars[random.usize(..scalars.len())].to_owned(),
            4 => {
                let values: Vec<_> = (0..random.u8(..4)).map(|_| line(random, depth - 1)).collect();
                format!("[{}{}]", values.join(","), space(random))
            }
            _ => {
                let entry = |random: &mut fastrand::Rng| {
                    let key = strings[random.usize(..strings.len())];
                    format!("{}\"{key}\"{}:{}{}", space(random), space(random), space(random), line(random, depth - 1))
                };
                let entries: Vec<_> = (0..random.u8(..4)).map(|_| entry(random)).collect();
                format!("{{{}{}}}", entries.join(","), space(random))
            }
        }
    }

    #[test]
    fn what_is_found_is_what_serde_json_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        let (mut ordinary, mut with_event) = (0, 0);
        for round in 0..150_000 {
            let mut text = line(&mut random, 4).into_bytes();
            if round % 4 > 0 && text.first() != Some(&b'{') {
                continue;
            }
            // Some lines are damaged: a byte less, another byte, a cut.
            if !text.is_empty() && round % 3 == 0 {
                let place = random.usize(..text.len());
                match random.u8(..3) {
                    0 => drop(text.remove(place)),
                    1 => text[place] = random.u8(..),
                    _ => text.truncate(place),
                }
            }
            if text.contains(&b'\n') {
                continue;
            }
            let path: KeyPath = ["id", "a.b", "a", "id.a", "b.0"][random.usize(..5)].parse().expect("a path");
            let before = random.usize(..9);
            let block = [&vec![b'x'; before], &text[..], b"\nrest"].concat();
            let Some(read) = read(path.keys(), &block, before) else { continue };
            assert_eq!(read.end, before + text.len());
            let found = path.find(&text).expect("a line that is passed here is JSON");
            let event = match read.event {
                Event::At(place) => Found::Event(std::str::from_utf8(&block[place]).expect("an event is text").into()),
                Event::None => Found::Nothing,
            };
            assert_eq!(event, found, "{}", String::from_utf8_lossy(&text));
            ordinary += 1;
            with_event += u32::from(found != Found::Nothing);
        }
        assert!(ordinary > 2_000 && with_event > 200, "{ordinary} lines were read here, {with_event} with an event");
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
                let read = read(&["id".to_owned()], block.as_bytes(), 0).expect(line);
                let place = event.map(|event| line.rfind(event).map(|begin| Event::At(begin..begin + event.len())));
                assert_eq!(Some(read.event), place.unwrap_or(Some(Event::None)), "{line}");
                assert_eq!(read.end, block.trim_end_matches('\n').len(), "{line}");
            }
        }
    }
}
