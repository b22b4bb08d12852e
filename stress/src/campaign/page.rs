//! The report as one self-contained page: no script, no font and no picture from elsewhere.

mod lanes;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use models::markup::escaped;

use super::report::Report;
use super::tally::Aimed;
use crate::history::distribution::{Percentiles, float};

/// Of a picture, in its own units: it is as wide as the page lets it.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 170;

/// How many bars a span of time that doubles is drawn as: narrow enough to tell two humps apart.
const BARS_PER_DOUBLING: f64 = 4.0;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6575;--paper:#fff;--panel:#f3f5f8;--line:#d5dae2;--bar:#3b74b4;
--mark:#c77700;--bad:#b3261e;--bad-soft:#f6c9c5;--good:#176b2c;--doubt:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ee;--soft:#9aa4b4;--paper:#14181f;--panel:#1d232d;--line:#39424f;
--bar:#6ea8e6;--mark:#f0b040;--bad:#ff8a80;--bad-soft:#6b2a28;--good:#6fd08c;--doubt:#e5b567}}
body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:1.5em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
h1{font-size:1.6em;margin:.2em 0}h2{font-size:1.15em;margin:1.8em 0 .3em}p{margin:.3em 0}
pre,.scroll{background:var(--panel);padding:.8em 1em;overflow-x:auto;border-radius:6px}pre{font-size:13px;white-space:pre-wrap}
.scroll{padding:0}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:14px}
td,th{padding:.15em .9em .15em 0;text-align:left;border-bottom:1px solid var(--line)}td.n,th.n{text-align:right}
svg{display:block;width:100%;height:auto;background:var(--panel);border-radius:6px}.scroll svg{min-width:480px}
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}.soft{color:var(--soft)}
.bar{fill:var(--bar)}.mark{fill:var(--mark)}.axis{stroke:var(--line)}.quantile{stroke:var(--bad);stroke-dasharray:3 3}
.rate{fill:none;stroke:var(--bar);stroke-width:1.5}.overlap{fill:var(--bad-soft)}.death{stroke:var(--bad);stroke-width:2}
.event{fill:var(--panel);stroke:var(--ink)}code{font-size:13px}.holds{color:var(--good)}.violated,.missed{color:var(--bad)}.inconclusive{color:var(--doubt)}
";

/// What a page shows beside the report.
#[derive(Debug, Default)]
pub(crate) struct Scenes {
    /// Rounds done by the end of each stretch of time, in seconds.
    pub(crate) progress: Vec<(f64, u64)>,
    pub(crate) violations: Vec<Violation>,
}

/// A violated round.
#[derive(Debug)]
pub(crate) struct Violation {
    /// The gravest of what it broke, in words.
    pub(crate) broken: &'static str,
    pub(crate) story: String,
    pub(crate) history: String,
    /// The command that runs it again.
    pub(crate) replay: String,
}

/// The page.
pub(crate) fn render(report: &Report, scenes: &Scenes) -> String {
    let verdict = report.verdict;
    let title = format!("{}: {verdict}", escaped(&report.protocol));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style>"
    );
    let _ = write!(page, "<h1>{}: <span class=\"{verdict}\">{verdict}</span></h1>", escaped(&report.protocol));
    let _ = write!(page, "<pre>{}</pre><pre>{}</pre>", escaped(&report.to_string()), escaped(&report.command));
    for Violation { broken, story, history, replay } in &scenes.violations {
        let (first, rest) = story.split_once('\n').unwrap_or((story, ""));
        let _ = write!(page, "<h2>Violated: {broken}</h2><p>{}</p>", escaped(first));
        lanes::draw(&mut page, history);
        let _ = write!(page, "<details><summary>Its story</summary><pre>{}</pre></details>", escaped(rest));
        let _ = write!(page, "<p class=soft>Run it again: <code>{}</code></p>", escaped(replay));
    }
    faults(&mut page, report);
    boundaries(&mut page, &report.boundaries.by_boundary);
    distribution(&mut page, "From the start to the verdict", report.latency_us.as_ref(), &report.latency_histogram_ns);
    let tenures = "From the end of a tenure to the next";
    distribution(&mut page, tenures, report.failover_us.as_ref(), &report.failover_histogram_ns);
    if !report.failover_bound.is_empty() {
        let _ = write!(page, "<p>After a death: {}</p>", escaped(&report.failover_bound.to_string()));
    }
    rate(&mut page, &scenes.progress);
    page.push_str("</html>\n");
    page
}

fn faults(page: &mut String, report: &Report) {
    if report.faults.is_empty() {
        return;
    }
    page.push_str("<h2>Faults</h2><table><tr><th>fault<th class=n>happened<th class=n>rounds<th class=n>violated");
    page.push_str("<th class=n>rate of violations at most, with 95 % confidence");
    for (kind, count) in &report.faults {
        let _ = write!(page, "<tr><td>{}<td class=n>{count}", escaped(kind));
        if let Some(fault) = report.fault_rounds.get(kind) {
            let percent = fault.violation_rate_upper_95 * 100.0;
            let _ =
                write!(page, "<td class=n>{}<td class=n>{}<td class=n>{percent:.2} %", fault.rounds, fault.violated);
        }
    }
    page.push_str("</table>");
}

/// A row for each call, a column for each part; in the cells how often an instance died before and after it.
fn boundaries(page: &mut String, by_boundary: &BTreeMap<String, Aimed>) {
    let mut calls: BTreeMap<&str, BTreeMap<(&str, bool), Aimed>> = BTreeMap::new();
    let mut parts = Vec::new();
    for (boundary, aimed) in by_boundary {
        let mut words = boundary.splitn(3, ' ');
        let (Some(part), Some(side), Some(call)) = (words.next(), words.next(), words.next()) else { continue };
        if !parts.contains(&part) {
            parts.push(part);
        }
        calls.entry(call).or_default().insert((part, side == "after"), *aimed);
    }
    if calls.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Deaths at the calls of the machine</h2><p class=soft>How often an instance died before / after each call, by \
         the part that it had in the election. –: not in turn yet. 0 of N: nobody came to it in N turns.</p>",
    );
    page.push_str("<div class=scroll><table><tr><th>call");
    for part in &parts {
        let _ = write!(page, "<th>{part}");
    }
    for (call, cells) in &calls {
        let _ = write!(page, "<tr><td>{}", escaped(call));
        for part in &parts {
            let shown = [false, true].map(|after| match cells.get(&(*part, after)) {
                None => "–".to_owned(),
                Some(Aimed { hit: 0, planned }) => format!("<span class=missed>0 of {planned}</span>"),
                Some(Aimed { hit, .. }) => hit.to_string(),
            });
            let is_reached = shown.iter().any(|side| side != "–");
            let _ = write!(page, "<td>{}", if is_reached { shown.join(" / ") } else { String::new() });
        }
    }
    page.push_str("</table></div>");
}

/// A histogram on a logarithmic axis, with its percentiles.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "spans are positive, and their logarithms small"
)]
fn distribution(page: &mut String, title: &str, spans: Option<&Percentiles>, recorded: &[(u64, u64)]) {
    let Some(Percentiles { p50, p90, p99, max, count }) = spans else { return };
    let place = |us: f64| (us.max(1.0).log2() * BARS_PER_DOUBLING).floor();
    let mut bars: BTreeMap<u32, u64> = BTreeMap::new();
    for (span_ns, count) in recorded {
        *bars.entry(place(float(*span_ns) / 1000.0) as u32).or_default() += count;
    }
    let (Some((&first, _)), Some((&last, _))) = (bars.first_key_value(), bars.last_key_value()) else { return };
    let most = bars.values().copied().max().unwrap_or(1).max(1);
    let _ = write!(
        page,
        "<h2>{title}</h2><p>{count} in all: p50 {}, p90 {}, p99 {}, at most {}; {most} in the highest bar</p>",
        time(*p50),
        time(*p90),
        time(*p99),
        time(*max)
    );
    // Room for the labels on both sides of the bars.
    let width = f64::from(WIDTH - 20) / f64::from(last - first + 1);
    let x = |us: f64| 10.0 + (us.max(1.0).log2() * BARS_PER_DOUBLING - f64::from(first)) * width;
    let (top, bottom) = (34.0, f64::from(HEIGHT) - 20.0);
    open(page, HEIGHT);
    for (bar, count) in &bars {
        let height = (float(*count) / float(most) * (bottom - top)).max(1.0);
        let (from_us, until_us) =
            ((f64::from(*bar) / BARS_PER_DOUBLING).exp2(), (f64::from(bar + 1) / BARS_PER_DOUBLING).exp2());
        let _ = write!(
            page,
            "<rect class=bar x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{count} from {} to {}</title></rect>",
            x(from_us),
            bottom - height,
            (width - 1.0).max(1.0),
            time(from_us),
            time(until_us)
        );
    }
    let _ = write!(page, "<line class=axis x1=\"10\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\"/>", WIDTH - 10);
    let mut labelled = f64::MIN;
    for power in 0..=9 {
        for digit in [1.0, 2.0, 5.0] {
            let us = digit * 10_f64.powi(power);
            let at = x(us);
            if (10.0..f64::from(WIDTH) - 30.0).contains(&at) && at > labelled + 60.0 {
                labelled = at;
                let _ = write!(
                    page,
                    "<line class=axis x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{:.1}\"/><text class=soft x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                    bottom + 4.0,
                    bottom + 15.0,
                    time(us)
                );
            }
        }
    }
    // Two rows of labels, so that percentiles close to each other stay readable.
    for (name, us, row) in [("p50", p50, 12.0), ("p90", p90, 24.0), ("p99", p99, 12.0)] {
        let at = x(*us);
        let (anchor, text_at) = if at > f64::from(WIDTH) - 60.0 { ("end", at - 3.0) } else { ("start", at + 3.0) };
        let _ = write!(
            page,
            "<line class=quantile x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{bottom}\"/><text x=\"{text_at:.1}\" y=\"{row}\" text-anchor=\"{anchor}\">{name}</text>",
            row - 8.0
        );
    }
    page.push_str("</svg></div>");
}

/// Rounds per second over time.
fn rate(page: &mut String, progress: &[(f64, u64)]) {
    let rates: Vec<(f64, f64)> = progress
        .windows(2)
        .filter(|pair| pair[1].0 > pair[0].0)
        .map(|pair| (pair[1].0, float(pair[1].1.saturating_sub(pair[0].1)) / (pair[1].0 - pair[0].0)))
        .collect();
    let (Some(&(end, _)), Some(most)) = (rates.last(), rates.iter().map(|(_, rate)| *rate).reduce(f64::max)) else {
        return;
    };
    let _ = write!(page, "<h2>Rate</h2><p>Rounds per second over {end:.1} s; at most {most:.0}</p>");
    open(page, HEIGHT);
    let bottom = f64::from(HEIGHT) - 20.0;
    let y = |rate: f64| bottom - rate / most.max(1.0) * (bottom - 16.0);
    for part in [0.0, 0.5, 1.0] {
        let at = y(most * part);
        let _ = write!(
            page,
            "<line class=axis x1=\"50\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=soft x=\"44\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
            WIDTH - 10,
            at + 4.0,
            most * part
        );
    }
    let x = |at: f64| 50.0 + at / end * f64::from(WIDTH - 60);
    // Each is the rate of a stretch of time: a step, not a slope.
    let mut before = 0.0;
    let mut points = Vec::new();
    for (at, rate) in &rates {
        points.push(format!("{:.1},{:.1} {:.1},{:.1}", x(before), y(*rate), x(*at), y(*rate)));
        before = *at;
    }
    let _ = write!(page, "<polyline class=rate points=\"{}\"/>", points.join(" "));
    let _ = write!(page, "<text class=soft x=\"50\" y=\"{}\">0 s</text>", HEIGHT - 5);
    let _ = write!(
        page,
        "<text class=soft x=\"{}\" y=\"{}\" text-anchor=\"end\">{end:.1} s</text></svg></div>",
        WIDTH - 10,
        HEIGHT - 5
    );
}

/// Microseconds, as people read them.
fn time(us: f64) -> String {
    match us {
        us if us < 1_000.0 => format!("{us:.0} µs"),
        us if us < 10_000.0 => format!("{:.1} ms", us / 1_000.0),
        us if us < 1_000_000.0 => format!("{:.0} ms", us / 1_000.0),
        us => format!("{:.1} s", us / 1_000_000.0),
    }
}

fn open(page: &mut String, height: u32) {
    let _ = write!(page, "<div class=scroll><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_and_rates_are_drawn() {
        let mut page = String::new();
        rate(&mut page, &[(0.0, 0), (1.0, 100), (2.0, 300)]);
        assert!(page.contains("at most 200") && page.contains("<polyline"), "{page}");
        let mut page = String::new();
        let spans = Percentiles { p50: 1.0, p90: 2.0, p99: 3.0, max: 4_200.0, count: 3 };
        distribution(&mut page, "Spans", Some(&spans), &[(1_000, 1), (4_000, 2)]);
        assert!(page.contains("2 from 4 µs") && page.contains("1 from 1 µs"), "{page}");
        assert!(page.contains("at most 4.2 ms") && page.matches("class=quantile").count() == 3, "{page}");
    }

    #[test]
    fn boundaries_stand_by_call_and_part() {
        let aimed = |planned, hit| Aimed { planned, hit };
        let by_boundary = [
            ("candidate before open journal", aimed(2, 2)),
            ("candidate after open journal", aimed(2, 1)),
            ("leaver before close all", aimed(3, 0)),
        ];
        let mut page = String::new();
        boundaries(&mut page, &by_boundary.map(|(name, aimed)| (name.to_owned(), aimed)).into());
        assert!(page.contains("<tr><td>open journal<td>2 / 1<td>"), "{page}");
        assert!(page.contains("<tr><td>close all<td><td><span class=missed>0 of 3</span> / –"), "{page}");
        boundaries(&mut String::new(), &BTreeMap::new());
    }
}
