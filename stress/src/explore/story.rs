//! An execution as a story: a lane for each copy, time going down, and what only its own copy can notice left out.

use std::fmt::Write as _;

use super::actor::Actor;
use super::execution::{Choice, Fault};
use super::trace::{Event, Trace};

/// How wide all lanes are together, in characters.
const WIDTH: usize = 132;

/// More lines than these do not fit on a screen.
const LINES_MAX: usize = 44;

/// Tells an execution that broke a promise.
pub(crate) fn tell(names: &[String], trace: &Trace, broken: &str) -> String {
    let lane = (WIDTH - 6) / names.len().max(1);
    let mut story = String::new();
    let mut head = String::from("  step ");
    for name in names {
        let _ = write!(head, "{:lane$}", short(name, lane - 2));
    }
    let _ = writeln!(story, "{}", head.trim_end());
    let rows = rows(trace);
    let left_out = rows.len().saturating_sub(LINES_MAX);
    for row in &rows[left_out..] {
        match row {
            Row::Step(number, event) => {
                for (index, text) in lines(event, lane - 2).into_iter().enumerate() {
                    let number = if index == 0 { number.to_string() } else { String::new() };
                    let before = lane * usize::from(event.actor.copy);
                    let _ = writeln!(story, "  {number:>4} {:before$}{text}", "");
                }
            }
            Row::LeftOut(number, actor, count) => {
                let before = lane * usize::from(actor.copy);
                let calls = if *count == 1 { "a call".to_owned() } else { format!("{count} calls") };
                let _ = writeln!(story, "  {number:>4} {:before$}… {calls} that no other copy can notice", "");
            }
        }
    }
    if left_out > 0 {
        let _ = writeln!(story, "  (the first {left_out} lines are left out)");
    }
    let _ = writeln!(story, "  ==> here: {broken}");
    story
}

/// A line of the drawing.
#[derive(Debug)]
enum Row<'a> {
    Step(usize, &'a Event),
    /// Steps of one actor that no other's depends on, from that one on.
    LeftOut(usize, Actor, usize),
}

fn rows(trace: &Trace) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let events = trace.events();
    for (number, event) in (1..).zip(events) {
        let meets = |other: &Event| other.actor != event.actor && other.depends_on(event);
        let is_told = event.choice != Choice::Run || !event.effects.is_empty() || events.iter().any(meets);
        match rows.last_mut() {
            _ if is_told || number == events.len() => rows.push(Row::Step(number, event)),
            Some(Row::LeftOut(_, actor, count)) if *actor == event.actor => *count += 1,
            _ => rows.push(Row::LeftOut(number, event.actor, 1)),
        }
    }
    rows
}

/// A step in lines of its lane.
fn lines(event: &Event, width: usize) -> Vec<String> {
    let what = match event.choice {
        Choice::Fire => format!("time passes: {}", event.label),
        Choice::Fault(Fault::Crash) => format!("** killed ** {}", event.label),
        Choice::Fault(_) => format!("** fault ** {}", event.label),
        Choice::Run => event.label.clone(),
    };
    let mut lines = vec![short(&what, width)];
    lines.extend(event.effects.iter().map(|effect| short(&format!("→ {effect}"), width)));
    lines
}

/// The text, cut in the middle where it is too long.
fn short(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let (first, last) = (width / 2, width - width / 2 - 1);
    let head: String = text.chars().take(first).collect();
    let tail: String = text.chars().skip(length - last).collect();
    format!("{head}…{tail}")
}
