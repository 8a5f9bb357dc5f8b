//! What AWS's error codes mean to a run.
//!
//! EC2 models no errors, so they are told apart by their codes (EC2 API Reference, error codes).

use aws_sdk_ec2::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use crate::error::Error;

/// The name belongs to another image, or is still held by one that was deregistered.
pub const NAME_DUPLICATE: &str = "InvalidAMIName.Duplicate";
/// No such image, or not yet, or no longer.
pub const IMAGE_NOT_FOUND: &str = "InvalidAMIID.NotFound";
/// The image was deregistered.
pub const IMAGE_UNAVAILABLE: &str = "InvalidAMIID.Unavailable";
/// No such instance.
pub const INSTANCE_NOT_FOUND: &str = "InvalidInstanceID.NotFound";
/// Not an instance's id.
pub const INSTANCE_MALFORMED: &str = "InvalidInstanceID.Malformed";
/// No such snapshot.
pub const SNAPSHOT_NOT_FOUND: &str = "InvalidSnapshot.NotFound";
/// An image, perhaps one just deregistered, refers to the snapshot.
pub const SNAPSHOT_IN_USE: &str = "InvalidSnapshot.InUse";
/// The instance's state or root device does not fit.
pub const INVALID_PARAMETER_VALUE: &str = "InvalidParameterValue";

/// What CreateImage refuses while others of its kind go on: they pass as these end.
pub const BUSY: &[&str] =
    &["PendingSnapshotLimitExceeded", "ConcurrentSnapshotLimitExceeded", "ConcurrentCreateImageNoRebootLimitExceeded"];

/// Step Functions knows no such execution.
pub const EXECUTION_NOT_FOUND: &str = "ExecutionDoesNotExist";
/// The execution has ended.
pub const NOT_STOPPABLE: &str = "ValidationException";

const THROTTLES: &[&str] = &[
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "SnapshotCreationPerVolumeRateExceeded",
    "ConcurrentTagAccess",
];
const QUOTAS: &[&str] = &["SnapshotLimitExceeded", "ResourceLimitExceeded", "TagLimitExceeded"];
const PERMISSIONS: &[&str] = &["UnauthorizedOperation", "AuthFailure", "AccessDenied", "AccessDeniedException"];
const OUTAGES: &[&str] = &["InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable"];

/// The code of an error that the service itself answered.
pub fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

/// The error of a call of `action` (as IAM spells it), for whatever the caller does not expect.
pub fn unexpected<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let action = action.to_owned();
    let Some(service) = error.as_service_error() else {
        return Error::ServiceUnavailable { action, message: DisplayErrorContext(error).to_string() };
    };
    let code = service.code().unwrap_or("no error code");
    let words = service.message().unwrap_or("no message");
    let message = format!("{code}: {words}");
    let broken = error.raw_response().is_some_and(|response| response.status().is_server_error());
    if THROTTLES.contains(&code) {
        Error::Throttled { action, message }
    } else if QUOTAS.contains(&code) {
        Error::QuotaExceeded { action, quota: code.to_owned(), message: words.to_owned() }
    } else if PERMISSIONS.contains(&code) {
        Error::NotAuthorized { action, message }
    } else if broken || OUTAGES.contains(&code) {
        Error::ServiceUnavailable { action, message }
    } else {
        Error::CallRefused { action, message }
    }
}

/// What a run can do without: none where AWS refuses it, an error only where it is to be tried again.
pub(crate) fn optional<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::Throttled { .. } | Error::ServiceUnavailable { .. })) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "going on without it");
            Ok(None)
        }
    }
}
