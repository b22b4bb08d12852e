//! What an audit is measured against: `serde_json` alone, on the same lines, to the same field.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::key::KeyPath;
use super::lines::{Lines, Piece};
use super::{processor_time, source};

/// What `serde_json` took for the lines of a log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Floor {
    pub(crate) lines: u64,
    /// By the clock on the wall, on one thread.
    pub(crate) taken: Duration,
    /// By the clock of the processor.
    pub(crate) processor: Duration,
}

/// Has one thread parse the lines of a log. Reading them and finding their ends is not counted.
pub(crate) fn measure(log: &Path, path: &KeyPath, interrupt: &AtomicBool) -> io::Result<Floor> {
    let mut lines = Lines::new(source::open(log, "serde_json", interrupt)?);
    let mut floor = Floor::default();
    let mut spare = Vec::new();
    while let Some(piece) = lines.next(std::mem::take(&mut spare))?
        && !interrupt.load(Ordering::Relaxed)
    {
        match piece {
            Piece::Block(block) => {
                let in_block: Vec<_> = block.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
                let (begun, processor) = (Instant::now(), processor_time());
                for line in &in_block {
                    // A line that is no JSON takes its time as well.
                    let _ = black_box(path.parse(black_box(line)));
                }
                floor.taken += begun.elapsed();
                floor.processor += processor_time().saturating_sub(processor);
                floor.lines += in_block.len() as u64;
                spare = block;
            }
            Piece::Long(line) => {
                line.finish()?;
            }
        }
    }
    Ok(floor)
}
