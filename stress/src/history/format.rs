//! Histories: what the instances of elections did and believed, one JSON object a line.
//!
//! Every line has `round` (a number), `at_ns` (nanoseconds on a clock that all instances share) and `what`:
//!
//! | `what` | besides | says |
//! |---|---|---|
//! | `believe` | `instance`, `term` | it has come to believe that it is primary; term 0 where there are none |
//! | `cease` | `instance` | it surely believed so up to here |
//! | `leave` | `instance` | it has left in good order |
//! | `die` | `instance` | the kernel has taken its locks away |
//! | `fail` | `instance`, `why` | it takes no part any more |
//! | `follow` | `instance` | it knows that another is primary |
//! | `deliver` | `instance`, `event` | an event is about to reach it |
//! | `log` | `instance`, `event` | it has written the event's entry |
//! | `excuse` | `event`, `why` | the event needs no entry |
//! | `elect` | `term`, `primary`, `candidates` | what follows from the election's own records |
//! | `wake-up` | `span_ns` | so long a bare blocked lock took to wake up when its holder was killed, at about that time |
//! | `end` | | the round is over, and all of it is told |
//!
//! The lines of a round stand together, and `end` is the last of them; those of one instance stand in the order in which it
//! did what they say. Other fields are passed over.

use serde::{Deserialize, Serialize};
use single_primary::call::{Call, Handle, Reply};

use super::judge::elections;
use crate::plan::Plan;
use crate::round::native::Ran;
use crate::round::native::trace::{Entry, Region};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) round: u64,
    pub(crate) at_ns: u64,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub(crate) enum What {
    Believe { instance: String, term: u64 },
    Cease { instance: String },
    Leave { instance: String },
    Die { instance: String },
    Fail { instance: String, why: String },
    Follow { instance: String },
    Deliver { instance: String, event: String },
    Log { instance: String, event: String },
    Excuse { event: String, why: String },
    Elect { term: u64, primary: String, candidates: Vec<String> },
    WakeUp { span_ns: u64 },
    End,
}

/// The history of a round, as lines of JSON, with a wake-up that was measured before it.
pub(crate) fn of(plan: &Plan, ran: &Ran, regions: &[Region], wake_up_ns: Option<u64>) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut last_ns = ran.released_ns;
    for ((index, id), region) in plan.ids.iter().enumerate().zip(regions) {
        let instance = || id.clone();
        let mut logging = None;
        let mut at_ns = ran.released_ns;
        let mut believes = false;
        for stamped in region.entries() {
            at_ns = stamped.at_ns;
            let what = match stamped.entry {
                Entry::Believe { term } => {
                    believes = true;
                    What::Believe { instance: instance(), term }
                }
                Entry::Cease => {
                    believes = false;
                    What::Cease { instance: instance() }
                }
                Entry::Verdict { primary: false } => What::Follow { instance: instance() },
                Entry::Left => What::Leave { instance: instance() },
                Entry::Failed(why) => What::Fail { instance: instance(), why },
                Entry::Deliver(event) => What::Deliver { instance: instance(), event: Plan::event_id(event as usize) },
                Entry::Call(Call::Append { handle: Handle::LOG, bytes }) => {
                    logging = event_of(&bytes).map(|event| (event, bytes.len()));
                    continue;
                }
                Entry::Reply(Reply::Wrote(written)) => match logging.take() {
                    Some((event, length)) if length == written => What::Log { instance: instance(), event },
                    _ => continue,
                },
                _ => continue,
            };
            lines.push((at_ns, what));
        }
        let seen = &ran.evidence.instances[index];
        if seen.died {
            // The dead were primary until they were killed, which their tenure says if they were.
            let until_ns = seen.tenures.last().filter(|_| believes).map_or(at_ns, |tenure| tenure.until_ns);
            lines.push((until_ns.max(at_ns), What::Die { instance: instance() }));
        }
        last_ns = last_ns.max(at_ns);
    }
    for journal in &ran.evidence.journals {
        lines.extend(elections(journal).into_iter().map(|elected| {
            let (term, primary, candidates) = (elected.term, elected.primary, elected.candidates);
            (ran.released_ns, What::Elect { term, primary, candidates })
        }));
    }
    for (event, why) in ran.evidence.excuses() {
        lines.push((last_ns, What::Excuse { event: Plan::event_id(event), why }));
    }
    lines.extend(wake_up_ns.map(|span_ns| (ran.released_ns, What::WakeUp { span_ns })));
    lines.push((last_ns, What::End));
    let mut text = Vec::new();
    for (at_ns, what) in lines {
        serde_json::to_writer(&mut text, &Line { round: plan.round, at_ns, what }).expect("a vector takes all");
        text.push(b'\n');
    }
    text
}

/// The event that a line of realtime.log is the entry of.
fn event_of(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"{\"event\":\"")?;
    let id = rest.split(|&byte| byte == b'"').next()?;
    Some(String::from_utf8_lossy(id).into_owned())
}
