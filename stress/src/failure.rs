//! The errors that keep a command from a verdict.

use models::export::Unwritable;

/// Why a command has no verdict. The message names the path or option, the call and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The options contradict one another or cannot be had here.
    #[error("{0}")]
    Usage(String),
    /// A process of the campaign failed, and said this.
    #[error("{0}")]
    Worker(String),
    /// A system call failed.
    #[error("{place}: {call}: {source}; {remedy}")]
    Environment {
        /// The path, or what else the call was about.
        place: String,
        /// The system call or operation.
        call: &'static str,
        /// What it said.
        source: std::io::Error,
        /// What a person can do about it.
        remedy: &'static str,
    },
}

impl From<Unwritable> for Failure {
    fn from(Unwritable { place, call, source, remedy }: Unwritable) -> Self {
        Self::Environment { place, call, source, remedy }
    }
}

impl Failure {
    /// For `map_err` on system calls.
    pub(crate) fn environment<E: Into<std::io::Error>>(
        place: impl std::fmt::Display,
        call: &'static str,
        remedy: &'static str,
    ) -> impl FnOnce(E) -> Self {
        let place = place.to_string();
        move |source| Self::Environment { place, call, source: source.into(), remedy }
    }
}
