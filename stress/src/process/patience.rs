//! Waiting for processes in time in which they could have done what is waited for.
//!
//! That it has taken long is no evidence against a process: the machine may have let nobody run, or have taken its pages away.
//! So time counts only as far as all that is waited for slept, which is their own choice, or had a processor. One that waits
//! for a processor or for the disk, and one that is stopped, is waited for; if that goes on for too long, nothing follows.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// How long is still waited.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    counts: Counts,
    /// From here on nothing is waited for, whoever is to blame.
    until: Instant,
    looked: Instant,
    /// The time that has passed since processes were looked at, and counts if they had theirs.
    passed: Duration,
    /// The threads as they were then.
    threads: BTreeMap<u64, Thread>,
}

/// What time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// That in which each could have gone on.
    WhenFree,
    /// That in which all slept.
    AtRest,
}

/// How a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It goes on.
    On,
    /// They had the time, and did not use it.
    Over,
    /// Nobody let them run.
    Starved,
}

impl Patience {
    /// More than this does not pass between two looks of a process that runs.
    const LOOK_MAX: Duration = Duration::from_millis(100);

    /// How much is to pass before processes are looked at.
    const SAMPLE: Duration = Duration::from_millis(50);

    /// To wait for so long in which all could have gone on.
    pub(crate) fn new(patience: Duration) -> Self {
        Self::counting(Counts::WhenFree, patience, patience.saturating_mul(10).saturating_add(Duration::from_mins(1)))
    }

    /// To wait until all have slept for so long, or for the longer of the two.
    pub(crate) fn at_rest(rest: Duration, at_most: Duration) -> Self {
        Self::counting(Counts::AtRest, rest, at_most.max(rest))
    }

    fn counting(counts: Counts, left: Duration, at_most: Duration) -> Self {
        let now = Instant::now();
        Self { left, counts, until: now + at_most, looked: now, passed: Duration::ZERO, threads: BTreeMap::new() }
    }

    /// Whether the wait for these processes is over, looked at again and again.
    pub(crate) fn look(&mut self, processes: impl IntoIterator<Item = Pid>) -> Waiting {
        let now = Instant::now();
        // A pause in which this process did not run either is nobody's.
        self.passed += now.saturating_duration_since(self.looked).min(Self::LOOK_MAX);
        self.looked = now;
        if self.passed >= self.left.min(Self::SAMPLE) {
            let counts = self.counted(processes, self.passed);
            self.left = self.left.saturating_sub(counts);
            self.passed = Duration::ZERO;
        }
        if self.left.is_zero() {
            Waiting::Over
        } else if now >= self.until {
            Waiting::Starved
        } else {
            Waiting::On
        }
    }

    /// How much of a span counts.
    fn counted(&mut self, processes: impl IntoIterator<Item = Pid>, span: Duration) -> Duration {
        let threads: BTreeMap<_, _> =
            processes.into_iter().flat_map(threads).map(|thread| (thread.id, thread)).collect();
        let before = std::mem::replace(&mut self.threads, threads);
        let mut counts = span;
        let mut ran = Duration::ZERO;
        for thread in self.threads.values() {
            let had = before.get(&thread.id);
            let since =
                |times: fn(&Thread) -> u64| Duration::from_nanos(times(thread).saturating_sub(had.map_or(0, times)));
            let thread_ran = since(|thread| thread.ran_ns);
            ran += thread_ran;
            counts = counts.min(match self.counts {
                Counts::AtRest if thread.is_kept_waiting => Duration::ZERO,
                Counts::AtRest => span,
                // It would have gone on all the time, and did not.
                Counts::WhenFree if thread.is_kept_waiting && had.is_some() && thread_ran.is_zero() => Duration::ZERO,
                Counts::WhenFree => span.saturating_sub(since(|thread| thread.queued_ns)),
            });
        }
        // Those who work in short stretches are seldom met at it.
        if self.counts == Counts::AtRest && ran > span / 4 { Duration::ZERO } else { counts }
    }
}

/// A thread at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    id: u64,
    /// How long it has had a processor.
    ran_ns: u64,
    /// How long it has waited for one, as far as that wait is over.
    queued_ns: u64,
    /// Whether it would go on if it were let.
    is_kept_waiting: bool,
}

/// The living threads of a process; none where the system does not tell.
fn threads(process: Pid) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let status = fs::read_to_string(task.path().join("stat")).ok()?;
            let times = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let mut times = times.split(' ').map(|time| time.parse().unwrap_or_default());
            Some(Thread {
                id: task.file_name().to_str()?.parse().ok()?,
                ran_ns: times.next().unwrap_or_default(),
                queued_ns: times.next().unwrap_or_default(),
                is_kept_waiting: is_kept_waiting(&status)?,
            })
        })
        .collect()
}

/// What a line of /proc/PID/stat says of the thread's state; nothing of one that has ended.
fn is_kept_waiting(status: &str) -> Option<bool> {
    // The name, in brackets, may hold anything.
    match status.rsplit_once(") ")?.1.chars().next()? {
        'Z' | 'X' | 'x' => None,
        'S' | 'I' => Some(false),
        _ => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::{Signal, kill_process};

    use super::*;

    #[test]
    fn states_are_read_behind_any_name() {
        let check = |line: &str, expected| assert_eq!(is_kept_waiting(line), expected, "{line}");
        check("1 (sleep) S 0 1 1", Some(false));
        check("1 (a) R) D 0 1 1", Some(true));
        check("1 (a b) R 0 1 1", Some(true));
        check("1 (a) T 0 1 1", Some(true));
        check("1 (a) Z 0 1 1", None);
    }

    #[test]
    fn time_counts_for_who_sleeps_or_runs_and_not_for_who_is_stopped() {
        let check = |program: &[&str], stopped: bool, expected: Waiting| {
            let mut child =
                Command::new(program[0]).args(&program[1..]).stdin(Stdio::piped()).spawn().expect("a program");
            let pid = Pid::from_child(&child);
            if stopped {
                kill_process(pid, Signal::STOP).expect("it is ours");
                // Until it is stopped, it may have run.
                while threads(pid).iter().any(|thread| !thread.is_kept_waiting) {
                    std::thread::yield_now();
                }
            }
            let mut patience = Patience::new(Duration::from_millis(150));
            if stopped {
                patience.until = Instant::now() + Duration::from_millis(400);
            }
            let waiting = loop {
                match patience.look([pid]) {
                    Waiting::On => std::thread::sleep(Duration::from_millis(5)),
                    waiting => break waiting,
                }
            };
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
            assert_eq!(waiting, expected, "{program:?}");
        };
        check(&["sleep", "1000"], false, Waiting::Over);
        check(&["sh", "-c", "while :; do :; done"], false, Waiting::Over);
        if cfg!(target_os = "linux") {
            check(&["sleep", "1000"], true, Waiting::Starved);
        }
    }
}
