//! What an audit is measured against: `serde_json` alone, on the same lines, to the same field.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::key::KeyPath;
use super::lines::{Lines, Piece, unpacked};

/// Lines per second that one thread parses. Reading the log and finding the ends of its lines is not counted.
pub(crate) fn lines_per_second(log: &Path, path: &KeyPath) -> io::Result<f64> {
    let mut lines = Lines::new(unpacked(File::open(log)?)?);
    let (mut parsed, mut taken) = (0, Duration::ZERO);
    while let Some(piece) = lines.next()? {
        match piece {
            Piece::Block(block) => {
                let in_block: Vec<_> = block.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
                let begun = Instant::now();
                for line in &in_block {
                    // A line that is no JSON takes its time as well.
                    let _ = black_box(path.find(black_box(line)));
                }
                taken += begun.elapsed();
                parsed += in_block.len() as u64;
            }
            Piece::Long(line) => {
                line.finish()?;
            }
        }
    }
    Ok(super::rate(parsed, taken.as_secs_f64()))
}
