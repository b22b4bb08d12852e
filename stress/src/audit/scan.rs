//! Reads a log with as many threads as pay, and hands out its batches in order.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::batch::{Batch, Finder, Fingerprints};
use super::lines::{Lines, Piece};

/// How many blocks wait for each thread: enough to keep it busy, few enough to bound the memory.
const WAITING: usize = 2;

/// Beyond this, reading and counting are what takes the time.
const THREADS_MAX: usize = 4;

enum Work {
    Block(Vec<u8>),
    /// A long line is read where the log is.
    Read(Batch),
}

/// Hands every batch of the log to `take`, in order; after an interrupt those that were read before it.
///
/// # Errors
/// What reading the log meets.
pub(crate) fn scan<R: Read + Send>(
    source: R,
    finder: &Finder,
    fingerprints: Fingerprints,
    interrupt: &AtomicBool,
    mut take: impl FnMut(&Batch),
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    thread::scope(|scope| {
        let mut work = Vec::new();
        let mut results = Vec::new();
        for _ in 0..threads {
            let (give, given) = sync_channel::<Work>(WAITING);
            let (answer, answers) = sync_channel(WAITING);
            scope.spawn(move || read_blocks(&given, &answer, finder, fingerprints));
            work.push(give);
            results.push(answers);
        }
        let (give_back, spare) = sync_channel(threads * (2 * WAITING + 2));
        let reader = scope.spawn(move || read_log(source, &spare, &work, finder, fingerprints, interrupt));
        // The blocks were given out in turns; the first thread that has nothing when its turn comes was given nothing.
        for answers in results.iter().cycle() {
            match answers.recv() {
                Ok(batch) => {
                    take(&batch);
                    // Memory that was just used costs less than new memory.
                    let _ = give_back.try_send(batch.recycle());
                }
                Err(_) => break,
            }
        }
        drop(results);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read_log<R: Read>(
    source: R,
    spare: &Receiver<Vec<u8>>,
    work: &[SyncSender<Work>],
    finder: &Finder,
    fingerprints: Fingerprints,
    interrupt: &AtomicBool,
) -> io::Result<()> {
    let mut lines = Lines::new(source);
    for thread in work.iter().cycle() {
        let piece = match lines.next(spare.try_recv().unwrap_or_default()) {
            Ok(None) => break,
            Ok(Some(Piece::Block(block))) => Ok(Work::Block(block)),
            Ok(Some(Piece::Long(line))) => Batch::of_long(line, finder, fingerprints).map(Work::Read),
            Err(error) => Err(error),
        };
        if interrupt.load(Ordering::Relaxed) {
            // Where it ends says nothing of the log, nor does an error.
            if let Ok(Work::Block(mut block)) = piece {
                block.truncate(memchr::memrchr(b'\n', &block).map_or(0, |last| last + 1));
                let _ = thread.send(Work::Block(block));
            }
            break;
        }
        if thread.send(piece?).is_err() {
            break;
        }
    }
    Ok(())
}

fn read_blocks(given: &Receiver<Work>, answer: &SyncSender<Batch>, finder: &Finder, fingerprints: Fingerprints) {
    for work in given {
        let batch = match work {
            Work::Block(block) => Batch::of(block, finder, fingerprints),
            Work::Read(batch) => batch,
        };
        if answer.send(batch).is_err() {
            return;
        }
    }
}
