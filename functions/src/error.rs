//! The one list of error names: what a function answers or raises, and what an execution ends with.
//!
//! A function raises only what the machines are to retry, [`Error::is_to_be_retried`]; everything else it
//! answers, as a [`Failure`].

use lambda_runtime::Diagnostic;
use serde::{Deserialize, Serialize};

/// What a run is called that could not start the instance it has stopped; its image stays.
pub(crate) const NOT_RESTARTED: &str = "InstanceNotRestarted";
/// The name of [`Error::RunRedriven`], as the lifecycle machine tells it a rollback.
pub(crate) const REDRIVEN: &str = "RunRedriven";

/// Why a function could not do its work. The variant's name is the error's name in Amazon States
/// Language and in the execution's `Error`; the text is its `Cause`.
#[derive(Clone, Debug, PartialEq, thiserror::Error, strum::IntoStaticStr, strum::VariantNames)]
pub enum Error {
    /// The input is not what the action takes; nothing was touched.
    #[error("{field}: {problem}")]
    InvalidRequest {
        /// The path of the field in the input, such as `timeouts.create`.
        field: String,
        /// What it must be.
        problem: String,
    },
    /// The deployment gives the function a setting it cannot use; nothing was touched.
    #[error("{}: {problem}; deploy the stack again with a value that is accepted", parameter(setting))]
    InvalidSetting {
        /// The environment variable, such as `DEFAULT_TAGS`, or a part of it.
        setting: String,
        /// What it must be.
        problem: String,
    },
    /// Another image of this account and Region has the name.
    #[error("the name {name:?} belongs to {holder}, which this run did not make; it is untouched")]
    NameTaken {
        /// The wanted name.
        name: String,
        /// The image that has it, or what is known of it.
        holder: String,
    },
    /// EC2 knows no such instance.
    #[error("there is no instance {instance_id} in this account and Region")]
    SourceInstanceNotFound {
        /// The instance asked for.
        instance_id: String,
    },
    /// The instance exists, and can never be imaged as it is.
    #[error("{instance_id} cannot be imaged: {reason}")]
    SourceInstanceNotImageable {
        /// The instance asked for.
        instance_id: String,
        /// Its state or root device.
        reason: String,
    },
    /// The run has stopped the instance, and cannot start it again; the image stays.
    #[error(
        "{instance_id}, which the run stopped, does not run again: {reason}; start it yourself, or wait for the sweep"
    )]
    InstanceNotRestarted {
        /// The instance.
        instance_id: String,
        /// What EC2 says.
        reason: String,
    },
    /// EC2 gave up making the image.
    #[error("{image_id} is {state}: {reason}")]
    ImageFailed {
        /// The image that failed.
        image_id: String,
        /// EC2's name of its state.
        state: String,
        /// EC2's StateReason: code and message.
        reason: String,
    },
    /// EC2 knows no such image.
    #[error("there is no image {image_id} in this account and Region")]
    ImageNotFound {
        /// The image asked for.
        image_id: String,
    },
    /// The Recycle Bin does not give the image back.
    #[error("{image_id} is not restored: {reason}")]
    ImageNotRestored {
        /// The image asked for.
        image_id: String,
        /// Why not.
        reason: String,
    },
    /// Somebody else changed the image while an update did.
    #[error("another client changed {fields} of {image_id} during the update; its value stays")]
    ImageChangedMeanwhile {
        /// The image.
        image_id: String,
        /// The request's fields.
        fields: String,
    },
    /// Deregistration protection keeps the image.
    #[error("{image_id} is protected from deregistration and stays: {reason}")]
    ImageProtected {
        /// The image asked for.
        image_id: String,
        /// What EC2 says of the protection.
        reason: String,
    },
    /// Something names the image, or may.
    #[error("{image_id} stays: {reason}; to delete it anyway, send unlessInUse: false")]
    ImageInUse {
        /// The image.
        image_id: String,
        /// The ARNs of what names it, or why nobody knows.
        reason: String,
    },
    /// A prune would remove more than the request lets it; nothing was removed.
    #[error("nothing is pruned: {reason}")]
    PruneRefused {
        /// How many would go, and what limits them.
        reason: String,
    },
    /// The image is not one that this deployment may change or delete.
    #[error("this stack did not create {image_id}: {remedy}")]
    ImageNotManaged {
        /// The image asked for.
        image_id: String,
        /// What allows it all the same.
        remedy: String,
    },
    /// A quota of the account is used up; waiting does not help.
    #[error("{action} was refused by the quota {quota}: {message}")]
    QuotaExceeded {
        /// The EC2 action.
        action: String,
        /// EC2's error code, which names the quota.
        quota: String,
        /// EC2's words.
        message: String,
    },
    /// AWS does not let the function's role, or the account, call an action.
    #[error("{action} is not allowed: {message}")]
    NotAuthorized {
        /// The action, as IAM spells it.
        action: String,
        /// AWS's words.
        message: String,
    },
    /// AWS asked to slow down; the machines retry.
    #[error("{action} was throttled: {message}")]
    Throttled {
        /// The action.
        action: String,
        /// AWS's code and words.
        message: String,
    },
    /// AWS did not answer, or answered 5xx; whether it did the work is not known; the machines retry.
    #[error("{action} got no usable answer: {message}")]
    ServiceUnavailable {
        /// The action.
        action: String,
        /// What was seen.
        message: String,
    },
    /// AWS refused for a reason that no other name covers.
    #[error("{action} was refused: {message}")]
    CallRefused {
        /// The action.
        action: String,
        /// AWS's code and words.
        message: String,
    },
    /// An operation took longer than its timeout.
    #[error("the {operation} took longer than its timeout of {seconds} seconds ({field}): {reason}")]
    TimedOut {
        /// The operation.
        operation: String,
        /// The field that sets its timeout, such as `timeouts.create`.
        field: String,
        /// Its timeout.
        seconds: u64,
        /// What it was waiting for.
        reason: String,
    },
    /// Somebody stopped an operation's execution.
    #[error("the execution {execution} was stopped: {reason}; start a new execution to try again")]
    OperationStopped {
        /// The execution's ARN.
        execution: String,
        /// What it was waiting for.
        reason: String,
    },
    /// An operation failed with an error of Step Functions itself.
    #[error("the execution {execution} failed: {reason}")]
    OperationFailed {
        /// The execution's ARN.
        execution: String,
        /// Step Functions' error and its words.
        reason: String,
    },
    /// Somebody has redriven the run, which then goes no further.
    #[error(
        "{run} or an operation of it was redriven: what a run has made is removed once it was stopped, so it cannot go on; start a new execution"
    )]
    RunRedriven {
        /// The run's execution ARN.
        run: String,
    },
    /// A rollback was asked for a run that goes on; nothing was touched.
    #[error("{run} still runs: what it makes is kept")]
    RunKept {
        /// The run's execution ARN.
        run: String,
    },
    /// Something could not be removed; the text names each by id, and why it stays.
    #[error("{leftovers}")]
    LeftoversRemain {
        /// Every leftover's id with the reason.
        leftovers: String,
    },
}

impl Error {
    /// Every name, in the order of the list above.
    pub const NAMES: &'static [&'static str] = <Error as strum::VariantNames>::VARIANTS;

    /// The error's name, as an execution shows it.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// Whether the same call may go well later: a function raises it, and the machines retry.
    pub fn is_to_be_retried(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::ServiceUnavailable { .. })
    }

    /// A field of the request that is not what it must be.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidRequest { field: field.into(), problem: problem.into() }
    }

    /// A setting that is not what it must be.
    pub(crate) fn setting(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidSetting { setting: setting.into(), problem: problem.into() }
    }

    /// The error of a field that is a setting's.
    pub(crate) fn of_setting(self) -> Self {
        match self {
            Self::InvalidRequest { field, problem } => Self::setting(field, problem),
            other => other,
        }
    }
}

/// What sets an environment variable: the parameter `DefaultTags` of the template sets `DEFAULT_TAGS`, and the stack
/// itself the ARNs.
fn parameter(variable: &str) -> String {
    if variable.ends_with("_ARN") {
        return format!("the function's environment variable {variable}");
    }
    let (name, rest) = variable.split_at(variable.find('.').unwrap_or(variable.len()));
    let words = name.split('_').map(|word| {
        word.chars().next().into_iter().chain(word.chars().skip(1).flat_map(char::to_lowercase)).collect::<String>()
    });
    format!("the template's parameter {}{rest}", words.collect::<String>())
}

/// Why something failed, in the form of an execution's Error and Cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One of [`Error::NAMES`], or a name of the machines.
    pub name: String,
    /// Sentences.
    pub message: String,
}

/// How many characters a message may have: Step Functions takes causes of 32,768, and a run's cause has the
/// rollback's in it.
const LONGEST_MESSAGE: usize = 24_000;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { name: error.name().to_owned(), message: error.to_string().chars().take(LONGEST_MESSAGE).collect() }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.to_string() }
    }
}

/// A name out of the input, in a form that fits an error message: it may be empty, long or unprintable.
pub(crate) fn shown(name: &str) -> String {
    match name {
        "" => "\"\"".to_owned(),
        name => name.chars().take(128).flat_map(char::escape_debug).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leaves_room_in_a_cause_of_32_768_characters() {
        let leftovers = (0..1_000).map(|number| format!("snap-{number:017} stays: for a reason; ")).collect::<String>();
        let failure = Failure::from(Error::LeftoversRemain { leftovers: leftovers.clone() });
        assert_eq!(failure.message.len(), LONGEST_MESSAGE);
        assert!(leftovers.starts_with(&failure.message));
        // A rollback's cause has the cause of the run in it.
        const { assert!(LONGEST_MESSAGE + 8_000 < 32_768) };
    }

    #[test]
    fn the_error_whose_run_keeps_its_image_is_one() {
        assert!(Error::NAMES.contains(&NOT_RESTARTED) && Error::NAMES.contains(&REDRIVEN));
    }

    #[test]
    fn a_setting_is_named_by_what_sets_it() {
        for (variable, parameter) in [
            ("CREATE_TIMEOUT", "the template's parameter CreateTimeout"),
            ("DEFAULT_TAGS.aws:a", "the template's parameter DefaultTags.aws:a"),
            ("LIFECYCLE_MACHINE_ARN", "the function's environment variable LIFECYCLE_MACHINE_ARN"),
        ] {
            let message = Error::setting(variable, "must be set").to_string();
            assert!(message.starts_with(&format!("{parameter}: must be set;")), "{message}");
        }
    }
}
