//! One election among real processes: native ones, which are forked, and programs of any language, which are started.

pub(crate) mod native;
pub(crate) mod program;
