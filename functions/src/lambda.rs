//! What the main of every function does: it writes logs, and answers events.

pub(crate) mod logs;
pub(crate) mod metrics;
mod serve;

pub use self::serve::{conclude, to_events, to_machines};
