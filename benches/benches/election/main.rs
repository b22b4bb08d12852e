//! What an election costs, each figure beside its floor (the same system calls in a straight line) and its peers.
//!
//! Every measurement verifies its result. Started with `--crew-member`, this program is one of the processes of a race.

mod contestant;
mod crew;
mod failover;
mod floor;
mod instance;
mod join;
mod journal;
mod peers;
mod percentiles;
mod placement;
mod race;
mod rounds;
mod scratch;
mod timed;
mod turns;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, member @ ..] = arguments.as_slice()
        && flag == crew::MEMBER
    {
        return crew::serve(member);
    }
    let mut criterion = Criterion::default()
        .sample_size(60)
        .nresamples(20_000)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(2_500))
        .configure_from_args();
    join::measure(&mut criterion);
    peers::measure(&mut criterion);
    race::measure(&mut criterion);
    failover::measure(&mut criterion);
    instance::measure(&mut criterion);
    criterion.final_summary();
}
