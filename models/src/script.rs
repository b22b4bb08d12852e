//! Protocols written as plain code, adapted to [`Participant`] by replay.
//!
//! A protocol is an `async fn` that asks its [`Instance`] for system calls and waits. [`Script`] keeps what the code was
//! told so far, not the code's own state, which could be neither compared nor hashed: after each reply it runs the code
//! again from its start over what was recorded, up to the next thing that the code asks for. So the code must be
//! deterministic, and what it asks for follows from what it was told alone.

mod instance;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use single_primary::Event;
use single_primary::call::{Access, Call as ElectionCall, Handle, Name, Time};

use crate::call::{Call, Reply};
use crate::participant::{Belief, Participant, Step, Wait};
use crate::zoo::Setup;

pub use instance::{Instance, Stop};

/// What a protocol's code comes to for one instance: what that does for the rest of its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is primary: it logs every event, and when it leaves removes the file, if one is named.
    Primary {
        /// What it removes.
        remove: Option<Removal>,
    },
    /// Another is primary: it forgets every event.
    Secondary,
    /// It has done everything already, and leaves.
    Left,
}

/// What a primary removes when it leaves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// A file.
    File(Name),
    /// A directory.
    Directory(Name),
}

/// The running code of one instance.
pub type Run = Pin<Box<dyn Future<Output = Result<Outcome, Stop>>>>;

/// A protocol's code.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Its name, which stands for it in comparisons.
    pub name: &'static str,
    /// Starts it.
    pub run: fn(Instance) -> Run,
}

/// One instance of a protocol that is written as plain code.
#[derive(Clone, Debug)]
pub struct Script {
    text: Text,
    setup: Arc<Setup>,
    stage: Stage,
    inputs: Vec<Input>,
    mailbox: VecDeque<Event>,
    leaving: bool,
    belief: Belief,
    /// What it wants next: follows from all of the above, and is kept so that asking is cheap.
    step: Step,
}

/// Which code is being run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The protocol's own.
    Elect,
    /// What follows from its outcome.
    Live(Outcome),
    /// Every handle is being closed.
    Close,
    Ended,
}

/// What the code was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Input {
    Reply(Reply),
    Now(Time),
    Woken,
    Event(Event),
    Leave,
}

/// What the code and its script share while the code runs.
#[derive(Debug)]
struct Tape {
    inputs: Vec<Input>,
    /// How many of the inputs this run of the code has consumed. Behind the last one, things happen for the first time.
    position: usize,
    mailbox: VecDeque<Event>,
    leaving: bool,
    belief: Belief,
    /// The clock, where it was told together with the newest input.
    now: Option<Time>,
    wanted: Option<Step>,
}

impl Tape {
    fn is_live(&self) -> bool {
        self.position == self.inputs.len()
    }

    fn record(&mut self, input: Input) {
        self.inputs.push(input);
        self.position += 1;
    }

    fn next_recorded(&mut self) -> Option<Input> {
        let input = self.inputs.get(self.position).cloned();
        self.position += usize::from(input.is_some());
        input
    }
}

impl Script {
    /// An instance that has done nothing yet.
    #[must_use]
    pub fn new(text: Text, setup: Setup) -> Self {
        let mut script = Self {
            text,
            setup: Arc::new(setup),
            stage: Stage::Elect,
            inputs: Vec::new(),
            mailbox: VecDeque::new(),
            leaving: false,
            belief: Belief::Undecided,
            step: Step::Ended,
        };
        script.advance(None);
        script
    }

    /// Runs the code over what is recorded, and on until it asks for something that is not.
    fn advance(&mut self, now: Option<Time>) {
        loop {
            let tape = Rc::new(RefCell::new(Tape {
                inputs: std::mem::take(&mut self.inputs),
                position: 0,
                mailbox: std::mem::take(&mut self.mailbox),
                leaving: self.leaving,
                belief: std::mem::replace(&mut self.belief, Belief::Undecided),
                now,
                wanted: None,
            }));
            let instance = Instance::new(self.setup.clone(), tape.clone());
            let mut run = match &self.stage {
                Stage::Elect => (self.text.run)(instance),
                Stage::Live(outcome) => Box::pin(live(instance, outcome.clone())),
                Stage::Close => Box::pin(close(instance)),
                Stage::Ended => return,
            };
            let poll = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(run);
            let mut tape = tape.borrow_mut();
            self.mailbox = std::mem::take(&mut tape.mailbox);
            self.belief = tape.belief.clone();
            match poll {
                Poll::Pending => {
                    self.inputs = std::mem::take(&mut tape.inputs);
                    self.step = tape.wanted.take().expect("code that is not done has asked for something");
                    return;
                }
                Poll::Ready(end) => self.enter(end),
            }
            if self.stage == Stage::Ended {
                return;
            }
        }
    }

    /// The code of a stage has come to its end: what was told to it is of no more use.
    fn enter(&mut self, end: Result<Outcome, Stop>) {
        self.stage = match (&self.stage, end) {
            (Stage::Elect, Ok(outcome @ (Outcome::Primary { .. } | Outcome::Secondary))) => {
                self.belief = match outcome {
                    Outcome::Primary { .. } => Belief::Primary { term: 0 },
                    _ => Belief::Secondary,
                };
                Stage::Live(outcome)
            }
            (Stage::Close | Stage::Ended, _) => {
                self.step = Step::Ended;
                Stage::Ended
            }
            (Stage::Elect | Stage::Live(_), end) => {
                self.belief = match end {
                    Err(Stop::Failed(why)) => Belief::Failed(why),
                    Ok(_) | Err(Stop::Leave) => Belief::Left,
                };
                self.mailbox.clear();
                Stage::Close
            }
        };
    }

    fn tell(&mut self, input: Input, now: Option<Time>) {
        self.inputs.push(input);
        self.advance(now);
    }
}

/// What an instance does once the protocol has come to its outcome.
async fn live(instance: Instance, outcome: Outcome) -> Result<Outcome, Stop> {
    match outcome {
        Outcome::Primary { remove } => {
            instance.open(Handle::LOG, Name::Log(0), Access::Append).await?;
            instance
                .repeat(async || match instance.next_event().await {
                    Some(event) => instance.log(&event).await.map(|()| None),
                    None => Ok(Some(())),
                })
                .await?;
            match remove {
                Some(Removal::File(name)) => drop(instance.remove(name).await?),
                Some(Removal::Directory(name)) => drop(instance.remove_directory(name).await?),
                None => {}
            }
        }
        Outcome::Secondary => {
            instance.repeat(async || Ok(instance.next_event().await.is_none().then_some(()))).await?;
        }
        Outcome::Left => {}
    }
    Ok(Outcome::Left)
}

async fn close(instance: Instance) -> Result<Outcome, Stop> {
    instance.call(Call::Election(ElectionCall::CloseAll)).await;
    Ok(Outcome::Left)
}

impl Participant for Script {
    fn next(&self) -> Step {
        self.step.clone()
    }

    fn reply(&mut self, reply: Reply, now: Time) {
        if matches!(self.step, Step::Call(_)) {
            self.tell(Input::Reply(reply), Some(now));
        }
    }

    fn wake(&mut self, now: Time) {
        match self.step {
            Step::Wait(Wait::Until(until)) if now < until => {}
            Step::Wait(Wait::Change(_) | Wait::Until(_)) => self.tell(Input::Woken, Some(now)),
            Step::Wait(Wait::Event) | Step::Call(_) | Step::Ended => {}
        }
    }

    fn deliver(&mut self, event: Event) {
        if matches!(self.stage, Stage::Elect | Stage::Live(_)) {
            self.mailbox.push_back(event);
            if self.step == Step::Wait(Wait::Event) {
                self.advance(None);
            }
        }
    }

    fn leave(&mut self) {
        if matches!(self.stage, Stage::Elect | Stage::Live(_)) && !self.leaving {
            self.leaving = true;
            if matches!(self.step, Step::Wait(_)) {
                self.advance(None);
            }
        }
    }

    fn belief(&self) -> Belief {
        self.belief.clone()
    }

    fn read_to(&self) -> Option<u64> {
        None
    }

    fn read_ahead(&mut self, _journal: &[u8]) {}
}

impl PartialEq for Script {
    fn eq(&self, other: &Self) -> bool {
        self.text.name == other.text.name
            && self.inputs == other.inputs
            && self.stage == other.stage
            && self.mailbox == other.mailbox
            && self.leaving == other.leaving
            && self.belief == other.belief
            && self.setup == other.setup
    }
}

impl Eq for Script {}

impl Hash for Script {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.text.name.hash(hasher);
        self.setup.hash(hasher);
        self.stage.hash(hasher);
        self.inputs.hash(hasher);
        self.mailbox.hash(hasher);
        self.leaving.hash(hasher);
        self.belief.hash(hasher);
    }
}
