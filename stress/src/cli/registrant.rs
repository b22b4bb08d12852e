//! `stress registrant`: an instance of a protocol of the zoo, or of the journal, as a program that speaks the protocol of
//! `REGISTRANTS.md`.
//!
//! It has one thread and makes the calls that its participant asks for, one after the other: what runs under the exhaustive
//! checkers on a simulated kernel runs here on the real one.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use models::participant::{Belief, Participant, Step, Wait};
use models::real::RealKernel;
use models::zoo::{self, AnyParticipant, Protocol, Setup};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use single_primary::call::Time;
use single_primary::{Event, InstanceId, LogOptions, Paths};

use super::exit::Exit;
use crate::failure::Failure;

/// How long an instance that waits for something that others change waits before it looks again.
const LOOK: Duration = Duration::from_millis(20);

/// The options of `stress registrant`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The protocol
    #[arg(long)]
    protocol: String,
}

/// The command line of a registrant of that protocol.
///
/// # Errors
/// Where there is no such protocol, or it is unknown where this program is.
pub(crate) fn words(name: &str) -> Result<Vec<String>, Failure> {
    find(name)?;
    let program = std::env::current_exe().map_err(Failure::environment("/proc/self/exe", "readlink", "mount /proc"))?;
    Ok(vec![program.to_string_lossy().into_owned(), "registrant".into(), "--protocol".into(), name.into()])
}

fn find(name: &str) -> Result<&'static Protocol, Failure> {
    zoo::find(name).ok_or_else(|| {
        let names: Vec<_> = zoo::PROTOCOLS.iter().map(|protocol| protocol.name).collect();
        Failure::Usage(format!("--protocol {name}: there is no such protocol; take one of {}", names.join(", ")))
    })
}

/// An instance and its files.
#[derive(Debug)]
struct Instance {
    participant: AnyParticipant,
    kernel: RealKernel,
}

impl Instance {
    /// Makes its calls until it waits or has ended, and says what for.
    fn advance(&mut self) -> Option<Wait> {
        loop {
            match self.participant.next() {
                Step::Call(call) => {
                    let reply = self.kernel.perform(&call);
                    self.participant.reply(reply, self.kernel.now());
                }
                Step::Wait(wait) => return Some(wait),
                Step::Ended => return None,
            }
        }
    }
}

/// Elects, and writes the events, until it is told to quit.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let protocol = find(&arguments.protocol)?;
    let variable = |name: &str| {
        let missing =
            || Failure::Usage(format!("{name} is not set: this is a registrant, started by `stress explore`"));
        std::env::var(name).map_err(|_| missing())
    };
    let paths =
        Paths { directory: PathBuf::from(variable("ELECTION_DIR")?), log: PathBuf::from(variable("REALTIME_LOG")?) };
    let id = variable("INSTANCE_ID")?;
    let mut instances = Vec::new();
    for number in 0..protocol.needs.instances_per_process {
        let own = if number == 0 { id.clone() } else { format!("{id}-{number}") };
        let id = InstanceId::new(&own).map_err(|error| Failure::Usage(format!("INSTANCE_ID={own}: {error}")))?;
        let setup = Setup { id, window: Duration::from_millis(150), expect: None, log: LogOptions::default() };
        instances.push(Instance { participant: protocol.start(setup), kernel: RealKernel::new(paths.clone()) });
    }
    elect(&mut instances)
}

fn elect(instances: &mut [Instance]) -> Result<Exit, Failure> {
    let mut input = Vec::new();
    let mut said = None;
    loop {
        let waits: Vec<_> = instances.iter_mut().map(Instance::advance).collect();
        if let Some(why) = instances.iter().find_map(|instance| match instance.participant.belief() {
            Belief::Failed(why) => Some(why),
            _ => None,
        }) {
            eprintln!("error: {why}");
            return Ok(Exit::Environment);
        }
        let word = word(instances);
        if let Some(word) = word
            && said != Some(word)
        {
            say(word)?;
            said = Some(word);
        }
        if waits.iter().all(Option::is_none) {
            return Ok(Exit::Holds);
        }
        let now = instances[0].kernel.now();
        let looks = waits.iter().flatten().filter_map(|wait| until(wait, now)).min();
        let is_undecided = |instance: &Instance| instance.participant.belief() == Belief::Undecided;
        match looks.filter(|_| instances.iter().any(is_undecided)) {
            // What it is told waits until it knows who is primary.
            Some(looks) => std::thread::sleep(looks),
            None => hear(instances, looks, &mut input)?,
        }
        for (instance, wait) in instances.iter_mut().zip(&waits) {
            if matches!(wait, Some(Wait::Change(_) | Wait::Until(_))) {
                instance.participant.wake(instance.kernel.now());
            }
        }
    }
}

/// Waits for input, and does what it says.
fn hear(instances: &mut [Instance], looks: Option<Duration>, input: &mut Vec<u8>) -> Result<(), Failure> {
    match listen(looks, input)? {
        Heard::Nothing => {}
        Heard::Text => {
            while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = input.drain(..=end).collect();
                obey(instances, String::from_utf8_lossy(&line).trim())?;
            }
        }
        Heard::End => leave(instances)?,
    }
    Ok(())
}

/// What is said of a process in which these are.
fn word(instances: &[Instance]) -> Option<&'static str> {
    let beliefs = || instances.iter().map(|instance| instance.participant.belief());
    if beliefs().any(|belief| matches!(belief, Belief::Primary { .. })) {
        Some("primary")
    } else {
        beliefs().any(|belief| belief == Belief::Secondary).then_some("secondary")
    }
}

fn say(word: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{word}").and_then(|()| stdout.flush()).map_err(Failure::environment(
        "standard output",
        "write",
        "have somebody read it",
    ))
}

fn obey(instances: &mut [Instance], line: &str) -> Result<(), Failure> {
    match line.split_once(' ') {
        Some(("event", event)) => {
            let event = Event { id: event.into(), payload: "null".into() };
            for instance in instances {
                instance.participant.deliver(event.clone());
            }
        }
        _ if line == "quit" => return leave(instances),
        _ => {}
    }
    Ok(())
}

/// Says that it leaves before it gives anything up.
fn leave(instances: &mut [Instance]) -> Result<(), Failure> {
    say("left")?;
    for instance in instances {
        instance.participant.leave();
    }
    Ok(())
}

/// How long a wait lasts at most; for ever where it waits for input.
fn until(wait: &Wait, now: Time) -> Option<Duration> {
    let left = |moment: Time| Duration::from_micros(moment.as_micros().saturating_sub(now.as_micros()));
    match wait {
        Wait::Event => None,
        Wait::Change(None) => Some(LOOK),
        Wait::Change(Some(moment)) | Wait::Until(moment) => Some(left(*moment)),
    }
}

/// What standard input had to say.
enum Heard {
    Nothing,
    Text,
    End,
}

fn listen(looks: Option<Duration>, input: &mut Vec<u8>) -> Result<Heard, Failure> {
    let failure = |call| Failure::environment::<std::io::Error>("standard input", call, "give it a pipe");
    let stdin = std::io::stdin();
    let timeout = looks.map(|span| Timespec::try_from(span).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 }));
    let ready = poll(&mut [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)], timeout.as_ref())
        .map_err(|error| failure("poll")(error.into()))?;
    if ready == 0 {
        return Ok(Heard::Nothing);
    }
    let mut bytes = [0; 4096];
    match rustix::io::read(&stdin, &mut bytes).map_err(|error| failure("read")(error.into()))? {
        0 => Ok(Heard::End),
        count => {
            input.extend_from_slice(&bytes[..count]);
            Ok(Heard::Text)
        }
    }
}
