//! A lane for each instance of a round: its tenures as bars, its entries as marks, its death as a stroke, and behind all
//! lanes the times with several primaries.

use std::fmt::Write as _;

use models::markup::escaped;

use super::{WIDTH, open, time};
use crate::history::distribution::float;
use crate::history::format::{self, Line, What};

/// Where the lanes begin, and how high one is.
const LEFT: u32 = 100;
const LANE: u32 = 26;

/// What is drawn of a round.
#[derive(Debug, Default)]
struct Scene {
    instances: Vec<String>,
    /// By lane: from when until when.
    tenures: Vec<(usize, u64, u64)>,
    entries: Vec<(usize, u64, String)>,
    deliveries: Vec<(usize, u64, String)>,
    deaths: Vec<(usize, u64)>,
}

/// Draws a history.
pub(super) fn draw(page: &mut String, history: &str) {
    let lines = format::lines(history);
    let told = || lines.iter().filter(|line| !matches!(line.what, What::Elect { .. } | What::WakeUp { .. }));
    let first_ns = told().map(|line| line.at_ns).min().unwrap_or(0);
    let last_ns = told().map(|line| line.at_ns).max().unwrap_or(0);
    let scene = Scene::of(&lines, last_ns);
    let span_ns = (last_ns - first_ns).max(1);
    let x = |at_ns: u64| {
        f64::from(LEFT) + float(at_ns.saturating_sub(first_ns)) / float(span_ns) * f64::from(WIDTH - LEFT - 10)
    };
    let height = u32::try_from(scene.instances.len()).unwrap_or(1) * LANE + 8;
    open(page, height + 18);
    for (number, (_, from, until)) in scene.tenures.iter().enumerate() {
        for (_, other_from, other_until) in &scene.tenures[number + 1..] {
            let (from, until) = (*from.max(other_from), *until.min(other_until));
            if from < until {
                let _ = write!(
                    page,
                    "<rect class=overlap x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{height}\"><title>several primaries for {} µs</title></rect>",
                    x(from),
                    (x(until) - x(from)).max(2.0),
                    (until - from) / 1000
                );
            }
        }
    }
    for (lane, instance) in (0..).zip(&scene.instances) {
        let y = lane * LANE + LANE - 2;
        let _ = write!(
            page,
            "<text x=\"6\" y=\"{}\">{}</text><line class=axis x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>",
            y - 6,
            escaped(instance),
            WIDTH - 10
        );
    }
    let top = |lane: usize| u32::try_from(lane).unwrap_or(0) * LANE + 7;
    for (lane, from, until) in &scene.tenures {
        let _ = write!(
            page,
            "<rect class=bar x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"14\" rx=\"2\"><title>primary for {} µs</title></rect>",
            x(*from),
            top(*lane),
            (x(*until) - x(*from)).max(2.0),
            (until - from) / 1000
        );
    }
    for (lane, at_ns) in &scene.deaths {
        let (at, top) = (x(*at_ns), top(*lane));
        let _ =
            write!(page, "<path class=death d=\"M{:.1} {top}l8 14m0 -14l-8 14\"><title>dies</title></path>", at - 4.0);
    }
    for (lane, at_ns, event) in &scene.deliveries {
        let _ = write!(
            page,
            "<circle class=event cx=\"{:.1}\" cy=\"{}\" r=\"3\"><title>receives {}</title></circle>",
            x(*at_ns),
            top(*lane) + 7,
            escaped(event)
        );
    }
    for (lane, at_ns, event) in &scene.entries {
        let _ = write!(
            page,
            "<circle class=mark cx=\"{:.1}\" cy=\"{}\" r=\"4\"><title>logs {}</title></circle>",
            x(*at_ns),
            top(*lane) + 7,
            escaped(event)
        );
    }
    let end = time(float(span_ns) / 1000.0);
    let _ = write!(page, "<text class=soft x=\"{LEFT}\" y=\"{}\">0</text>", height + 13);
    let _ =
        write!(page, "<text class=soft x=\"{}\" y=\"{}\" text-anchor=\"end\">{end}</text>", WIDTH - 10, height + 13);
    page.push_str(
        "</svg></div><p class=soft>Bars: believes that it is primary. Rings: receives an event. Dots: entries in the log. \
         Crosses: deaths. Shaded: several primaries at once.</p>",
    );
}

impl Scene {
    fn of(lines: &[Line], last_ns: u64) -> Self {
        let mut scene = Self::default();
        let mut open_since: Vec<Option<u64>> = Vec::new();
        for Line { at_ns, what, .. } in lines {
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
            let lane = scene.instances.iter().position(|known| known == instance).unwrap_or_else(|| {
                scene.instances.push(instance.clone());
                open_since.push(None);
                scene.instances.len() - 1
            });
            match what {
                What::Believe { .. } => open_since[lane] = Some(*at_ns),
                What::Log { event, .. } => scene.entries.push((lane, *at_ns, event.clone())),
                What::Deliver { event, .. } => scene.deliveries.push((lane, *at_ns, event.clone())),
                What::Follow { .. } => {}
                _ => scene.tenures.extend(open_since[lane].take().map(|since| (lane, since, *at_ns))),
            }
            if matches!(what, What::Die { .. }) {
                scene.deaths.push((lane, *at_ns));
            }
        }
        let open = open_since.iter().enumerate().filter_map(|(lane, since)| Some((lane, (*since)?, last_ns)));
        scene.tenures.extend(open);
        scene
    }
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
        draw(&mut page, &history(4_000));
        assert!(page.contains("several primaries for 1 µs") && page.contains("logs &lt;e&gt;"), "{page}");
        assert_eq!((page.matches("primary for").count(), page.matches("dies").count()), (2, 1));
        let mut page = String::new();
        draw(&mut page, &history(5_000));
        assert!(!page.contains("several primaries for"));
    }
}
