//! What a check comes to.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use single_primary::Event;
use single_primary::call::Time;

use crate::call::{Call, Reply};
use crate::end::End;
use crate::kernel::{Hand, Outage};
use crate::participant::Belief;

/// What a checker says of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that was to be looked at was looked at, and every promise held.
    Holds,
    /// A promise was broken.
    Violated,
    /// Nothing was exercised, or the budget was spent before the end.
    Inconclusive,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Inconclusive => "inconclusive",
        })
    }
}

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The protocol's name.
    pub protocol: String,
    /// The checker's name.
    pub checker: &'static str,
    /// How many instances took part.
    pub registrants: usize,
    /// The IDs of the instances, by their numbers in the counterexample.
    pub instances: Vec<String>,
    /// Which process hosts each of them.
    #[serde(skip)]
    pub processes: Vec<u32>,
    /// How many of them could crash.
    pub crashes: usize,
    /// What the verdict must be.
    pub expected: Verdict,
    /// What it is.
    pub verdict: Verdict,
    /// Whether all that the checker's bounds admit was looked at.
    pub complete: bool,
    /// How many states an explicit-state checker saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<u64>,
    /// How many executions a checker of threads ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executions: Option<u64>,
    /// How many of them differed in the order of calls on some object of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviours: Option<u64>,
    /// What the runs came to in the end, each once.
    #[serde(rename = "outcomes", serialize_with = "as_count")]
    pub ends: BTreeSet<End>,
    /// Which part of the outcomes that the exhaustive check found were seen, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_exhaustive: Option<f64>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Which promise was broken, or why the check is inconclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the check is made of, where it is made of several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What led to the violation, step by step; as text in [`Report::exported`].
    #[serde(skip)]
    pub counterexample: Vec<Moment>,
}

/// A report as machines get it.
#[derive(Debug, Serialize)]
struct Exported<'a> {
    #[serde(flatten)]
    report: &'a Report,
    counterexample: Vec<String>,
}

impl Report {
    /// The report as it is exported, its counterexample as text that names the instances by their IDs.
    #[must_use]
    pub fn exported(&self) -> impl Serialize + '_ {
        let names = self.names();
        let moments = self.counterexample.iter();
        let counterexample = moments.map(|moment| moment.told(&names[usize::from(moment.instance)])).collect();
        Exported { report: self, counterexample }
    }

    /// The IDs of the instances that the counterexample tells of, each numbered where another has the same.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let count = self.counterexample.iter().map(|moment| usize::from(moment.instance) + 1).max().unwrap_or(1);
        let id =
            |instance: usize| self.instances.get(instance).cloned().unwrap_or_else(|| format!("instance {instance}"));
        (0..count)
            .map(|instance| {
                let (before, all) = ((0..instance), (0..count));
                let same = |other: &usize| id(*other) == id(instance);
                match all.filter(same).count() {
                    1 => id(instance),
                    _ => format!("{} ({})", id(instance), before.filter(same).count() + 1),
                }
            })
            .collect()
    }

    /// Compares what was seen with what an exhaustive check of the same protocol found, where both looked at as many
    /// instances and neither stopped at a broken promise.
    ///
    /// An outcome that the exhaustive check does not know shows that one of them is wrong: then neither holds.
    pub fn compare(&mut self, exhaustive: &Self) {
        let comparable = exhaustive.checker == "exhaustive"
            && self.checker != exhaustive.checker
            && self.protocol == exhaustive.protocol
            && self.registrants == exhaustive.registrants
            && self.crashes <= exhaustive.crashes
            && self.verdict == Verdict::Holds
            && exhaustive.verdict == Verdict::Holds;
        if !comparable {
            return;
        }
        let all = exhaustive.ends.iter().filter(|end| end.instances() == self.registrants).count();
        let unknown = self.ends.difference(&exhaustive.ends).count();
        if unknown > 0 {
            self.verdict = Verdict::Violated;
            self.why = Some(format!("{unknown} of the outcomes seen are not among those of the exhaustive check"));
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 of either")]
        let share = self.ends.len() as f64 / all.max(1) as f64;
        self.share_of_exhaustive = Some(share);
    }
}

/// One part of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is there to show.
    pub about: &'static str,
    /// What may happen in it, and how often.
    pub bounds: String,
    /// What it found.
    pub verdict: Verdict,
    /// Every promise that was broken in it, with the fewest steps that break it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// Whether all of it was looked at.
    pub complete: bool,
    /// How many states it has.
    pub states: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// One step on the way to a violation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moment {
    /// Which instance took it, by its number among all.
    pub instance: u8,
    /// The clock that it was told.
    pub now: Time,
    /// What happened.
    pub what: What,
    /// What the instance believed afterwards.
    pub belief: Belief,
}

/// What can happen to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A system call returned.
    Call(Call, Reply),
    /// Its wait ended.
    Wake,
    /// An event reached it.
    Deliver(Event),
    /// It was asked to leave.
    Leave,
    /// It crashed, and the kernel closed its files.
    Crash,
    /// It was started, under the ID or in the process named.
    Start(String),
    /// Time passed, for all.
    Tick,
    /// The clock jumped.
    Jump,
    /// Somebody else did something to a file.
    Meddle(Hand),
    /// A failure began that lasts.
    Break(Outage),
    /// It ended.
    Mend(Outage),
}

impl Moment {
    /// What happened, to an instance of that name.
    #[must_use]
    pub fn told(&self, who: &str) -> String {
        let what = match &self.what {
            What::Call(call, reply) => format!("{call:?} -> {reply:?}"),
            What::Wake => "wakes".into(),
            What::Deliver(event) => format!("receives {}", event.id),
            What::Leave => "is asked to leave".into(),
            What::Crash => "crashes".into(),
            What::Start(who) => format!("starts as {who}"),
            What::Tick => format!("sees time pass, to {} µs", self.now.as_micros()),
            What::Jump => "sees the clock jump".into(),
            What::Meddle(hand) => return format!("somebody else {hand}"),
            What::Break(outage) => return format!("from here on: {outage}"),
            What::Mend(outage) => return format!("no more: {outage}"),
        };
        format!("{who}: {what} ({:?})", self.belief)
    }
}

fn as_count<S: Serializer>(ends: &BTreeSet<End>, serializer: S) -> Result<S::Ok, S::Error> {
    ends.len().serialize(serializer)
}
