//! Virtual time: it goes on by being looked at, and by timers that fire.
//!
//! Each copy has a clock of its own, which never shows less than that of anybody whose steps came before and were to be seen
//! (Lamport 1978). So two steps that share nothing show the same times in either order, and nobody sees an effect before
//! its cause.

use std::collections::HashMap;

use crate::explore::execution::{Access, Footprint, Object};

/// Where the time begins: 2026-01-01, in nanoseconds since 1970.
pub(super) const BEGIN_NS: u64 = 1_767_225_600_000_000_000;

/// Clocks that do not tell the date begin here.
pub(super) const BOOT_NS: u64 = 1_000_000_000_000;

/// A look at a clock takes so long.
const LOOK_NS: u64 = 1_000;

/// Who only looks at the clock waits for it: from so many looks on without another visible call, each takes twice as long.
const LOOKS_PATIENT: u32 = 20_000;
const LOOK_NS_MAX: u64 = 10_000_000;

/// How long it is since the beginning, as the copies and what they share have it.
#[derive(Debug)]
pub(super) struct Clocks {
    copies: Vec<CopyClock>,
    objects: HashMap<Object, u64>,
}

/// The clock of one copy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CopyClock {
    elapsed_ns: u64,
    looks: u32,
}

impl Clocks {
    pub(super) fn new(copies: usize) -> Self {
        Self { copies: vec![CopyClock::default(); copies], objects: HashMap::new() }
    }

    /// The clock of a copy, to go on from there in another execution.
    pub(super) fn of(&self, copy: u16) -> CopyClock {
        self.copies[usize::from(copy)]
    }

    /// A copy begins with this clock.
    pub(super) fn begin(&mut self, copy: u16, clock: CopyClock) {
        self.copies[usize::from(copy)] = clock;
    }

    /// A copy looks at the clock.
    pub(super) fn look(&mut self, copy: u16) -> u64 {
        let fired = self.fired();
        let clock = &mut self.copies[usize::from(copy)];
        clock.looks += 1;
        let doublings = clock.looks.saturating_sub(LOOKS_PATIENT).min(32);
        clock.elapsed_ns = fired.max(clock.elapsed_ns + (LOOK_NS << doublings).min(LOOK_NS_MAX));
        clock.elapsed_ns
    }

    /// What a copy would see.
    pub(super) fn elapsed_ns(&self, copy: u16) -> u64 {
        self.fired().max(self.copies[usize::from(copy)].elapsed_ns)
    }

    /// A step of a copy used these objects.
    pub(super) fn step(&mut self, copy: u16, footprint: &Footprint) {
        let clock = &mut self.copies[usize::from(copy)];
        clock.looks = 0;
        let shared = || footprint.uses().iter().filter(|(object, _)| *object != Object::Time);
        for (object, _) in shared().filter(|(_, access)| *access != Access::Add) {
            clock.elapsed_ns = clock.elapsed_ns.max(self.objects.get(object).copied().unwrap_or_default());
        }
        for (object, _) in shared().filter(|(_, access)| *access != Access::Read) {
            let changed = self.objects.entry(*object).or_default();
            *changed = clock.elapsed_ns.max(*changed);
        }
    }

    /// A timer of a copy fires that was due then.
    pub(super) fn fire(&mut self, copy: u16, due_ns: u64) {
        let fired = self.elapsed_ns(copy).max(due_ns);
        self.copies[usize::from(copy)] = CopyClock { elapsed_ns: fired, looks: 0 };
        self.objects.insert(Object::Time, fired);
    }

    fn fired(&self) -> u64 {
        self.objects.get(&Object::Time).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_never_seen_later_than_its_effect_and_steps_apart_do_not_matter() {
        let mut clocks = Clocks::new(2);
        for _ in 0..10 {
            clocks.look(0);
        }
        assert_eq!((clocks.elapsed_ns(0), clocks.elapsed_ns(1)), (10 * LOOK_NS, 0), "they share nothing");
        let shared = Footprint::default().with(Object::Contents(1), Access::Write);
        clocks.step(0, &shared);
        clocks.step(1, &shared);
        assert!(clocks.look(1) > 10 * LOOK_NS, "the other's step came before");
        clocks.fire(0, 1_000_000);
        assert_eq!(clocks.elapsed_ns(1), 1_000_000, "a timer is everybody's");
        assert!(clocks.look(0) > 1_000_000);
    }

    #[test]
    fn who_only_looks_at_the_clock_gets_to_any_time_soon() {
        let mut clocks = Clocks::new(1);
        let looks = (0..100_000).take_while(|_| clocks.look(0) < 30_000_000_000).count();
        assert!(looks < 30_000, "{looks}");
    }
}
