//! What a model panics with is a finding of its checker: told once, as the violation, instead of on standard error.
//!
//! Both checkers install a panic hook at their first run and leave it behind: it would report every execution that is ended
//! early. Here theirs give way to one that keeps quiet about what is being explored, and passes on everything else.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;

use shuttle::Runner;
use shuttle::scheduler::DfsScheduler;

thread_local! {
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
    /// Where the model panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What was panicked with, and where.
pub(crate) struct Panic {
    payload: Box<dyn Any + Send>,
    place: Option<String>,
}

/// Explores something on this thread, and returns its result or what it panicked with.
pub(crate) fn catch<R>(explore: impl FnOnce() -> R) -> Result<R, Panic> {
    install_hook();
    let was_exploring = EXPLORING.replace(true);
    PLACE.take();
    let result = catch_unwind(AssertUnwindSafe(explore));
    EXPLORING.set(was_exploring);
    result.map_err(|payload| Panic { payload, place: PLACE.take() })
}

impl Panic {
    /// What was thrown, if it is of that type.
    pub(crate) fn downcast<T: 'static>(self) -> Result<T, Self> {
        let Self { payload, place } = self;
        payload.downcast().map(|thrown| *thrown).map_err(|payload| Self { payload, place })
    }

    /// The panic in words. One that has none goes on.
    pub(crate) fn into_finding(self) -> String {
        let place = self.place.clone().map_or_else(String::new, |place| format!(" (panicked at {place})"));
        let text = match self.downcast::<String>() {
            Ok(text) => text,
            Err(other) => match other.downcast::<&str>() {
                Ok(text) => text.to_owned(),
                Err(other) => resume_unwind(other.payload),
            },
        };
        format!("{text}{place}")
    }
}

fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let original = panic::take_hook();
        let mut first = loom::model::Builder::new();
        (first.checkpoint_file, first.log) = (None, false);
        first.check(|| {});
        Runner::new(DfsScheduler::new(Some(1), false), super::shuttle::config()).run(|| {});
        panic::set_hook(Box::new(move |panic| {
            if EXPLORING.get() {
                PLACE.set(panic.location().map(ToString::to_string));
            } else {
                original(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_panicked_with_is_told_with_its_place() {
        let Err(panic) = catch::<()>(|| panic!("{} of {}", 1, 2)) else { unreachable!("it panics") };
        let finding = panic.into_finding();
        assert!(finding.starts_with("1 of 2 (panicked at models/src/threads/panics.rs:"), "{finding}");
    }

    #[test]
    fn what_is_thrown_comes_back() {
        let Err(panic) = catch::<()>(|| resume_unwind(Box::new(7_u8))) else { unreachable!("it throws") };
        assert!(panic.downcast::<u8>().is_ok_and(|thrown| thrown == 7));
    }
}
