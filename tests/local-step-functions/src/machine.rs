//! A state machine.

use std::sync::Arc;

use crate::definition::Definition;

/// A machine as executions see it.
pub(crate) struct Machine {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) definition: Arc<Definition>,
}
