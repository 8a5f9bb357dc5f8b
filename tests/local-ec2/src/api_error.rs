//! The errors of the EC2 API.

use std::borrow::Cow;

/// An error as EC2 answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    pub(crate) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValue", message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub(crate) fn unknown(parameter: &str) -> Self {
        Self::new("UnknownParameter", format!("The parameter {parameter} is not recognized"))
    }

    pub(crate) fn invalid_action(action: &str) -> Self {
        Self::new("InvalidAction", format!("The action {action} is not valid for this web service."))
    }

    pub(crate) fn throttled() -> Self {
        Self::new("RequestLimitExceeded", "Request limit exceeded.")
    }

    /// The server's own error of an HTTP status: 503 is `Unavailable`, the others `InternalError`.
    pub(crate) fn server(status: u16) -> Self {
        match status {
            503 => Self::new("Unavailable", "The server is overloaded and can't handle the request."),
            _ => Self::new("InternalError", "An internal error has occurred"),
        }
    }

    /// The HTTP status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match &*self.code {
            // EC2 calls a want of capacity an error of its own (EC2 API Reference, server error codes).
            "InternalError"
            | "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientReservedInstanceCapacity" => 500,
            "RequestLimitExceeded" | "Unavailable" => 503,
            "UnauthorizedOperation" | "AuthFailure" => 403,
            "DryRunOperation" => 412,
            _ => 400,
        }
    }
}
