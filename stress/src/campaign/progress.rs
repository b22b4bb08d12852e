//! What a person sees while a campaign runs: a bar on a terminal, now and then a line elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use models::display::Display;

use super::arguments::Budget;
use super::tally::Totals;

/// How often there is a line where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of a campaign.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    budget: Budget,
    begun: Instant,
    told: Instant,
}

impl Progress {
    /// Begins.
    pub(crate) fn new(budget: Budget) -> Self {
        let bar = (Display::of_stderr() == Display::Bar).then(|| {
            let length = match budget {
                Budget::Rounds(rounds) => rounds,
                Budget::Duration(duration) => u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            };
            let style = ProgressStyle::with_template("{msg} {wide_bar}").expect("a valid template");
            ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10)).with_style(style)
        });
        Self { bar, budget, begun: Instant::now(), told: Instant::now() }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, totals: &Totals) {
        let elapsed = self.begun.elapsed();
        match &self.bar {
            Some(bar) => {
                bar.set_position(match self.budget {
                    Budget::Rounds(_) => totals.rounds,
                    Budget::Duration(_) => u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
                });
                bar.set_message(line(totals, self.budget, elapsed));
            }
            None if self.told.elapsed() >= LINE_EVERY => {
                self.told = Instant::now();
                eprintln!("{}", line(totals, self.budget, elapsed));
            }
            None => {}
        }
    }

    /// Prints something above it.
    pub(crate) fn print(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.suspend(|| eprintln!("{text}"));
        } else {
            eprintln!("{text}");
        }
    }

    /// Takes the bar away, so that what stays on the screen is what was found.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `Running [00:02:05] 1200/10000 rounds, 2400/s, about 4 s left, 0 violated`.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn line(totals: &Totals, budget: Budget, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let Totals { rounds, violated, .. } = totals;
    let rate = *rounds as f64 / elapsed.as_secs_f64().max(1e-3);
    let (of, left) = match budget {
        Budget::Rounds(all) => (format!("/{all}"), all.saturating_sub(*rounds) as f64 / rate.max(1e-3)),
        Budget::Duration(duration) => (String::new(), duration.saturating_sub(elapsed).as_secs_f64()),
    };
    let left = if *rounds == 0 { "?".to_owned() } else { format!("{:.0}", left.ceil()) };
    format!("Running [{clock}] {rounds}{of} rounds, {rate:.0}/s, about {left} s left, {violated} violated")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        let totals = Totals { rounds: 1_200, violated: 3, ..Totals::default() };
        assert_eq!(
            line(&totals, Budget::Rounds(10_000), Duration::from_secs(125)),
            "Running [00:02:05] 1200/10000 rounds, 10/s, about 917 s left, 3 violated"
        );
        assert_eq!(
            line(&Totals::default(), Budget::Duration(Duration::from_mins(2)), Duration::from_mins(1)),
            "Running [00:01:00] 0 rounds, 0/s, about ? s left, 0 violated"
        );
    }
}
