//! The end of an execution.

use std::sync::Arc;

use serde_json::Value;

use crate::{execution::Status, history::Event, limits};

/// How an execution ends.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Succeeded(Arc<Value>),
    Failed { error: String, cause: Option<String> },
    Aborted { error: Option<String>, cause: Option<String> },
    TimedOut,
}

impl Ending {
    pub(crate) fn failed(error: impl Into<String>, cause: Option<String>) -> Self {
        Self::Failed { error: error.into(), cause }
    }

    /// What is too long is cut off.
    pub(super) fn cut(self) -> Self {
        let cut_error = |error: String| limits::cut(error, limits::ERROR_CHARACTERS);
        let cut_cause = |cause: Option<String>| cause.map(|cause| limits::cut(cause, limits::CAUSE_CHARACTERS));
        match self {
            Self::Failed { error, cause } => Self::Failed { error: cut_error(error), cause: cut_cause(cause) },
            Self::Aborted { error, cause } => Self::Aborted { error: error.map(cut_error), cause: cut_cause(cause) },
            other => other,
        }
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Self::Succeeded(_) => Status::Succeeded,
            Self::Failed { .. } => Status::Failed,
            Self::Aborted { .. } => Status::Aborted,
            Self::TimedOut => Status::TimedOut,
        }
    }

    pub(super) fn event(&self) -> Event {
        match self.clone() {
            Self::Succeeded(output) => Event::ExecutionSucceeded { output },
            Self::Failed { error, cause } => Event::ExecutionFailed { error, cause },
            Self::Aborted { error, cause } => Event::ExecutionAborted { error, cause },
            Self::TimedOut => Event::ExecutionTimedOut,
        }
    }
}
