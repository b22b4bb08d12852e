//! When a check ends although it is not complete.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time that a check has, and whoever may end it earlier.
#[derive(Clone)]
pub(crate) struct Limits {
    time: Duration,
    deadline: Option<Instant>,
    go_on: Arc<dyn Fn(u64) -> bool + Send + Sync>,
}

impl Limits {
    /// From now on. `go_on` is told how many executions there were so far.
    pub(crate) fn new(time: Duration, go_on: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Self { time, deadline: Instant::now().checked_add(time), go_on: Arc::new(go_on) }
    }

    /// Why the check is to end after so many executions, if it is.
    pub(crate) fn reached(&self, executions: u64) -> Option<String> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Some(format!("the time of {:?} was spent before every schedule was tried", self.time))
        } else if (self.go_on)(executions) {
            None
        } else {
            Some("it was interrupted before every schedule was tried".into())
        }
    }
}
