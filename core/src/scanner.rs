//! Reads a log, chunk by chunk, and tells the events that have an entry in it.

use crate::entry::{self, LINE_BYTES_MAX};
use crate::event_ids::EventId;

/// How far a log has been read. Lines that are no entry of ours are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scanner {
    offset: u64,
    line_start: u64,
    /// What has been read of a line that goes on; of one that is too long to be an entry, the beginning.
    line: Vec<u8>,
}

impl Scanner {
    /// One that reads from there, where a line starts.
    pub(crate) fn at(offset: u64) -> Self {
        Self { offset, line_start: offset, line: Vec::new() }
    }

    /// What is to be read next.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the line starts that has not ended yet.
    pub(crate) fn line_start(&self) -> u64 {
        self.line_start
    }

    /// How much there is of a line that has not ended yet.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.offset - self.line_start
    }

    /// All of a line that has not ended yet, unless it is too long to be an entry.
    pub(crate) fn fragment(&self) -> Option<&[u8]> {
        (self.line.len() as u64 == self.torn_bytes()).then_some(&self.line)
    }

    /// Takes in what comes next.
    pub(crate) fn read(&mut self, chunk: &[u8], mut is_there: impl FnMut(&EventId<&str>)) {
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.offset += part.len() as u64;
            if part.last() != Some(&b'\n') {
                self.extend(part);
                continue;
            }
            let event = if self.line.is_empty() {
                entry::event_of(part)
            } else {
                self.extend(part);
                entry::event_of(&self.line)
            };
            if let Some(event) = event {
                is_there(&EventId::of(&event));
            }
            self.line.clear();
            self.line_start = self.offset;
        }
    }

    fn extend(&mut self, part: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_whole_lines_however_they_are_cut_into_chunks() {
        let entry = |event: &str, payload: &str| {
            format!("{{\"event\":\"{event}\",\"term\":12,\"primary\":\"a\",\"payload\":{payload}}}\n")
        };
        let whole = [entry("1", "1"), entry("\\\"2\\u001f", "{\"a\":{\"b\":1},\"c\":[2]}")].concat();
        let torn = entry("3", "{\"a\":{\"b\":1},\"c\":2}");
        let long = "x".repeat(LINE_BYTES_MAX + 7);
        let text =
            [&whole, "another's line\n{}\n\n", &torn[..55], "\n", &torn[..13], "\n", &long, "\n", &torn[..20]].concat();
        for chunk in [1, 2, 7, 50, text.len()] {
            let (mut scanner, mut events) = (Scanner::default(), Vec::new());
            for part in text.as_bytes().chunks(chunk) {
                scanner.read(part, |event| events.push(event.text().to_owned()));
            }
            assert_eq!(events, ["1", "\"2\u{1f}"], "{chunk}");
            assert_eq!(scanner.offset(), text.len() as u64);
            assert_eq!(scanner.fragment(), Some(&torn.as_bytes()[..20]));
            assert_eq!(scanner.line_start() + 20, scanner.offset());
            scanner.read(long.as_bytes(), |_| unreachable!("no line ends"));
            assert_eq!(scanner.fragment(), None, "nothing of ours is so long");
        }
    }
}
