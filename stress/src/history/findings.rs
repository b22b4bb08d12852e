//! What a round did not keep: each finding by itself, and all of them in a few words.

use serde::{Deserialize, Serialize};

/// What a round can break, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Promise {
    /// At most one instance is primary at a time.
    SinglePrimary,
    /// It is the one that the election's own records elect.
    RightPrimary,
    /// Terms rise.
    TermsRise,
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
    pub(crate) const COUNT: usize = 8;

    /// All of them, in their order.
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::SinglePrimary,
        Self::RightPrimary,
        Self::TermsRise,
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
            Self::TermsRise => "a term that does not rise",
            Self::NoneDoubled => "an event with several entries",
            Self::NoneLost => "an event without an entry",
            Self::SomePrimary => "nobody primary",
            Self::GoodOrder => "an instance without an orderly end",
            Self::PathOfMachine => "a trace that is no path of the machine",
        }
    }
}

/// One thing that is wrong with a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) promise: Promise,
    /// The line of the history that shows it, where one does.
    pub(crate) line: Option<u64>,
    /// What is wrong, in words.
    pub(crate) text: String,
}

/// What is wrong with a round; nothing where it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    all: Vec<Finding>,
    /// How many were primary at one moment.
    pub(crate) primaries: usize,
}

impl Findings {
    /// One more.
    pub(crate) fn find(&mut self, promise: Promise, line: Option<u64>, text: String) {
        self.all.push(Finding { promise, line, text });
    }

    /// Only those that the round is judged by.
    pub(crate) fn retain(&mut self, is_judged: impl Fn(Promise) -> bool) {
        self.all.retain(|finding| is_judged(finding.promise));
    }

    /// Each by itself, as they were found.
    pub(crate) fn all(&self) -> &[Finding] {
        &self.all
    }

    /// Whether the round kept every promise.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many of them break a promise.
    pub(crate) fn count(&self, promise: Promise) -> u64 {
        self.all.iter().filter(|finding| finding.promise == promise).count() as u64
    }

    /// The gravest of the promises that were broken.
    pub(crate) fn gravest(&self) -> Option<Promise> {
        self.all.iter().map(|finding| finding.promise).min()
    }
}

impl std::fmt::Display for Findings {
    /// What was broken, the gravest first and how often, and what a single finding says that a number does not.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut texts = Vec::new();
        for promise in Promise::ALL {
            let mut found = self.all.iter().filter(|finding| finding.promise == promise).peekable();
            if found.peek().is_none() {
                continue;
            }
            let count = self.count(promise);
            match promise {
                Promise::SinglePrimary => texts.push(format!("{} were primary at one moment", self.primaries)),
                Promise::RightPrimary => texts.push(format!("{count} primary that the journal does not elect")),
                Promise::NoneDoubled => texts.push(format!("{count} of the events with several entries")),
                Promise::NoneLost => texts.push(format!("{count} of the events without an entry")),
                Promise::TermsRise | Promise::SomePrimary | Promise::GoodOrder | Promise::PathOfMachine => {
                    texts.extend(found.map(|finding| finding.text.clone()));
                }
            }
        }
        formatter.write_str(&texts.join("; "))
    }
}
