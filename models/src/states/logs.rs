//! All files of realtime.log, and what an independent reader makes of them.

use single_primary::call::Name;

use crate::participant::Participant;
use crate::states::files::is_log;
use crate::states::model::Model;
use crate::states::oracle::Entries;
use crate::states::state::State;

impl<P: Participant + 'static> Model<P> {
    /// What an independent reader makes of all files of realtime.log.
    pub fn entries(&self, state: &State) -> Entries {
        let mut all = Entries::default();
        for entries in self.all_entries(state) {
            all.add(entries);
        }
        all
    }

    /// What it makes of each.
    pub(super) fn all_entries(&self, state: &State) -> impl Iterator<Item = &Entries> {
        self.told_apart_by(state).skip(1).flatten().map(|contents| {
            let (contents, facts) = self.contents.entry(contents);
            facts.entries(contents)
        })
    }

    /// What it makes of one, by its inode's number; nothing, where there is none of that number.
    pub(super) fn entries_in(&self, state: &State, number: u64) -> Option<&Entries> {
        let place = self.shape_of(state).inodes.binary_search(&number).ok()?;
        let (contents, facts) = self.contents.entry(state.contents[place]);
        Some(facts.entries(contents))
    }

    /// The inode numbers of all of them.
    pub(super) fn logs(&self, state: &State) -> impl Iterator<Item = u64> {
        let entries = &self.shape_of(state).directory.entries;
        entries.iter().filter(|(name, _)| is_log(name)).map(|(_, number)| *number)
    }

    /// The inode number of a name.
    pub(super) fn number_of(&self, state: &State, name: &Name) -> Option<u64> {
        self.shape_of(state).directory.entries.get(name.file_name().as_str()).copied()
    }
}
