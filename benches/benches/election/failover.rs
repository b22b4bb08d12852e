//! `failover`: from the SIGKILL of the primary until a survivor is primary, beside the wake-up of those who block in flock(2)
//! on the same seat.

use std::time::Duration;

use criterion::Criterion;

use crate::contestant::{Claim, Contestant};
use crate::crew::Crew;
use crate::placement;
use crate::rounds::{self, Round};

pub(crate) fn measure(criterion: &mut Criterion) {
    let contestants = [Contestant::BareFlock, Contestant::Election, Contestant::ElectionWait];
    for size in [1, 3] {
        rounds::measure(criterion, "failover", &contestants, size, Crew::survivors, |_, crew, round| {
            fail_over(crew, round)
        });
    }
}

fn fail_over(survivors: &mut Crew, round: &Round<'_>) -> Duration {
    // The same process dies for all, since that takes most of the time.
    let mut victim = Crew::claimants(Contestant::Election, 1, round.all);
    victim.go(round.number);
    let primary = victim.report();
    assert!(primary.primary, "nobody else is there: {primary:?}");
    survivors.go(round.number);
    for survivor in survivors.reports() {
        assert!(!survivor.primary && survivor.of == primary.of, "the primary lives: {survivor:?}");
    }
    survivors.await_blocked(&round.directory.join(Claim::contested_file(primary.of.as_deref())));

    let placement = placement::apart(victim.process());
    let from = victim.kill();
    let successor = survivors.report();
    drop(placement);
    assert!(successor.primary, "a survivor took over: {successor:?}");

    // The others each get their turn as the one before gives up.
    survivors.give_up_one();
    for _ in 1..survivors.size() {
        let (first, second) = (survivors.report(), survivors.report());
        assert!(first.primary != second.primary, "one gave up, one took over: {first:?} {second:?}");
        survivors.give_up_one();
    }
    let last = survivors.report();
    assert!(!last.primary, "the last one gave up: {last:?}");
    successor.after(from)
}
