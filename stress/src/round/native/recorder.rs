//! The operating system, with every call, reply and reading of the clock written to the instance's trace.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use single_primary::call::{Call, Handle, Name, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{InstanceId, Os, StdMutex};

use super::interference::Interference;
use super::trace::{Entry, Tracer};
use crate::plan::boundary;
use crate::process::clock;

/// The operating system under one instance of the election.
#[derive(Debug)]
pub(crate) struct Recorder {
    os: Os,
    tracer: Arc<Tracer>,
    interference: Interference,
    past: PathBuf,
}

impl Recorder {
    /// Records what `os` does. A journal that is about to be replaced is first copied into the directory `past`, so that
    /// the elections in it can still be counted.
    pub(crate) fn new(os: Os, tracer: Arc<Tracer>, interference: Interference, past: PathBuf) -> Self {
        Self { os, tracer, interference, past }
    }

    fn keep_past(&self) -> std::io::Result<()> {
        let mut journal = Vec::new();
        while let Reply::Bytes(bytes) = self.os.perform(&Call::Read {
            handle: Handle::JOURNAL,
            offset: journal.len() as u64,
            length: single_primary::READ_BYTES,
        }) {
            if bytes.is_empty() {
                break;
            }
            journal.extend(bytes);
        }
        std::fs::create_dir_all(&self.past)?;
        std::fs::File::create_new(self.past.join(clock::now_ns().to_string()))?.write_all(&journal)
    }
}

/// In a box, which is cheaply moved about while an instance is made: a forked process copies each page of its stack.
impl Kernel for Box<Recorder> {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = <Os as Kernel>::Word;

    fn perform(&self, call: &Call) -> Reply {
        if matches!(call, Call::Rename(Name::NextJournal, Name::Journal))
            && let Err(error) = self.keep_past()
        {
            self.tracer.write(&Entry::Note(format!("{}: copying the journal: {error}", self.past.display())));
        }
        let calling = self.interference.before(Some(call), || boundary::name(call), &self.tracer);
        self.tracer.write_call(call);
        let reply = self.os.perform(call);
        self.tracer.write_reply(&reply);
        self.interference.after(calling, &self.tracer);
        reply
    }

    fn now(&self) -> Time {
        let now = self.os.now();
        self.tracer.write(&Entry::Clock(now));
        now
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.interference.rest();
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

    fn is_original_process(&self) -> bool {
        self.os.is_original_process()
    }
}
