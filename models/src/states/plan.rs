//! Which spaces are looked at for a protocol.

use std::time::Duration;

use crate::kernel::{Hand, Outage};
use crate::states::promise::Promise;
use crate::states::space::Space;
use crate::zoo::Protocol;

/// The spaces that together make a check of a protocol, the small ones first, since most mistakes show there already.
#[must_use]
pub fn plan(protocol: &'static Protocol, registrants: usize, crashes: u8, restarts: u8) -> Vec<Space> {
    let needs = protocol.needs;
    let count = |needed: usize| u8::try_from(needed).unwrap_or(u8::MAX);
    if protocol.name == "journal" {
        return journal(protocol, registrants, crashes, restarts);
    }
    if protocol.broken_by.is_some() {
        // The fewest that break it, so that the counterexample is as short as there is.
        let mut reasons = vec![Space {
            about: "what breaks it",
            // Whoever takes an error for the role need not meet a second primary to be wrong.
            breaks: Some(if needs.io_errors > 0 { Promise::FailsClosed } else { Promise::SinglePrimary }),
            per_process: needs.instances_per_process,
            crashes: count(needs.crashes),
            errors: count(needs.io_errors),
            leaves: count(needs.leaves),
            ..Space::race(protocol, needs.instances)
        }];
        if protocol.name == "pid-file" {
            reasons.push(used_process_ids(protocol));
        }
        return reasons;
    }
    let deaths = Space { about: "crashes", crashes, ..Space::race(protocol, registrants) };
    let after = Space { about: "a restart", restarts, ..deaths.clone() };
    if restarts == 0 { vec![deaths] } else { vec![deaths, after] }
}

/// Instances in processes of their own, the last of which has the process ID of a dead one.
#[must_use]
pub fn used_process_ids(protocol: &'static Protocol) -> Space {
    Space {
        about: "a process ID that is used again",
        breaks: Some(Promise::SinglePrimary),
        crashes: 1,
        restarts: 1,
        reuse_process_ids: true,
        ..Space::race(protocol, 2)
    }
}

/// The spaces of the journal.
///
/// What may go wrong or arrive is of five kinds: deaths, restarts under a fresh ID, failing and short calls, departures,
/// events. Each kind is looked at among four, in every interleaving: as many deaths as asked for with an event, a restart
/// and a departure with a death each, a failing or short call by itself. Several kinds at once, and whatever needs a
/// setting of its own (several instances in a process, an ID that is used again, no window, rotation), are looked at among
/// two or three.
///
/// All of it in one space is more than fits a minute: one kind more multiplies the states by three to ten. Why this
/// suffices, as far as it does: an instance acts on others only through the journal's order, who holds a seat, and the log
/// of a primary that is gone, and goes by nothing but who is primary, whether that one's seat is empty, and whether its
/// own registration stands. A broken promise thus has at most three parties: who is wrong, whom it is wrong about, and
/// whose act made it so. A fourth adds interleavings of acts that three are capable of already; that these do no harm is
/// what the spaces of four show, kind by kind.
///
/// That is a reason and no proof. Not covered are: a failing call with a death among four, with an event or a departure
/// among more than two, or with a restart; a departure with a restart among more than two, or with an event among four; a
/// restart with an event or after more than one death among four; and more than one failing call or departure in a run.
fn journal(protocol: &'static Protocol, registrants: usize, crashes: u8, restarts: u8) -> Vec<Space> {
    let race = |at_most: usize| Space::race(protocol, registrants.min(at_most));
    let mut spaces = vec![
        Space {
            about: "entries over failures, torn tails and departures",
            crashes: crashes.min(1),
            errors: 1,
            leaves: 1,
            events: 1,
            ..race(2)
        },
        Space { about: "two joins under one ID", ids: vec!["b", "b", "c"], crashes: crashes.min(1), ..race(3) },
        Space { about: "two instances in one process", per_process: 2, crashes: crashes.min(2), ..race(3) },
        Space { about: "no window", window: Duration::ZERO, crashes: crashes.min(2), ..race(3) },
        Space {
            about: "no directory yet, every order of calls",
            directory: false,
            reduce: false,
            crashes: crashes.min(2),
            events: 1,
            ..race(2)
        },
        trimming(Space {
            about: "secondaries that look for their events",
            crashes: crashes.min(1),
            events: 1,
            ..race(2)
        }),
        Space { about: "entries over departures", crashes: crashes.min(2), leaves: 1, events: 1, ..race(3) },
        Space { about: "failing and short calls, and deaths", crashes: crashes.min(1), errors: 1, ..race(3) },
        Space { about: "failing and short calls", errors: 1, ..race(4) },
        Space { about: "departures", crashes: crashes.min(1), leaves: 1, ..race(4) },
    ];
    if restarts > 0 {
        spaces.push(Space {
            about: "restarts that try a used ID",
            crashes: crashes.min(2),
            restarts: restarts.min(2),
            reuse_ids: true,
            ..race(2)
        });
        spaces.push(Space {
            about: "entries over restarts",
            crashes: crashes.min(3),
            restarts,
            events: 1,
            ..race(if restarts > 1 { 2 } else { 3 })
        });
        spaces.push(Space {
            about: "one beginning after another",
            crashes: crashes.min(3),
            restarts: 2,
            events: 1,
            ..race(1)
        });
        spaces.push(Space {
            about: "restarts after departures",
            crashes: crashes.min(1),
            restarts: restarts.min(1),
            leaves: 1,
            events: 1,
            ..race(2)
        });
        spaces.push(Space { about: "a restart", crashes: crashes.min(1), restarts: 1, ..race(4) });
    }
    spaces.extend(logs(protocol, registrants, crashes));
    spaces.push(Space { about: "crashes and an event", crashes, events: 1, ..race(usize::MAX) });
    spaces
}

/// The spaces in which realtime.log is rotated, fails for long, or is in others' hands.
fn logs(protocol: &'static Protocol, registrants: usize, crashes: u8) -> Vec<Space> {
    let crashes = crashes.min(1);
    let race = || Space { crashes, ..Space::race(protocol, registrants.min(2)) };
    let hands = vec![Hand::RemoveLog, Hand::RenameLog, Hand::TruncateLog, Hand::AppendToLog, Hand::TearLog];
    let mut forgetting = rotating(Space { about: "a log whose rotations are soon removed", events: 3, ..race() });
    forgetting.log.rotate_keep = 1;
    vec![
        rotating(Space { about: "a log that is rotated", events: 3, ..race() }),
        forgetting,
        rotating(trimming(Space {
            about: "a log that is rotated under those that look for their events",
            events: 2,
            ..race()
        })),
        rotating(trimming(Space {
            about: "a log that is rotated and fails under those that look for their events",
            crashes: 0,
            events: 2,
            errors: 1,
            ..race()
        })),
        trimming(Space {
            about: "a log that fails for long",
            events: 1,
            outages: vec![Outage::Log, Outage::RotatedLogs, Outage::LogSpace],
            ..race()
        }),
        Space { about: "a journal without space for long", outages: vec![Outage::JournalSpace], ..race() },
        Space { about: "a log in others' hands", events: 2, hands: hands.clone(), meddling: 1, ..race() },
        rotating(Space { about: "a rotated log in others' hands", events: 2, hands, meddling: 1, ..race() }),
        Space {
            about: "others' lines and short writes",
            crashes: 0,
            events: 1,
            errors: 2,
            hands: vec![Hand::AppendToLog],
            meddling: 1,
            ..race()
        },
        Space {
            about: "a journal and a directory in others' hands",
            events: 2,
            hands: vec![Hand::RemoveJournal, Hand::ReplaceJournal, Hand::ReplaceDirectory],
            meddling: 1,
            ..race()
        },
    ]
}

/// With a rotation after each entry.
fn rotating(mut space: Space) -> Space {
    space.log.rotate_bytes = 1;
    space
}

/// With secondaries that look for each of their events.
fn trimming(mut space: Space) -> Space {
    space.log.trim_pending = 1;
    space
}
