//! What the service refuses.

use thiserror::Error;

use crate::definition_error::DefinitionError;

/// An error of the service.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the names are those of the service")]
pub enum ServiceError {
    #[error("State Machine Does Not Exist: '{0}'")]
    StateMachineDoesNotExist(String),
    #[error("State Machine Already Exists: '{0}'")]
    StateMachineAlreadyExists(String),
    #[error("Execution Does Not Exist: '{0}'")]
    ExecutionDoesNotExist(String),
    #[error("Execution Already Exists: '{0}'")]
    ExecutionAlreadyExists(String),
    #[error("Execution Not Redrivable: '{0}'")]
    ExecutionNotRedrivable(String),
    #[error("Invalid Arn: '{0}'")]
    InvalidArn(String),
    #[error("Invalid Name: '{0}'")]
    InvalidName(String),
    #[error("Invalid State Machine Execution Input: it must be JSON of at most 262144 bytes")]
    InvalidExecutionInput,
    #[error("Invalid Output: it must be JSON of at most 262144 bytes")]
    InvalidOutput,
    #[error("Invalid Token: '{0}'")]
    InvalidToken(String),
    #[error("Task Timed Out: 'Provided task does not exist anymore'")]
    TaskTimedOut,
    #[error("Invalid State Machine Definition: '{0}'")]
    InvalidDefinition(#[from] DefinitionError),
}

impl ServiceError {
    /// The code, as the API writes it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::StateMachineDoesNotExist(_) => "StateMachineDoesNotExist",
            Self::StateMachineAlreadyExists(_) => "StateMachineAlreadyExists",
            Self::ExecutionDoesNotExist(_) => "ExecutionDoesNotExist",
            Self::ExecutionAlreadyExists(_) => "ExecutionAlreadyExists",
            Self::ExecutionNotRedrivable(_) => "ExecutionNotRedrivable",
            Self::InvalidArn(_) => "InvalidArn",
            Self::InvalidName(_) => "InvalidName",
            Self::InvalidExecutionInput => "InvalidExecutionInput",
            Self::InvalidOutput => "InvalidOutput",
            Self::InvalidToken(_) => "InvalidToken",
            Self::TaskTimedOut => "TaskTimedOut",
            Self::InvalidDefinition(_) => "InvalidDefinition",
        }
    }
}
