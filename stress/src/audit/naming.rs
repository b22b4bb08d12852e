//! The texts of events of which only a line is known: they are read again.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::batch::{Batch, Finder, Fingerprints};
use super::lines::{Lines, Piece};
use super::source;
use super::tally::{Offender, shown};

/// Reads a file again and names the offenders on its lines. What cannot be read twice stays unnamed.
///
/// # Errors
/// What reading meets.
pub(crate) fn name(
    offenders: &mut [Offender],
    path: &Path,
    finder: &Finder,
    fingerprints: &Fingerprints,
    interrupt: &AtomicBool,
) -> io::Result<()> {
    if offenders.is_empty() || !source::can_be_read_again(path)? {
        return Ok(());
    }
    let mut lines = Lines::new(source::open(path, Some("the names"), interrupt)?);
    let (mut before, mut batch) = (0, Batch::default());
    while let Some(piece) = lines.next(batch.take_bytes())?
        && offenders.iter().any(|offender| offender.lines[0] > before)
        && !interrupt.load(Ordering::Relaxed)
    {
        match piece {
            Piece::Block(block) => {
                let count = memchr::memchr_iter(b'\n', &block).count() as u64;
                if !offenders.iter().any(|offender| (before..=before + count).contains(&(offender.lines[0] - 1))) {
                    before += count;
                    continue;
                }
                batch.read(block, finder, fingerprints);
            }
            Piece::Long(line) => batch = Batch::of_long(line, finder, fingerprints)?,
        }
        for (line, entry, event) in batch.entries() {
            for offender in offenders.iter_mut().filter(|offender| offender.is(before + line + 1, entry)) {
                offender.event = Some(shown(event));
            }
        }
        before += batch.lines;
    }
    Ok(())
}
