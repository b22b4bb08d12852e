//! An execution as a file: what ran, and who took which step, so that it can be repeated call by call.
//!
//! A JSON object with
//!
//! | field | says |
//! |---|---|
//! | `format` | `"stress schedule"` |
//! | `version` | 1; a reader of another version refuses it |
//! | `kernel` | the release of the kernel that it was written under |
//! | `scenario` | what ran: the programs, what was allowed to happen, the seed of all that is random |
//! | `broken` | what was broken, in words |
//! | `steps` | one object for each step: `agent` (copy, or copy and thread), `choice`, and `call` with its result |
//!
//! `choice` is `run`, `fire` (a timer), `crash`, `short`, `interrupt` or `error N` with the error's number.

use std::path::Path;

use models::export::Export;
use serde::{Deserialize, Serialize};

use super::execution::{Agent, Choice, Execution, Fault, Stop, System};
use super::outcome::Outcome;
use super::rules::Rules;
use super::run::Run;
use super::scenario::Scenario;
use super::trace::{Event, Trace};
use crate::failure::Failure;

const FORMAT: &str = "stress schedule";
const VERSION: u32 = 1;

/// More bytes than these are no schedule.
const BYTES_MAX: u64 = 64 << 20;

/// An execution that can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    format: String,
    version: u32,
    pub(crate) kernel: String,
    pub(crate) scenario: Scenario,
    pub(crate) broken: String,
    pub(crate) steps: Vec<Taken>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) agent: String,
    pub(crate) choice: String,
    /// The call with its result, and what else came of it.
    pub(crate) call: String,
}

impl Schedule {
    /// The schedule of an execution.
    pub(crate) fn new(scenario: Scenario, trace: &Trace, broken: String) -> Self {
        let steps = trace.events().iter().map(Taken::of).collect();
        Self { format: FORMAT.into(), version: VERSION, kernel: kernel(), scenario, broken, steps }
    }

    /// Writes it to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let remedy = "report this: it is no JSON";
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::environment::<std::io::Error>(path.display(), "write", remedy)(error.into()))?;
        bytes.push(b'\n');
        Ok(Export::open(path)?.write(&bytes)?)
    }

    /// Reads one.
    ///
    /// # Errors
    /// Where there is none, or one that this program cannot repeat.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let place = path.display();
        let read = |call| Failure::environment::<std::io::Error>(place.to_string(), call, "name a schedule");
        if std::fs::metadata(path).map_err(read("stat"))?.len() > BYTES_MAX {
            return Err(Failure::Usage(format!("{place}: this is no schedule, for it is too long")));
        }
        let text = std::fs::read_to_string(path).map_err(read("read"))?;
        let no = |why: String| Failure::Usage(format!("{place}: {why}; give a file that `stress explore` has written"));
        let head: Head = serde_json::from_str(&text).map_err(|error| no(format!("this is no schedule: {error}")))?;
        if head.format != FORMAT {
            return Err(no(format!("this is no schedule but a {:?}", head.format)));
        }
        if head.version != VERSION {
            return Err(no(format!(
                "a schedule of version {}, and this program repeats version {VERSION}",
                head.version
            )));
        }
        let schedule: Self = serde_json::from_str(&text).map_err(|error| no(format!("a damaged schedule: {error}")))?;
        for (number, step) in (1..).zip(&schedule.steps) {
            step.parsed().ok_or_else(|| no(format!("step {number} is not one that anybody can take")))?;
        }
        Ok(schedule)
    }

    /// Whether it was written under this kernel.
    pub(crate) fn is_of_this_kernel(&self) -> bool {
        self.kernel == kernel()
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

impl Taken {
    fn of(event: &Event) -> Self {
        let choice = match event.choice {
            Choice::Run => "run".into(),
            Choice::Fire => "fire".into(),
            Choice::Fault(Fault::Crash) => "crash".into(),
            Choice::Fault(Fault::Short) => "short".into(),
            Choice::Fault(Fault::Interrupt) => "interrupt".into(),
            Choice::Fault(Fault::Error(number)) => format!("error {number}"),
        };
        let agent = format!("{}.{}", event.agent.copy, event.agent.thread);
        Self { agent, choice, call: told(event) }
    }

    fn parsed(&self) -> Option<(Agent, Choice)> {
        let (copy, thread) = self.agent.split_once('.')?;
        let agent = Agent { copy: copy.parse().ok()?, thread: thread.parse().ok()? };
        let choice = match self.choice.as_str() {
            "run" => Choice::Run,
            "fire" => Choice::Fire,
            "crash" => Choice::Fault(Fault::Crash),
            "short" => Choice::Fault(Fault::Short),
            "interrupt" => Choice::Fault(Fault::Interrupt),
            error => Choice::Fault(Fault::Error(error.strip_prefix("error ")?.parse().ok()?)),
        };
        Some((agent, choice))
    }
}

/// A step in words.
pub(crate) fn told(event: &Event) -> String {
    event.effects.iter().fold(event.label.clone(), |told, effect| format!("{told}; {effect}"))
}

/// What came of a repetition.
#[derive(Clone, Debug)]
pub(crate) struct Repeated {
    pub(crate) trace: Trace,
    pub(crate) outcome: Outcome,
    /// The first step that was another one, and how.
    pub(crate) difference: Option<String>,
}

/// Repeats a schedule. From the first difference on it goes on as it comes.
///
/// # Errors
/// Where it cannot be controlled.
pub(crate) fn repeat<S>(system: &mut S, rules: &Rules, seed: u64, steps: &[Taken]) -> Result<Repeated, Stop>
where
    S: System<Execution: Execution<End = Outcome>>,
{
    let mut run = Run::start(system, rules, seed)?;
    let mut trace = Trace::default();
    let mut difference = None;
    for (number, step) in (1..).zip(steps) {
        let rest = run.rest()?;
        let wanted = step.parsed();
        let offer = rest.offers.iter().find(|offer| Some((offer.transition.agent, offer.transition.choice)) == wanted);
        let Some(offer) = offer else {
            let Taken { agent, choice, call } = step;
            difference = Some(format!("step {number}: {agent} cannot {choice} {call:?}"));
            break;
        };
        let event = run.take(offer, &rest)?;
        let (expected, found) = (&step.call, told(&event));
        trace.push(event);
        if *expected != found {
            difference = Some(format!("step {number}: {found:?} instead of {expected:?}"));
            break;
        }
    }
    let mut is_end = false;
    while !run.is_broken()? && trace.len() < rules.steps_max {
        let rest = run.rest()?;
        let Some(offer) = run.preferred(&rest) else {
            is_end = !rest.withholds_timer;
            break;
        };
        if difference.is_none() {
            let number = steps.len() + 1;
            difference = Some(format!("step {number}: it goes on with {:?}", offer.transition.label));
        }
        let offer = offer.clone();
        trace.push(run.take(&offer, &rest)?);
    }
    Ok(Repeated { trace, outcome: run.finish(is_end)?, difference })
}
