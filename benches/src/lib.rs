//! What an election costs, beside its floor and its peers: what criterion measured, as ratios.
//!
//! An absolute time says more about the machine than about the program, so that only ratios to a floor measured in the same
//! run are kept and compared. A ratio has moved when neither of two summaries has the other's figure in its own spread.

pub mod comparison;
pub mod goal;
pub mod ratio;
pub mod readme;
pub mod results;
pub mod summary;
pub mod table;
