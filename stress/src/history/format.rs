//! Histories: what the instances of elections did and believed, one JSON object a line.
//!
//! Every line has `round` (a number), `at_ns` (nanoseconds on a clock that all instances share) and `what`:
//!
//! | `what` | besides | says |
//! |---|---|---|
//! | `begin` | `instances`, `promises`, `may_refuse`, `may_lose`, `may_be_silent` | who takes part, and what the round is judged by |
//! | `start` | `instance` | it was started; without this line, with the round |
//! | `believe` | `instance`, `term` | it has come to believe that it is primary; term 0 where there are none |
//! | `claim` | `instance` | it said that it is primary when nobody can tell from when to when it was |
//! | `cease` | `instance` | it surely believed so up to here |
//! | `leave` | `instance` | it has left in good order |
//! | `die` | `instance` | the kernel has taken its locks away |
//! | `fail` | `instance`, `why` | it takes no part any more |
//! | `retire` | `instance` | it leaves before the others, as planned |
//! | `follow` | `instance` | it knows that another is primary |
//! | `deliver` | `instance`, `event` | an event is about to reach it |
//! | `record` | `instance`, `event` | it has come back to its caller as primary since the event reached it: the entry is written |
//! | `log` | `instance`, `event` | it has written the event's entry |
//! | `entries` | `event`, `count` | so many whole lines of the log hold the event at the end; where this is told, it counts, and not `log` |
//! | `excuse` | `event`, `why` | the event needs no entry |
//! | `elect` | `term`, `primary`, `candidates` | what follows from the election's own records |
//! | `anew` | `instance` | it has emptied the election's records, for nobody lived: terms begin anew |
//! | `remove` | | the election's records were removed: nobody must write any more, and terms begin anew |
//! | `resume` | | what came before and no successor has written is excused: whoever is told of an event from here on has it |
//! | `fault` | `instance`, `kind`, `how` | what was done to it, or to the round |
//! | `problem` | `why` | what else was seen to be wrong |
//! | `deviate` | `instance`, `why` | its calls are no path of the election's machine |
//! | `unjudged` | `why` | nothing follows from what is missing in the round |
//! | `call` | `instance`, `call` | a system call and its reply, in words: nothing is judged by it |
//! | `wake-up` | `span_ns` | so long a bare blocked lock took to wake up when its holder was killed, at about that time |
//! | `end` | | the round is over, and all of it is told |
//!
//! The lines of a round stand together, `begin` is the first of them if there is one, and `end` is the last; those of one
//! instance stand in the order in which it did what they say. Other fields are passed over.
//!
//! `promises` are those of [`Promise`], by name. Without `begin`, a round is judged by `single-primary`, `terms-rise`,
//! `none-doubled`, `none-lost` and, where there is any `elect`, `right-primary`.

use serde::{Deserialize, Serialize};

use super::findings::Promise;

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
    Begin(Begin),
    Start { instance: String },
    Believe { instance: String, term: u64 },
    Claim { instance: String },
    Cease { instance: String },
    Leave { instance: String },
    Die { instance: String },
    Fail { instance: String, why: String },
    Retire { instance: String },
    Follow { instance: String },
    Deliver { instance: String, event: String },
    Record { instance: String, event: String },
    Log { instance: String, event: String },
    Entries { event: String, count: u64 },
    Excuse { event: String, why: String },
    Elect { term: u64, primary: String, candidates: Vec<String> },
    Anew { instance: String },
    Remove,
    Resume,
    Fault { instance: Option<String>, kind: String, how: Option<String> },
    Problem { why: String },
    Deviate { instance: String, why: String },
    Unjudged { why: String },
    Call { instance: String, call: String },
    WakeUp { span_ns: u64 },
    End,
}

/// Who takes part in a round, and what it is judged by: what its plan and its faults explain is no violation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) instances: Vec<String>,
    pub(crate) promises: Vec<Promise>,
    /// Whether an instance may refuse to take part because of what is done to the round.
    #[serde(default)]
    pub(crate) may_refuse: bool,
    /// Whether what is done to the round may keep any event from being written.
    #[serde(default)]
    pub(crate) may_lose: bool,
    /// Whether an instance may say nothing of what it believes.
    #[serde(default)]
    pub(crate) may_be_silent: bool,
}

/// Lines of a round as text.
pub(crate) fn text(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).expect("a vector takes all");
        text.push(b'\n');
    }
    text
}

/// The lines of a text that was written so.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
