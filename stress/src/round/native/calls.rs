//! The system calls of a round, in words: what was written, locked and looked up, for whoever reads its story.

use std::fmt::Write as _;

use single_primary::call::{Call, Handle, Reply};

use super::trace::{Entry, Region, Stamped};
use crate::history::describe;
use crate::history::format::{Line, What};
use crate::history::judge::records;
use crate::plan::Plan;

/// The calls of all instances, as lines of the round's history.
pub(crate) fn of(plan: &Plan, regions: &[Region]) -> Vec<Line> {
    let told = plan.ids.iter().zip(regions).flat_map(|(id, region)| {
        let line = |(at_ns, call)| Line { round: plan.round, at_ns, what: What::Call { instance: id.clone(), call } };
        told(region.entries()).into_iter().map(line)
    });
    told.collect()
}

/// A call without its reply yet.
#[derive(Debug)]
enum Asked {
    Election(Call),
    /// Of another protocol, in words.
    Other(String),
}

/// What a person must know of a trace's calls. A call that comes to nothing is left out.
fn told(entries: impl Iterator<Item = Stamped>) -> Vec<(u64, String)> {
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
                    Asked::Election(call) => tell(&call, &reply),
                    Asked::Other(call) => Some(format!("{call}: {}", describe::reply(&reply))),
                });
                let Some(text) = text else { continue };
                text
            }
            Entry::Note(note) => match asked.take() {
                Some((_, Asked::Other(call))) => format!("{call}: {note}"),
                other => {
                    asked = other;
                    note
                }
            },
            _ => {
                last.clear();
                continue;
            }
        };
        // Who polls does the same again and again.
        if text == last {
            again += 1;
            continue;
        }
        add_times(&mut lines, std::mem::take(&mut again));
        last.clone_from(&text);
        lines.push((at_ns, text));
    }
    add_times(&mut lines, again);
    if let Some((at_ns, asked)) = asked {
        let call = match asked {
            Asked::Election(call) => describe::call(&call),
            Asked::Other(call) => call,
        };
        lines.push((at_ns, format!("never returned from: {call}")));
    }
    lines
}

fn add_times(lines: &mut [(u64, String)], again: u32) {
    if let Some((_, line)) = lines.last_mut().filter(|_| again > 0) {
        let _ = write!(line, " (and {again} times more)");
    }
}

fn tell(call: &Call, reply: &Reply) -> Option<String> {
    if let (Call::Append { handle, bytes }, Reply::Wrote(written)) = (call, reply)
        && *written == bytes.len()
    {
        if matches!(*handle, Handle::JOURNAL | Handle::NEXT_JOURNAL)
            && let Some(record) = records(bytes).next()
        {
            return Some(match record.kind {
                "begin" => format!("begins a journal with term {}", record.term),
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
    use single_primary::call::{Failure, Mode};

    use super::*;

    #[test]
    fn calls_are_told_with_their_replies_and_repetitions_once() {
        let at = |at_us: u64, entry| Stamped { at_ns: at_us * 1000, entry };
        let append = |bytes: &str| Entry::Call(Call::Append { handle: Handle::LOG, bytes: bytes.as_bytes().into() });
        let probe = || Entry::Call(Call::Lock(Handle::RIVAL, Mode::Shared));
        let entries = [
            at(1, Entry::Call(Call::Inspect(Handle::LOG))),
            at(2, Entry::Reply(Reply::Failed(Failure(5)))),
            at(3, append("{\"event\":\"event-0\"}\n")),
            at(4, Entry::Reply(Reply::Wrote(20))),
            at(5, probe()),
            at(6, Entry::Reply(Reply::Busy)),
            at(7, probe()),
            at(8, Entry::Reply(Reply::Busy)),
            at(9, Entry::Call(Call::List)),
        ];
        let lines: Vec<_> =
            told(entries.into_iter()).into_iter().map(|(at_ns, text)| format!("{} {text}", at_ns / 1000)).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
