//! A log as blocks of whole lines, in memory that depends neither on how many lines it has nor on how long they are.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// How much of a log is in one block, in bytes. A line that is longer is read piece by piece.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;

/// How much of a string in a very long line is kept, in bytes. Escaped, a character can take six.
pub(crate) const STRING_BYTES_MAX: usize = 64 << 10;

/// How deep the arrays and objects of a very long line may lie in one another.
const DEPTH_MAX: usize = 64 << 10;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// Unpacks what begins like a gzip file, however many members it has, and reads anything else as it is.
///
/// # Errors
/// Where the first bytes cannot be read.
pub(crate) fn unpacked<'a>(raw: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    // Smaller than what is asked of it for a block, which it then does not copy.
    let mut raw = BufReader::with_capacity(BLOCK_BYTES / 4, raw);
    // A pipe may give one byte at first, which alone does not show what it begins.
    let mut head = Vec::with_capacity(GZIP_MAGIC.len());
    raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_gzip = head == GZIP_MAGIC;
    let whole = io::Cursor::new(head).chain(raw);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Reads a log piece by piece.
pub(crate) struct Lines<R> {
    source: R,
    /// What was read behind the last piece.
    carry: Vec<u8>,
    ended: bool,
}

/// The next part of a log.
pub(crate) enum Piece<'lines, R> {
    /// Whole lines, the last one possibly without its newline at the end of the log.
    Block(Vec<u8>),
    /// One line that is longer than a block.
    Long(LongLine<'lines, R>),
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, carry: Vec::new(), ended: false }
    }

    /// The next piece, or nothing at the end, in the memory of an earlier block. A long line must be read to its end first.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn next(&mut self, mut block: Vec<u8>) -> io::Result<Option<Piece<'_, R>>> {
        let carried = self.carry.len();
        // What is in it is overwritten, or cut off.
        block.resize(BLOCK_BYTES.max(carried), 0);
        block[..carried].copy_from_slice(&self.carry);
        self.carry.clear();
        let filled = carried + self.read_into(&mut block[carried..])?;
        block.truncate(filled);
        if self.ended {
            return Ok(if block.is_empty() { None } else { Some(Piece::Block(block)) });
        }
        Ok(Some(match memchr::memrchr(b'\n', &block) {
            Some(last) => {
                self.carry.extend_from_slice(&block[last + 1..]);
                block.truncate(last + 1);
                Piece::Block(block)
            }
            None => Piece::Long(LongLine { lines: self, piece: block, at: 0, complete: false }),
        }))
    }

    /// Reads until there is no room or no more; how much there was.
    fn read_into(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !self.ended && filled < room.len() {
            match self.source.read(&mut room[filled..]) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// A line that is read piece by piece.
pub(crate) struct LongLine<'lines, R> {
    lines: &'lines mut Lines<R>,
    piece: Vec<u8>,
    at: usize,
    complete: bool,
}

impl<R: Read> LongLine<'_, R> {
    /// How the line begins: as much of it as fits into a block.
    pub(crate) fn head(&self) -> &[u8] {
        &self.piece
    }

    /// The line as JSON, with the insides of very long strings left out.
    pub(crate) fn abridged(&mut self) -> impl Read {
        BufReader::new(Abridged { line: self, in_string: false, escaped: 0, string_bytes: 0, depth: 0 })
    }

    /// Passes over what is left of the line. Whether there was a newline at its end.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn finish(mut self) -> io::Result<bool> {
        while !self.fill()?.is_empty() {
            self.at = self.piece.len();
        }
        Ok(self.complete)
    }

    /// More of the line; nothing at its end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.at == self.piece.len() && !self.complete && !self.lines.ended {
            self.piece.resize(BLOCK_BYTES, 0);
            self.at = 0;
            let read = self.lines.read_into(&mut self.piece)?;
            self.piece.truncate(read);
            if let Some(newline) = memchr::memchr(b'\n', &self.piece) {
                self.lines.carry.extend_from_slice(&self.piece[newline + 1..]);
                self.piece.truncate(newline);
                self.complete = true;
            }
        }
        Ok(&self.piece[self.at..])
    }
}

/// Leaves out what a parser would have to keep without need.
struct Abridged<'long, 'lines, R> {
    line: &'long mut LongLine<'lines, R>,
    in_string: bool,
    /// How many bytes of an escape are still to come, at most.
    escaped: u8,
    string_bytes: usize,
    depth: usize,
}

impl<R: Read> Abridged<'_, '_, R> {
    /// Whether the byte is to be passed on.
    fn keeps(&mut self, byte: u8) -> io::Result<bool> {
        if !self.in_string {
            match byte {
                b'"' => (self.in_string, self.string_bytes) = (true, 0),
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > DEPTH_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "nested too deep"));
            }
            return Ok(true);
        }
        // An escape is `\x` or `\uXXXX`, and is kept or left out as a whole.
        let starts = self.escaped == 0;
        self.escaped = match (self.escaped, byte) {
            (0, b'\\') => 5,
            (0, _) => 0,
            (5, b'u') => 4,
            (5, _) => 0,
            (left, _) => left - 1,
        };
        if starts && byte == b'"' {
            self.in_string = false;
            return Ok(true);
        }
        // Nor may the cut part a character of several bytes.
        let may_cut = starts && byte & 0b1100_0000 != 0b1000_0000;
        if self.string_bytes < STRING_BYTES_MAX || (self.string_bytes == STRING_BYTES_MAX && !may_cut) {
            self.string_bytes = (self.string_bytes + 1).min(STRING_BYTES_MAX);
            return Ok(true);
        }
        self.string_bytes = STRING_BYTES_MAX + 1;
        Ok(false)
    }
}

impl<R: Read> Read for Abridged<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut kept = 0;
        while kept == 0 {
            let piece = self.line.fill()?.first().copied();
            if piece.is_none() {
                break;
            }
            while kept < buffer.len() && self.line.at < self.line.piece.len() {
                let byte = self.line.piece[self.line.at];
                self.line.at += 1;
                if self.keeps(byte)? {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
        }
        Ok(kept)
    }
}
