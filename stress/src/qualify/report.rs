//! What was found out about a file system, for people and for machines.

use std::fmt;

use models::verdict::Verdict;

use super::actor::Stop;
use super::checks::Checked;
use super::property::Property;

/// What is known of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finding {
    /// It was exercised and never seen broken.
    Holds,
    /// It was seen broken.
    Violated,
    /// It could not be exercised.
    Unknown,
}

/// One line of the table.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Row {
    pub(crate) property: Property,
    pub(crate) finding: Finding,
    /// The figures it was seen to hold by, or what was seen instead.
    pub(crate) figures: String,
    /// What goes wrong in an election without it.
    pub(crate) consequence: &'static str,
}

impl Row {
    pub(crate) fn new(property: Property, checked: Checked) -> Self {
        let (finding, figures) = match checked {
            Ok(figures) => (Finding::Holds, figures),
            Err(Stop::Violated(why)) => (Finding::Violated, why),
            Err(Stop::Unknown(why)) => (Finding::Unknown, why),
        };
        Self { property, finding, figures, consequence: property.consequence() }
    }
}

/// The table and what follows from it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    pub(crate) directory: String,
    pub(crate) file_system: String,
    pub(crate) broken_on_purpose: Option<Property>,
    pub(crate) rows: Vec<Row>,
}

/// Whether the election can be used there: not where some property does not hold, and nobody knows where some could not
/// be exercised.
pub(crate) fn verdict_of(rows: &[Row]) -> Verdict {
    if rows.iter().any(|row| row.finding == Finding::Violated) {
        Verdict::Violated
    } else if rows.is_empty() || rows.iter().any(|row| row.finding == Finding::Unknown) {
        Verdict::Inconclusive
    } else {
        Verdict::Holds
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finding = match self.finding {
            Finding::Holds => "holds",
            Finding::Violated => "VIOLATED",
            Finding::Unknown => "unknown",
        };
        write!(formatter, "{:<34} {finding:<9} {}", self.property.title(), self.figures)
    }
}

impl fmt::Display for Report {
    /// The end of the table: its rows have been told as they came.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, directory, file_system, broken_on_purpose, rows } = self;
        if let Some(property) = broken_on_purpose {
            writeln!(formatter, "Broken on purpose: {}", property.title())?;
        }
        let of = |finding| rows.iter().filter(move |row| row.finding == finding);
        match verdict {
            Verdict::Holds => writeln!(
                formatter,
                "Verdict: holds. {directory} on {file_system} keeps what the election stands on, as far as this shows."
            ),
            Verdict::Violated => {
                writeln!(
                    formatter,
                    "Verdict: violated. The election must not be used in {directory} on {file_system}:"
                )?;
                of(Finding::Violated).try_for_each(|row| {
                    writeln!(formatter, "  {}: {}; {}", row.property.title(), row.figures, row.consequence)
                })
            }
            Verdict::Inconclusive => {
                writeln!(
                    formatter,
                    "Verdict: inconclusive. What could not be exercised in {directory} on {file_system}:"
                )?;
                of(Finding::Unknown)
                    .try_for_each(|row| writeln!(formatter, "  {}: {}", row.property.title(), row.figures))
            }
        }
    }
}
