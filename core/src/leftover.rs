//! What an election leaves behind that nobody takes part in any more: whose file the journal is, and how far terms have come.

use crate::call::Identity;
use crate::error::Cause;
use crate::fold::Fold;
use crate::record::Origin;

/// A journal without anyone alive, as far as it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leftover {
    journal: Identity,
    fold: Fold,
    offset: u64,
    is_ours: bool,
    has_rest: bool,
}

impl Leftover {
    /// One of which nothing has been read.
    pub(crate) fn new(journal: Identity) -> Self {
        Self { journal, fold: Fold::default(), offset: 0, is_ours: false, has_rest: false }
    }

    /// Which file it is.
    pub(crate) fn journal(&self) -> Identity {
        self.journal
    }

    /// Where to read on.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes in what was read from there on.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        if !self.is_ours {
            self.is_ours = is_ours(bytes, self.offset)?;
        }
        let done = self.fold.read(bytes);
        self.offset += done as u64;
        self.has_rest = done < bytes.len();
        if self.fold.is_newer() { Err(Cause::Newer) } else { Ok(()) }
    }

    /// Whether it is as whole as one that has just begun, so that an election can begin in it.
    pub(crate) fn has_just_begun(&self) -> bool {
        let Self { fold, has_rest, .. } = self;
        !has_rest && fold.registered_count() == 0 && fold.damaged_lines() == 0 && !fold.is_older()
    }

    /// The term that the next election has to begin with.
    pub(crate) fn next_term(&self) -> u64 {
        self.fold.next_term()
    }
}

/// Whether what stands there shows that it is ours; it does not where it is nothing but zeros so far, as a power loss leaves.
pub(crate) fn is_ours(bytes: &[u8], offset: u64) -> Result<bool, Cause> {
    match Origin::of(bytes, offset) {
        Origin::Blank => Ok(false),
        Origin::Ours => Ok(true),
        Origin::Newer => Err(Cause::Newer),
        Origin::Foreign => Err(Cause::Foreign),
    }
}
