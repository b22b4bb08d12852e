//! A source whose next bytes can be looked at before they are read.

use std::io::{self, BufRead, Read};
use std::ops::Range;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 128 << 10;

/// A buffered source.
#[derive(Debug)]
pub(crate) struct Peek<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What was read and not taken.
    known: Range<usize>,
    ended: bool,
}

impl<R: Read> Peek<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: vec![0; CHUNK_BYTES].into(), known: 0..0, ended: false }
    }

    /// What comes next: at least so many bytes, of a chunk at most, or all that there are.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.known.len() < count && !self.ended {
            self.buffer.copy_within(self.known.clone(), 0);
            self.known = 0..self.known.len();
        }
        while self.known.len() < count && !self.ended {
            match self.source.read(&mut self.buffer[self.known.end..]) {
                Ok(read) => {
                    self.known.end += read;
                    self.ended = read == 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.known.clone()])
    }
}

impl<R: Read> BufRead for Peek<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.known.start += count;
    }
}

impl<R: Read> Read for Peek<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
