//! What an audit is measured against: `serde_json` alone, on the same lines, to the same field.

use std::hint::black_box;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::key::KeyPath;
use super::lines::{Lines, Piece};
use super::{processor_time, source};

/// What `serde_json` takes for the lines of a log, read in the same way: block by block, on one thread, each line parsed
/// to the field and nothing done with it. It is measured in turns with the audit, a block of the one after a block of the
/// other, so that what else the machine does slows down both.
pub(crate) struct Floor<'log> {
    lines: Lines<Box<dyn Read + 'log>>,
    path: &'log KeyPath,
    block: Vec<u8>,
    pub(crate) taken: Taken,
}

/// What something took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub(crate) lines: u64,
    /// By the clock on the wall.
    pub(crate) time: Duration,
    /// By the clock of the processor, all threads together.
    pub(crate) processor: Duration,
}

impl<'log> Floor<'log> {
    /// Opens the log once more.
    ///
    /// # Errors
    /// What opening it meets.
    pub(crate) fn open(log: &Path, path: &'log KeyPath, interrupt: &'log AtomicBool) -> io::Result<Self> {
        let lines = Lines::new(source::open(log, None, interrupt)?);
        Ok(Self { lines, path, block: Vec::new(), taken: Taken::default() })
    }

    /// Reads the next block and parses its lines. A line that is longer than a block is passed over, with its time.
    ///
    /// # Errors
    /// What reading meets.
    pub(crate) fn step(&mut self) -> io::Result<()> {
        let (begun, processor) = (Instant::now(), processor_time());
        match self.lines.next(std::mem::take(&mut self.block))? {
            Some(Piece::Block(block)) => {
                let mut start = 0;
                let ends = memchr::memchr_iter(b'\n', &block);
                for end in ends.chain((block.last() != Some(&b'\n')).then_some(block.len())) {
                    // A line that is no JSON takes its time as well.
                    let _ = black_box(self.path.parse(black_box(&block[start..end])));
                    self.taken.lines += 1;
                    start = end + 1;
                }
                self.block = block;
            }
            Some(Piece::Long(line)) => {
                line.finish()?;
                return Ok(());
            }
            None => return Ok(()),
        }
        self.taken.time += begun.elapsed();
        self.taken.processor += processor_time().saturating_sub(processor);
        Ok(())
    }
}
