//! Ctrl-C, and SIGTERM: a run ends with its verdict so far.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Failure;

/// A flag that the first such signal sets. The second one ends the process as it would have done without this.
pub(crate) fn flag_of_signals() -> Result<Arc<AtomicBool>, Failure> {
    let interrupt = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the flag that decides about the default is set by the signal before.
        flag::register_conditional_default(signal, interrupt.clone())
            .and_then(|_| flag::register(signal, interrupt.clone()))
            .map_err(Failure::environment("signals", "sigaction", "report this"))?;
    }
    Ok(interrupt)
}
