//! A report as one self-contained page: no script, no font and no picture from elsewhere.

use std::fmt::Write as _;

use super::chart::{Chart, Row};
use super::reading::{entries, events_of, told};
use super::report::Report;
use models::markup::escaped;

/// Of the picture, in its own units: it is as wide as the page lets it.
const WIDTH: usize = 720;
const ROW_HEIGHT: usize = 22;
/// Where the log begins, behind the numbers of entries.
const LEFT: usize = 70;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6575;--paper:#fff;--panel:#f3f5f8;--line:#d5dae2;--bar:#3b74b4;
--bad:#b3261e;--good:#176b2c;--doubt:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ee;--soft:#9aa4b4;--paper:#14181f;--panel:#1d232d;--line:#39424f;
--bar:#6ea8e6;--bad:#ff8a80;--good:#6fd08c;--doubt:#e5b567}}
body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:1.5em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
h1{font-size:1.6em;margin:.2em 0;overflow-wrap:anywhere}h2{font-size:1.15em;margin:1.8em 0 .3em}p{margin:.3em 0}
pre,.scroll{background:var(--panel);overflow-x:auto;border-radius:6px}pre{padding:.8em 1em;font-size:13px;white-space:pre-wrap}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}
td,th{padding:.15em .9em .15em 0;text-align:left;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}
svg{display:block;width:100%;height:auto;min-width:480px}svg text{font:11px system-ui,sans-serif;fill:var(--ink)}
.bar{fill:var(--bar)}.change{stroke:var(--bad);stroke-dasharray:3 3}
.holds{color:var(--good)}.violated{color:var(--bad)}.inconclusive{color:var(--doubt)}
";

/// The page.
pub(crate) fn render(report: &Report) -> String {
    let verdict = report.verdict;
    let log = escaped(&report.log);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{log}: {verdict}</title><style>{STYLE}</style><h1>{log}: <span class=\"{verdict}\">{verdict}</span></h1>\
         <p>{}</p>",
        escaped(&report.reading)
    );
    for doubt in &report.doubts {
        let _ = write!(page, "<p class=inconclusive>Not judged: {}.</p>", escaped(doubt));
    }
    if let Some(chart) = &report.chart {
        page.push_str("<h2>Entries of an event, by where in the log it begins</h2><div class=scroll>");
        draw(&mut page, chart, report);
        page.push_str("</div>");
    }
    if report.stretches.len() > 1 {
        page.push_str("<h2>Stretches</h2><table><tr><th class=n>from line<th class=n>to line<th>events<th>entries");
        for stretch in &report.stretches {
            let (from, to) = (report.place(stretch.first_line), report.place(stretch.last_line));
            let (from, to) = (escaped(&from), escaped(&to));
            let _ = write!(
                page,
                "<tr><td class=n>{from}<td class=n>{to}<td>{}<td>{}",
                events_of(stretch.events),
                told(stretch)
            );
        }
        page.push_str("</table>");
    }
    page.push_str("<h2>How many events have how many entries</h2><table><tr><th>entries<th class=n>events");
    for (number, events) in &report.histogram {
        let _ = write!(page, "<tr><td>{}<td class=n>{events}", entries(*number));
    }
    page.push_str("</table><h2>All of it</h2>");
    let _ = writeln!(page, "<pre>{}</pre></html>", escaped(&report.to_string()));
    page
}

/// A row for each number of entries; the more of the events that begin at a place have it, the darker it is there.
fn draw(page: &mut String, chart: &Chart, report: &Report) {
    let height = chart.rows.len() * ROW_HEIGHT + 24;
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"entries over the log's length\">"
    );
    for (number, row) in chart.rows.iter().enumerate() {
        let top = number * ROW_HEIGHT;
        let _ = write!(page, "<text x=\"4\" y=\"{}\">{}</text>", top + 15, label(row));
        let columns = row.shares.len();
        for (column, share) in row.shares.iter().enumerate().filter(|(_, share)| **share > 0) {
            let place = |column: usize| LEFT + column * (WIDTH - LEFT) / columns;
            let opacity = 0.25 + 0.75 * f64::from(*share) / 100.0;
            let (left, width) = (place(column), place(column + 1) - place(column));
            let _ = write!(
                page,
                "<rect class=bar x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"{}\" opacity=\"{opacity:.2}\"/>",
                top + 3,
                ROW_HEIGHT - 6
            );
        }
    }
    let (first, last) = chart.lines;
    let bottom = height - 6;
    for stretch in report.stretches.iter().skip(1) {
        let share = u128::from(stretch.first_line) * (WIDTH - LEFT) as u128 / u128::from(last.max(1));
        let place = LEFT as u128 + share;
        let _ = write!(page, "<line class=change x1=\"{place}\" x2=\"{place}\" y1=\"0\" y2=\"{}\"/>", height - 20);
    }
    let _ = write!(
        page,
        "<text x=\"{LEFT}\" y=\"{bottom}\">line {first}</text><text x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">line {last}</text></svg>",
        WIDTH - 2
    );
}

fn label(row: &Row) -> String {
    let (_, most) = row.entries;
    format!("{} {}", row.label(), if most == 1 { "entry" } else { "entries" })
}
