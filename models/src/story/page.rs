//! A counterexample as one page that needs nothing from elsewhere: a lane per instance, time going down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use single_primary::call::Mode;

use crate::participant::Belief;
use crate::story::{Step, Story, phrase};

const ROW: usize = 46;
const TOP: usize = 64;
const LEFT: usize = 48;
const LANE: usize = 376;
const FILES: usize = 330;
/// Bars of locks stand at the left of a lane, so far from each other.
const BAR: usize = 9;
/// As many locks as a lane has room for.
const BARS_MAX: usize = 4;

/// As many characters as fit in a step's box.
const WIDE: usize = 42;

/// The colours of files, in turn.
const COLOURS: [&str; 6] = ["#2563a8", "#8a4fbf", "#1b8a5a", "#b3541e", "#a32c5a", "#5b6770"];

/// The page, as HTML.
#[must_use]
pub fn page(story: &Story) -> String {
    let mut colours = BTreeMap::new();
    for name in story.steps.iter().flat_map(|step| step.locks.iter().map(|(_, name, _)| name)) {
        let next = COLOURS[colours.len() % COLOURS.len()];
        colours.entry(name.as_str()).or_insert(next);
    }
    let legend: String = colours.iter().fold(String::new(), |mut legend, (name, colour)| {
        let _ = write!(legend, "<span class=key><i style=\"background:{colour}\"></i>lock of {}</span>", escape(name));
        legend
    });
    format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n\
         <title>{name}: a counterexample</title>\n<style>{STYLE}</style>\n\
         <h1>How <em>{name}</em> fails</h1>\n<p class=why>{why}</p>\n\
         <p>The protocol: {summary}.</p>\n\
         <p>Below, each lane is one instance, and time goes down: one numbered box is one step, most often one system call \
         with what it returned. Between two steps of one instance, others may take as many as they like; this is one order \
         that the operating system is free to choose, the shortest that was found. A lane turns \
         <b class=secondary>grey</b> where the instance believes that another is primary, and \
         <b class=primary>gold</b> where it believes that it is primary itself. A bar at the left of a lane is a lock, for as \
         long as it is held; a dashed one is shared. The last lane shows what the files come to say.</p>\n\
         <p>{legend}</p>\n{svg}\n</html>\n",
        name = escape(&story.protocol),
        why = escape(&story.why),
        summary = escape(&story.summary),
        svg = svg(story, &colours),
    )
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#1c2330;\
background:#fff}h1{font-size:1.5em}.why{background:#fdecea;border-left:4px solid #b3261e;padding:.6em 1em;font-weight:600}\
.primary{background:#f6c945;padding:0 .3em}.secondary{background:#dfe3e8;padding:0 .3em}.key{margin-right:1.5em}\
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.4em}svg{display:block;max-width:100%;height:auto}\
text{font:13px system-ui,sans-serif;fill:#1c2330}.result{fill:#52607a}.head{font-weight:700;font-size:15px}\
.number{fill:#8792a5}.file{font-size:12px}.end{font-weight:700;fill:#b3261e}";

fn svg(story: &Story, colours: &BTreeMap<&str, &str>) -> String {
    let files_at = LEFT + story.instances * LANE;
    let width = files_at + FILES;
    let bottom = TOP + story.steps.len() * ROW;
    let height = bottom + 56;
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" width={width} role=img aria-label=\"the steps\">\n");
    for instance in 0..story.instances {
        let at = LEFT + instance * LANE;
        let _ = writeln!(svg, "<text class=head x={} y=32>instance {instance}</text>", at + BARS_MAX * BAR + 12);
        let _ = writeln!(svg, "<rect x={at} y=44 width={} height={} fill=\"#f7f8fa\"/>", LANE - 12, bottom - 44);
    }
    let _ = writeln!(svg, "<text class=head x={} y=32>files</text>", files_at + 8);
    for instance in 0..story.instances {
        beliefs(&mut svg, story, instance, bottom);
        bars(&mut svg, story, instance, colours, bottom);
    }
    for (at, step) in story.steps.iter().enumerate() {
        row(&mut svg, at, step, files_at, at + 1 == story.steps.len());
    }
    let _ = writeln!(svg, "<line x1=0 x2={width} y1={bottom} y2={bottom} stroke=\"#b3261e\" stroke-width=3 />");
    let _ = writeln!(svg, "<text class=end x={LEFT} y={}>Here: {}</text>", bottom + 30, escape(&story.why));
    svg.push_str("</svg>");
    svg
}

/// What an instance believes, as the colour of its lane from the step on that led to it.
fn beliefs(svg: &mut String, story: &Story, instance: usize, bottom: usize) {
    let x = LEFT + instance * LANE;
    let changes: Vec<_> =
        story.steps.iter().enumerate().filter(|(_, step)| usize::from(step.instance) == instance).collect();
    for (at, (row, step)) in changes.iter().enumerate() {
        let colour = match step.belief {
            Belief::Primary { .. } => "#f6c945",
            Belief::Secondary => "#dfe3e8",
            Belief::Failed(_) => "#f3c6c2",
            Belief::Undecided | Belief::Left => continue,
        };
        let from = TOP + row * ROW + ROW / 2;
        let to = changes.get(at + 1).map_or(bottom, |(next, _)| TOP + next * ROW + ROW / 2);
        let _ = writeln!(svg, "<rect x={x} y={from} width={} height={} fill=\"{colour}\"/>", LANE - 12, to - from);
    }
}

/// The locks that an instance holds, each as a bar.
fn bars(svg: &mut String, story: &Story, instance: usize, colours: &BTreeMap<&str, &str>, bottom: usize) {
    let held = |step: &Step| -> BTreeSet<(String, bool)> {
        let own = step.locks.iter().filter(|(owner, ..)| usize::from(*owner) == instance);
        own.map(|(_, name, mode)| (name.clone(), *mode == Mode::Shared)).collect()
    };
    let mut columns: Vec<Option<((String, bool), usize)>> = vec![None; BARS_MAX];
    let ends = story.steps.iter().map(held).chain([BTreeSet::new()]);
    for (row, now) in ends.enumerate() {
        let y = if row < story.steps.len() { TOP + row * ROW + ROW / 2 } else { bottom };
        for (column, slot) in columns.iter_mut().enumerate() {
            if let Some(((name, shared), from)) = slot.take_if(|(lock, _)| !now.contains(lock)) {
                let x = LEFT + instance * LANE + 6 + column * BAR;
                let colour = colours.get(name.as_str()).copied().unwrap_or("#5b6770");
                let dash = if shared { " stroke-dasharray=\"7 3\"" } else { "" };
                let title = escape(&format!("{} lock of {name}", if shared { "shared" } else { "exclusive" }));
                let _ = writeln!(
                    svg,
                    "<line x1={x} x2={x} y1={from} y2={y} stroke=\"{colour}\" stroke-width=5{dash}><title>{title}</title></line>"
                );
            }
        }
        for lock in now {
            let is_shown = columns.iter().flatten().any(|(shown, _)| *shown == lock);
            if !is_shown && let Some(free) = columns.iter_mut().find(|column| column.is_none()) {
                *free = Some((lock, y));
            }
        }
    }
}

fn row(svg: &mut String, at: usize, step: &Step, files_at: usize, is_last: bool) {
    if step.to_all {
        let y = TOP + at * ROW;
        let _ = writeln!(svg, "<text class=number x=8 y={}>{}</text>", y + 26, at + 1);
        let _ = writeln!(
            svg,
            "<rect x={LEFT} y={} width={} height=24 rx=5 fill=\"#e8eef7\"/>",
            y + 10,
            files_at - LEFT - 12
        );
        let _ = writeln!(svg, "<text x={} y={}>{}</text>", LEFT + BARS_MAX * BAR + 18, y + 27, escape(&step.what));
        return;
    }
    let (x, y) = (LEFT + usize::from(step.instance) * LANE + BARS_MAX * BAR + 10, TOP + at * ROW);
    let stroke = if is_last { "#b3261e\" stroke-width=\"3" } else { "#c4ccd8" };
    let width = LANE - BARS_MAX * BAR - 30;
    let _ = writeln!(svg, "<text class=number x=8 y={}>{}</text>", y + 26, at + 1);
    let _ = writeln!(
        svg,
        "<rect x={x} y={} width={width} height={} rx=5 fill=\"#fff\" stroke=\"{stroke}\"/>",
        y + 3,
        ROW - 6
    );
    let _ = writeln!(svg, "<text x={} y={}>{}</text>", x + 8, y + 19, fitted(&step.what, WIDE));
    let mut result = step.result.clone();
    if matches!(step.belief, Belief::Primary { .. } | Belief::Secondary | Belief::Failed(_) | Belief::Left) {
        if !result.is_empty() {
            result.push_str(" — ");
        }
        result.push_str(&phrase::belief(&step.belief));
    }
    let _ = writeln!(svg, "<text class=result x={} y={}>{}</text>", x + 8, y + 36, fitted(&result, WIDE));
    if let Some((name, change)) = &step.change {
        let _ = writeln!(svg, "<text class=file x={} y={}>{}</text>", files_at + 8, y + 19, escape(name));
        let _ =
            writeln!(svg, "<text class=\"file result\" x={} y={}>{}</text>", files_at + 8, y + 36, fitted(change, 46));
    }
}

/// As much of a text as there is room for, and all of it where one points at it.
fn fitted(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return escape(text);
    }
    let short: String = text.chars().take(characters).collect();
    format!("{}…<title>{}</title>", escape(&short), escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
