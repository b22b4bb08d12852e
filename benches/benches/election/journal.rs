//! Journals as elections leave them, with as many records as a measurement wants.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use single_primary::call::Time;
use single_primary::{Election, InstanceId, Kind, RECORD_BYTES, Record};

/// A living election whose journal has that many records: its primary, and those who came and went since.
pub(crate) fn living(directory: &Path, records: usize) -> Election {
    let primary = Election::options(directory).window(Duration::ZERO).join().expect("nobody is in the way");
    assert!(primary.is_primary());
    let mut journal = OpenOptions::new().append(true).open(directory.join("journal")).expect("the primary has made it");
    journal.write_all(&comings_and_goings(records - 2)).expect("the journal can be written");
    primary
}

/// What an election of that many records left behind when its last instance died: its journal and its seats.
pub(crate) fn leftover(directory: &Path, records: usize) {
    fs::write(directory.join("journal"), comings_and_goings(records)).expect("the journal can be written");
    for guest in 0..records / 2 {
        File::create(directory.join(format!("{}.seat", guest_id(guest)))).expect("a seat can be made");
    }
}

/// Takes back what the last visitor of a living election wrote and the seat that it left, so that no join finds more than
/// the first did.
pub(crate) fn restore(directory: &Path, records: usize, primary_seat: &str) {
    let journal = OpenOptions::new().write(true).open(directory.join("journal")).expect("there is a journal");
    journal.set_len((records * RECORD_BYTES) as u64).expect("the journal can be cut");
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let name = entry.expect("the directory can be read").file_name();
        if name.to_string_lossy().ends_with(".seat") && name != primary_seat {
            fs::remove_file(directory.join(name)).expect("a seat can be removed");
        }
    }
}

fn comings_and_goings(records: usize) -> Vec<u8> {
    let record = |at: usize| {
        let kind = if at.is_multiple_of(2) { Kind::Register } else { Kind::Leave };
        Record { kind, term: 1, id: guest_id(at / 2), at: Time::from_micros(1_000_000 + at as u64) }.encode()
    };
    (0..records).flat_map(record).collect()
}

/// Guests sort after every generated ID of this century, so that none of them is ever preferred.
fn guest_id(guest: usize) -> InstanceId {
    InstanceId::new(format!("guest-{guest:020}")).expect("a valid ID")
}
