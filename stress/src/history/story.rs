//! A round as a story: who did what, when, told from its history.

use std::fmt::Write as _;

use super::findings::Findings;
use super::format::{Line, What};

/// More lines than this are no story.
const LINES_MAX: usize = 120;

/// Tells a round from its history, with every moment in microseconds since its beginning. `title` is what it is called.
pub(crate) fn tell(title: &str, lines: &[Line], findings: &Findings) -> String {
    let mut story = format!("{title}: {findings}\n");
    let begun_ns = lines.iter().map(|line| line.at_ns).min().unwrap_or(0);
    let mut smallest = None;
    let mut told: Vec<(u64, &str, String)> = Vec::new();
    let mut entries = Vec::new();
    // Where the calls are told, what they wrote is told with them.
    let has_calls = lines.iter().any(|line| matches!(line.what, What::Call { .. }));
    for Line { at_ns, what, .. } in lines {
        match what {
            What::Begin(begin) => smallest = begin.instances.iter().min(),
            What::Entries { event, count } => entries.push(format!("{event}: {}", plural(*count, "entry", "entries"))),
            What::Log { .. } if has_calls => {}
            what => told.extend(words(what).map(|(instance, text)| (*at_ns, instance, text))),
        }
    }
    // What one instance did at one moment stays in its order.
    told.sort_by_key(|(at_ns, ..)| *at_ns);
    let width = told.iter().map(|(_, id, _)| id.len()).max().unwrap_or(0);
    if let Some(smallest) = smallest {
        let _ = writeln!(story, "{:>10}  all released; the smallest ID is {smallest}", "0 µs");
    }
    let left_out = told.len().saturating_sub(LINES_MAX);
    for (at_ns, id, text) in told.into_iter().take(LINES_MAX) {
        let at_us = (at_ns - begun_ns) / 1000;
        let _ = writeln!(story, "{:>10}  {id:width$}  {text}", format!("{at_us} µs"));
    }
    if left_out > 0 {
        let _ = writeln!(story, "{:>10}  and {left_out} more lines", "…");
    }
    for entry in entries {
        let _ = writeln!(story, "{:>10}  {entry}", "in the log");
    }
    story
}

/// Whose line it is, and what it says; nothing where it says nothing of the course of the round.
fn words(what: &What) -> Option<(&str, String)> {
    let (instance, text) = match what {
        What::Start { instance } => (instance.as_str(), "is started".into()),
        What::Believe { instance, term: 0 } => (instance.as_str(), "BELIEVES that it is primary".into()),
        What::Believe { instance, term } => (instance.as_str(), format!("BELIEVES that it is primary of term {term}")),
        What::Claim { instance } => (instance.as_str(), "says that it is primary, too late to count".into()),
        What::Cease { instance } => (instance.as_str(), "no longer counts as primary".into()),
        What::Leave { instance } => (instance.as_str(), "has left".into()),
        What::Die { instance } => (instance.as_str(), "DIES".into()),
        What::Fail { instance, why } => (instance.as_str(), format!("FAILS: {why}")),
        What::Follow { instance } => (instance.as_str(), "has its verdict: another is primary".into()),
        What::Deliver { instance, event } => (instance.as_str(), format!("receives {event}")),
        What::Log { instance, event } => (instance.as_str(), format!("LOGS {event}")),
        What::Fault { instance, kind, how } => {
            let how = how.as_ref().map_or(String::new(), |how| format!(": {how}"));
            (instance.as_deref().unwrap_or(""), format!("FAULT: {kind}{how}"))
        }
        What::Remove => ("", "the election's records are removed".into()),
        What::Problem { why } => ("", format!("WRONG: {why}")),
        What::Call { instance, call } => (instance.as_str(), call.clone()),
        What::Begin(_)
        | What::Retire { .. }
        | What::Record { .. }
        | What::Entries { .. }
        | What::Excuse { .. }
        | What::Elect { .. }
        | What::Anew { .. }
        | What::Resume
        | What::Deviate { .. }
        | What::Unjudged { .. }
        | What::WakeUp { .. }
        | What::End => return None,
    };
    Some((instance, text))
}

fn plural(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::super::findings::Promise;
    use super::super::format::Begin;
    use super::*;

    #[test]
    fn a_story_is_told_in_the_order_of_time() {
        let at = |at_us: u64, what| Line { round: 17, at_ns: at_us * 1000, what };
        let (a, b) = (|| "a".to_owned(), || "b".to_owned());
        let lines = [
            at(1_000, What::Begin(Begin { instances: vec![b(), a()], ..Begin::default() })),
            at(1_011, What::Call { instance: b(), call: "inspects realtime.log: errno 5".into() }),
            at(1_020, What::Believe { instance: b(), term: 0 }),
            at(1_030, What::Call { instance: b(), call: "LOGS {\"event\":\"event-0\"}".into() }),
            at(1_030, What::Log { instance: b(), event: "event-0".into() }),
            at(1_040, What::Cease { instance: b() }),
            at(1_040, What::Leave { instance: b() }),
            at(1_015, What::Believe { instance: a(), term: 2 }),
            at(1_022, What::Deliver { instance: a(), event: "event-0".into() }),
            at(1_023, What::Fail { instance: a(), why: "no room".into() }),
            at(1_028, What::Fault { instance: Some(a()), kind: "stall".into(), how: Some("before openat".into()) }),
            at(1_028, What::Die { instance: a() }),
            at(1_040, What::Entries { event: "event-0".into(), count: 1 }),
            at(1_040, What::End),
        ];
        let mut findings = Findings::default();
        findings.primaries = 2;
        findings.find(Promise::SinglePrimary, Some(3), "b believes that it is primary while a does".into());
        insta::assert_snapshot!(tell("round 17 of seed 3, 2 instances of check-then-write", &lines, &findings));
    }
}
