//! What is to happen in one round of programs, drawn from the campaign's seed and the round's number alone.

use serde::{Deserialize, Serialize};

use super::fault::program::Fault;
use crate::control::follower::{Aim, Which};

/// A copy is held at one of so many touches of the election directory; early ones are likelier.
const TOUCHES_MAX: u32 = 12;

/// The same of those touches that change something.
const CHANGES_MAX: u32 = 4;

/// One stop in so many lasts long.
const LONG_EVERY: u64 = 4;

/// What all rounds of a campaign have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) seed: u64,
    pub(crate) registrants: usize,
    pub(crate) events: usize,
    /// How many events are told before anyone can have a verdict.
    pub(crate) early: usize,
    pub(crate) faults: Vec<Fault>,
    /// Whether permissions keep this process out of nothing.
    pub(crate) is_root: bool,
}

/// What a round is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) round: u64,
    /// The IDs in the order of their start, and one more for whoever is started later.
    pub(crate) ids: Vec<String>,
    /// What events are called. No name is a part of another.
    pub(crate) events: Vec<String>,
    /// How many events are told at once, before anyone can have a verdict.
    pub(crate) early: usize,
    pub(crate) fault: Option<Fault>,
    /// What is drawn from for whatever depends on how the round goes.
    pub(crate) chance: u64,
    /// The touch of the election directory at which a copy is held or dies.
    pub(crate) aim: Aim,
    /// Whether a stop lasts as long as one may that nobody has asked to be shorter.
    pub(crate) is_long: bool,
    pub(crate) handover: Handover,
    /// Whether the registrants run as a user whom permissions keep out.
    pub(crate) unprivileged: bool,
}

/// How a primary ends in good order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handover {
    /// Whether it is asked to end by a signal, and not told to quit.
    pub(crate) by_signal: bool,
    /// Whether another copy starts before a successor is primary, and not after.
    pub(crate) newcomer_first: bool,
}

impl Plan {
    /// The plan of a round: the same for the same seed and number.
    pub(crate) fn draw(template: &Template, round: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(template.seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Sorted by a random part first, so that the smallest is not the first to start.
        let mut ids: Vec<_> =
            (0..=template.registrants).map(|index| format!("{:06x}-{index}", random.u32(..1 << 24))).collect();
        let events = (0..template.events).map(|event| format!("event-{event:04}-{:08x}", random.u32(..))).collect();
        let faults: Vec<_> = template.faults.iter().copied().filter(|fault| *fault != Fault::Load).collect();
        let fault = random.choice(faults);
        if fault == Some(Fault::Late) {
            // The smallest of all comes last: who elects by a list of the present lets it unseat the primary.
            let smallest = (0..template.registrants).min_by_key(|index| &ids[*index]).unwrap_or_default();
            ids.swap(smallest, template.registrants - 1);
        }
        let chance = random.u64(..);
        let touches = random.u32(1..=TOUCHES_MAX);
        let number = 1 + random.u32(..touches);
        // Who takes over touches much, again and again, before it acts; what it does then removes something.
        let aim = match (fault, random.u8(..4)) {
            (Some(Fault::Takeover), 0 | 1) => Aim { number: 1, which: Which::Removals, after: false },
            (Some(Fault::Takeover), 2) => {
                Aim { number: random.u32(1..=CHANGES_MAX), which: Which::Changes, after: false }
            }
            (fault, coin) => {
                Aim { number, which: Which::All, after: fault == Some(Fault::KillAtCall) && coin % 2 == 0 }
            }
        };
        Self {
            round,
            ids,
            events,
            early: template.early.min(template.events),
            fault,
            chance,
            aim,
            is_long: round % LONG_EVERY == LONG_EVERY - 1,
            handover: Handover { by_signal: random.bool(), newcomer_first: random.bool() },
            unprivileged: fault == Some(Fault::Permissions) && template.is_root,
        }
    }

    /// A round in which nothing is done to a single registrant; as a user whom permissions keep out, if that is asked.
    pub(crate) fn control(unprivileged: bool) -> Self {
        let ids = vec!["control-0".into(), "control-1".into()];
        let events = vec!["event-control".into()];
        let aim = Aim { number: 1, which: Which::All, after: false };
        Self {
            round: 0,
            ids,
            events,
            early: 0,
            fault: None,
            chance: 0,
            aim,
            is_long: false,
            handover: Handover::default(),
            unprivileged,
        }
    }

    /// The same, aimed at a touch that there is: one of so many that counted. Where none did, all count.
    pub(crate) fn aimed_within(mut self, counted: u32) -> Self {
        if counted == 0 {
            self.aim.which = Which::All;
        }
        self.aim.number = 1 + (self.aim.number - 1) % counted.max(1);
        self
    }

    /// How many take part from the start, or nearly.
    pub(crate) fn registrants(&self) -> usize {
        self.ids.len() - 1
    }
}
