//! The same calls on both kernels, side by side.

use std::collections::HashMap;
use std::io;

use models::kernel::{Caller, Fate, Files, Memory, exit, perform};
use single_primary::call::Time;
use tempfile::TempDir;

use crate::language;
use crate::process::Process;

pub(crate) const INSTANCES: usize = 3;

/// Which process hosts each instance.
pub(crate) type Hosts = [usize; INSTANCES];

/// Both kernels, with processes on each that correspond.
struct Both {
    directory: TempDir,
    hosts: Hosts,
    processes: [Option<Process>; INSTANCES],
    /// The last ID of each.
    ids: [u32; INSTANCES],
    memory: Memory,
    files: [Files; INSTANCES],
    real_inodes: HashMap<u64, usize>,
    simulated_inodes: HashMap<u64, usize>,
}

/// Makes the calls, one a line, on both kernels, and compares what comes back. `I die` kills the process of an instance,
/// and the next call of one that lived in it starts another; `#I` stands for the ID of the process of an instance.
pub(crate) fn compare<'a>(hosts: Hosts, calls: impl IntoIterator<Item = &'a str>) -> Result<(), String> {
    let environment = |error: io::Error| format!("the test cannot run: {error}");
    let mut both = Both {
        directory: tempfile::tempdir().map_err(environment)?,
        hosts,
        processes: Default::default(),
        ids: [0; INSTANCES],
        memory: Memory::default(),
        files: Default::default(),
        real_inodes: HashMap::new(),
        simulated_inodes: HashMap::new(),
    };
    for (at, line) in calls.into_iter().map(str::trim).enumerate() {
        let parsed = line.split_once(' ').and_then(|(instance, call)| Some((instance.parse().ok()?, call)));
        let Some((instance, call)) = parsed.filter(|(instance, _)| *instance < INSTANCES) else {
            return Err(format!("line {at} is no call of an instance: {line}"));
        };
        if call == "die" {
            both.kill(hosts[instance]);
            continue;
        }
        let (simulated, real) = both.call(instance, call).map_err(environment)?;
        if simulated != real {
            return Err(format!("line {at}, {line}: simulated {simulated:?}, real {real:?}"));
        }
    }
    Ok(())
}

/// An inode, by the order in which it was first seen, and the reply as a line.
type Comparable = (Option<usize>, String);

impl Both {
    fn call(&mut self, instance: usize, line: &str) -> io::Result<(Comparable, Comparable)> {
        let host = self.hosts[instance];
        if self.processes[host].is_none() {
            let process = Process::start(self.directory.path())?;
            self.ids[host] = process.id();
            self.memory.processes.alive.insert(process.id());
            self.processes[host] = Some(process);
        }
        let line = (0..INSTANCES).fold(line.to_owned(), |line, instance| {
            line.replace(&format!("#{instance}"), &self.ids[self.hosts[instance]].to_string())
        });
        let call = language::call(&line).ok_or_else(|| io::Error::other(format!("no call: {line}")))?;

        let process = self.processes[host].as_mut().expect("it was started");
        let (inode, real) = process.call(instance, &line)?;
        let real = (renumbered(&mut self.real_inodes, inode), real);
        let mut caller = caller(&mut self.files, instance, self.ids[host]);
        let (inode, simulated) = language::reply(perform(&mut self.memory, &mut caller, &call, Fate::Normal));
        let simulated = (renumbered(&mut self.simulated_inodes, inode), simulated);

        if language::frees(&call) {
            self.forget_inodes();
        }
        Ok((simulated, real))
    }

    fn kill(&mut self, host: usize) {
        if self.processes[host].take().is_none() {
            return;
        }
        let process = self.ids[host];
        for instance in (0..INSTANCES).filter(|instance| self.hosts[*instance] == host) {
            exit(&mut self.memory, &mut caller(&mut self.files, instance, process));
        }
        self.memory.processes.alive.remove(&process);
        self.forget_inodes();
    }

    fn forget_inodes(&mut self) {
        self.real_inodes.clear();
        self.simulated_inodes.clear();
    }
}

fn caller(files: &mut [Files; INSTANCES], instance: usize, process: u32) -> Caller<'_> {
    let number = u8::try_from(instance).expect("few instances");
    Caller { instance: number, process, files: &mut files[instance], now: Time::default() }
}

fn renumbered(seen: &mut HashMap<u64, usize>, inode: Option<u64>) -> Option<usize> {
    let next = seen.len();
    inode.map(|inode| *seen.entry(inode).or_insert(next))
}
