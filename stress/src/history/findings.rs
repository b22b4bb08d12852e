//! What a round did not keep, in words.

use serde::{Deserialize, Serialize};

use super::judge::{Count, Evidence};

/// What a round can break, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Promise {
    /// At most one instance is primary at a time.
    SinglePrimary,
    /// It is the one that the journal elects.
    RightPrimary,
    /// No event has several entries.
    NoneDoubled,
    /// Every event has an entry.
    NoneLost,
    /// Somebody is primary.
    SomePrimary,
    /// Every instance takes part and ends in good order.
    GoodOrder,
    /// What an instance does is a path of the machine.
    PathOfMachine,
}

impl Promise {
    /// How many there are.
    pub(crate) const COUNT: usize = 7;

    /// All of them, in their order.
    const ALL: [Self; Self::COUNT] = [
        Self::SinglePrimary,
        Self::RightPrimary,
        Self::NoneDoubled,
        Self::NoneLost,
        Self::SomePrimary,
        Self::GoodOrder,
        Self::PathOfMachine,
    ];

    /// The one of that number.
    pub(crate) fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|promise| *promise as i32 == number)
    }

    /// How it is told that it was broken.
    pub(crate) fn broken(self) -> &'static str {
        match self {
            Self::SinglePrimary => "several primaries at one moment",
            Self::RightPrimary => "a primary that the journal does not elect",
            Self::NoneDoubled => "an event with several entries",
            Self::NoneLost => "an event without an entry",
            Self::SomePrimary => "nobody primary",
            Self::GoodOrder => "an instance without an orderly end",
            Self::PathOfMachine => "a trace that is no path of the machine",
        }
    }
}

/// What is wrong with a round; nothing where it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    texts: Vec<String>,
    gravest: Option<Promise>,
}

impl Findings {
    /// Puts a round's count into words.
    pub(crate) fn new(evidence: &Evidence, count: &Count, mismatches: &[String]) -> Self {
        let mut findings = Self::default();
        if count.holds() && mismatches.is_empty() {
            return findings;
        }
        let mut find = |promise: Promise, is_broken: bool, text: String| {
            if is_broken {
                findings.gravest = Some(findings.gravest.map_or(promise, |gravest| gravest.min(promise)));
                findings.texts.push(text);
            }
        };
        let Count { primaries, wrong_primary, entries, failed, nobody_excused, problems: _ } = count;
        find(Promise::SomePrimary, *primaries == 0 && !nobody_excused, "nobody was primary".into());
        find(Promise::SinglePrimary, *primaries > 1, format!("{primaries} were primary at one moment"));
        let wrong = format!("{wrong_primary} primary that the journal does not elect");
        find(Promise::RightPrimary, *wrong_primary > 0, wrong);
        find(Promise::NoneLost, entries.never > 0, format!("{} of the events without an entry", entries.never));
        find(Promise::NoneDoubled, entries.many > 0, format!("{} of the events with several entries", entries.many));
        find(Promise::GoodOrder, *failed > 0, format!("{failed} of the instances without an orderly end"));
        for seen in &evidence.instances {
            if let Some(why) = &seen.failed {
                find(Promise::GoodOrder, true, format!("{} failed: {why}", seen.id));
            }
        }
        for problem in &evidence.problems {
            find(Promise::GoodOrder, true, problem.clone());
        }
        for how in mismatches {
            find(Promise::PathOfMachine, true, format!("not a path of the machine: {how}"));
        }
        findings
    }

    /// Whether the round kept every promise.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// The gravest of the promises that were broken.
    pub(crate) fn gravest(&self) -> Option<Promise> {
        self.gravest
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.texts.join("; "))
    }
}
