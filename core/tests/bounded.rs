//! A call that does not wait does not read a long journal through either.
#![expect(clippy::disallowed_methods, reason = "a test prepares files")]

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use single_primary::call::{Call, Handle, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Election, InstanceId, Kind, Os, READ_BYTES, Record, Role, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The operating system, with a count of the reads of the journal.
struct Counting {
    os: Os,
    reads: AtomicU32,
}

impl Kernel for Counting {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        if matches!(call, Call::Read { handle: Handle::JOURNAL, .. }) {
            self.reads.fetch_add(1, Ordering::Relaxed);
        }
        self.os.perform(call)
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.os.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.os.end_waits();
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

#[test]
fn a_poll_reads_no_more_than_a_mebibyte_of_the_journal() -> Result {
    const READS: usize = 50;
    let directory = tempfile::tempdir()?;
    let options = || Election::options(directory.path().join("election")).window(Duration::ZERO);
    let first = options().join()?;
    let stranger = InstanceId::new("stranger")?;
    let record = Record { kind: Kind::Leave, term: 1, id: stranger, at: Time::default() }.encode();
    let mut journal = fs::OpenOptions::new().append(true).open(directory.path().join("election/journal"))?;
    journal.write_all(&record.repeat(READS * READ_BYTES / record.len()))?;

    let second = options();
    let os = Os::new(second.paths());
    let second = second.start_on(Counting { os, reads: AtomicU32::new(0) })?;
    let mut polls = 1;
    loop {
        let reads = second.kernel().reads.swap(0, Ordering::Relaxed);
        assert!((1..=16).contains(&reads), "{reads} reads by one call");
        if second.role() != Role::Undecided {
            break;
        }
        second.poll()?;
        polls += 1;
    }
    assert_eq!(polls, 4);
    assert_eq!(second.role(), Role::Secondary { term: 1, primary: first.id().clone() });
    assert!(matches!(options().join()?.role(), Role::Secondary { .. }), "who blocks reads all of it");
    Ok(())
}
