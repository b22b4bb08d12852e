//! Where a log is read from: a file or standard input, packed or not, with a bar that shows how far.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lines::unpacked;

const STANDARD_INPUT: &str = "-";

/// Whether standard input is meant.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// Whether it can be read once more.
pub(crate) fn can_be_read_again(path: &Path) -> io::Result<bool> {
    Ok(!is_standard_input(path) && std::fs::metadata(path)?.is_file())
}

/// Opens a log, with a bar that says what it is where it is to be seen. It ends where it ends, or where nothing comes any more once there was an interrupt.
///
/// # Errors
/// What opening it and reading its first bytes meet.
pub(crate) fn open<'a>(
    path: &Path,
    what: Option<&'static str>,
    interrupt: &'a AtomicBool,
) -> io::Result<Box<dyn Read + 'a>> {
    if is_standard_input(path) {
        let source = Interruptible { source: io::stdin(), interrupt };
        return unpacked(progress(None, what).wrap_read(source));
    }
    let file = File::open(path)?;
    let status = file.metadata()?;
    let bytes = status.is_file().then_some(status.len());
    unpacked(progress(bytes, what).wrap_read(Interruptible { source: file, interrupt }))
}

fn progress(bytes: Option<u64>, what: Option<&'static str>) -> ProgressBar {
    let Some(what) = what.filter(|_| io::stderr().is_terminal()) else { return ProgressBar::hidden() };
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    bar.with_style(style).with_message(what).with_finish(indicatif::ProgressFinish::AndClear)
}

/// How often an interrupt is looked for while nothing comes.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A source on which nobody waits for ever.
struct Interruptible<'a, R> {
    source: R,
    interrupt: &'a AtomicBool,
}

impl<R: Read + AsFd> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match poll(&mut [PollFd::new(&self.source, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.source.read(buffer),
                Err(error) => return Err(error.into()),
            }
            if self.interrupt.load(Ordering::Relaxed) {
                return Ok(0);
            }
        }
    }
}
