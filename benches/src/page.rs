//! The page that a run leaves: its table, its plots, and the way to criterion's own report.

use std::fmt::Write as _;

use single_primary::WINDOW;

use crate::plot;
use crate::results::Measurement;
use crate::summary::Summary;
use crate::table::{self, Row};

/// The page, to lie in criterion's directory beside its report, where there is one.
///
/// # Errors
/// Where a plot cannot be drawn.
pub fn html(
    summary: &Summary,
    measurements: &[Measurement],
    moves: Option<&str>,
    has_report: bool,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut page = String::from(HEAD);
    let _ = write!(page, "<p>{}</p>", escape(&summary.provenance()));
    page.push_str(
        "<p>Each figure beside its floor: the same system calls in a straight line, measured in the same run. ",
    );
    if has_report {
        page.push_str("<a href=\"report/index.html\">Criterion's report</a> has every distribution.");
    }
    page.push_str("</p><table><tr>");
    for head in ["subject", "contestant", "figure", "takes", "floor", "ratio (spread)", "goal"] {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr>");
    for Row { subject, contestant, statistic, figure, floor, ratio, goal } in table::rows(summary) {
        page.push_str("<tr>");
        for cell in [subject, contestant, statistic, figure, floor, ratio, goal] {
            let _ = write!(page, "<td>{}</td>", escape(&cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>");
    if let Some(moves) = moves {
        let _ = write!(page, "<h2>Since the stored summary</h2><pre>{}</pre>", escape(moves));
    }
    page.push_str("<h2>Growth</h2>");
    for subject in plot::subjects(measurements) {
        let window = (subject == "race").then_some(("window of 150 ms", WINDOW));
        page.push_str(&plot::svg(measurements, subject, window)?);
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>What an election costs</title>\
    <style>body{font:15px sans-serif;margin:2em;max-width:70em}td,th{text-align:left;padding:.15em .8em;\
    border-bottom:1px solid #ddd}td:nth-child(4),td:nth-child(5){text-align:right}</style></head><body>\
    <h1>What an election costs</h1>";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
