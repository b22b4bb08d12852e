//! Where a log is read from: a file or standard input, packed or not, with a bar that shows how far.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::encoding::Decoded;
use super::unpack::{Forms, Unpacked};

const STANDARD_INPUT: &str = "-";

/// Whether standard input is meant.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// A log as people name it.
pub(crate) fn name_of(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// Opens a log, with a bar that says what it is where that can be seen. It gives text in UTF-8, as far as it is text,
/// and ends where the log ends, or where reading has come to when there is an interrupt.
///
/// # Errors
/// What opening it meets.
pub(crate) fn open(
    path: &Path,
    what: &'static str,
    forms: &Forms,
    interrupt: &Arc<AtomicBool>,
) -> io::Result<impl Read + use<>> {
    let raw: Box<dyn Read> = if is_standard_input(path) {
        let source = Interruptible { source: io::stdin(), interrupt: interrupt.clone() };
        Box::new(progress(None, what).wrap_read(source))
    } else {
        let file = File::open(path)?;
        let status = file.metadata()?;
        if status.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let bytes = status.is_file().then_some(status.len());
        let source = Interruptible { source: file, interrupt: interrupt.clone() };
        Box::new(progress(bytes, what).wrap_read(source))
    };
    Ok(Decoded::new(Unpacked::new(raw, forms.clone()), forms.clone()))
}

fn progress(bytes: Option<u64>, what: &'static str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{msg} {spinner} {bytes} {bytes_per_sec}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is a constant");
    bar.with_style(style).with_message(what).with_finish(indicatif::ProgressFinish::AndClear)
}

/// How often an interrupt is looked for while nothing comes.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A source that ends with an interrupt, so that nobody waits for ever.
struct Interruptible<R> {
    source: R,
    interrupt: Arc<AtomicBool>,
}

impl<R: Read + AsFd> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.interrupt.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&self.source, PollFlags::IN)], Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.source.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}
