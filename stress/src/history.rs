//! What a round leaves: the history of what its instances did and believed, how it is judged, and how it is told.

pub(crate) mod describe;
pub(crate) mod distribution;
pub(crate) mod failover;
pub(crate) mod findings;
pub(crate) mod format;
pub(crate) mod judge;
pub(crate) mod reader;
pub(crate) mod story;
