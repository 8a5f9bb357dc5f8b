//! What the functions speak of: runs, ids, tags, timeouts, states and times.

pub mod deprecation;
pub mod ids;
pub mod image_state;
pub mod run;
pub mod tags;
pub mod timeouts;
