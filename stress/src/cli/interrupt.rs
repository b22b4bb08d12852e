//! Ctrl-C, SIGTERM and SIGHUP: a run ends with its verdict so far.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::Signal;
use signal_hook::flag;

use crate::failure::Failure;

/// The signals by which a run is asked to end.
pub(crate) const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// A flag that any such signal sets. The same one may come several times, as when a group is told and each of it: the run
/// ends in good order nevertheless.
pub(crate) fn flag_of_signals() -> Result<Arc<AtomicBool>, Failure> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS {
        // Whoever has started it under nohup(1) wants it to outlive the terminal.
        if signal == Signal::SIGHUP && is_ignored(signal) {
            continue;
        }
        flag::register(signal as i32, interrupt.clone()).map_err(Failure::environment(
            "signals",
            "sigaction",
            "report this",
        ))?;
    }
    Ok(interrupt)
}

/// Whether this process was started with that signal ignored, as far as the system tells.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}
