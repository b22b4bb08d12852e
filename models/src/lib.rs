//! Proves the election and shows that its proofs could have failed: a simulated kernel, checkers over it, and a zoo of
//! broken protocols that every checker must refute.

pub mod call;
pub mod display;
pub mod end;
pub mod export;
pub mod kernel;
pub mod markup;
pub mod participant;
pub mod promises;
pub mod real;
pub mod script;
#[cfg(feature = "checkers")]
pub mod states;
#[cfg(feature = "checkers")]
pub mod story;
#[cfg(feature = "checkers")]
pub mod threads;
pub mod verdict;
pub mod zoo;
