//! Reads a log with as many threads as pay, and hands out its batches in order.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::batch::{Batch, Finder, Fingerprint};
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

/// Hands every batch of the log to `take`, in order.
///
/// # Errors
/// What reading the log meets.
pub(crate) fn scan<R: Read + Send>(
    source: R,
    finder: &Finder,
    fingerprint: Fingerprint,
    mut take: impl FnMut(&Batch),
) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    thread::scope(|scope| {
        let mut work = Vec::new();
        let mut results = Vec::new();
        for _ in 0..threads {
            let (give, given) = sync_channel::<Work>(WAITING);
            let (answer, answers) = sync_channel(WAITING);
            scope.spawn(move || read_blocks(&given, &answer, finder, fingerprint));
            work.push(give);
            results.push(answers);
        }
        let reader = scope.spawn(move || read_log(source, &work, finder, fingerprint));
        // The blocks were given out in turns; the first thread that has nothing when its turn comes was given nothing.
        for answers in results.iter().cycle() {
            match answers.recv() {
                Ok(batch) => take(&batch),
                Err(_) => break,
            }
        }
        drop(results);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read_log<R: Read>(
    source: R,
    work: &[SyncSender<Work>],
    finder: &Finder,
    fingerprint: Fingerprint,
) -> io::Result<()> {
    let mut lines = Lines::new(source);
    for thread in work.iter().cycle() {
        let piece = match lines.next()? {
            None => break,
            Some(Piece::Block(block)) => Work::Block(block),
            Some(Piece::Long(line)) => Work::Read(Batch::of_long(line, finder, fingerprint)?),
        };
        if thread.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

fn read_blocks(given: &Receiver<Work>, answer: &SyncSender<Batch>, finder: &Finder, fingerprint: Fingerprint) {
    for work in given {
        let batch = match work {
            Work::Block(block) => Batch::of(&block, finder, fingerprint),
            Work::Read(batch) => batch,
        };
        if answer.send(batch).is_err() {
            return;
        }
    }
}
