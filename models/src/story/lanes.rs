//! The steps of a counterexample as a drawing: a lane per instance, time going down, and what the files come to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use single_primary::call::Mode;

use crate::markup::escaped;
use crate::participant::Belief;
use crate::story::{Step, Story, phrase};

const ROW: usize = 46;
const LEFT: usize = 44;
const LANE: usize = 376;
/// Between two lanes.
const GAP: usize = 12;
const FILES: usize = 330;
/// Bars of locks stand at the left of a lane, so far from each other.
const BAR: usize = 9;
/// As many locks as a lane has room for.
const BARS_MAX: usize = 4;
/// As many characters as fit in a step's box, and beside a change of a file.
const WIDE: usize = 42;
const WIDE_CHANGE: usize = 46;

/// As many colours as there are for files, in turn; the style sheet has them.
const COLOURS: usize = 6;

/// The numbers of the colours of all files that are locked.
pub(super) fn colours(story: &Story) -> BTreeMap<&str, usize> {
    let mut colours = BTreeMap::new();
    for (_, name, _) in story.steps.iter().flat_map(|step| &step.locks) {
        let next = colours.len() % COLOURS;
        colours.entry(name.as_str()).or_insert(next);
    }
    colours
}

/// How wide the drawing is, in pixels.
pub(super) fn width(story: &Story) -> usize {
    LEFT + story.instances.len() * LANE + FILES
}

/// What stands above the lanes.
pub(super) fn heads(story: &Story) -> String {
    let mut heads = format!("<span style=\"width:{LEFT}px\"></span>");
    for name in &story.instances {
        let _ = write!(heads, "<span style=\"width:{LANE}px\">instance {}</span>", escaped(name));
    }
    let _ = write!(heads, "<span style=\"width:{FILES}px\">files</span>");
    heads
}

/// The drawing, as SVG.
pub(super) fn lanes(story: &Story) -> String {
    let colours = colours(story);
    let width = width(story);
    let files_at = width - FILES;
    let bottom = story.steps.len() * ROW;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {width} {}\" width={width} role=img aria-label=\"the steps, from top to bottom\">\n",
        bottom + 48
    );
    for instance in 0..story.instances.len() {
        let (x, width) = (lane_at(instance), LANE - GAP);
        let _ = writeln!(svg, "<rect class=lane x={x} y=0 width={width} height={bottom} />");
    }
    for instance in 0..story.instances.len() {
        beliefs(&mut svg, story, instance, bottom);
        bars(&mut svg, story, instance, &colours, bottom);
    }
    for (at, step) in story.steps.iter().enumerate() {
        row(&mut svg, at, step, files_at, at + 1 == story.steps.len());
    }
    let _ = writeln!(svg, "<line class=alarm x1=0 x2={width} y1={bottom} y2={bottom} />");
    let _ = writeln!(svg, "<text class=end x={LEFT} y={}>Here: {}</text>", bottom + 28, escaped(&story.why));
    svg.push_str("</svg>");
    svg
}

fn lane_at(instance: usize) -> usize {
    LEFT + instance * LANE
}

/// What an instance believes, as the colour of its lane from the step on that led to it.
fn beliefs(svg: &mut String, story: &Story, instance: usize, bottom: usize) {
    let (x, width) = (lane_at(instance), LANE - GAP);
    let own = |(_, step): &(usize, &Step)| !step.to_all && usize::from(step.instance) == instance;
    let changes: Vec<_> = story.steps.iter().enumerate().filter(own).collect();
    for (at, (row, step)) in changes.iter().enumerate() {
        let class = match step.belief() {
            Belief::Primary { .. } => "primary",
            Belief::Secondary => "secondary",
            Belief::Failed(_) => "failed",
            Belief::Undecided | Belief::Left => continue,
        };
        let from = row * ROW + ROW / 2;
        let height = changes.get(at + 1).map_or(bottom, |(next, _)| next * ROW + ROW / 2) - from;
        let _ = writeln!(svg, "<rect class={class} x={x} y={from} width={width} height={height} />");
    }
}

/// The locks that an instance holds, each as a bar.
fn bars(svg: &mut String, story: &Story, instance: usize, colours: &BTreeMap<&str, usize>, bottom: usize) {
    let held = |step: &Step| -> BTreeSet<(String, bool)> {
        let own = step.locks.iter().filter(|(owner, ..)| usize::from(*owner) == instance);
        own.map(|(_, name, mode)| (name.clone(), *mode == Mode::Shared)).collect()
    };
    let mut columns: Vec<Option<((String, bool), usize)>> = vec![None; BARS_MAX];
    let ends = story.steps.iter().map(held).chain([BTreeSet::new()]);
    for (row, now) in ends.enumerate() {
        let y = if row < story.steps.len() { row * ROW + ROW / 2 } else { bottom };
        for (column, slot) in columns.iter_mut().enumerate() {
            if let Some(((name, shared), from)) = slot.take_if(|(lock, _)| !now.contains(lock)) {
                let x = lane_at(instance) + 6 + column * BAR;
                let colour = colours.get(name.as_str()).copied().unwrap_or_default();
                let (dashed, kind) = if shared { (" dashed", "shared") } else { ("", "exclusive") };
                let title = escaped(&format!("{kind} lock of {name}"));
                let _ = writeln!(
                    svg,
                    "<line class=\"bar c{colour}{dashed}\" x1={x} x2={x} y1={from} y2={y}><title>{title}</title></line>"
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
    let y = at * ROW;
    let class = if is_last { "step breaking" } else { "step" };
    let _ = writeln!(svg, "<g class=\"{class}\"><rect class=hit x=0 y={y} width={files_at} height={ROW} />");
    let _ = writeln!(svg, "<text class=number x=8 y={}>{}</text>", y + 27, at + 1);
    if step.to_all {
        let width = files_at - LEFT - GAP;
        let _ = writeln!(svg, "<rect class=all x={LEFT} y={} width={width} height=26 rx=5 />", y + 10);
        let _ = writeln!(svg, "<text x={} y={}>{}</text>", LEFT + BARS_MAX * BAR + 18, y + 28, escaped(&step.what));
    } else {
        let x = lane_at(usize::from(step.instance)) + BARS_MAX * BAR + 10;
        let width = LANE - BARS_MAX * BAR - 30;
        let height = ROW - 6;
        let _ = writeln!(svg, "<rect class=box x={x} y={} width={width} height={height} rx=5 />", y + 3);
        let _ = writeln!(svg, "<text x={} y={}>{}</text>", x + 8, y + 19, fitted(&step.what, WIDE));
        let result = fitted(&outcome(step), WIDE);
        let _ = writeln!(svg, "<text class=result x={} y={}>{result}</text>", x + 8, y + 36);
    }
    if let Some((name, change)) = &step.change {
        let _ = writeln!(svg, "<text class=file x={files_at} y={}>{}</text>", y + 19, escaped(name));
        let change = fitted(change, WIDE_CHANGE);
        let _ = writeln!(svg, "<text class=\"file result\" x={files_at} y={}>{change}</text>", y + 36);
    }
    svg.push_str("</g>\n");
}

/// What came back, and what the instance believes then, where that is something.
fn outcome(step: &Step) -> String {
    let belief = match step.belief() {
        Belief::Undecided => String::new(),
        belief => phrase::belief(belief),
    };
    if step.result.is_empty() || belief.is_empty() {
        format!("{}{belief}", step.result)
    } else {
        format!("{} — {belief}", step.result)
    }
}

/// As much of a text as there is room for, and all of it where one points at it.
fn fitted(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return escaped(text);
    }
    let short: String = text.chars().take(characters).collect();
    format!("{}…<title>{}</title>", escaped(&short), escaped(text))
}
