//! How far a run is: a line that is drawn anew on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one check.
#[derive(Debug)]
pub(crate) struct Progress {
    protocol: &'static str,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(protocol: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            )
        });
        Self { protocol, bar, last_line: Instant::now() }
    }

    pub(crate) fn show(&mut self, about: &str, states: u64) {
        let line = || format!("{}: {about}: {states} states", self.protocol);
        if let Some(bar) = &self.bar {
            bar.set_message(line());
            bar.tick();
        } else if self.last_line.elapsed() >= LINE_EVERY {
            eprintln!("{}", line());
            self.last_line = Instant::now();
        }
    }

    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
