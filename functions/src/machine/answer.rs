//! What a function answers to the operation machine, and what comes back with its next call.

use serde::Serialize;

use crate::error::Failure;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// Nothing was begun; begin again after `waitSeconds`.
    NotStarted,
    /// It has begun; look again after `waitSeconds`.
    Pending,
    /// It is done; `result` says what it gave.
    Succeeded,
    /// It will never be done; `error` says why.
    Failed,
}

/// An answer about an operation with memory `M` and result `R`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer<M, R> {
    /// Where the operation stands.
    pub status: Status,
    /// What it waits for, or how it ended.
    pub reason: String,
    /// How long to wait before the next call, in seconds.
    pub wait_seconds: u64,
    /// All that was waited before this call, in seconds.
    pub waited_seconds: u64,
    /// Whether an event may end the wait.
    pub wake: bool,
    /// What the next call is to know.
    pub memory: M,
    /// What the operation gave, once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<R>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl<M, R> Answer<M, R> {
    fn new(status: Status, wait_seconds: u64, reason: impl Into<String>, memory: M) -> Self {
        let reason = reason.into();
        Self { status, reason, wait_seconds, waited_seconds: 0, wake: false, memory, result: None, error: None }
    }

    /// Nothing was begun yet, for a reason that passes.
    pub fn not_started(wait_seconds: u64, reason: impl Into<String>, memory: M) -> Self {
        Self::new(Status::NotStarted, wait_seconds, reason, memory)
    }

    /// It has begun, and is not done for a reason that passes.
    pub fn pending(wait_seconds: u64, reason: impl Into<String>, memory: M) -> Self {
        Self::new(Status::Pending, wait_seconds, reason, memory)
    }

    /// It is done.
    pub fn succeeded(result: R, reason: impl Into<String>, memory: M) -> Self {
        Self { result: Some(result), ..Self::new(Status::Succeeded, 0, reason, memory) }
    }

    /// It will never be done.
    pub fn failed(failure: impl Into<Failure>, memory: M) -> Self {
        let failure = failure.into();
        Self { error: Some(failure), ..Self::new(Status::Failed, 0, "it has failed", memory) }
    }

    /// An event may end the wait.
    #[must_use]
    pub fn until_woken(self) -> Self {
        Self { wake: true, ..self }
    }
}
