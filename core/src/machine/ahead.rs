//! What an instance has yet to read of the journal, for a checker that looks at every moment at which it may do so.

use crate::machine::{Machine, Phase};
use crate::record::Kind;

impl Machine {
    /// Up to which byte it has read the journal; nothing before it holds the journal's lock, when others may begin it anew.
    #[must_use]
    pub fn read_to(&self) -> Option<u64> {
        match self.phase {
            Phase::Append { kind: Kind::Begin, .. } => None,
            Phase::ReadJournal
            | Phase::Append { .. }
            | Phase::AwaitRegistrations(_)
            | Phase::OpenRival(_)
            | Phase::ProbeRival(_)
            | Phase::CloseRival
            | Phase::AwaitRetry(_)
            | Phase::Settled
            | Phase::Release => Some(self.read_to),
            _ => (self.read_to > 0).then_some(self.read_to),
        }
    }

    /// Takes in what stands in the journal behind what it has read, as far as that makes no difference to it: it reads to
    /// the end before it decides anything, and goes by the term and its primary alone until then. So states that differ
    /// in nothing but how far somebody has read can be taken for one.
    ///
    /// `journal` is all that stands in it.
    pub fn read_ahead(&mut self, journal: &[u8]) {
        let Some(unread) = self.read_to().and_then(|read_to| journal.get(usize::try_from(read_to).ok()?..)) else {
            return;
        };
        let reads_next = matches!(self.phase, Phase::ReadJournal | Phase::AwaitRegistrations(_) | Phase::AwaitRetry(_));
        for line in unread.split_inclusive(|&byte| byte == b'\n') {
            let mut fold = self.fold.clone();
            let read = fold.read(line);
            let is_told_apart = (fold.term(), fold.primary()) != (self.fold.term(), self.fold.primary());
            if read < line.len() || fold.is_newer() || is_told_apart && !reads_next {
                break;
            }
            self.fold = fold;
            self.read_to += read as u64;
        }
    }
}
