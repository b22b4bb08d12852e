//! One election of programs: started, told events, disturbed, told to quit, and cleared away.

pub(crate) mod acts;
pub(crate) mod command;
mod disturbance;
mod family;
pub(crate) mod ground;
pub(crate) mod load;
pub(crate) mod orphan;
pub(crate) mod registrant;
pub(crate) mod speech;
mod stage;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use self::acts::Acts;
use self::command::{Limits, Program};
use self::disturbance::{hand_over, kill, kill_at_call, stall, stop, take_over};
use self::ground::{Ground, Log};
use self::registrant::{End, Registrant};
use self::stage::{Stage, Waited};
use crate::failure::Failure;
use crate::plan::fault::program::Fault;
use crate::plan::program::Plan;
use crate::process::clock;
use crate::process::patience::{Patience, Waiting};

/// How long a stop lasts now and then, where nobody has said how long: longer than leases that people use.
pub(crate) const LONG_STOP: Duration = Duration::from_secs(16);

/// What a round needs beside its plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) program: Program,
    pub(crate) settle: Duration,
    pub(crate) patience: Duration,
    /// How long a stop lasts, where that was said.
    pub(crate) stop_for: Option<Duration>,
    /// How long the others may take to have a primary again.
    pub(crate) takeover_within: Duration,
    /// A command of the shell that runs before each round.
    pub(crate) setup: Option<String>,
    /// What the copies elect over beside the election directory.
    pub(crate) watch: Vec<String>,
    pub(crate) acts: Acts,
    /// Whether any registrant has ever said who is primary.
    #[serde(skip)]
    pub(crate) speaks: Arc<AtomicBool>,
    /// Whether it is to end early.
    #[serde(skip)]
    pub(crate) interrupt: Arc<AtomicBool>,
}

/// What a round left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) registrants: Vec<Registrant>,
    /// What events were called, those of the plan first.
    pub(crate) events: Vec<String>,
    pub(crate) done: Done,
    /// The time in which nobody became primary, though somebody lived who could, and when that was known.
    pub(crate) nobody_within: Option<(Duration, u64)>,
    /// Why nothing follows from what was not seen.
    pub(crate) unjudged: Option<String>,
    /// Whether programs are judged by what they do alone.
    pub(crate) are_acts_seen: bool,
    pub(crate) log: Log,
    pub(crate) errors: String,
}

impl Ran {
    /// Whether the plan's fault has happened: a registrant may have ended before.
    pub(crate) fn is_exercised(&self, plan: &Plan) -> bool {
        match plan.fault {
            Some(fault) if fault.follows() => self.done.held_at.is_some(),
            Some(Fault::Kill | Fault::Heir | Fault::Restart | Fault::Stop | Fault::Handover) => {
                self.done.disturbed_ns.is_some()
            }
            _ => true,
        }
    }
}

/// What was done to a round, and came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// When one was taken away, stopped or held.
    pub(crate) disturbed_ns: Option<u64>,
    /// At which call one was held or killed: before or after it.
    pub(crate) held_at: Option<String>,
    /// Of one that was followed and made too few touches to be held, how many of them counted.
    pub(crate) missed_at: Option<u32>,
    /// When the events after that began.
    pub(crate) resumed_ns: Option<u64>,
    /// Whether what was left of one of whom a process was killed went on as primary.
    pub(crate) goes_on: bool,
    /// Whether it did so while another was primary.
    pub(crate) acts_beside: bool,
    /// Whether nobody had said or written anything when they were told to quit.
    pub(crate) is_slow: bool,
}

impl Done {
    fn disturb(&mut self, at_ns: u64) -> u64 {
        *self.disturbed_ns.get_or_insert(at_ns)
    }
}

/// Runs a round; its files stay. One that is interrupted shows what it has shown by then.
fn run(plan: &Plan, conditions: &Conditions, ground: &Ground) -> io::Result<Ran> {
    let mut stage = Stage::new(conditions, ground.place(), plan);
    let mut done = Done::default();
    match act(plan, &mut stage, &mut done) {
        Err(_) if conditions.interrupt.load(Ordering::Relaxed) => {
            stage.unjudged = Some("it was ended early".into());
            stage.registrants.iter_mut().for_each(|registrant| registrant.kill(End::Overdue));
        }
        acted => acted?,
    }
    for registrant in &mut stage.registrants {
        registrant.clear_away();
        registrant.end.get_or_insert(End::Overdue);
    }
    let log = stage.log()?;
    let Stage { registrants, events, unjudged, nobody_within, .. } = stage;
    let mut errors = String::new();
    for registrant in &registrants {
        let text = String::from_utf8_lossy(&registrant.errors);
        if !errors.contains(text.as_ref()) {
            errors.push_str(&text);
        }
    }
    Ok(Ran {
        registrants,
        events,
        done,
        nobody_within,
        unjudged,
        are_acts_seen: conditions.acts.are_seen(),
        log,
        errors,
    })
}

/// All that happens in a round.
fn act(plan: &Plan, stage: &mut Stage<'_>, done: &mut Done) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(plan.chance);
    let registrants = plan.registrants();
    let starters = registrants - usize::from(plan.fault == Some(Fault::Late) && registrants > 1);
    let full = (plan.fault == Some(Fault::Full)).then(|| random.usize(..starters));
    let limits =
        |index: usize| Limits { file_bytes_max: (full == Some(index)).then_some(0), unprivileged: plan.unprivileged };
    for index in 0..starters {
        stage.start(&plan.ids[index], limits(index))?;
        for event in 0..plan.early {
            stage.registrants[index].deliver(event, &plan.events[event]);
        }
    }
    let Conditions { settle, takeover_within, .. } = *stage.conditions;
    let newcomer = &plan.ids[registrants];
    let rest = plan.early..plan.events.len();
    let middle = rest.start + rest.len() / 2;
    let meanwhile = rest.start..middle;
    match plan.fault {
        Some(Fault::Stall) => stall(plan, stage, done, meanwhile.clone())?,
        Some(Fault::KillAtCall) => kill_at_call(plan, stage, done, newcomer, meanwhile.clone())?,
        _ => Registrant::release(&mut stage.registrants)?,
    }
    stage.settle()?;
    let lets_fail = plan.fault.is_some_and(Fault::lets_fail);
    if !lets_fail && stage.is_settled() && !stage.registrants.iter().any(Registrant::is_primary) {
        // Who died may have left what the others wait for.
        let within = if done.disturbed_ns.is_some() { takeover_within } else { settle };
        stage.wait_for_primary(within)?;
    }
    match plan.fault {
        Some(Fault::Kill | Fault::Heir | Fault::Restart) => {
            if let Some(victim) = stage.victim(&mut random) {
                kill(plan, stage, done, victim, &mut random)?;
                stage.deliver(meanwhile);
                if plan.fault == Some(Fault::Restart) {
                    stage.start(newcomer, limits(registrants))?;
                    stage.release_last()?;
                    stage.settle()?;
                }
                done.goes_on = plan.fault == Some(Fault::Heir) && stage.acts_alone(victim, false)?;
                if done.goes_on {
                    // Nobody has to follow it.
                    stage.pump(settle, |stage| stage.registrants.iter().any(Registrant::is_primary))?;
                    done.acts_beside = stage.acts_alone(victim, true)?;
                } else {
                    stage.wait_for_primary(takeover_within)?;
                }
            }
        }
        Some(Fault::Handover) => {
            if let Some(victim) = stage.victim(&mut random) {
                hand_over(plan, stage, done, victim)?;
                if plan.handover.newcomer_first {
                    stage.start(newcomer, limits(registrants))?;
                    stage.release_last()?;
                }
                stage.deliver(meanwhile);
                stage.wait_for_primary(takeover_within)?;
                if !plan.handover.newcomer_first {
                    stage.start(newcomer, limits(registrants))?;
                    stage.release_last()?;
                }
                stage.settle()?;
            }
        }
        Some(Fault::Takeover) if registrants > 1 => {
            if let Some(victim) = stage.victim(&mut random) {
                kill(plan, stage, done, victim, &mut random)?;
                stage.start(newcomer, limits(registrants))?;
                take_over(plan, stage, done, meanwhile)?;
            }
        }
        Some(Fault::Stop) => {
            if let Some(victim) = stage.victim(&mut random) {
                stop(plan, stage, done, victim, meanwhile)?;
            }
        }
        Some(Fault::Late) if starters < registrants => {
            stage.start(&plan.ids[starters], limits(starters))?;
            stage.release_last()?;
            stage.settle()?;
        }
        _ => {}
    }
    if done.disturbed_ns.is_some() {
        done.resumed_ns = Some(clock::now_ns());
        stage.deliver(middle..rest.end);
    } else {
        stage.deliver(rest);
    }
    quit(stage, done)
}

/// Has all end: first those that are not primary, for a handover is not what this is about.
fn quit(stage: &mut Stage<'_>, done: &mut Done) -> io::Result<()> {
    let Conditions { settle, patience, acts, .. } = stage.conditions;
    done.is_slow = !stage.has_shown();
    for registrant in stage.registrants.iter_mut().filter(|registrant| !registrant.is_primary()) {
        registrant.quit();
    }
    let others_ended = |stage: &Stage<'_>| stage.registrants.iter().all(|one| one.is_primary() || one.end.is_some());
    if acts.are_seen() {
        stage.pump(*settle, others_ended)?;
    } else if stage.pump_fairly(*patience, others_ended)? == Waited::Starved {
        stage.note_starved("end");
    }
    stage.registrants.iter_mut().for_each(Registrant::quit);
    if acts.are_seen() && !stage.pump(*settle, Stage::is_over)? {
        stage.registrants.iter_mut().for_each(Registrant::terminate);
    }
    match stage.pump_fairly(*patience, Stage::is_over)? {
        Waited::Done => return Ok(()),
        Waited::Over => {}
        Waited::Starved => stage.note_starved("end"),
    }
    for registrant in &mut stage.registrants {
        registrant.kill(End::Overdue);
    }
    stage.pump_fairly(*patience, Stage::is_over)?;
    Ok(())
}

/// Removes what a round has left.
pub(crate) fn clear(ground: &Ground, base: &Path) -> Result<(), Failure> {
    ground.clear().map_err(Failure::environment(base.display(), "removing a round's files", FREE_SPACE))
}

const FREE_SPACE: &str = "free space there, or give another --dir";

impl Conditions {
    /// Runs a round in a directory of its own, which stays.
    pub(crate) fn run(&self, plan: &Plan, base: &Path) -> Result<(Ground, Ran), Failure> {
        let failure = |call| Failure::environment(base.display(), call, FREE_SPACE);
        let ground =
            Ground::new(base, &format!("{}-{:08x}", plan.round, fastrand::u32(..))).map_err(failure("mkdir"))?;
        self.set_up(&ground)?;
        if plan.unprivileged {
            ground.give_away().map_err(failure("chown"))?;
        }
        if plan.fault == Some(Fault::Permissions) {
            ground.close().map_err(failure("chmod"))?;
        }
        orphan::adopt();
        let ran = run(plan, self, &ground);
        orphan::end(Some(ground.place().directory));
        Ok((ground, ran.map_err(|error| self.cannot_start(error))?))
    }

    /// Runs the command that prepares a round.
    fn set_up(&self, ground: &Ground) -> Result<(), Failure> {
        let Some(setup) = &self.setup else { return Ok(()) };
        let place = ground.place();
        let mut command = Command::new("sh");
        command.args(["-c", &command::filled_in(setup, &place, "setup")]).stdin(Stdio::null());
        command.env("ELECTION_DIR", place.directory).env("REALTIME_LOG", place.log);
        let failure = |error: io::Error| {
            Failure::environment(setup, "--setup", "make it a command of the shell that ends with 0")(error)
        };
        let mut child = command.stdout(Stdio::null()).spawn().map_err(failure)?;
        let mut patience = Patience::new(self.patience);
        loop {
            if let Some(status) = child.try_wait().map_err(failure)? {
                return if status.success() { Ok(()) } else { Err(failure(io::Error::other(status.to_string()))) };
            }
            let is_over = patience.look([Pid::from_child(&child)]) != Waiting::On;
            if is_over || self.interrupt.load(Ordering::Relaxed) {
                child.kill().and_then(|()| child.wait()).map_err(failure)?;
                return Err(failure(io::Error::other("it did not end within --patience")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The failure where the program cannot be started.
    pub(crate) fn cannot_start(&self, error: io::Error) -> Failure {
        let name = self.program.name();
        let remedy = match (error.kind(), error.raw_os_error().map(rustix::io::Errno::from_raw_os_error)) {
            (io::ErrorKind::NotFound, _) => "install it, or give the path of a program that is there by --registrant",
            (io::ErrorKind::PermissionDenied, _) => "make it executable, or name its interpreter in --registrant",
            (_, Some(rustix::io::Errno::MFILE)) => "raise the limit of open files (ulimit -n)",
            (_, Some(rustix::io::Errno::AGAIN)) => {
                "raise the limit of processes (ulimit -u), or give fewer --registrants"
            }
            (_, Some(rustix::io::Errno::NOSPC)) => "the disk is full: free space, or give another --dir",
            _ => "raise the limits of files and processes, or give fewer --registrants or --jobs",
        };
        Failure::environment(name, "starting a registrant", remedy)(error)
    }
}
