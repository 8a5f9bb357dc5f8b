//! What AWS's error codes mean to a run.
//!
//! EC2 models no errors, so they are told apart by their codes.

use aws_sdk_ec2::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

use crate::error::Error;

/// Codes, each with what it says. All that EC2 documents and that a call of the functions can meet is in one of
/// the tables (EC2 API Reference, error codes); what is in none is refused.
type Codes = &'static [(&'static str, &'static str)];

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
/// The instance's state does not fit.
pub const INSTANCE_STATE: &str = "IncorrectInstanceState";
/// The instance's state or root device does not fit.
pub const INVALID_PARAMETER_VALUE: &str = "InvalidParameterValue";

/// The call is allowed, and was not made.
pub const DRY_RUN: &str = "DryRunOperation";

/// What CreateImage is refused with for a reason that passes, and takes longer to than retries last.
const BUSY: Codes = &[
    ("PendingSnapshotLimitExceeded", "too many snapshots of the account are pending"),
    ("ConcurrentSnapshotLimitExceeded", "too many snapshots of a volume are pending"),
    ("ConcurrentCreateImageNoRebootLimitExceeded", "too many images of the instance are being made"),
    ("IncorrectState", "EC2 is still busy with the instance or a volume"),
    (INSTANCE_STATE, "the instance is changing its state"),
];

/// What StartInstances is refused with where EC2 has no place for the instance, which may last for hours.
const NO_CAPACITY: Codes = &[
    ("InsufficientInstanceCapacity", "the Availability Zone has no place for the instance type"),
    ("InsufficientHostCapacity", "the Dedicated Host has no place"),
    ("InsufficientReservedInstanceCapacity", "the Reserved Instances have no place"),
    ("InsufficientCapacity", "the same"),
    ("InsufficientCapacityOnHost", "the same"),
    ("ReservationCapacityExceeded", "the Capacity Reservation has no place"),
    ("InstanceLimitExceeded", "the account runs as many instances as it may"),
    ("VcpuLimitExceeded", "the account uses as many vCPUs as it may"),
    ("MaxSpotInstanceCountExceeded", "the account has as many Spot Instances as it may"),
];

/// Step Functions knows no such execution.
pub const EXECUTION_NOT_FOUND: &str = "ExecutionDoesNotExist";
/// The execution has ended.
pub const NOT_STOPPABLE: &str = "ValidationException";

/// Wait, and try again.
const THROTTLES: Codes = &[
    ("RequestLimitExceeded", "the account's requests of this kind are used up for the moment"),
    ("Throttling", "the same, as AWS's gateways say it"),
    ("ThrottlingException", "the same, as Step Functions says it"),
    ("TooManyRequestsException", "the same, as other services say it"),
    ("RequestThrottled", "the same, as the SDKs know it"),
    ("RequestThrottledException", "the same, as the SDKs know it"),
    ("EC2ThrottledException", "the same, as the SDKs know it"),
    ("SnapshotCreationPerVolumeRateExceeded", "a volume's next snapshot must come at least 15 seconds later"),
    ("ConcurrentTagAccess", "another request changes the resource's tags"),
];

/// A quota is used up: waiting does not help.
const QUOTAS: Codes = &[
    ("SnapshotLimitExceeded", "the account has as many snapshots as it may"),
    ("ResourceLimitExceeded", "the account has as many of something as it may"),
    ("ResourceCountLimitExceeded", "the same"),
    ("TagLimitExceeded", "a resource has as many tags as it may"),
];

/// Somebody must allow it first.
const PERMISSIONS: Codes = &[
    ("UnauthorizedOperation", "a policy of the role, a boundary or the organisation does not allow it"),
    ("AccessDenied", "the same, as other services say it"),
    ("AccessDeniedException", "the same, as Step Functions says it"),
    ("AuthFailure", "the resource is another account's, or the credentials are no good"),
    ("TagPolicyViolation", "the organisation's tag policy does not allow a tag"),
    ("Blocked", "the account is blocked"),
    ("AccountDisabled", "the feature is switched off for the account"),
    ("OptInRequired", "the account has not subscribed to EC2"),
    ("PendingVerification", "the account is not verified yet"),
    ("InvalidClientTokenId", "the credentials are no good"),
    ("MissingAuthenticationToken", "the same"),
    ("SignatureDoesNotMatch", "the same"),
    ("IncompleteSignature", "the same"),
];

/// AWS has broken down, or has not taken the request for one of now: another attempt is signed anew. Whether it
/// did the work is not known.
const OUTAGES: Codes = &[
    ("InternalError", "EC2 has an error of its own"),
    ("InternalFailure", "the same"),
    ("ServerInternal", "the same"),
    ("Unavailable", "EC2 is overloaded"),
    ("ServiceUnavailable", "the same"),
    ("RetryableError", "a service that EC2 asks did not answer"),
    ("RequestExpired", "the function slept for a quarter of an hour between signing and sending"),
];

/// Refused for what it asks: the same call never goes well.
#[cfg(test)]
const REFUSALS: Codes = &[
    ("OperationNotPermitted", "the image is protected, or another service manages it"),
    ("SnapshotLocked", "a lock keeps the snapshot; EC2 does not document its code"),
    ("DependencyViolation", "something else depends on it"),
    ("InvalidParameterValue", "a value, such as a description beyond ASCII or a date out of range"),
    ("InvalidParameter", "a value"),
    ("InvalidParameterCombination", "values that do not go together"),
    ("InvalidParameterDependency", "the same"),
    ("MissingParameter", "nothing was given"),
    ("UnknownParameter", "EC2 does not know a parameter"),
    ("ValidationError", "a value"),
    ("InvalidAMIName.Malformed", "the name"),
    ("InvalidAMIID.Malformed", "the image's id"),
    ("InvalidSnapshotID.Malformed", "the snapshot's id"),
    ("InvalidID", "the id of what is to be tagged"),
    ("InvalidTagKey.Malformed", "a tag's key"),
    ("InvalidAMIAttributeItemValue", "an attribute's value"),
    ("InvalidBlockDeviceMapping", "the devices"),
    ("InvalidPaginationToken", "a page that has expired"),
    ("InvalidFilter", "a filter"),
    ("FilterLimitExceeded", "more than 200 values of filters"),
    ("InvalidMaxResults", "the page's size"),
    ("UnsupportedOperation", "not of this instance or image"),
    ("Unsupported", "the same"),
    ("IncorrectState", "the image or the snapshot, of every call but CreateImage"),
    ("CustomerKeyHasBeenRevoked", "the key of a volume's encryption"),
    ("InvalidAction", "an endpoint that is not EC2's"),
    (DRY_RUN, "only a dry run expects it"),
];

/// What there is none of, as a caller expects it: the call's work is done, or is in vain.
#[cfg(test)]
const GONE: &[&str] = &[IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_NOT_FOUND, INSTANCE_NOT_FOUND, INSTANCE_MALFORMED];

fn meaning<'a>(codes: &[(&'a str, &'a str)], code: &str) -> Option<&'a str> {
    codes.iter().find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

/// Why CreateImage cannot make an image at the moment; none if the code says something else.
pub(crate) fn busy(code: &str) -> Option<&'static str> {
    meaning(BUSY, code)
}

/// Whether EC2 has no place for an instance at the moment.
pub(crate) fn is_about_capacity(code: &str) -> bool {
    meaning(NO_CAPACITY, code).is_some()
}

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
    let broken = error.raw_response().is_some_and(|response| response.status().is_server_error());
    sorted(action, code, words, broken)
}

/// The error that a code stands for; `broken` is whether the answer was a server error.
fn sorted(action: String, code: &str, words: &str, broken: bool) -> Error {
    let message = format!("{code}: {words}");
    let is_one_of = |codes| meaning(codes, code).is_some();
    if is_one_of(THROTTLES) {
        Error::Throttled { action, message }
    } else if is_one_of(QUOTAS) {
        Error::QuotaExceeded { action, quota: code.to_owned(), message: words.to_owned() }
    } else if is_one_of(PERMISSIONS) {
        Error::NotAuthorized { action, message }
    } else if broken || is_one_of(OUTAGES) {
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

/// What nothing depends on: none where AWS refuses it, or has no answer.
pub(crate) fn if_known<T>(result: Result<T, Error>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, "going on without it")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(code: &str) -> Error {
        sorted("ec2:CreateImage".to_owned(), code, "words", false)
    }

    fn all_are(codes: Codes, name: &str) {
        for (code, meaning) in codes {
            assert_eq!(error_of(code).name(), name, "{code}: {meaning}");
            assert!(!meaning.is_empty(), "{code}");
        }
    }

    #[test]
    fn what_asks_to_wait_is_tried_again_later() {
        all_are(THROTTLES, "Throttled");
        assert!(THROTTLES.iter().all(|(code, _)| error_of(code).is_to_be_retried()));
    }

    #[test]
    fn a_quota_that_is_used_up_is_named() {
        all_are(QUOTAS, "QuotaExceeded");
        assert!(QUOTAS.iter().all(|(code, _)| error_of(code).to_string().contains(code)));
    }

    #[test]
    fn what_somebody_must_allow_first_is_not_tried_again() {
        all_are(PERMISSIONS, "NotAuthorized");
        assert!(PERMISSIONS.iter().all(|(code, _)| !error_of(code).is_to_be_retried()));
    }

    #[test]
    fn an_outage_is_tried_again_whatever_its_code() {
        all_are(OUTAGES, "ServiceUnavailable");
        let unknown = sorted("ec2:CreateImage".to_owned(), "ACodeOfTomorrow", "words", true);
        assert_eq!(unknown.name(), "ServiceUnavailable");
    }

    #[test]
    fn a_refusal_and_a_code_that_nobody_knows_are_refused_with_code_and_words() {
        all_are(REFUSALS, "CallRefused");
        assert_eq!(error_of("ACodeOfTomorrow").to_string(), "ec2:CreateImage was refused: ACodeOfTomorrow: words");
    }

    #[test]
    fn what_is_gone_is_an_error_only_where_a_caller_does_not_expect_it() {
        assert!(GONE.iter().all(|code| error_of(code).name() == "CallRefused"));
    }

    #[test]
    fn what_create_image_waits_for_is_no_reason_for_other_calls_to_wait() {
        assert!(BUSY.iter().all(|(code, _)| error_of(code).name() == "CallRefused"));
        assert!(THROTTLES.iter().chain(QUOTAS).chain(PERMISSIONS).all(|(code, _)| busy(code).is_none()));
    }

    #[test]
    fn a_code_has_one_meaning() {
        let mut codes: Vec<_> = [THROTTLES, QUOTAS, PERMISSIONS, OUTAGES].concat();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup_by_key(|(code, _)| *code);
        assert_eq!(codes.len(), count);
    }
}
