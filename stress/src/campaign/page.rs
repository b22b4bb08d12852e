//! The report as one self-contained page: no script, no font and no picture from elsewhere.

use std::fmt::Write as _;

use super::report::Report;
use crate::distribution::Percentiles;
use crate::history::{Line, What};

const WIDTH: u32 = 720;
const HEIGHT: u32 = 160;

/// What a page shows beside the report.
#[derive(Debug, Default)]
pub(crate) struct Scenes {
    /// Rounds done by the end of each stretch of time, in seconds.
    pub(crate) progress: Vec<(f64, u64)>,
    /// Violated rounds: the story and the history of each.
    pub(crate) violations: Vec<(String, String)>,
}

/// The page.
pub(crate) fn render(report: &Report, scenes: &Scenes) -> String {
    let mut page = String::from(concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>stress campaign</title><style>",
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}",
        "pre{background:#f4f4f4;padding:1em;overflow-x:auto}td,th{padding:.1em 1em .1em 0;text-align:left}",
        "svg{background:#fafafa;max-width:100%}.holds{color:#176b2c}.violated{color:#a3160c}.inconclusive{color:#8a5a00}",
        "</style>"
    ));
    let verdict = report.verdict;
    let _ = write!(page, "<h1>{}: <span class=\"{verdict}\">{verdict}</span></h1>", escaped(&report.protocol));
    let _ = write!(page, "<pre>{}</pre><pre>{}</pre>", escaped(&report.command), escaped(&report.to_string()));
    if !report.faults.is_empty() {
        page.push_str("<h2>Faults</h2><table><tr><th>fault<th>happened<th>rounds<th>violated<th>at most, with 95 %");
        for (kind, count) in &report.faults {
            let _ = write!(page, "<tr><td>{}<td>{count}", escaped(kind));
            if let Some(fault) = report.fault_rounds.get(kind) {
                let percent = fault.violation_rate_upper_95 * 100.0;
                let _ = write!(page, "<td>{}<td>{}<td>{percent:.2} %", fault.rounds, fault.violated);
            }
        }
        page.push_str("</table>");
    }
    distribution(&mut page, "From the start to the verdict", report.latency_us.as_ref(), &report.latency_histogram_ns);
    distribution(&mut page, "Failover", report.failover_us.as_ref(), &report.failover_histogram_ns);
    rate(&mut page, &scenes.progress);
    for (story, history) in &scenes.violations {
        page.push_str("<h2>A violated round</h2>");
        lanes(&mut page, history);
        let _ = write!(page, "<details><summary>Its story</summary><pre>{}</pre></details>", escaped(story));
    }
    page.push_str("</html>\n");
    page
}

/// A histogram over spans that double from bar to bar.
fn distribution(page: &mut String, title: &str, spans: Option<&Percentiles>, recorded: &[(u64, u64)]) {
    let Some(Percentiles { p50, p90, p99, max, count }) = spans else { return };
    let _ = write!(
        page,
        "<h2>{title}</h2><p>{count} in all: p50 {p50:.0} µs, p90 {p90:.0} µs, p99 {p99:.0} µs, at most {max:.0} µs</p>"
    );
    let mut bars = [0_u64; 64];
    for (span_ns, count) in recorded {
        bars[(span_ns / 1000).max(1).ilog2() as usize] += count;
    }
    let first = bars.iter().position(|&count| count > 0).unwrap_or(0);
    let last = bars.iter().rposition(|&count| count > 0).unwrap_or(0);
    let bars = &bars[first..=last];
    let most = bars.iter().copied().max().unwrap_or(1).max(1);
    let width = WIDTH / u32::try_from(bars.len()).unwrap_or(1).max(1);
    open(page, HEIGHT);
    for (index, count) in (0_u32..).zip(bars) {
        let height = u64::from(HEIGHT - 40) * count / most;
        let (x, y) = (index * width, u64::from(HEIGHT - 20) - height);
        let from_us = 1_u64 << (first + index as usize);
        let _ = write!(
            page,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{height}\" fill=\"#4878a8\"><title>{count} from {from_us} µs</title></rect><text x=\"{x}\" y=\"{}\" font-size=\"10\">{from_us} µs</text>",
            width.saturating_sub(2).max(1),
            HEIGHT - 6
        );
    }
    page.push_str("</svg>");
}

/// Rounds per second over time.
fn rate(page: &mut String, progress: &[(f64, u64)]) {
    #[expect(clippy::cast_precision_loss, reason = "a picture")]
    let rates: Vec<(f64, f64)> = progress
        .windows(2)
        .filter(|pair| pair[1].0 > pair[0].0)
        .map(|pair| (pair[1].0, pair[1].1.saturating_sub(pair[0].1) as f64 / (pair[1].0 - pair[0].0)))
        .collect();
    let (Some(&(end, _)), Some(most)) = (rates.last(), rates.iter().map(|(_, rate)| *rate).reduce(f64::max)) else {
        return;
    };
    let _ = write!(page, "<h2>Rate</h2><p>Rounds per second over {end:.1} s; at most {most:.0}</p>");
    open(page, HEIGHT);
    let points: Vec<String> = rates
        .iter()
        .map(|(at, rate)| {
            let x = at / end * f64::from(WIDTH);
            let y = f64::from(HEIGHT) - 10.0 - rate / most.max(1.0) * f64::from(HEIGHT - 20);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let _ = write!(page, "<polyline points=\"{}\" fill=\"none\" stroke=\"#4878a8\"/></svg>", points.join(" "));
}

/// A lane for each instance: tenures as bars, entries as marks, the times with several primaries behind them.
fn lanes(page: &mut String, history: &str) {
    let lines: Vec<Line> = history.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut instances: Vec<&str> = Vec::new();
    let mut tenures: Vec<(usize, u64, u64)> = Vec::new();
    let mut open_since: Vec<Option<u64>> = Vec::new();
    let mut entries: Vec<(usize, u64, &str)> = Vec::new();
    let first_ns = lines.iter().map(|line| line.at_ns).min().unwrap_or(0);
    let last_ns = lines.iter().map(|line| line.at_ns).max().unwrap_or(0);
    for Line { at_ns, what, .. } in &lines {
        let (What::Believe { instance, .. }
        | What::Cease { instance }
        | What::Leave { instance }
        | What::Die { instance }
        | What::Fail { instance, .. }
        | What::Follow { instance }
        | What::Deliver { instance, .. }
        | What::Log { instance, .. }) = what
        else {
            continue;
        };
        let lane = instances.iter().position(|known| known == instance).unwrap_or_else(|| {
            instances.push(instance);
            open_since.push(None);
            instances.len() - 1
        });
        match what {
            What::Believe { .. } => open_since[lane] = Some(*at_ns),
            What::Log { event, .. } => entries.push((lane, *at_ns, event)),
            What::Follow { .. } | What::Deliver { .. } => {}
            _ => tenures.extend(open_since[lane].take().map(|since| (lane, since, *at_ns))),
        }
    }
    tenures.extend(open_since.iter().enumerate().filter_map(|(lane, since)| Some((lane, (*since)?, last_ns))));
    let span_ns = (last_ns - first_ns).max(1);
    let x = |at_ns: u64| 100 + (at_ns - first_ns) * u64::from(WIDTH - 110) / span_ns;
    let height = u32::try_from(instances.len()).unwrap_or(1) * 24 + 10;
    open(page, height);
    for (number, (_, from, until)) in tenures.iter().enumerate() {
        for (_, other_from, other_until) in &tenures[number + 1..] {
            let (from, until) = (*from.max(other_from), *until.min(other_until));
            if from < until {
                let _ = write!(
                    page,
                    "<rect x=\"{}\" y=\"0\" width=\"{}\" height=\"{height}\" fill=\"#f3b6b0\"><title>several primaries for {} µs</title></rect>",
                    x(from),
                    (x(until) - x(from)).max(1),
                    (until - from) / 1000
                );
            }
        }
    }
    for (lane, instance) in instances.iter().enumerate() {
        let _ = write!(page, "<text x=\"4\" y=\"{}\" font-size=\"11\">{}</text>", lane * 24 + 20, escaped(instance));
    }
    for (lane, from, until) in &tenures {
        let _ = write!(
            page,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"14\" fill=\"#4878a8\"><title>primary for {} µs</title></rect>",
            x(*from),
            lane * 24 + 8,
            (x(*until) - x(*from)).max(2),
            (until - from) / 1000
        );
    }
    for (lane, at_ns, event) in &entries {
        let _ = write!(
            page,
            "<circle cx=\"{}\" cy=\"{}\" r=\"4\" fill=\"#e0a030\"><title>logs {}</title></circle>",
            x(*at_ns),
            lane * 24 + 15,
            escaped(event)
        );
    }
    page.push_str("</svg>");
}

fn open(page: &mut String, height: u32) {
    let _ = write!(page, "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_is_highlighted_and_text_is_no_markup() {
        let line = |at_ns: u64, rest: &str| format!("{{\"round\":1,\"at_ns\":{at_ns},{rest}}}\n");
        let history = |second_ns: u64| {
            [
                line(0, r#""what":"believe","instance":"a","term":1"#),
                line(2_000, r#""what":"log","instance":"a","event":"<e>""#),
                line(5_000, r#""what":"cease","instance":"a""#),
                line(second_ns, r#""what":"believe","instance":"b","term":1"#),
                line(9_000, r#""what":"die","instance":"b""#),
            ]
            .concat()
        };
        let mut page = String::new();
        lanes(&mut page, &history(4_000));
        assert!(page.contains("several primaries for 1 µs") && page.contains("logs &lt;e&gt;"), "{page}");
        assert_eq!(page.matches("primary for").count(), 2);
        let mut page = String::new();
        lanes(&mut page, &history(5_000));
        assert!(!page.contains("several primaries"));
        let mut page = String::new();
        rate(&mut page, &[(0.0, 0), (1.0, 100), (2.0, 300)]);
        assert!(page.contains("at most 200") && page.contains("<polyline"), "{page}");
        let mut page = String::new();
        let spans = Percentiles { p50: 1.0, p90: 2.0, p99: 3.0, max: 4.0, count: 3 };
        distribution(&mut page, "Spans", Some(&spans), &[(1_000, 1), (4_000, 2)]);
        assert!(page.contains("2 from 4 µs") && page.contains("1 from 1 µs"), "{page}");
    }
}
