//! Reads a log block by block, and hands out what is in each.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::{Batch, Finder, Fingerprints};
use super::lines::{Lines, Piece};

/// Hands every batch of the log to `take`, in order; after an interrupt those that were read before it.
///
/// # Errors
/// What reading the log meets, and what `take` says.
pub(crate) fn scan<R: Read>(
    source: R,
    finder: &Finder,
    fingerprints: &Fingerprints,
    interrupt: &AtomicBool,
    mut take: impl FnMut(&Batch) -> io::Result<()>,
) -> io::Result<()> {
    let mut lines = Lines::new(source);
    let mut batch = Batch::default();
    loop {
        let block = match lines.next(batch.take_bytes()) {
            Ok(None) => return Ok(()),
            Ok(Some(Piece::Block(block))) => Ok(Some(block)),
            Ok(Some(Piece::Long(line))) => Batch::of_long(line, finder, fingerprints).map(|long| {
                batch = long;
                None
            }),
            Err(error) => Err(error),
        };
        if interrupt.load(Ordering::Relaxed) {
            // Where it ends says nothing of the log, nor does an error.
            if let Ok(Some(mut block)) = block {
                block.truncate(memchr::memrchr(b'\n', &block).map_or(0, |last| last + 1));
                batch.read(block, finder, fingerprints);
                take(&batch)?;
            }
            return Ok(());
        }
        if let Some(block) = block? {
            batch.read(block, finder, fingerprints);
        }
        take(&batch)?;
    }
}
