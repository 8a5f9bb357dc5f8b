//! What the functions speak of: runs, ids, tags, timeouts, states and times.

pub mod block_devices;
pub(crate) mod days;
pub mod deprecation;
pub mod ids;
pub mod image_state;
pub mod retention;
pub mod run;
pub mod source_instance;
pub mod tags;
pub mod timeouts;
pub mod watermarks;
