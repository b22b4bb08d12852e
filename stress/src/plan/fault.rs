//! The faults of a campaign: their names, and how one is drawn for a round.

pub(crate) mod program;

use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::boundary::Boundary;

/// A kind of fault, by the name that the command line has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// SIGKILL at a random moment
    Kill,
    /// SIGKILL before or after a system call, every one of them in turn
    KillAtCall,
    /// SIGSTOP, and SIGCONT later than the window lasts
    Stop,
    /// A delay before a system call, longer than the window
    Stall,
    /// The primary dies, and whoever finds that out is held before it acts on it, while others take over (programs only)
    Takeover,
    /// Joiners with smaller IDs
    Late,
    /// An instance leaves or dies and comes back under a fresh ID
    Restart,
    /// The primary ends in good order while others stay, and another copy starts (programs only)
    Handover,
    /// The primary dies while a program that it started lives on
    Heir,
    /// A forked copy of the primary tries to log
    Fork,
    /// A log that is rotated every few entries, and a death in the midst of that
    Rotate,
    /// A file-size limit in the way of every write
    Full,
    /// Garbage in the journal, or someone else's file in its place
    Corrupt,
    /// The journal, a seat or the directory is removed under a living primary
    Unlink,
    /// Files that others may write to
    Permissions,
    /// Busy processes beside the election
    Load,
}

impl Kind {
    /// Its name.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it is one for programs alone: to a forked process, others do the same.
    pub(crate) fn is_for_programs(self) -> bool {
        matches!(self, Self::Takeover | Self::Handover)
    }

    /// Whether a primary dies of it.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::KillAtCall | Self::Restart | Self::Heir | Self::Rotate)
    }

    /// Reads a name, or `all`.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text == "all" {
            return Ok(Self::value_variants().to_vec());
        }
        Self::from_str(text, false).map(|kind| vec![kind]).map_err(|_| {
            let names: Vec<_> = Self::value_variants().iter().map(|kind| kind.name()).collect();
            format!("give some of {}, or all", names.join(", "))
        })
    }
}

/// When something is done to a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum When {
    /// So many microseconds after the common start.
    Released(u64),
    /// Once everyone who lives has a verdict.
    Settled,
}

/// A file of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    Journal,
    /// That of the primary.
    Seat,
    Directory,
}

/// What is put into the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Damage {
    /// Bytes that mean nothing, behind what is there.
    Garbage,
    /// The first half of a record, behind what is there.
    HalfRecord,
    /// A file of another program, before the start.
    Foreign,
    /// A journal of a later version, before the start.
    Newer,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL.
    Kill { process: usize, when: When },
    /// SIGKILL before or after the call of that number.
    KillAtCall { instance: usize, call: u32, after: bool },
    /// SIGKILL of whoever comes to that boundary first.
    KillAtBoundary { boundary: Boundary },
    /// What an election left whose instances are all dead is there before the start.
    Leftover,
    /// SIGSTOP for so many microseconds.
    Stop { process: usize, when: When, for_us: u64 },
    /// A delay of so many microseconds before the call of that number.
    Stall { instance: usize, call: u32, for_us: u64 },
    /// The instance joins so many microseconds after the start; its ID is smaller than those of the others.
    Late { instance: usize, after_us: u64 },
    /// The instance leaves, or its process is killed, and `successor` joins.
    Restart { instance: usize, at_us: u64, dies: bool, successor: usize },
    /// The primary starts a program and dies.
    Heir,
    /// The primary is forked and its copy tries to log.
    Fork,
    /// The log is rotated from so many bytes on.
    Rotate { bytes: u64 },
    /// No file may grow beyond so many bytes.
    Full { process: usize, bytes: u64 },
    /// The journal is damaged.
    Corrupt { damage: Damage, when: When },
    /// A file is removed, once all is settled.
    Unlink { target: Target },
    /// Others may write to a file, from before the start.
    Permissions { target: Target },
    /// So many processes do nothing but use the processor.
    Load { processes: usize },
}

impl Fault {
    /// Its kind.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::KillAtCall { .. } | Self::KillAtBoundary { .. } | Self::Leftover => Kind::KillAtCall,
            Self::Stop { .. } => Kind::Stop,
            Self::Stall { .. } => Kind::Stall,
            Self::Late { .. } => Kind::Late,
            Self::Restart { .. } => Kind::Restart,
            Self::Heir => Kind::Heir,
            Self::Fork => Kind::Fork,
            Self::Rotate { .. } => Kind::Rotate,
            Self::Full { .. } => Kind::Full,
            Self::Corrupt { .. } => Kind::Corrupt,
            Self::Unlink { .. } => Kind::Unlink,
            Self::Permissions { .. } => Kind::Permissions,
            Self::Load { .. } => Kind::Load,
        }
    }

    /// The same fault where instances and processes have other numbers; nothing where whom it is aimed at is gone.
    pub(crate) fn aimed_anew(
        mut self,
        instance_now: impl Fn(usize) -> Option<usize>,
        process_now: impl Fn(usize) -> Option<usize>,
    ) -> Option<Self> {
        match &mut self {
            Self::KillAtCall { instance, .. } | Self::Stall { instance, .. } | Self::Late { instance, .. } => {
                *instance = instance_now(*instance)?;
            }
            Self::Restart { instance, successor, .. } => {
                *instance = instance_now(*instance)?;
                *successor = instance_now(*successor)?;
            }
            Self::Kill { process, .. } | Self::Stop { process, .. } | Self::Full { process, .. } => {
                *process = process_now(*process)?;
            }
            Self::KillAtBoundary { .. }
            | Self::Leftover
            | Self::Heir
            | Self::Fork
            | Self::Rotate { .. }
            | Self::Corrupt { .. }
            | Self::Unlink { .. }
            | Self::Permissions { .. }
            | Self::Load { .. } => {}
        }
        Some(self)
    }

    /// Whether an instance may refuse to take part because of it.
    pub(crate) fn allows_refusal(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::Unlink { .. }
                | Self::Permissions { .. }
                | Self::Corrupt { damage: Damage::Foreign | Damage::Newer, .. }
        )
    }
}

/// How many calls an instance makes at most until it is settled, as far as faults are aimed at them.
const CALLS_MAX: u64 = 40;

/// What a fault is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around {
    /// The number of the round, and how many of its kind came before it.
    pub(crate) turn: u64,
    pub(crate) registrants: usize,
    pub(crate) in_process: usize,
    pub(crate) window: Duration,
}

/// Draws a fault; `add` gives the index of one more instance, which joins so many microseconds after the start.
pub(crate) fn draw(kind: Kind, around: Around, random: &mut Rng, mut add: impl FnMut(u64) -> usize) -> Fault {
    let Around { turn, registrants, in_process, window } = around;
    let instance = random.usize(..registrants);
    let process = instance / in_process;
    let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
    let beyond_window_us = window_us.saturating_add(random.u64(5_000..20_000));
    // Most of an election happens within its first milliseconds.
    let soon_us = if random.bool() { random.u64(..500) } else { random.u64(..4_000) };
    let when = if random.u8(..3) == 0 { When::Settled } else { When::Released(soon_us) };
    let target = || [Target::Journal, Target::Seat, Target::Directory];
    match kind {
        Kind::Kill => Fault::Kill { process, when },
        // Swept, not drawn: instance by instance, call by call, before it and after it.
        Kind::KillAtCall => {
            let registrants = registrants as u64;
            let call = u32::try_from(turn / registrants % CALLS_MAX).unwrap_or(0);
            let instance = usize::try_from(turn % registrants).unwrap_or(0);
            Fault::KillAtCall { instance, call, after: turn / registrants / CALLS_MAX % 2 == 1 }
        }
        Kind::Stop => Fault::Stop { process, when, for_us: beyond_window_us },
        Kind::Stall => Fault::Stall { instance, call: random.u32(..10), for_us: beyond_window_us },
        Kind::Late => {
            let after_us = if random.bool() { soon_us } else { window_us + random.u64(..20_000) };
            Fault::Late { instance: add(after_us), after_us }
        }
        Kind::Restart => {
            let at_us = if random.bool() { random.u64(1_000..10_000) } else { window_us + random.u64(1_000..10_000) };
            let successor = add(at_us + random.u64(..3_000));
            Fault::Restart { instance, at_us, dies: random.bool(), successor }
        }
        Kind::Heir => Fault::Heir,
        Kind::Fork => Fault::Fork,
        // An entry has some 70 bytes: from every one on to every few.
        Kind::Rotate => Fault::Rotate { bytes: random.u64(1..150) },
        Kind::Full => Fault::Full { process, bytes: random.u64(..700) },
        Kind::Corrupt => match random.u8(..4) {
            0 => Fault::Corrupt { damage: Damage::Garbage, when },
            1 => Fault::Corrupt { damage: Damage::HalfRecord, when },
            2 => Fault::Corrupt { damage: Damage::Foreign, when: When::Released(0) },
            _ => Fault::Corrupt { damage: Damage::Newer, when: When::Released(0) },
        },
        Kind::Unlink => Fault::Unlink { target: target()[random.usize(..3)] },
        Kind::Permissions => {
            Fault::Permissions { target: if random.bool() { Target::Journal } else { Target::Directory } }
        }
        Kind::Load => Fault::Load { processes: random.usize(1..5) },
        Kind::Takeover | Kind::Handover => unreachable!("it is for programs alone, and refused before"),
    }
}

/// Draws a death before or after a call that comes once somebody is primary: at its log, most of all.
pub(crate) fn draw_late_death(around: Around, random: &mut Rng) -> Fault {
    let instance = random.usize(..around.registrants);
    Fault::KillAtCall { instance, call: random.u32(16..64), after: random.bool() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_draws_a_fault_of_its_own() {
        let around = Around { turn: 170, registrants: 4, in_process: 2, window: Duration::from_millis(150) };
        let mut random = Rng::with_seed(1);
        for kind in Kind::parse("all").expect("all kinds") {
            assert_eq!(Kind::parse(&kind.name()), Ok(vec![kind]));
            if kind.is_for_programs() {
                continue;
            }
            let fault = draw(kind, around, &mut random, |_| 4);
            assert_eq!(fault.kind(), kind);
            let text = serde_json::to_string(&fault).expect("JSON");
            assert_eq!(serde_json::from_str::<Fault>(&text).expect("its own JSON"), fault);
        }
        let fault = draw(Kind::KillAtCall, around, &mut random, |_| 4);
        assert_eq!(fault, Fault::KillAtCall { instance: 2, call: 2, after: true });
        assert!(Kind::parse("flood").expect_err("there is none").contains("kill-at-call"));
    }
}
