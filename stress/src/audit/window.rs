//! The part of a log that is in memory: at least one line, or one value, of those that are not too long.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much of a log is read at once, in bytes.
const CHUNK_BYTES: u64 = 256 << 10;

/// How long a line, or a value that spans lines, may be, in bytes. What is longer is counted and not read.
pub(crate) const LENGTH_MAX: usize = 16 << 20;

/// A log, seen from where reading has come to.
pub(crate) struct Window<'a, R> {
    source: R,
    bytes: Vec<u8>,
    at: usize,
    ended: bool,
    /// Lines that ended before this place.
    lines: u64,
    failure: Option<io::Error>,
    interrupt: Arc<AtomicBool>,
    /// Whether the end is that of reading, not that of the log.
    is_cut: bool,
    /// The last byte that was passed.
    last: Option<u8>,
    /// Shown what was read, each time that something was.
    on_chunk: &'a mut dyn FnMut(&[u8]),
}

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// How long it is, without its newline; as much of it as is in memory where it is too long.
    pub(crate) length: usize,
    pub(crate) has_newline: bool,
    pub(crate) is_too_long: bool,
}

impl<'a, R: Read> Window<'a, R> {
    pub(crate) fn new(source: R, interrupt: Arc<AtomicBool>, on_chunk: &'a mut dyn FnMut(&[u8])) -> Self {
        let bytes = Vec::new();
        Self {
            source,
            bytes,
            at: 0,
            ended: false,
            lines: 0,
            failure: None,
            interrupt,
            is_cut: false,
            last: None,
            on_chunk,
        }
    }

    /// What is in memory from here on.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// The number of the line that reading has come to, from 1.
    pub(crate) fn line_number(&self) -> u64 {
        self.lines + 1
    }

    /// The line that begins here, or what is left of it; nothing at the end of the log. Where the log was not read
    /// to its end, the part of a line before that place is none.
    pub(crate) fn line(&mut self) -> Option<Line> {
        let mut searched = 0;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.rest()[searched..]) {
                return Some(Line { length: searched + length, has_newline: true, is_too_long: false });
            }
            searched = self.rest().len();
            if searched >= LENGTH_MAX {
                return Some(Line { length: searched, has_newline: false, is_too_long: true });
            }
            if !self.more() {
                let is_line = searched > 0 && !self.is_cut;
                return is_line.then_some(Line { length: searched, has_newline: false, is_too_long: false });
            }
        }
    }

    /// Goes on behind so many bytes of what is in memory.
    pub(crate) fn pass(&mut self, count: usize) {
        let newlines = memchr::memchr_iter(b'\n', &self.rest()[..count]).count();
        self.pass_lines(count, newlines as u64);
    }

    /// Goes on behind this line, however long it is.
    pub(crate) fn pass_line(&mut self, line: Line) {
        self.pass_lines(line.length + usize::from(line.has_newline), line.has_newline.into());
        while line.is_too_long && (!self.rest().is_empty() || self.more()) {
            let newline = memchr::memchr(b'\n', self.rest());
            self.pass_lines(newline.map_or(self.rest().len(), |length| length + 1), newline.is_some().into());
            if newline.is_some() {
                break;
            }
        }
    }

    fn pass_lines(&mut self, bytes: usize, newlines: u64) {
        self.last = self.rest()[..bytes].last().copied().or(self.last);
        self.lines += newlines;
        self.at += bytes;
    }

    /// Reads on; whether there is more in memory than before.
    pub(crate) fn more(&mut self) -> bool {
        if self.ended {
            return false;
        }
        // Little is left where lines are short: moving it costs less than room for all.
        self.bytes.drain(..self.at);
        self.at = 0;
        let known = self.bytes.len();
        let wanted = CHUNK_BYTES.max(known as u64);
        let read = self.source.by_ref().take(wanted).read_to_end(&mut self.bytes);
        let count = self.bytes.len() - known;
        if self.interrupt.load(Ordering::Relaxed) {
            // Where it ends then says nothing of the log, nor does an error.
            self.is_cut = true;
        } else if let Err(error) = read {
            self.failure = Some(error);
            self.is_cut = true;
        }
        self.ended = self.is_cut || (count as u64) < wanted;
        (self.on_chunk)(&self.bytes[known..]);
        count > 0
    }

    /// Whether the end is that of reading, not that of the log.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How reading ended.
    pub(crate) fn finish(self) -> End {
        let is_torn = !self.is_cut && self.last.is_some_and(|last| last != b'\n');
        End { lines: self.lines + u64::from(is_torn), is_torn, failure: self.failure }
    }
}

/// How reading a log ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) lines: u64,
    /// Whether the last line has no newline.
    pub(crate) is_torn: bool,
    /// What kept it from being read to its end.
    pub(crate) failure: Option<io::Error>,
}
