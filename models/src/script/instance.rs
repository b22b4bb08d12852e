//! What a protocol's code sees of the world.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use single_primary::call::{Access, Call as ElectionCall, Handle, Mode, Name, Reply as ElectionReply, Status, Time};
use single_primary::{Event, InstanceId};

use super::{Input, Tape};
use crate::call::{Call, Reply};
use crate::participant::{Belief, Step, Wait};
use crate::zoo::Setup;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Where [`Instance::read_file`] and [`Instance::write_file`] open their files.
const SCRATCH: Handle = Handle(7);

/// Why the code ends before it has an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The instance was asked to leave.
    Leave,
    /// A call failed, and this says which, and how.
    Failed(Arc<str>),
}

/// One instance, as its protocol's code uses it. Everything that it does is a system call or a wait.
#[derive(Debug)]
pub struct Instance {
    setup: Arc<Setup>,
    tape: Rc<RefCell<Tape>>,
}

impl Instance {
    pub(super) fn new(setup: Arc<Setup>, tape: Rc<RefCell<Tape>>) -> Self {
        Self { setup, tape }
    }

    /// What the instance was given.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The ID of this join.
    #[must_use]
    pub fn id(&self) -> &InstanceId {
        &self.setup.id
    }

    /// One system call.
    pub async fn call(&self, call: Call) -> Reply {
        let told = self.ask(|tape| {
            tape.wanted = Some(Step::Call(call.clone()));
            false
        });
        match told.await {
            Input::Reply(reply) => reply,
            other => unreachable!("a call is answered by a reply, not by {other:?}"),
        }
    }

    /// What believing is: from the reply on that led here.
    pub fn believe(&self, belief: Belief) {
        let mut tape = self.tape.borrow_mut();
        if tape.is_live() {
            tape.belief = belief;
        }
    }

    /// The clock.
    pub async fn now(&self) -> Time {
        loop {
            let told = self.ask(|tape| {
                if let Some(now) = tape.now {
                    tape.record(Input::Now(now));
                } else {
                    // It is told together with what ends a wait, so one that ends at once is asked for.
                    tape.wanted = Some(Step::Wait(Wait::Until(Time::default())));
                }
                tape.now.is_some()
            });
            if let Input::Now(now) = told.await {
                return now;
            }
        }
    }

    /// Waits for a moment.
    ///
    /// # Errors
    /// [`Stop::Leave`] where the instance is asked to leave instead.
    pub async fn wait_until(&self, until: Time) -> Result<(), Stop> {
        self.wait(Wait::Until(until)).await
    }

    /// Waits for something that others change; it may end early. To be used in [`Instance::repeat`].
    ///
    /// # Errors
    /// [`Stop::Leave`] where the instance is asked to leave instead.
    pub async fn wait_for_change(&self) -> Result<(), Stop> {
        self.wait(Wait::Change(None)).await
    }

    async fn wait(&self, wait: Wait) -> Result<(), Stop> {
        let told = self.ask(|tape| {
            if tape.leaving {
                tape.record(Input::Leave);
            } else {
                tape.wanted = Some(Step::Wait(wait.clone()));
            }
            tape.leaving
        });
        match told.await {
            Input::Leave => Err(Stop::Leave),
            _ => Ok(()),
        }
    }

    /// The next event; `None` once the instance is asked to leave and has no more. From then on it is not primary.
    pub async fn next_event(&self) -> Option<Event> {
        let told = self.ask(|tape| {
            if let Some(event) = tape.mailbox.pop_front() {
                tape.record(Input::Event(event));
            } else if tape.leaving {
                tape.belief = Belief::Left;
                tape.record(Input::Leave);
            } else {
                tape.wanted = Some(Step::Wait(Wait::Event));
                return false;
            }
            true
        });
        match told.await {
            Input::Event(event) => Some(event),
            _ => None,
        }
    }

    /// Forgets the events that have arrived so far.
    pub fn discard_events(&self) {
        let mut tape = self.tape.borrow_mut();
        if tape.is_live() {
            tape.mailbox.clear();
        }
    }

    /// Does the same again and again until it comes to something, and forgets each attempt that did not. The attempts must
    /// leave nothing behind in the code: each starts as the first did.
    ///
    /// # Errors
    /// Those of an attempt.
    pub async fn repeat<T>(&self, attempt: impl AsyncFn() -> Result<Option<T>, Stop>) -> Result<T, Stop> {
        let start = self.tape.borrow().position;
        loop {
            if let Some(value) = attempt().await? {
                return Ok(value);
            }
            let mut tape = self.tape.borrow_mut();
            tape.inputs.truncate(start);
            tape.position = start;
        }
    }

    /// What the code is told: what was recorded, or else what `live` records when it says so, or else what is still to come.
    async fn ask(&self, live: impl Fn(&mut Tape) -> bool) -> Input {
        poll_fn(|_| {
            let mut tape = self.tape.borrow_mut();
            if let Some(input) = tape.next_recorded() {
                return Poll::Ready(input);
            }
            if live(&mut tape) {
                Poll::Ready(tape.inputs.last().expect("one was recorded").clone())
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// The calls, under the names that programs have for them. Each fails with what the instance then says of itself.
#[expect(clippy::missing_errors_doc, reason = "said once for all of them")]
impl Instance {
    /// Opens the election directory, and makes it where it is missing.
    pub async fn enter(&self) -> Result<(), Stop> {
        if !self.open(Handle::DIRECTORY, Name::Directory, Access::Directory).await? {
            self.expect(Call::Election(ElectionCall::MakeDirectory), |reply| match reply {
                ElectionReply::Done | ElectionReply::Exists => Some(()),
                _ => None,
            })
            .await?;
            if !self.open(Handle::DIRECTORY, Name::Directory, Access::Directory).await? {
                return Err(Stop::Failed("the election directory is gone again: keep others from removing it".into()));
            }
        }
        Ok(())
    }

    /// Opens a file; `false` where there is none.
    pub async fn open(&self, handle: Handle, name: Name, access: Access) -> Result<bool, Stop> {
        self.unless_missing(Call::Election(ElectionCall::Open { handle, name, access })).await
    }

    /// Opens a file that must not be there yet; `false` where it is.
    pub async fn create_new(&self, handle: Handle, name: Name) -> Result<bool, Stop> {
        self.unless_existing(Call::CreateNew(handle, name)).await
    }

    /// Closes a file.
    pub async fn close(&self, handle: Handle) -> Result<(), Stop> {
        self.done(Call::Election(ElectionCall::Close(handle))).await
    }

    /// All that a file holds; `None` where there is none.
    pub async fn read_file(&self, name: Name) -> Result<Option<Vec<u8>>, Stop> {
        if !self.open(SCRATCH, name, Access::Read).await? {
            return Ok(None);
        }
        let bytes = self.read(SCRATCH).await?;
        self.close(SCRATCH).await?;
        Ok(Some(bytes))
    }

    /// Makes a file hold just this, whatever it held: open, truncate, write, close.
    pub async fn write_file(&self, name: Name, bytes: &[u8]) -> Result<(), Stop> {
        self.open(SCRATCH, name, Access::Append).await?;
        self.truncate(SCRATCH, 0).await?;
        self.append(SCRATCH, bytes).await?;
        self.close(SCRATCH).await
    }

    /// All that an open file holds.
    pub async fn read(&self, handle: Handle) -> Result<Vec<u8>, Stop> {
        let mut all = Vec::new();
        loop {
            let call = ElectionCall::Read { handle, offset: all.len() as u64, length: READ_BYTES };
            let bytes = self
                .expect(Call::Election(call), |reply| match reply {
                    ElectionReply::Bytes(bytes) => Some(bytes),
                    _ => None,
                })
                .await?;
            all.extend_from_slice(&bytes);
            if bytes.len() < READ_BYTES {
                return Ok(all);
            }
        }
    }

    /// Cuts an open file.
    pub async fn truncate(&self, handle: Handle, size: u64) -> Result<(), Stop> {
        self.done(Call::Election(ElectionCall::Truncate { handle, size })).await
    }

    /// Appends to an open file; a write that came short is a failure.
    pub async fn append(&self, handle: Handle, bytes: &[u8]) -> Result<(), Stop> {
        self.expect(Call::Election(ElectionCall::Append { handle, bytes: bytes.into() }), |reply| match reply {
            ElectionReply::Wrote(written) if written == bytes.len() => Some(()),
            _ => None,
        })
        .await
    }

    /// Locks an open file by flock(2), without waiting; `false` where another has it.
    pub async fn lock(&self, handle: Handle, mode: Mode) -> Result<bool, Stop> {
        self.unless_busy(Call::Election(ElectionCall::Lock(handle, mode))).await
    }

    /// Locks an open file by fcntl(2), without waiting; `false` where another has it.
    pub async fn record_lock(&self, handle: Handle) -> Result<bool, Stop> {
        self.unless_busy(Call::RecordLock(handle)).await
    }

    /// What an open file is.
    pub async fn inspect(&self, handle: Handle) -> Result<Status, Stop> {
        self.expect(Call::Election(ElectionCall::Inspect(handle)), |reply| match reply {
            ElectionReply::Status(status) => Some(status),
            _ => None,
        })
        .await
    }

    /// Removes a file; `false` where there is none.
    pub async fn remove(&self, name: Name) -> Result<bool, Stop> {
        self.unless_missing(Call::Election(ElectionCall::Remove(name))).await
    }

    /// Makes a directory; `false` where it exists.
    pub async fn make_directory(&self, name: Name) -> Result<bool, Stop> {
        self.unless_existing(Call::MakeDirectory(name)).await
    }

    /// Removes a directory; `false` where there is none.
    pub async fn remove_directory(&self, name: Name) -> Result<bool, Stop> {
        self.unless_missing(Call::RemoveDirectory(name)).await
    }

    /// When a file was last modified; `None` where there is none.
    pub async fn modified(&self, name: Name) -> Result<Option<Time>, Stop> {
        let call = Call::Modified(name);
        match self.call(call.clone()).await {
            Reply::Time(time) => Ok(Some(time)),
            Reply::Election(ElectionReply::Missing) => Ok(None),
            reply => Err(failed(&call, &reply)),
        }
    }

    /// The names of all files in the election directory, sorted.
    pub async fn list_files(&self) -> Result<Vec<Arc<str>>, Stop> {
        match self.call(Call::ListFiles).await {
            Reply::Files(files) => Ok(files),
            reply => Err(failed(&Call::ListFiles, &reply)),
        }
    }

    /// The ID of the process that hosts the instance.
    pub async fn process_id(&self) -> Result<u32, Stop> {
        match self.call(Call::ProcessId).await {
            Reply::Process(process) => Ok(process),
            reply => Err(failed(&Call::ProcessId, &reply)),
        }
    }

    /// Whether there is a process of that ID.
    pub async fn is_alive(&self, process: u32) -> Result<bool, Stop> {
        self.unless_missing(Call::IsAlive(process)).await
    }

    /// Appends the event's entry to realtime.log, which is open as [`Handle::LOG`].
    pub async fn log(&self, event: &Event) -> Result<(), Stop> {
        let id = serde_json::Value::from(&*event.id);
        let line =
            format!("{{\"event\":{id},\"term\":0,\"primary\":\"{}\",\"payload\":{}}}\n", self.setup.id, event.payload);
        self.append(Handle::LOG, line.as_bytes()).await
    }

    async fn done(&self, call: Call) -> Result<(), Stop> {
        self.expect(call, |reply| (reply == ElectionReply::Done).then_some(())).await
    }

    async fn unless_missing(&self, call: Call) -> Result<bool, Stop> {
        self.unless(call, ElectionReply::Missing).await
    }

    async fn unless_existing(&self, call: Call) -> Result<bool, Stop> {
        self.unless(call, ElectionReply::Exists).await
    }

    async fn unless_busy(&self, call: Call) -> Result<bool, Stop> {
        self.unless(call, ElectionReply::Busy).await
    }

    async fn unless(&self, call: Call, refusal: ElectionReply) -> Result<bool, Stop> {
        self.expect(call, |reply| match reply {
            ElectionReply::Done => Some(true),
            reply => (reply == refusal).then_some(false),
        })
        .await
    }

    async fn expect<T>(&self, call: Call, accept: impl FnOnce(ElectionReply) -> Option<T>) -> Result<T, Stop> {
        match self.call(call.clone()).await {
            Reply::Election(reply) => accept(reply.clone()).ok_or_else(|| failed(&call, &Reply::Election(reply))),
            reply => Err(failed(&call, &reply)),
        }
    }
}

fn failed(call: &Call, reply: &Reply) -> Stop {
    let why = match reply {
        Reply::Election(ElectionReply::Failed(failure)) => failure.to_string(),
        reply => format!("unexpected reply {reply:?}"),
    };
    Stop::Failed(format!("{}: {why}", call.system_call()).into())
}
