//! Counterexamples for people: what was called, on which file, what came back, and what the instance believes after it.

mod explorer;
mod lanes;
mod page;
mod phrase;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use single_primary::call::{Call as ElectionCall, Handle, Mode, Name, Reply as ElectionReply, Time};

use crate::call::{Call, Reply};
use crate::kernel::{Caller, Directory, Fate, Files, Inode, Inodes, Memory, Objects, exit, meddle, perform};
use crate::participant::Belief;
use crate::verdict::{Moment, Report, What};
use crate::zoo;

pub use explorer::{Explorer, Situation};
pub use page::page;

/// A counterexample, step by step.
#[derive(Clone, Debug)]
pub struct Story {
    /// The protocol's name.
    pub protocol: String,
    /// How the protocol elects.
    pub summary: String,
    /// What is known to break it, where something is.
    pub broken_by: Option<String>,
    /// Which promise is broken at the end.
    pub why: String,
    /// What the instances are called that take part, by their numbers: their IDs, told apart where two have the same.
    pub instances: Vec<String>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Something that happens to one instance.
#[derive(Clone, Debug)]
pub struct Step {
    /// The instance, by its number among all.
    pub instance: u8,
    /// Whether it happens to all of them.
    pub to_all: bool,
    /// What it does, or what is done to it.
    pub what: String,
    /// What came back, where something was asked.
    pub result: String,
    /// What each instance believes afterwards, by their numbers.
    pub beliefs: Vec<Belief>,
    /// What a file came to say, by its name, where this changed it.
    pub change: Option<(String, String)>,
    /// What every file says afterwards, by its name.
    pub files: Vec<(String, String)>,
    /// The locks held after it: by which instance, on which file, and in which mode.
    pub locks: Vec<(u8, String, Mode)>,
}

impl Story {
    /// What a report tells of a violation; `None` where it tells of none.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        if report.counterexample.is_empty() {
            return None;
        }
        let protocol = zoo::find(&report.protocol);
        let instances = report.names();
        let mut stage = Stage::new(&report.counterexample, report.processes.clone(), instances.len());
        Some(Self {
            protocol: report.protocol.clone(),
            summary: protocol.map(|protocol| protocol.summary.to_owned()).unwrap_or_default(),
            broken_by: protocol.and_then(|protocol| protocol.broken_by).map(ToOwned::to_owned),
            why: report.why.clone().unwrap_or_default(),
            instances,
            steps: report.counterexample.iter().map(|moment| stage.play(moment)).collect(),
        })
    }

    /// The story as a numbered list, for a terminal.
    #[must_use]
    pub fn timeline(&self) -> String {
        let width = |column: fn(&Step) -> &str, most: usize| {
            self.steps.iter().map(|step| column(step).chars().count()).max().unwrap_or(0).min(most)
        };
        let (what_width, result_width) = (width(|step| &step.what, 64), width(|step| &step.result, 40));
        let who_width = self.instances.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(ALL.len());
        let mut text = String::new();
        for (at, step) in self.steps.iter().enumerate() {
            let (who, belief) = if step.to_all {
                (ALL, String::new())
            } else {
                (self.instances[usize::from(step.instance)].as_str(), phrase::belief(step.belief()))
            };
            let Step { what, result, .. } = step;
            let line =
                format!("{:>4}  {who:<who_width$}  {what:<what_width$}  {result:<result_width$}  {belief}", at + 1);
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = writeln!(text, "      {}", self.why);
        text
    }
}

/// Who a step is of that happens to every instance.
const ALL: &str = "all";

impl Step {
    /// What the instance believes afterwards that the step is of.
    #[must_use]
    pub fn belief(&self) -> &Belief {
        &self.beliefs[usize::from(self.instance)]
    }
}

/// The files as the steps leave them.
struct Stage {
    memory: Memory,
    files: BTreeMap<u8, Files>,
    names: BTreeMap<(u8, Handle), Name>,
    beliefs: Vec<Belief>,
    /// Which process hosts each instance.
    processes: Vec<u32>,
}

impl Stage {
    fn new(moments: &[Moment], processes: Vec<u32>, instances: usize) -> Self {
        let mut stage = Self {
            memory: Memory::default(),
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            beliefs: vec![Belief::Undecided; instances],
            processes,
        };
        // A search may begin with the directory in its place: then the first to open it finds it.
        let found = moments.iter().find_map(|moment| match &moment.what {
            What::Call(Call::Election(ElectionCall::Open { name: Name::Directory, .. }), reply) => {
                Some(*reply == Reply::Election(ElectionReply::Done))
            }
            _ => None,
        });
        if found == Some(true) {
            stage.memory.directory(|directory, inodes| {
                directory.exists = true;
                inodes.with(Directory::INODE, |inode| *inode = Inode::new(true, Time::default()));
            });
        }
        stage
    }

    fn play(&mut self, moment: &Moment) -> Step {
        let Moment { instance, now, what, belief } = moment;
        let before = self.contents();
        let to_all = matches!(what, What::Tick | What::Meddle(_) | What::Break(_) | What::Mend(_));
        let (what, result) = match what {
            What::Call(call, reply) => {
                let phrase = phrase::call(call, |handle| self.names.get(&(*instance, handle)));
                self.perform(*instance, *now, call, reply);
                (phrase, phrase::reply(reply))
            }
            What::Wake => ("stops waiting: the time is over".into(), String::new()),
            What::Deliver(event) => (format!("receives event {}", event.id), String::new()),
            What::Leave => ("is asked to leave".into(), String::new()),
            What::Crash => {
                self.crash(*instance, *now);
                ("dies; the kernel closes its files".into(), String::new())
            }
            What::Start(who) => (format!("starts: {who}"), String::new()),
            What::Tick => (format!("time passes, to {} ms", now.as_micros() / 1000), String::new()),
            What::Jump => (format!("the clock jumps, to {} ms", now.as_micros() / 1000), String::new()),
            What::Meddle(hand) => {
                meddle(&mut self.memory, *hand, *now);
                (format!("somebody else {hand}"), String::new())
            }
            What::Break(outage) => (format!("from here on: {outage}"), String::new()),
            What::Mend(outage) => (format!("no more: {outage}"), String::new()),
        };
        let after = self.contents();
        let change = after.iter().find_map(|(name, bytes)| {
            let old = before.get(name).map(Vec::as_slice);
            (old != Some(bytes)).then(|| (name.clone(), phrase::growth(old.unwrap_or_default(), bytes)))
        });
        if !to_all {
            self.beliefs[usize::from(*instance)] = belief.clone();
        }
        Step {
            instance: *instance,
            to_all,
            what,
            result,
            beliefs: self.beliefs.clone(),
            change,
            files: after.iter().map(|(name, bytes)| (name.clone(), phrase::contents(bytes))).collect(),
            locks: self.locks(),
        }
    }

    fn perform(&mut self, instance: u8, now: Time, call: &Call, reply: &Reply) {
        let fate = match (call, reply) {
            (_, Reply::Election(ElectionReply::Failed(failure))) => Fate::Fail(*failure),
            (Call::Election(ElectionCall::Append { bytes, .. }), Reply::Election(ElectionReply::Wrote(written)))
                if *written < bytes.len() =>
            {
                Fate::Short(*written)
            }
            _ => Fate::Normal,
        };
        match call {
            Call::Election(ElectionCall::Open { handle, name, .. }) | Call::CreateNew(handle, name) => {
                self.names.insert((instance, *handle), name.clone());
            }
            _ => {}
        }
        let process = self.process(instance);
        let files = self.files.entry(instance).or_default();
        // The reply is known; what the call leaves behind is what is wanted here.
        let _: Reply = perform(&mut self.memory, &mut Caller { instance, process, files, now }, call, fate);
    }

    fn crash(&mut self, instance: u8, now: Time) {
        let process = self.process(instance);
        for other in self.files.keys().copied().collect::<Vec<_>>() {
            if self.process(other) == process
                && let Some(files) = self.files.get_mut(&other)
            {
                exit(&mut self.memory, &mut Caller { instance: other, process, files, now });
            }
        }
    }

    fn process(&self, instance: u8) -> u32 {
        self.processes[usize::from(instance)]
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Inode)> {
        let entries = self.memory.directory.entries.iter();
        entries.filter_map(|(name, number)| Some((&**name, self.memory.inodes.get(number)?)))
    }

    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.named().map(|(name, inode)| (name.to_owned(), inode.bytes.clone())).collect()
    }

    fn locks(&self) -> Vec<(u8, String, Mode)> {
        let mut locks = Vec::new();
        for (number, inode) in &self.memory.inodes {
            let entry = self.memory.directory.entries.iter().find(|(_, entry)| *entry == number);
            let name = match entry {
                Some((name, _)) => name.to_string(),
                // Locks on the directory itself only keep cleaners away.
                None if *number == Directory::INODE => continue,
                None => "a removed file".to_owned(),
            };
            locks.extend(inode.locks().map(|(description, mode)| (description.instance, name.clone(), mode)));
            if let Some(process) = inode.record_lock_holder() {
                let holders = self.files.keys().filter(|instance| self.process(**instance) == process);
                locks.extend(holders.map(|instance| (*instance, name.clone(), Mode::Exclusive)));
            }
        }
        locks
    }
}
