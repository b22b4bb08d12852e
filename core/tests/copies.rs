//! What a forked copy of an instance answers: never that it is primary, and always at once.
#![expect(clippy::disallowed_methods, reason = "a test looks at files")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use single_primary::call::{Call, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Cause, Election, Fold, InstanceId, Os, Role, StdMutex};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The operating system as it is after a fork, at which another thread was in the middle of a call.
struct Copied {
    os: Os,
    is_copy: AtomicBool,
    /// Whether the next call takes until the end of the test.
    holds: AtomicBool,
    is_held: AtomicBool,
}

impl Kernel for Copied {
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        let mut attempt = 0;
        while self.holds.load(Ordering::Acquire) {
            self.is_held.store(true, Ordering::Release);
            self.os.pause(attempt, None);
            attempt += 1;
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
        !self.is_copy.load(Ordering::Acquire)
    }
}

/// What every method answers that could have to wait for another thread.
fn answers(election: &Election<Copied>) -> Vec<String> {
    let forked = |error: Option<single_primary::Error>| error.is_some_and(|error| *error.cause() == Cause::Forked);
    let answers = [
        ("is_primary", !election.is_primary()),
        ("role", matches!(election.role(), Role::Failed(fault) if fault.cause == Cause::Forked)),
        ("debug", !format!("{election:?}").contains("Primary")),
        ("fold", election.fold() == Fold::default()),
        ("pending", election.pending() == 0),
        ("poll", forked(election.poll().err())),
        ("decided", forked(election.decided().err())),
        ("wait", forked(election.wait().err())),
        ("record", forked(election.record("copied", "1").err())),
        ("leave", forked(election.leave().err())),
    ];
    answers.into_iter().filter(|(_, is_right)| !is_right).map(|(method, _)| method.to_owned()).collect()
}

#[test]
fn a_copy_answers_at_once_and_is_never_primary() -> Result {
    let directory = tempfile::tempdir()?;
    let options = Election::options(directory.path().join("election")).window(Duration::ZERO);
    let os = Os::new(options.paths());
    let [is_copy, holds, is_held] = [(); 3].map(|()| AtomicBool::new(false));
    let election = options.start_on(Copied { os, is_copy, holds, is_held })?;
    assert!(election.is_primary());
    let kernel = election.kernel();
    let answered = thread::scope(|scope| {
        kernel.holds.store(true, Ordering::Release);
        scope.spawn(|| election.record("event", "1"));
        let is_held = (0..24_000).any(|attempt| {
            kernel.pause(attempt, None);
            kernel.is_held.load(Ordering::Acquire)
        });
        assert!(is_held, "a thread is in the middle of a call");
        kernel.is_copy.store(true, Ordering::Release);
        let (tell, told) = mpsc::channel();
        let (election, tell) = (&election, tell);
        scope.spawn(move || tell.send(answers(election)).expect("it is waited for"));
        let answered = told.recv_timeout(Duration::from_mins(1));
        kernel.holds.store(false, Ordering::Release);
        answered
    });
    assert_eq!(answered, Ok(Vec::new()), "all methods answer, and these are wrong");
    // The copy goes without a trace.
    let journal = || std::fs::read(directory.path().join("election/journal"));
    let before = journal()?;
    drop(election);
    assert_eq!(journal()?, before);
    Ok(())
}
