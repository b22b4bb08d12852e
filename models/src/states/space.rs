//! What may happen in one search, and how often.

use std::fmt;
use std::time::Duration;

use single_primary::{InstanceId, LogOptions};

use crate::kernel::{Hand, Outage};
use crate::states::promise::Promise;
use crate::zoo::{Protocol, Setup};

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Each wait may end by its deadline at any moment, whatever other instances' clocks show. This covers every speed of
    /// every clock, and keeps the clock out of the states. For protocols that hold whatever the time is.
    Free,
    /// One clock for all. It moves to the next deadline of a wait, so many times at most, and once by `jump`.
    Shared {
        /// How many times it moves.
        moves: u8,
        /// By how much it jumps, once; zero for never.
        jump: Duration,
    },
}

/// What may happen in one search, and how often. Everything that may happen may happen at any moment.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one thing may happen, and all combinations make sense"
)]
pub struct Space {
    /// What the space is there to show, in a few words.
    pub about: &'static str,
    /// The promise that it is there to see broken, for a broken protocol.
    pub breaks: Option<Promise>,
    /// The protocol whose instances take part.
    pub protocol: &'static Protocol,
    /// The IDs of the instances that are there from the beginning, though each may take its first step late. Equal ones
    /// are two joins under one ID.
    pub ids: Vec<&'static str>,
    /// How many of them live in one process; the instances started later have a process each.
    pub per_process: usize,
    /// How many processes crash.
    pub crashes: u8,
    /// How many instances are started after one has crashed or left.
    pub restarts: u8,
    /// Whether such an instance may also come under the ID of any earlier one, dead or alive; else its ID is a fresh one
    /// that is smaller than all others.
    pub reuse_ids: bool,
    /// Whether such an instance may also have the process ID of a dead one.
    pub reuse_process_ids: bool,
    /// How many calls fail with EIO, or write short where they append.
    pub errors: u8,
    /// How many instances leave.
    pub leaves: u8,
    /// How many events there are. Each reaches every instance, at any moment.
    pub events: u8,
    /// What somebody else may do to the files, and how often something of it.
    pub hands: Vec<Hand>,
    /// How often.
    pub meddling: u8,
    /// What may fail for as long as it likes, each once.
    pub outages: Vec<Outage>,
    /// How time passes.
    pub timing: Timing,
    /// The window that the instances are given.
    pub window: Duration,
    /// What they do with realtime.log.
    pub log: LogOptions,
    /// Whether the election directory is there from the beginning.
    pub directory: bool,
    /// Whether orders of calls that nobody can tell apart are looked at once; see `reduction.rs`.
    pub reduce: bool,
}

impl fmt::Display for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about: _, breaks: _, protocol: _, ids, per_process, crashes, restarts, reuse_ids, .. } = self;
        let Self { reuse_process_ids, errors, leaves, events, timing, window, log, directory, reduce, .. } = self;
        let Self { hands, meddling, outages, .. } = self;
        write!(formatter, "instances {}, per process {per_process}", ids.join(" "))?;
        for (name, count) in
            [("crashes", crashes), ("restarts", restarts), ("errors", errors), ("leaves", leaves), ("events", events)]
        {
            if *count > 0 {
                write!(formatter, ", {name} {count}")?;
            }
        }
        for (name, applies) in [
            ("used IDs", *reuse_ids),
            ("used process IDs", *reuse_process_ids),
            ("no window", window.is_zero()),
            ("rotation", self.rotates()),
            ("trimming", log.trim_pending == 1),
            ("no directory", !directory),
            ("one clock", *timing != Timing::Free),
            ("reduced", *reduce),
        ] {
            if applies {
                write!(formatter, ", {name}")?;
            }
        }
        if *meddling > 0 {
            write!(formatter, ", {meddling} times of: {}", list(hands))?;
        }
        if !outages.is_empty() {
            write!(formatter, ", for as long as they like: {}", list(outages))?;
        }
        Ok(())
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

impl Space {
    /// The window that instances are given unless told otherwise.
    const WINDOW: Duration = Duration::from_millis(150);

    /// The IDs of instances, in order. None is the smallest, which is kept for those that come late.
    const IDS: [&'static str; 8] = ["b", "c", "d", "e", "f", "g", "h", "i"];

    /// Instances of a protocol that race, with nothing going wrong.
    #[must_use]
    pub fn race(protocol: &'static Protocol, registrants: usize) -> Self {
        let ours = protocol.name == "journal";
        let needs = protocol.needs;
        Self {
            about: "a race",
            breaks: None,
            protocol,
            ids: Self::IDS.into_iter().take(registrants).collect(),
            per_process: 1,
            crashes: 0,
            restarts: 0,
            reuse_ids: false,
            reuse_process_ids: false,
            errors: 0,
            leaves: 0,
            events: 0,
            hands: Vec::new(),
            meddling: 0,
            outages: Vec::new(),
            timing: if ours { Timing::Free } else { Timing::Shared { moves: 4, jump: needs.clock_jump } },
            window: Self::WINDOW,
            log: LogOptions::default(),
            directory: ours,
            reduce: ours,
        }
    }

    /// Whether it is the library's own election that is looked at, with all that it promises.
    #[must_use]
    pub fn is_of_journal(&self) -> bool {
        self.protocol.name == "journal"
    }

    /// Whether each entry is followed by a rotation.
    #[must_use]
    pub fn rotates(&self) -> bool {
        self.log.rotate_bytes == 1
    }

    /// Whether files of realtime.log or the journal may go away, so that what they said is to be remembered.
    pub(super) fn keeps_ledger(&self) -> bool {
        self.is_of_journal() && (self.rotates() || self.meddling > 0)
    }

    /// Whether nothing goes wrong in it but deaths, each of one instance.
    #[must_use]
    pub fn has_only_deaths(&self) -> bool {
        let is_left_alone = self.meddling == 0 && self.outages.is_empty();
        self.restarts == 0 && self.errors == 0 && self.leaves == 0 && self.per_process == 1 && is_left_alone
    }

    /// How many instances there can be over the whole time.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.ids.len() + usize::from(self.restarts)
    }

    /// The ID of the instance that comes in a slot of its own, unless it comes under an earlier one's.
    #[must_use]
    pub fn id(&self, slot: usize) -> InstanceId {
        let id = self.ids.get(slot).map_or_else(|| format!("a{slot}"), |id| (*id).into());
        InstanceId::new(id).expect("letters and digits make an ID")
    }

    /// What an instance under that ID is given.
    #[must_use]
    pub fn setup(&self, id: InstanceId) -> Setup {
        Setup { id, window: self.window, expect: None, log: self.log.clone() }
    }

    /// The process that hosts the instance of a slot, unless it has an earlier one's ID.
    #[must_use]
    pub fn process(&self, slot: usize) -> u32 {
        let number = if slot < self.ids.len() { slot / self.per_process.max(1) } else { 100 + slot };
        1000 + u32::try_from(number).expect("few slots")
    }
}
