//! What is kept of a run: its ratios, and where they were measured.

use std::path::Path;
use std::process::Command;
use std::{fs, io, thread};

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use crate::ratio::Ratio;

/// A run of the benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// When it was summed up.
    pub date: Timestamp,
    /// What was measured: a commit, with `-dirty` behind it where files differed from it.
    pub commit: String,
    /// Where.
    pub machine: Machine,
    /// How many programs wanted a processor, on average over the last five minutes of it, where the system tells.
    pub load: Option<f64>,
    /// The figures.
    pub ratios: Vec<Ratio>,
}

/// The machine of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many processors this program may use.
    pub processors: usize,
    /// The operating system and its release.
    pub system: String,
    /// The file system of the measured files.
    pub files: String,
}

impl Summary {
    /// Of ratios measured here and now.
    #[must_use]
    pub fn of(ratios: Vec<Ratio>) -> Self {
        let now = Timestamp::now();
        let date = now.round(Unit::Second).unwrap_or(now);
        Self { date, commit: commit(), machine: Machine::here(), load: load(), ratios }
    }

    /// Where and when it was measured, in a sentence.
    #[must_use]
    pub fn provenance(&self) -> String {
        let Self { date, commit, machine, load, ratios: _ } = self;
        let Machine { processor, processors, system, files } = machine;
        let load = match load {
            Some(load) if load.floor() > f64::from(u32::try_from(*processors).unwrap_or(u32::MAX)) => {
                format!(" Other programs kept them busy (a load of {load:.1}), which distorts the ratios.")
            }
            _ => String::new(),
        };
        format!(
            "Measured on {date} at commit {commit}: {processors} processors ({processor}), {system}, {files}.{load}"
        )
    }

    /// Reads a stored one.
    ///
    /// # Errors
    /// Where the file cannot be read or is no summary.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }

    /// The JSON that [`Summary::read`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and text serialise") + "\n"
    }
}

impl Machine {
    fn here() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let kernel = rustix::system::uname();
        Self {
            processor: processor.unwrap_or_else(|| kernel.machine().to_string_lossy().into_owned()),
            processors: thread::available_parallelism().map_or(1, Into::into),
            system: format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
            files: if Path::new("/dev/shm").is_dir() { "tmpfs" } else { "temporary directory" }.into(),
        }
    }
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// The commit that is checked out, as far as git can tell.
fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".into(),
    }
}
