//! The ratios and their moves as people read them.

use std::fmt::Write as _;

use crate::comparison::{Comparison, Move};
use crate::goal::Goal;
use crate::ratio::Key;
use crate::results::Spread;
use crate::summary::Summary;

/// One row of the table, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What was measured.
    pub subject: String,
    /// By whom.
    pub contestant: String,
    /// Which figure.
    pub statistic: String,
    /// The figure itself.
    pub figure: String,
    /// The floor's.
    pub floor: String,
    /// The one in proportion to the other, with its spread.
    pub ratio: String,
    /// What it is meant to be, and whether it is; empty where nothing is meant.
    pub goal: String,
}

/// The table's rows.
#[must_use]
pub fn rows(summary: &Summary) -> Vec<Row> {
    let row = |ratio: &crate::ratio::Ratio| {
        let key = &ratio.key;
        let is_factor = key.statistic == crate::ratio::Statistic::Growth;
        let figure = |value| if is_factor { format!("× {value:.1}") } else { time(value) };
        Row {
            subject: key.parameter.map_or(key.subject.clone(), |value| format!("{} {value}", key.subject)),
            contestant: key.contestant.clone(),
            statistic: key.statistic.to_string(),
            figure: figure(ratio.nanoseconds),
            floor: figure(ratio.floor_nanoseconds),
            ratio: spread(ratio.ratio),
            goal: Goal::of(key).map_or(String::new(), |goal| {
                let most = match goal {
                    Goal::Ratio(most) => format!("≤ {most}"),
                    Goal::Nanoseconds(most) => format!("< {}", time(most)),
                };
                format!("{most} {}", if goal.is_met(ratio) { "met" } else { "missed" })
            }),
        }
    };
    summary.ratios.iter().map(row).collect()
}

/// The table as aligned text.
#[must_use]
pub fn text(summary: &Summary) -> String {
    let head = ["subject", "contestant", "figure", "takes", "floor", "ratio (spread)", "goal"].map(String::from);
    let cells = rows(summary).into_iter().map(|row| {
        let Row { subject, contestant, statistic, figure, floor, ratio, goal } = row;
        [subject, contestant, statistic, figure, floor, ratio, goal]
    });
    let lines: Vec<[String; 7]> = std::iter::once(head).chain(cells).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Figures stand to the right, words to the left.
            let _ =
                if matches!(column, 3 | 4) { write!(row, "{cell:>width$}  ") } else { write!(row, "{cell:<width$}  ") };
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// The figures that the README tells, each with the command that measures it anew.
#[must_use]
pub fn markdown(summary: &Summary) -> String {
    let mut text = format!("{}\n\n", summary.provenance());
    text.push_str(
        "| what | takes | its floor | times the floor (spread) | goal | command |\n|---|---|---|---|---|---|\n",
    );
    for (ratio, row) in summary.ratios.iter().zip(rows(summary)) {
        if is_told(&ratio.key) {
            let Row { subject, contestant, statistic, figure, floor, ratio: times, goal } = row;
            let subject = if matches!(contestant.as_str(), "election" | "journal") {
                subject
            } else {
                format!("{subject} by {contestant}")
            };
            let command = format!("ci/bench.sh --quick {}", ratio.key.subject);
            let _ = writeln!(text, "| {subject}, {statistic} | {figure} | {floor} | {times} | {goal} | `{command}` |");
        }
    }
    text
}

/// Whether the README tells a figure: those with a goal, beside what stands between them and their floor, and how a join
/// grows.
fn is_told(key: &Key) -> bool {
    let of_election = Key { contestant: "election".into(), ..key.clone() };
    let is_beside = matches!(key.contestant.as_str(), "election" | "calls" | "wait");
    key.subject == "join/living" || Goal::of(key).is_some() || is_beside && Goal::of(&of_election).is_some()
}

/// What has moved since an earlier run.
#[must_use]
pub fn moves(comparison: &Comparison, before: &Summary, after: &Summary) -> String {
    let mut text = format!("Compared with {} of {}: ", before.commit, before.date);
    let Comparison { worse, better, unmatched, compared } = comparison;
    let _ = writeln!(text, "{} of {compared} ratios worse, {} better, beyond their spread.", worse.len(), better.len());
    if before.machine != after.machine {
        text.push_str("The machines differ: ratios carry over only roughly.\n");
    }
    for (word, moves) in [("worse", worse), ("better", better)] {
        for Move { key, before, after } in moves {
            let _ = writeln!(text, "  {word}: {key}: {} -> {}", spread(*before), spread(*after));
        }
    }
    for key in unmatched {
        let _ = writeln!(text, "  only in one of them: {key}");
    }
    text
}

fn spread(Spread { middle, low, high }: Spread) -> String {
    format!("{middle:.2} ({low:.2} to {high:.2})")
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..100.0 => format!("{nanoseconds:.2} ns"),
        ..1e4 => format!("{nanoseconds:.0} ns"),
        ..1e7 => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}
