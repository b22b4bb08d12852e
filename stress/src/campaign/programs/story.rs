//! A round told from its beginning, for whoever has to find out what went wrong.

use std::fmt::Write as _;

use super::judge::Judged;
use crate::plan::program::Plan;
use crate::round::program::Ran;
use crate::round::program::registrant::Word;

/// Tells a round.
pub(crate) fn tell(plan: &Plan, ran: &Ran, judged: &Judged) -> String {
    let broken: Vec<_> = judged.broken.iter().map(ToString::to_string).collect();
    let fault = plan.fault.map_or(String::new(), |fault| format!(" ({fault})"));
    let mut story = format!("round {}{fault}: {}\n", plan.round, broken.join("; "));
    let mut moments = Vec::new();
    for registrant in &ran.registrants {
        let id = &registrant.id;
        moments.push((registrant.started_ns, format!("{id} is started")));
        for (word, at_ns) in &registrant.words {
            let word = match word {
                Word::Primary => "primary",
                Word::Secondary => "secondary",
                Word::Left => "left",
            };
            moments.push((*at_ns, format!("{id} says {word}")));
        }
        for (event, at_ns) in &registrant.events {
            moments.push((*at_ns, format!("{id} is told {}", plan.events[*event])));
        }
        if registrant.disturbed
            && let (Some(at_ns), Some(fault)) = (ran.disturbed_ns, plan.fault)
        {
            let what = match &ran.held_before {
                Some(call) => format!("is held before {call}, until the others have run"),
                None => format!("is disturbed: {fault}"),
            };
            moments.push((at_ns, format!("{id} {what}")));
        }
    }
    moments.sort();
    let begun = moments.first().map_or(0, |(at_ns, _)| *at_ns);
    for (at_ns, what) in moments {
        let micros = (at_ns - begun) / 1000;
        let _ = writeln!(story, "  {:>6}.{:03} ms  {what}", micros / 1000, micros % 1000);
    }
    for (event, entries) in plan.events.iter().zip(&ran.entries) {
        let _ = writeln!(story, "  {event}: {entries} entries");
    }
    if !ran.errors.is_empty() {
        let _ = writeln!(story, "  stderr: {}", ran.errors.trim_end());
    }
    story
}
