//! What is to happen in one round, drawn from the campaign's seed and the round's number alone.

pub(crate) mod boundary;
pub(crate) mod fault;
pub(crate) mod order;
pub(crate) mod program;
pub(crate) mod waits;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use single_primary::LogOptions;

use self::boundary::{Boundary, Part, Sweep};
use self::fault::{Around, Fault, Kind};
use self::order::Steps;
use crate::round::native::instance::JOURNAL;

/// One election, as it is to be run: again and again if need be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// The protocol's name.
    pub(crate) protocol: String,
    /// The campaign's seed.
    pub(crate) seed: u64,
    /// The round's number in the campaign.
    pub(crate) round: u64,
    /// How long the first term stays open, in microseconds.
    pub(crate) window_us: u64,
    /// How many registrations close it at once.
    pub(crate) expect: Option<usize>,
    /// The IDs, in the order in which their processes are forked: not in the order of the IDs.
    pub(crate) ids: Vec<String>,
    /// When those behind the first begin that start together, in microseconds after the start. Each has its own process.
    pub(crate) later_us: Vec<u64>,
    /// How many instances each process hosts.
    pub(crate) in_process: usize,
    /// Whether each instance has a thread of its own.
    pub(crate) threads: bool,
    /// When each event reaches the instances.
    pub(crate) events: Vec<Moment>,
    /// What is done to them.
    pub(crate) faults: Vec<Fault>,
    /// From which size on the log is rotated, in bytes, where not from the usual one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotate_bytes: Option<u64>,
    /// The instances that block until they are primary, as a daemon does, beside those that are polled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) blocking: Vec<usize>,
    /// In which order their steps are taken, where that is not left to the scheduler: as in a run before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) order: Vec<Steps>,
}

/// When an event reaches an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Moment {
    /// As soon as it has started to join: most often inside the window, and always before its own verdict is told.
    Joining,
    /// Right after its own verdict, while others may have none.
    Verdict,
    /// So many microseconds after the start.
    After(u64),
    /// Once all have theirs.
    Settled,
}

/// What all rounds of a campaign have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) protocol: String,
    pub(crate) seed: u64,
    pub(crate) registrants: usize,
    pub(crate) events: usize,
    /// How many of the events arrive before the verdict.
    pub(crate) early: usize,
    pub(crate) window: Duration,
    pub(crate) expect: Option<usize>,
    pub(crate) in_process: usize,
    pub(crate) threads: bool,
    /// From which size on the log is rotated, in bytes, where not from the usual one on.
    pub(crate) rotate_bytes: Option<u64>,
    /// The kinds of faults, taken in turns.
    pub(crate) faults: Vec<Kind>,
}

/// What an entry of these events takes at most.
const ENTRY_BYTES_MAX: u64 = 80;

/// Faults that may come on top of another one.
const BESIDES: [Kind; 6] = [Kind::Kill, Kind::Stop, Kind::Stall, Kind::Late, Kind::Restart, Kind::Load];

impl Template {
    /// How many processes take part in each.
    pub(crate) fn processes(&self) -> usize {
        self.registrants.div_ceil(self.in_process)
    }

    /// The plan of a round: the same for the same seed and number.
    pub(crate) fn draw(&self, round: u64) -> Plan {
        let mut random = fastrand::Rng::with_seed(self.seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Sorted by a random part first, so that the smallest is not the first to start.
        let ids = (0..self.registrants).map(|index| format!("{:06x}-{index}", random.u32(..1 << 24))).collect();
        let events = (0..self.events)
            .map(|event| match event {
                event if event < self.early => Moment::Joining,
                _ if !self.faults.is_empty() && random.bool() => Moment::After(random.u64(..5_000)),
                _ if random.bool() => Moment::Verdict,
                _ => Moment::Settled,
            })
            .collect();
        let mut plan = Plan {
            protocol: self.protocol.clone(),
            seed: self.seed,
            round,
            window_us: u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX),
            expect: self.expect,
            ids,
            later_us: Vec::new(),
            in_process: self.in_process,
            threads: self.threads,
            events,
            faults: Vec::new(),
            rotate_bytes: self.rotate_bytes,
            blocking: Vec::new(),
            order: Vec::new(),
        };
        self.add_faults(&mut plan, &mut random);
        if self.protocol == JOURNAL {
            plan.blocking = (0..plan.ids.len()).filter(|_| random.u8(..4) == 0).collect();
        }
        plan
    }

    /// How many instances a round has at most.
    pub(crate) fn instances_max(&self) -> usize {
        // Each of two faults may bring one more.
        self.registrants + if self.faults.is_empty() { 0 } else { 2 }
    }

    /// The boundaries that its rounds come to.
    pub(crate) fn sweep(&self) -> Sweep {
        Sweep { registrants: self.registrants, in_process: self.in_process, events: self.events }
    }

    fn add_faults(&self, plan: &mut Plan, random: &mut fastrand::Rng) {
        if self.faults.is_empty() {
            return;
        }
        let kinds = self.faults.len() as u64;
        let kind_of = |number: u64| usize::try_from(number % kinds).map_or(Kind::Kill, |kind| self.faults[kind]);
        let mut drawn = vec![(kind_of(plan.round), plan.round / kinds)];
        let besides: Vec<_> =
            self.faults.iter().filter(|kind| BESIDES.contains(kind) && **kind != drawn[0].0).collect();
        if random.u8(..4) == 0 && !besides.is_empty() {
            drawn.push((*besides[random.usize(..besides.len())], plan.round));
        }
        // What must come to one place at a system call is left to itself.
        let is_swept = drawn[0].0 == Kind::KillAtCall && self.protocol == JOURNAL;
        if is_swept {
            plan.faults = self.sweep().faults(drawn[0].1);
            return;
        }
        for (kind, turn) in drawn {
            let around =
                Around { turn, registrants: self.registrants, in_process: self.in_process, window: self.window };
            let late = kind == Kind::Late;
            let prefix = if late { "000000".to_owned() } else { format!("{:06x}", random.u32(..1 << 24)) };
            let (ids, later_us) = (&mut plan.ids, &mut plan.later_us);
            let drawn = fault::draw(kind, around, random, |begins_us| {
                let index = ids.len();
                ids.push(format!("{prefix}-{index}"));
                later_us.push(begins_us);
                index
            });
            // A rotation that nobody dies in is what every log with a limit has.
            let death = matches!(drawn, Fault::Rotate { .. }).then(|| fault::draw_late_death(around, random));
            plan.faults.extend([drawn].into_iter().chain(death));
        }
    }
}

impl Plan {
    /// How many instances start together.
    pub(crate) fn registrants(&self) -> usize {
        self.ids.len() - self.later_us.len()
    }

    /// How many processes take part.
    pub(crate) fn processes(&self) -> usize {
        self.registrants().div_ceil(self.in_process) + self.later_us.len()
    }

    /// The instances that a process hosts.
    pub(crate) fn hosted_by(&self, process: usize) -> std::ops::Range<usize> {
        let registrants = self.registrants();
        if let Some(later) = process.checked_sub(registrants.div_ceil(self.in_process)) {
            registrants + later..registrants + later + 1
        } else {
            let first = process * self.in_process;
            first..(first + self.in_process).min(registrants)
        }
    }

    /// The process that hosts an instance.
    pub(crate) fn host_of(&self, instance: usize) -> usize {
        (0..self.processes()).find(|process| self.hosted_by(*process).contains(&instance)).unwrap_or(0)
    }

    /// The plan of those who are left without an instance, and of what is done to them; nothing where nobody would start.
    pub(crate) fn without_instance(&self, gone: usize) -> Option<Self> {
        let mut plan = self.clone();
        plan.ids.remove(gone);
        if let Some(later) = gone.checked_sub(self.registrants()) {
            plan.later_us.remove(later);
        } else if self.registrants() == 1 {
            return None;
        }
        plan.in_process = plan.in_process.min(plan.registrants());
        plan.expect = plan.expect.map(|expected| expected.min(plan.registrants()));
        let instance_now = |instance: usize| (instance != gone).then(|| instance - usize::from(instance > gone));
        // A process is where the first of those is that it hosted.
        let process_now =
            |process: usize| self.hosted_by(process).find_map(instance_now).map(|first| plan.host_of(first));
        plan.faults =
            self.faults.iter().filter_map(|fault| fault.clone().aimed_anew(instance_now, process_now)).collect();
        plan.blocking = self.blocking.iter().filter_map(|instance| instance_now(*instance)).collect();
        plan.order = order::of_instances(&self.order, instance_now);
        Some(plan)
    }

    /// Whether an instance blocks until it is primary. Where every step has its turn nobody does: a wait has no end to tell.
    pub(crate) fn blocks(&self, instance: usize) -> bool {
        self.order.is_empty() && self.blocking.contains(&instance) && !self.is_limited(instance)
    }

    /// Whether the instance's process can write no more from some size on, for good.
    pub(crate) fn is_limited(&self, instance: usize) -> bool {
        let host = self.host_of(instance);
        self.faults.iter().any(|fault| matches!(fault, Fault::Full { process, .. } if *process == host))
    }

    /// Whether the log is rotated because that is done to the round.
    pub(crate) fn rotates_by_fault(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Rotate { .. }))
    }

    /// What is done with the log. An entry is recognised in the current log and in the one before it, and events may reach a
    /// primary long after their entries were written: so none becomes older than that. However often it is rotated, all of it is kept, so that its entries can be counted.
    pub(crate) fn log_options(&self) -> LogOptions {
        let rotate_bytes = self.faults.iter().find_map(|fault| match fault {
            Fault::Rotate { bytes } => Some(*bytes),
            _ => None,
        });
        let usual = LogOptions::default();
        match rotate_bytes.or(self.rotate_bytes) {
            Some(bytes) => {
                let half = self.events.len() as u64 * ENTRY_BYTES_MAX / 2;
                LogOptions { rotate_keep: u8::MAX, ..usual }.rotated_at(bytes.max(half))
            }
            None => usual,
        }
    }

    /// When an instance begins, in microseconds after the start.
    pub(crate) fn begins_us(&self, instance: usize) -> u64 {
        instance.checked_sub(self.registrants()).map_or(0, |later| self.later_us[later])
    }

    /// Whether an instance may refuse to take part because of what is done to the round.
    pub(crate) fn allows_refusal(&self) -> bool {
        self.faults.iter().any(Fault::allows_refusal)
    }

    /// Whether somebody is to die who follows one primary after another: each of these then lets all find it before it leaves.
    pub(crate) fn is_about_followers(&self) -> bool {
        self.faults.iter().any(|fault| match fault {
            Fault::KillAtBoundary { boundary } => boundary.part == Part::Successor,
            _ => false,
        })
    }

    /// The boundaries that it aims at, and whether one of the notes of its traces says that an instance died there.
    pub(crate) fn boundaries(&self, notes: &[String]) -> Vec<(Boundary, bool)> {
        let aimed = self.faults.iter().filter_map(|fault| match fault {
            Fault::KillAtBoundary { boundary } => Some(boundary.clone()),
            _ => None,
        });
        aimed.map(|boundary| (boundary.clone(), notes.contains(&boundary.note()))).collect()
    }

    /// The window.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_micros(self.window_us)
    }

    /// What all instances call an event.
    pub(crate) fn event_id(event: usize) -> String {
        format!("event-{event}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_from_seed_and_number_and_the_smallest_is_not_always_first() {
        let template = Template {
            protocol: "journal".into(),
            seed: 7,
            registrants: 4,
            events: 3,
            early: 1,
            window: Duration::from_millis(150),
            expect: Some(4),
            in_process: 3,
            threads: false,
            rotate_bytes: None,
            faults: Vec::new(),
        };
        let plan = template.draw(5);
        assert_eq!(plan, template.draw(5));
        assert_ne!(plan.ids, template.draw(6).ids);
        assert_eq!((plan.processes(), plan.hosted_by(0), plan.hosted_by(1)), (2, 0..3, 3..4));
        let text = serde_json::to_string(&plan).expect("JSON");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("its own JSON"), plan);
        let first_is_smallest = |round| {
            let plan = template.draw(round);
            plan.ids.iter().min() == plan.ids.first()
        };
        let count = (0..400).filter(|&round| first_is_smallest(round)).count();
        assert!((60..140).contains(&count), "{count} of 400");

        let template = Template { faults: vec![Kind::Late, Kind::Kill], ..template };
        let plan = template.draw(4);
        assert_eq!(plan.faults[0].kind(), Kind::Late);
        assert_eq!(plan.ids.iter().min(), Some(&plan.ids[4]), "who is late is the smallest");
        assert_eq!((plan.registrants(), plan.hosted_by(2), plan.host_of(4)), (4, 4..5, 2));
        assert_eq!(plan.begins_us(4), plan.later_us[0]);
        assert_eq!(template.draw(5).faults[0].kind(), Kind::Kill);
    }
}
