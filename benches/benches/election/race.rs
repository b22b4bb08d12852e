//! `race`: processes that start at the same moment, until all of them know the primary.

use std::time::Duration;

use criterion::Criterion;

use crate::contestant::Contestant;
use crate::crew::{Crew, Report};
use crate::rounds::{self, Round};

pub(crate) fn measure(criterion: &mut Criterion) {
    for size in [2, 4, 16, 64] {
        // What else a user could have picked is raced where the problem comes from: with four.
        let mut contestants: Vec<Contestant> = if size == 4 {
            Contestant::ALL.into_iter().filter(|contestant| contestant.can_be_raced()).collect()
        } else {
            vec![Contestant::BareFlock, Contestant::Election]
        };
        contestants.push(Contestant::BareCalls);
        rounds::measure(criterion, "race", &contestants, size, Crew::claimants, race);
    }
}

fn race(contestant: Contestant, crew: &mut Crew, round: &Round<'_>) -> Duration {
    let from = crew.go(round.number);
    let reports = crew.reports();
    let all_know = reports.iter().map(|report| report.after(from)).max().expect("somebody raced");
    verify(contestant, &reports);
    crew.give_up();
    crew.reports();
    all_know
}

fn verify(contestant: Contestant, reports: &[Report]) {
    let primaries = reports.iter().filter(|report| report.primary).count();
    assert_eq!(primaries, 1, "{contestant:?} elected {primaries}: {reports:?}");
    assert!(reports.iter().all(|report| report.of == reports[0].of), "{contestant:?} disagrees: {reports:?}");
}
