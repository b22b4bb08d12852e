//! The simulated kernel tells the truth: the same calls have the same replies on it and on the operating system.
//!
//! Several instances take part, on the real side in processes that are this program run again and told what to call, so
//! that what one process sees of another is compared as well: locks of either kind, and what a death leaves behind.
//!
//! Equal are replies up to what a kernel is free to choose: inode numbers are compared by which of them are the same, the
//! size and link count of directories and the moment of a change not at all.

mod arbitrary;
mod both;
mod cases;
mod language;
mod process;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::both::{Hosts, INSTANCES, compare};

/// Where the instances live.
const LAYOUTS: [(&str, Hosts); 3] = [
    ("in one process", [0, 0, 0]),
    ("in processes of their own", [0, 1, 2]),
    ("two of them in one process", [0, 0, 1]),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == process::SERVE) {
        return match process::serve(Path::new(&arguments.next().unwrap_or_default())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let picked = cases::CASES.iter().flat_map(|(about, calls)| {
        LAYOUTS.map(|(layout, hosts)| {
            Trial::test(format!("{about}, {layout}"), move || {
                let entered = entered();
                compare(hosts, entered.iter().map(String::as_str).chain(calls.lines())).map_err(Failed::from)
            })
        })
    });
    let arbitrary =
        LAYOUTS.map(|(layout, hosts)| Trial::test(format!("arbitrary calls, {layout}"), move || try_arbitrary(hosts)));
    libtest_mimic::run(&Arguments::from_args(), picked.chain(arbitrary).collect()).exit_code()
}

/// Every instance opens the election directory; the first makes it.
fn entered() -> Vec<String> {
    let first = ["0 open directory . directory", "0 make-election"].map(str::to_owned);
    first.into_iter().chain((0..INSTANCES).map(|instance| format!("{instance} open directory . directory"))).collect()
}

fn try_arbitrary(hosts: Hosts) -> Result<(), Failed> {
    let entered = entered();
    // The number of cases and the seed are those of the environment.
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
        .run(&arbitrary::sequences(), |calls| {
            let calls = entered.iter().chain(&calls).map(String::as_str);
            compare(hosts, calls).map_err(TestCaseError::fail)
        })
        .map_err(Failed::from)
}
