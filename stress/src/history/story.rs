//! A round as a story: who did what, when.

use std::fmt::Write as _;

use super::describe;
use super::findings::Findings;
use super::judge::records;
use crate::plan::Plan;
use crate::round::native::Ran;
use crate::round::native::trace::{Entry, Region, Stamped};
use single_primary::call::{Call, Handle, Reply};

/// More lines than this are no story.
const LINES_MAX: usize = 120;

/// Tells what happened in a round, with every moment in microseconds since the common start.
pub(crate) fn tell(plan: &Plan, ran: &Ran, regions: &[Region], findings: &Findings) -> String {
    let traces = plan.ids.iter().zip(regions).map(|(id, region)| (id.as_str(), region.entries().collect()));
    timeline(plan, ran.released_ns, traces, findings)
}

fn timeline<'a>(
    plan: &Plan,
    released_ns: u64,
    traces: impl Iterator<Item = (&'a str, Vec<Stamped>)>,
    findings: &Findings,
) -> String {
    let mut story = format!(
        "round {} of seed {}, {} instances of {}: {}\n",
        plan.round,
        plan.seed,
        plan.ids.len(),
        plan.protocol,
        findings
    );
    let mut lines: Vec<(u64, &str, String)> = traces
        .flat_map(|(id, entries)| lines(entries).into_iter().map(move |(at_ns, text)| (at_ns, id, text)))
        .collect();
    // What one instance did at one moment stays in its order.
    lines.sort_by_key(|(at_ns, ..)| *at_ns);
    let width = plan.ids.iter().map(String::len).max().unwrap_or(0);
    let smallest = plan.ids.iter().min().map_or("", String::as_str);
    let _ = writeln!(story, "{:>10}  all released; the smallest ID is {smallest}", "0 µs");
    let left_out = lines.len().saturating_sub(LINES_MAX);
    for (at_ns, id, text) in lines.into_iter().take(LINES_MAX) {
        let at_us = i128::from(at_ns / 1000) - i128::from(released_ns / 1000);
        let _ = writeln!(story, "{:>10}  {id:width$}  {text}", format!("{at_us} µs"));
    }
    if left_out > 0 {
        let _ = writeln!(story, "{:>10}  and {left_out} more lines", "…");
    }
    story
}

/// A call without its reply yet.
#[derive(Debug)]
enum Asked {
    Election(Call),
    /// Of another protocol, in words.
    Other(String),
}

/// What a person must know of a trace: what was written, locked and believed. A call that comes to nothing is left out.
fn lines(entries: Vec<Stamped>) -> Vec<(u64, String)> {
    let mut lines: Vec<(u64, String)> = Vec::new();
    let mut asked = None;
    let mut last = String::new();
    let mut again = 0;
    for Stamped { at_ns, entry } in entries {
        let text = match entry {
            Entry::Call(call) => {
                asked = Some((at_ns, Asked::Election(call)));
                continue;
            }
            Entry::Other(call) => {
                asked = Some((at_ns, Asked::Other(call)));
                continue;
            }
            Entry::Reply(reply) => {
                let text = asked.take().and_then(|(_, asked)| match asked {
                    Asked::Election(call) => tell_call(&call, &reply),
                    Asked::Other(call) => Some(format!("{call}: {}", describe::reply(&reply))),
                });
                let Some(text) = text else { continue };
                text
            }
            Entry::Deliver(event) => format!("receives event-{event}"),
            Entry::Leave | Entry::Recorded(_) => continue,
            Entry::Left => "has left".into(),
            Entry::Verdict { primary: true } => "has its verdict".into(),
            Entry::Verdict { primary: false } => "has its verdict: another is primary".into(),
            Entry::Believe { term: 0 } => "BELIEVES that it is primary".into(),
            Entry::Believe { term } => format!("BELIEVES that it is primary of term {term}"),
            Entry::Cease => "no longer counts as primary".into(),
            Entry::Failed(why) => format!("FAILS: {why}"),
            Entry::Fault(kind) => format!("FAULT: {kind}"),
            Entry::Note(note) => match asked.take() {
                Some((_, Asked::Other(call))) => format!("{call}: {note}"),
                other => {
                    asked = other;
                    note
                }
            },
            Entry::Clock(_) => continue,
        };
        // Who polls does the same again and again.
        if text == last {
            again += 1;
            continue;
        }
        if let Some((_, line)) = lines.last_mut().filter(|_| again > 0) {
            let _ = write!(line, " (and {again} times more)");
        }
        again = 0;
        last.clone_from(&text);
        lines.push((at_ns, text));
    }
    if let Some((_, line)) = lines.last_mut().filter(|_| again > 0) {
        let _ = write!(line, " (and {again} times more)");
    }
    if let Some((at_ns, asked)) = asked {
        let call = match asked {
            Asked::Election(call) => describe::call(&call),
            Asked::Other(call) => call,
        };
        lines.push((at_ns, format!("never returned from: {call}")));
    }
    lines
}

fn tell_call(call: &Call, reply: &Reply) -> Option<String> {
    if let (Call::Append { handle, bytes }, Reply::Wrote(written)) = (call, reply)
        && *written == bytes.len()
    {
        if *handle == Handle::JOURNAL
            && let Some(record) = records(bytes).next()
        {
            return Some(match record.kind {
                "register" => "registers in the journal".into(),
                "seal" => format!("seals term {}", record.term),
                "depose" => format!("deposes the primary of term {}", record.term),
                "leave" => "writes its departure".into(),
                kind => format!("writes {kind}"),
            });
        }
        if *handle == Handle::LOG {
            return Some(format!("LOGS {}", describe::excerpt(bytes)));
        }
    }
    match (call, reply) {
        (Call::Inspect(_) | Call::Look(_), Reply::Status(_)) => None,
        (Call::Close(_) | Call::CloseAll, _) => None,
        (Call::Read { .. }, Reply::Bytes(bytes)) if bytes.is_empty() => None,
        _ => Some(format!("{}: {}", describe::call(call), describe::reply(reply))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use single_primary::call::Mode;

    use crate::history::judge::{Count, Evidence};
    use crate::plan::Moment;

    #[test]
    fn a_story_is_told_in_the_order_of_time() {
        let plan = Plan {
            protocol: "check-then-write".into(),
            seed: 3,
            round: 17,
            window_us: 0,
            expect: None,
            ids: vec!["b".into(), "a".into()],
            later_us: Vec::new(),
            faults: Vec::new(),
            order: Vec::new(),
            in_process: 1,
            threads: false,
            events: vec![Moment::Verdict],
        };
        let at = |at_us: u64, entry| Stamped { at_ns: at_us * 1000, entry };
        let append = |bytes: &str| Entry::Call(Call::Append { handle: Handle::LOG, bytes: bytes.as_bytes().into() });
        let first = vec![
            at(1_010, Entry::Call(Call::Inspect(Handle::LOG))),
            at(1_011, Entry::Reply(Reply::Failed(single_primary::call::Failure(5)))),
            at(1_020, Entry::Verdict { primary: true }),
            at(1_020, Entry::Believe { term: 0 }),
            at(1_025, append("{\"event\":\"event-0\"}\n")),
            at(1_030, Entry::Reply(Reply::Wrote(20))),
            at(1_040, Entry::Cease),
            at(1_040, Entry::Left),
        ];
        let second = vec![
            at(1_015, Entry::Believe { term: 2 }),
            at(1_022, Entry::Deliver(0)),
            at(1_023, Entry::Failed("no room".into())),
            at(1_024, Entry::Call(Call::Lock(Handle::RIVAL, Mode::Shared))),
            at(1_025, Entry::Reply(Reply::Busy)),
            at(1_026, Entry::Call(Call::Lock(Handle::RIVAL, Mode::Shared))),
            at(1_027, Entry::Reply(Reply::Busy)),
            at(1_028, Entry::Fault("kill-at-call".into())),
            at(1_029, Entry::Call(Call::List)),
        ];
        let count = Count { primaries: 2, ..Count::default() };
        let findings = Findings::new(&Evidence::default(), &count, &[]);
        let traces = [("b", first), ("a", second)].into_iter();
        insta::assert_snapshot!(timeline(&plan, 1_000_000, traces, &findings));
    }
}
