//! A log drawn over its length: how many entries the events have that begin there.

use std::fmt::Write as _;

/// How many different numbers are drawn; where there are more, they are drawn in spans.
const ROWS_MAX: usize = 8;

/// How events are spread over the numbers of entries, by where they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chart {
    /// The first and the last line of the log.
    pub(crate) lines: (u64, u64),
    /// From the highest number.
    pub(crate) rows: Vec<Row>,
}

/// The events that have so many entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The lowest and the highest number.
    pub(crate) entries: (u32, u32),
    /// The share of these events among those that begin in each part of the log, in percent, and at least 1 if there is one.
    pub(crate) shares: Vec<u8>,
}

impl Chart {
    /// Draws events, by the lines of their first entries in order, in so many columns; nothing where all have the same
    /// number.
    pub(crate) fn of(events: &[(u64, u32)], lines: u64, columns: usize) -> Option<Self> {
        let mut numbers: Vec<u32> = events.iter().map(|(_, entries)| *entries).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let spans = spans(&numbers);
        let column = |line: u64| {
            let place = u128::from(line.saturating_sub(1)) * columns as u128 / u128::from(lines.max(1));
            usize::try_from(place).unwrap_or(0).min(columns - 1)
        };
        let mut all = vec![0_u64; columns];
        let mut counts = vec![vec![0_u64; columns]; spans.len()];
        for (line, entries) in events {
            let row = spans.iter().position(|(least, most)| (*least..=*most).contains(entries))?;
            counts[row][column(*line)] += 1;
            all[column(*line)] += 1;
        }
        let share = |(part, whole): (&u64, &u64)| u8::try_from((part * 100).div_ceil((*whole).max(1))).unwrap_or(100);
        let rows = spans
            .iter()
            .zip(&counts)
            .rev()
            .map(|(entries, counts)| Row { entries: *entries, shares: counts.iter().zip(&all).map(share).collect() });
        (numbers.len() > 1).then(|| Self { lines: (1, lines), rows: rows.collect() })
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let labels: Vec<String> = self.rows.iter().map(Row::label).collect();
        let width = labels.iter().map(String::len).max().unwrap_or(0).max("entries".len());
        let columns = self.rows.first().map_or(0, |row| row.shares.len());
        let mut text = String::new();
        for (row, label) in self.rows.iter().zip(&labels) {
            let cells: String = row
                .shares
                .iter()
                .map(|share| match share {
                    0 => ' ',
                    1..10 => '.',
                    10..50 => ':',
                    50.. => '#',
                })
                .collect();
            text += format!("{label:>width$} |{cells}").trim_end();
            text.push('\n');
        }
        let (first, last) = (self.lines.0.to_string(), self.lines.1.to_string());
        let gap = columns.saturating_sub(first.len());
        let _ = writeln!(text, "{:>width$} +{}", "entries", "-".repeat(columns));
        let _ = writeln!(text, "{:>width$}  {first}{last:>gap$}", "line");
        text
    }
}

impl Row {
    /// The numbers, as they are written beside the row.
    pub(crate) fn label(&self) -> String {
        let (least, most) = self.entries;
        if least == most { least.to_string() } else { format!("{least}-{most}") }
    }
}

/// The numbers, or spans of them where they are many: each begins at twice where the one before began.
fn spans(numbers: &[u32]) -> Vec<(u32, u32)> {
    if numbers.len() <= ROWS_MAX {
        return numbers.iter().map(|number| (*number, *number)).collect();
    }
    numbers.chunk_by(|one, other| one.ilog2() == other.ilog2()).map(|span| (span[0], span[span.len() - 1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_drawn_over_its_length() {
        let events: Vec<(u64, u32)> =
            (0..100).map(|event| (1 + event, if (40..60).contains(&event) { 4 } else { 1 })).collect();
        let chart = Chart::of(&events, 100, 20).expect("the numbers differ");
        assert_eq!(
            chart.text(),
            "      4 |        ####\n      1 |########    ########\nentries +--------------------\n   line  1                100\n"
        );
        assert_eq!(Chart::of(&events[..10], 10, 20), None);
        let many: Vec<(u64, u32)> = (1..=100).map(|number| (number.into(), number)).collect();
        let labels: Vec<_> = Chart::of(&many, 100, 10).expect("they differ").rows.iter().map(Row::label).collect();
        assert_eq!(labels, ["64-100", "32-63", "16-31", "8-15", "4-7", "2-3", "1"]);
    }
}
