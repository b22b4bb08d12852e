//! What an execution comes to.

use std::collections::BTreeSet;

use crate::history::findings::Promise;

/// The judgement of an execution, and what stands in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What was broken, in words.
    pub(crate) broken: Option<Broken>,
    /// Why nothing follows from it.
    pub(crate) unjudged: Option<String>,
    /// What could not be controlled: nothing is proved where there is any.
    pub(crate) doubts: BTreeSet<String>,
    /// What anybody can see of the end: the same for two executions that ended alike.
    pub(crate) end: String,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Which; none where an invariant of somebody's own is broken.
    pub(crate) promise: Option<Promise>,
    pub(crate) text: String,
}
