//! A round told from its beginning, for whoever has to find out what went wrong.

use std::fmt::Write as _;

use super::judge::Judged;
use crate::cli::span;
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::round::program::Ran;
use crate::round::program::speech::Word;

/// Tells a round.
pub(crate) fn tell(plan: &Plan, ran: &Ran, judged: &Judged) -> String {
    let broken: Vec<_> = judged.broken.iter().map(ToString::to_string).collect();
    let fault = plan.fault.map_or(String::new(), |fault| format!(" ({fault})"));
    let mut story = format!("round {}{fault}: {}\n", plan.round, broken.join("; "));
    let mut moments = moments(plan, ran);
    // What was heard at one moment stays in the order in which it was said.
    moments.sort_by_key(|(at_ns, _)| *at_ns);
    let begun = moments.first().map_or(0, |(at_ns, _)| *at_ns);
    for (at_ns, what) in moments {
        let micros = (at_ns - begun) / 1000;
        let _ = writeln!(story, "  {:>6}.{:03} ms  {what}", micros / 1000, micros % 1000);
    }
    for (event, entries) in ran.events.iter().zip(&ran.log.entries) {
        let entries = if *entries == 1 { "1 entry".into() } else { format!("{entries} entries") };
        let _ = writeln!(story, "  {event}: {entries}");
    }
    if !ran.log.lines.is_empty() {
        let _ = writeln!(story, "  the log:\n    {}", ran.log.lines.join("\n    "));
    }
    if !ran.errors.is_empty() {
        let _ = writeln!(story, "  stderr: {}", ran.errors.trim_end().replace('\n', "\n    "));
    }
    story
}

/// All that happened, each copy's in order.
fn moments(plan: &Plan, ran: &Ran) -> Vec<(u64, String)> {
    let mut moments = Vec::new();
    for registrant in &ran.registrants {
        let id = &registrant.id;
        moments.push((registrant.started_ns, format!("{id} is started")));
        for call in &registrant.calls {
            moments.push((call.at_ns, format!("{id} calls {call}")));
        }
        for (word, at_ns) in &registrant.speech.words {
            let says = if *word == Word::Acts { "" } else { "says " };
            moments.push((*at_ns, format!("{id} {says}{}", word.name())));
        }
        for (event, at_ns) in &registrant.events {
            moments.push((*at_ns, format!("{id} is told {}", ran.events[*event])));
        }
        if let (Some(at_ns), Some(fault)) = (registrant.disturbed_ns, plan.fault) {
            moments.push((at_ns, format!("{id} {}", done_to(fault, plan, ran, registrant.calls.is_empty()))));
        }
    }
    if let Some((within, at_ns)) = ran.nobody_within {
        let within = span::show(within);
        moments.push((at_ns, format!("nobody has become primary, for {within} in which those who live could run")));
    }
    moments
}

/// What a fault did to one of whom it took hold.
fn done_to(fault: Fault, plan: &Plan, ran: &Ran, is_not_followed: bool) -> String {
    match (fault, &ran.done.held_at) {
        (Fault::KillAtCall, Some(call)) => format!("is killed {call}"),
        (Fault::Takeover, Some(_)) if is_not_followed => "is killed".into(),
        (_, Some(call)) => format!("is held {call}, until the others have run"),
        (Fault::Kill | Fault::Restart, _) => "is killed, with all that it has started".into(),
        (Fault::Heir, _) => "loses one of its processes, which is killed".into(),
        (Fault::Stop, _) => "is stopped".into(),
        (Fault::Handover, _) if plan.handover.by_signal || ran.are_acts_seen => "is asked to end by SIGTERM".into(),
        (Fault::Handover, _) => "is told to quit, before the others".into(),
        _ => format!("is disturbed: {fault}"),
    }
}
