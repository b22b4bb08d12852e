//! What a worker does to a round with faults, and what of it happened.

mod before;

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use self::before::{FOREIGN, NEWER};
use super::gather;
use super::instance::Place;
use super::stage::{Stage, Status, patience};
use super::turns::{Look, Turns};
use crate::plan::Plan;
use crate::plan::fault::{Damage, Fault, Kind, Target, When};
use crate::plan::order::{self, Act};
use crate::process;
use crate::process::clock;
use crate::process::patience::{Patience, Waiting};

/// How often the worker looks at the round where nothing wakes it.
const LOOK: Duration = Duration::from_micros(500);

/// The same where processes are about to end, which nothing tells.
const LOOK_FOR_END: Duration = Duration::from_micros(50);

/// What was done to a round.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The faults that happened: when, of which kind, and to which process if to one.
    pub(crate) faults: Vec<(u64, String, Option<usize>)>,
    /// When each process that died by a fault was killed; 0 where it killed itself.
    pub(crate) deaths_ns: Vec<Option<u64>>,
    /// The journal as it was opened before it was removed.
    pub(crate) removed: Option<File>,
    /// The files of the log that were.
    pub(crate) removed_logs: Vec<File>,
    /// When the journal was removed.
    pub(crate) removed_ns: Option<u64>,
    /// When the worker waited because the plan says so.
    pub(crate) waits_ns: Vec<(u64, u64)>,
    /// What went wrong that no instance can tell.
    pub(crate) problems: Vec<String>,
    /// Whether the journal may pass for someone else's file.
    pub(crate) looks_foreign: bool,
    /// Whether the machine did not let a process run that was waited for: nothing follows from what it has not done.
    pub(crate) is_starved: bool,
    /// What was done by the worker's own hand.
    pub(crate) acts: Vec<Act>,
    load: Vec<Pid>,
}

impl Done {
    /// Notes that a fault has happened.
    pub(crate) fn note(&mut self, kind: Kind, process: Option<usize>) {
        self.faults.push((clock::now_ns(), kind.name(), process));
    }

    /// Does the rest of it, ends the round, and waits until its processes are gone.
    pub(crate) fn carry_out(
        &mut self,
        plan: &Plan,
        stage: Stage,
        place: Place<'_>,
        children: &[Pid],
    ) -> std::io::Result<()> {
        let directory = place.directory;
        let turns = Turns::new(plan, None, place.turns);
        let ended = vec![false; children.len()];
        let mut watch = Watch { plan, stage, children, turns, ended, done: self };
        let mut actions = actions(plan);
        actions.sort_by_key(|(when, _)| match when {
            When::Released(at_us) => *at_us,
            When::Settled => u64::MAX,
        });
        let mut settled = false;
        for (when, action) in actions {
            match when {
                When::Released(at_us) => watch.wait_until(|watch| watch.stage.elapsed_us() >= at_us)?,
                When::Settled if !settled => {
                    watch.settle()?;
                    settled = true;
                }
                When::Settled => {}
            }
            watch.act(action, directory)?;
        }
        watch.settle()?;
        watch.take_turn(order::END)?;
        watch.note_act(order::END, None);
        stage.ending.arrive(1);
        watch.give_up();
        watch.wait_until(|watch| watch.ended.iter().all(|ended| *ended))?;
        for hung in watch.kill_all()? {
            if self.is_starved {
                // As one that died by a fault, it owes nothing.
                self.deaths_ns[hung].get_or_insert_with(clock::now_ns);
            } else {
                self.problems.push(format!("process {hung} did not end"));
            }
        }
        self.finish(plan, stage, directory)
    }

    fn finish(&mut self, plan: &Plan, stage: Stage, directory: &Path) -> std::io::Result<()> {
        for busy in self.load.drain(..) {
            kill_process(busy, Signal::KILL)?;
            process::wait(busy)?;
        }
        if stage.has_heir.swap(0, Ordering::AcqRel) != 0 && !stage.heir.end()? {
            self.problems.push("the program that the primary left did not outlive it: the fault proves nothing".into());
        }
        for fault in &plan.faults {
            if let Fault::Corrupt { damage: damage @ (Damage::Foreign | Damage::Newer), .. } = fault {
                let expected = if *damage == Damage::Foreign { FOREIGN } else { NEWER };
                if fs::read(directory.join("journal"))? != expected {
                    self.problems.push("someone else's file was changed".into());
                }
            }
        }
        Ok(())
    }
}

/// What a worker does by its own hand.
#[derive(Clone, Copy, Debug)]
enum Action {
    Kill(usize, Kind),
    Stop(usize),
    Continue(usize),
    Damage(Damage),
    Remove(Target),
    Strike,
}

impl Action {
    /// What it is called in an order.
    fn name(self) -> &'static str {
        match self {
            Self::Kill(..) => "kill",
            Self::Stop(_) => "stop",
            Self::Continue(_) => "continue",
            Self::Damage(_) => "damage",
            Self::Remove(_) => "remove",
            Self::Strike => "strike",
        }
    }
}

/// All that a worker does to a round by its own hand, by name.
pub(crate) fn acts(plan: &Plan) -> Vec<&'static str> {
    actions(plan).into_iter().map(|(_, action)| action.name()).chain([order::END]).collect()
}

fn actions(plan: &Plan) -> Vec<(When, Action)> {
    let mut actions = Vec::new();
    for fault in &plan.faults {
        match *fault {
            Fault::Kill { process, when } => actions.push((when, Action::Kill(process, Kind::Kill))),
            Fault::Restart { instance, at_us, dies: true, .. } => {
                actions.push((When::Released(at_us), Action::Kill(plan.host_of(instance), Kind::Restart)));
            }
            Fault::Stop { process, when, for_us } => {
                actions.push((when, Action::Stop(process)));
                let end = match when {
                    When::Released(at_us) => When::Released(at_us + for_us),
                    When::Settled => When::Settled,
                };
                actions.push((end, Action::Continue(process)));
            }
            Fault::Corrupt { damage: damage @ (Damage::Garbage | Damage::HalfRecord), when } => {
                actions.push((when, Action::Damage(damage)));
            }
            Fault::Unlink { target } => actions.push((When::Settled, Action::Remove(target))),
            Fault::Heir | Fault::Fork => actions.push((When::Settled, Action::Strike)),
            _ => {}
        }
    }
    actions
}

/// A round that is looked at again and again.
#[derive(Debug)]
struct Watch<'a> {
    plan: &'a Plan,
    stage: Stage,
    children: &'a [Pid],
    turns: Option<Turns>,
    ended: Vec<bool>,
    done: &'a mut Done,
}

impl Watch<'_> {
    /// Waits until something is so, or for as long as anything here may take. Whoever dies meanwhile is noticed.
    fn wait_until(&mut self, is_so: impl Fn(&Self) -> bool) -> std::io::Result<()> {
        let mut patience = Patience::new(patience(self.plan, 4));
        loop {
            let changes = self.stage.changed.load(Ordering::Acquire);
            for (process, child) in self.children.iter().enumerate() {
                if self.ended[process] {
                    continue;
                }
                if let Some((_, status)) = waitpid(Some(*child), WaitOptions::NOHANG)? {
                    self.note_end(process, status);
                }
            }
            if is_so(self) {
                return Ok(());
            }
            let alive = self.children.iter().zip(&self.ended).filter(|(_, ended)| !**ended);
            match patience.look(alive.map(|(child, _)| *child)) {
                Waiting::On => {}
                Waiting::Over => return Ok(()),
                Waiting::Starved => {
                    self.done.is_starved = true;
                    return Ok(());
                }
            }
            let are_over = (0..self.plan.ids.len()).all(|instance| self.stage.status(instance) == Status::Over);
            self.stage.wait_for_change(changes, if are_over { LOOK_FOR_END } else { LOOK });
        }
    }

    /// Waits for so long because the plan says so.
    fn wait_for(&mut self, span: Duration) -> std::io::Result<()> {
        let (from_ns, until) = (clock::now_ns(), Instant::now() + span);
        self.wait_until(|_| Instant::now() >= until)?;
        self.done.waits_ns.push((from_ns, clock::now_ns()));
        Ok(())
    }

    fn note_end(&mut self, process: usize, status: WaitStatus) {
        self.has_ended(process);
        if status.terminating_signal() == Some(Signal::KILL.as_raw()) {
            // It died by its own hand, right after the last entry of its trace.
            self.done.deaths_ns[process].get_or_insert(0);
        } else if status.exit_status() != Some(0) {
            self.done.problems.push(format!("process {process} ended with {status:?}"));
        }
    }

    fn has_ended(&mut self, process: usize) {
        self.ended[process] = true;
        for instance in self.plan.hosted_by(process) {
            self.stage.say(instance, Status::Over, None);
        }
        if let Some(turns) = &self.turns {
            turns.end(self.plan, process);
        }
    }

    /// Waits until it is its turn to do that, where the plan has an order.
    fn take_turn(&mut self, does: &str) -> std::io::Result<()> {
        let look = Cell::new(Look::new());
        self.wait_until(|watch| {
            let Some(turns) = &watch.turns else { return true };
            let mut seen = look.get();
            let has_come = turns.has_come(None, does, &mut seen);
            look.set(seen);
            has_come
        })
    }

    /// Ends its turn.
    fn give_up(&self) {
        if let Some(turns) = &self.turns {
            turns.give_up();
        }
    }

    fn note_act(&mut self, does: &'static str, killed: Option<usize>) {
        self.done.acts.push(Act { at_ns: clock::now_ns(), does, killed });
    }

    /// Waits until all who live have a verdict, and one of them is primary if any can still become so.
    fn settle(&mut self) -> std::io::Result<()> {
        self.wait_until(|watch| {
            let mut over = true;
            let mut primary = false;
            for (process, _) in watch.ended.iter().enumerate().filter(|(_, ended)| !**ended) {
                for instance in watch.plan.hosted_by(process) {
                    match watch.stage.status(instance) {
                        Status::Absent | Status::Coming | Status::Undecided => return false,
                        Status::Secondary => over = false,
                        Status::Primary => (over, primary) = (false, true),
                        Status::Resigned | Status::Over => {}
                    }
                }
            }
            over || primary
        })
    }

    /// Whether a process has come to hosting its instances.
    fn is_up(&self, process: usize) -> bool {
        self.plan.hosted_by(process).all(|instance| self.stage.status(instance) != Status::Absent)
    }

    fn act(&mut self, action: Action, directory: &Path) -> std::io::Result<()> {
        // Who died by its own hand before this is not to be taken for a victim of it.
        self.wait_until(|_| true)?;
        self.take_turn(action.name())?;
        self.note_act(action.name(), if let Action::Kill(process, _) = action { Some(process) } else { None });
        match action {
            Action::Kill(process, kind) => {
                if !self.ended[process] {
                    self.done.deaths_ns[process] = Some(clock::now_ns());
                    kill_process(self.children[process], Signal::KILL)?;
                    let status = process::wait(self.children[process])?;
                    self.has_ended(process);
                    if status.terminating_signal() == Some(Signal::KILL.as_raw()) {
                        self.done.note(kind, Some(process));
                    } else {
                        self.done.deaths_ns[process] = None;
                    }
                }
            }
            Action::Stop(process) => {
                // One that is stopped before it has asked to die with its parent would outlive it for ever.
                self.wait_until(|watch| watch.ended[process] || watch.is_up(process))?;
                if !self.ended[process] {
                    kill_process(self.children[process], Signal::STOP)?;
                    if let Some((_, status)) = waitpid(Some(self.children[process]), WaitOptions::UNTRACED)? {
                        if status.stopped() {
                            self.done.note(Kind::Stop, Some(process));
                        } else {
                            self.note_end(process, status);
                        }
                    }
                }
            }
            Action::Continue(process) => {
                // One that was stopped once all was settled still has to be so for longer than the window.
                if self.plan.faults.iter().any(|fault| {
                    matches!(fault, Fault::Stop { process: stopped, when: When::Settled, .. } if *stopped == process)
                }) {
                    self.wait_for(self.plan.window() + Duration::from_millis(5))?;
                }
                if !self.ended[process] {
                    kill_process(self.children[process], Signal::CONT)?;
                }
            }
            Action::Damage(damage) => {
                if let Ok(mut journal) = OpenOptions::new().append(true).open(directory.join("journal")) {
                    // A journal without a record in it then looks like someone else's file.
                    self.done.looks_foreign |= journal.metadata()?.len() < 128;
                    let bytes: &[u8] = match damage {
                        Damage::HalfRecord => b"spj2 register 1 000000-half 1                                   ",
                        _ => b"\x00\xff garbage \n\n spj2 but not a record \xf0\x9f",
                    };
                    journal.write_all(bytes)?;
                    self.done.note(Kind::Corrupt, None);
                }
            }
            Action::Remove(target) => self.remove(target, directory),
            Action::Strike => {
                self.stage.strike.arrive(1);
                self.give_up();
                self.wait_for(Duration::from_millis(20))?;
            }
        }
        self.give_up();
        Ok(())
    }

    fn remove(&mut self, target: Target, directory: &Path) {
        let Some(primary) = (0..self.plan.ids.len()).find(|instance| self.stage.status(*instance) == Status::Primary)
        else {
            return;
        };
        let removed = match target {
            Target::Seat => fs::remove_file(directory.join(format!("{}.seat", self.plan.ids[primary]))),
            Target::Journal => {
                self.done.removed = File::open(directory.join("journal")).ok();
                self.done.removed_ns = Some(clock::now_ns());
                fs::remove_file(directory.join("journal"))
            }
            Target::Directory => {
                self.done.removed = File::open(directory.join("journal")).ok();
                for log in gather::logs(directory) {
                    self.done.removed_logs.extend(File::open(log));
                }
                self.done.removed_ns = Some(clock::now_ns());
                fs::remove_dir_all(directory)
            }
        };
        if removed.is_ok() {
            self.done.note(Kind::Unlink, None);
        }
    }

    /// Kills what is left; which processes those were.
    fn kill_all(&mut self) -> std::io::Result<Vec<usize>> {
        let mut hung = Vec::new();
        for (process, child) in self.children.iter().enumerate().filter(|(process, _)| !self.ended[*process]) {
            kill_process(*child, Signal::KILL)?;
            process::wait(*child)?;
            hung.push(process);
        }
        Ok(hung)
    }
}
