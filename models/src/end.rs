//! What a run comes to in the end, told in the same words by every checker, so that they can be compared.

use crate::participant::Belief;

/// In which order what counts came into the journal, and what each instance believed in the end.
///
/// Who of those side by side registered first makes no difference to anyone, and is not told.
///
/// The orders of all calls would tell apart more, but their number is no measure: an instance that waits looks any number
/// of times, so that there is no end of them. This is what they come to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// What happened to whom, by the instance's number among all; `u8::MAX` for none of them.
    changes: Vec<(Change, u8)>,
    /// What has become of each instance that was ever started.
    instances: Vec<Standing>,
}

/// What a record in the journal changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// An instance takes part.
    Registered,
    /// It is primary.
    Elected,
    /// It is primary no more, since its seat was empty.
    Deposed,
    /// It takes part no more.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Standing {
    Dead,
    Failed,
    Primary(u64),
    /// Whether it is secondary or has left is in the journal.
    NotPrimary,
}

impl End {
    /// Takes what an independent reader finds in the journal, and what the instance of each ID believes, `None` for a dead
    /// one.
    pub fn new<'a>(
        changes: &[(Change, String)],
        ids: &[String],
        beliefs: impl Iterator<Item = Option<&'a Belief>>,
    ) -> Self {
        let number = |who: &String| {
            let at = ids.iter().position(|id| id == who);
            at.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
        };
        let standing = |belief: Option<&Belief>| match belief {
            None => Standing::Dead,
            Some(Belief::Failed(_)) => Standing::Failed,
            Some(Belief::Primary { term }) => Standing::Primary(*term),
            Some(Belief::Undecided | Belief::Secondary | Belief::Left) => Standing::NotPrimary,
        };
        let mut changes: Vec<_> = changes.iter().map(|(change, who)| (*change, number(who))).collect();
        for registrations in changes.chunk_by_mut(|(one, _), (other, _)| *one == *other && *one == Change::Registered) {
            registrations.sort_unstable();
        }
        Self { changes, instances: beliefs.map(standing).collect() }
    }

    /// How many instances were ever started.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.instances.len()
    }
}
