//! What a round did not keep, in words.

use crate::judge::{Count, Evidence};

/// What is wrong with a round; nothing where it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    texts: Vec<String>,
    kind: usize,
}

impl Findings {
    /// How many kinds of violated rounds there are: one for each set of broken promises.
    pub(crate) const KINDS: usize = 1 << 7;

    /// Puts a round's count into words.
    pub(crate) fn new(evidence: &Evidence, count: &Count, mismatches: &[String]) -> Self {
        let mut findings = Self::default();
        if count.holds() && mismatches.is_empty() {
            return findings;
        }
        let mut find = |promise: usize, broken: bool, text: String| {
            if broken {
                findings.kind |= 1 << promise;
                findings.texts.push(text);
            }
        };
        let Count { primaries, wrong_primary, entries, failed, nobody_excused, problems: _ } = count;
        find(0, *primaries == 0 && !nobody_excused, "nobody was primary".into());
        find(1, *primaries > 1, format!("{primaries} were primary at one moment"));
        find(2, *wrong_primary > 0, format!("{wrong_primary} primary that the journal does not elect"));
        find(3, entries.never > 0, format!("{} of the events without an entry", entries.never));
        find(4, entries.many > 0, format!("{} of the events with several entries", entries.many));
        find(5, *failed > 0, format!("{failed} of the instances without an orderly end"));
        for seen in &evidence.instances {
            if let Some(why) = &seen.failed {
                find(5, true, format!("{} failed: {why}", seen.id));
            }
        }
        for problem in &evidence.problems {
            find(5, true, problem.clone());
        }
        for how in mismatches {
            find(6, true, format!("not a path of the machine: {how}"));
        }
        findings
    }

    /// Whether the round kept every promise.
    pub(crate) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Which promises were broken, as a number below [`Findings::KINDS`].
    pub(crate) fn kind(&self) -> usize {
        self.kind
    }
}

impl std::fmt::Display for Findings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.texts.join("; "))
    }
}
