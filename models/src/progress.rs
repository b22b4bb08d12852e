//! How far a check is: a line that is drawn anew on a terminal, a line now and then elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use models::display::Display;

/// Between two lines on a terminal, and where nobody watches.
const DRAW_EVERY: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one check.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Which check of how many, and of what.
    about: String,
    /// What is counted, and how many there will be, where that is known.
    counted: &'static str,
    total: Option<u64>,
    started: Instant,
    bar: Option<ProgressBar>,
    shown: Mutex<Shown>,
}

/// What was shown last.
#[derive(Debug)]
struct Shown {
    at: Instant,
    /// The part of the check, and when and at which count it began.
    part: String,
    part_began: Instant,
}

impl Progress {
    pub(crate) fn new(about: String, counted: &'static str, total: Option<u64>) -> Self {
        let bar = (Display::of_stderr() == Display::Bar).then(|| {
            let style = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {msg}");
            let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(about.clone());
            bar.enable_steady_tick(DRAW_EVERY);
            bar
        });
        let now = Instant::now();
        let shown = Mutex::new(Shown { at: now, part: String::new(), part_began: now });
        Self { about, counted, total, started: now, bar, shown }
    }

    /// Tells how many there were so far in a part of the check, which has a name where there are several.
    pub(crate) fn show(&self, part: &str, count: u64) {
        let now = Instant::now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.part != part {
            (shown.part, shown.part_began) = (part.to_owned(), now);
        }
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        if now - shown.at < every {
            return;
        }
        shown.at = now;
        let line = line(&self.about, part, count, self.counted, self.total, now - shown.part_began);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None => eprintln!("[{:>4} s] {line}", (now - self.started).as_secs()),
        }
    }

    /// Clears the line.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The line after so long a time: with an estimate of what is left, where the total is known.
fn line(about: &str, part: &str, count: u64, counted: &str, total: Option<u64>, elapsed: Duration) -> String {
    let part = if part.is_empty() { String::new() } else { format!("{part}: ") };
    let of = total.map_or_else(String::new, |total| format!(" of {}", HumanCount(total)));
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = count.saturating_mul(1000) / millis;
    let left = total
        .filter(|_| per_second > 0)
        .map_or_else(String::new, |total| format!(", {} s left", total.saturating_sub(count).div_ceil(per_second)));
    format!("{about}: {part}{}{of} {counted}, {}/s{left}", HumanCount(count), HumanCount(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_estimates_what_is_left_where_the_total_is_known() {
        let lines = [
            line("1/1 journal, shuttle", "", 15_000, "schedules", Some(60_000), Duration::from_secs(1)),
            line(
                "2/3 journal, exhaustive",
                "part 1 of 13, departures",
                1_234_567,
                "states",
                None,
                Duration::from_secs(2),
            ),
            line("3/3 journal, loom", "", 0, "executions", None, Duration::ZERO),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        1/1 journal, shuttle: 15,000 of 60,000 schedules, 15,000/s, 3 s left
        2/3 journal, exhaustive: part 1 of 13, departures: 1,234,567 states, 617,283/s
        3/3 journal, loom: 0 executions, 0/s
        ");
    }
}
