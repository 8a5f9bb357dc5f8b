//! What a function answers to the operation machine, and what comes back with its next call.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    attributes::Attributes,
    error::Error,
    ids::{ImageId, SnapshotId},
    pace::Promise,
    run::{Operation, Run},
    source_instance::SourceInstance,
    trust::Trust,
};

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Nothing was begun; begin again after `waitSeconds`.
    NotStarted,
    /// EC2 works on it; look again after `waitSeconds`.
    Pending,
    /// The image is as it should be.
    Available,
    /// Nothing is left of the image.
    Gone,
    /// It will never be done; `error` says why.
    Failed,
}

/// The document that goes round in the operation machine: its input, with the fields of the
/// functions' answers merged over it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// What the child execution does.
    pub operation: Operation,
    /// The run it belongs to.
    pub run: Run,
    /// ARN of the child execution itself.
    #[serde(default)]
    pub execution: Option<String>,
    /// When the run started, in RFC 3339.
    #[serde(default)]
    pub start_time: Option<String>,
    /// The user's request.
    #[serde(default)]
    pub request: Value,
    /// Whether a rollback only stops what runs, and keeps what the run made.
    #[serde(default)]
    pub keep: bool,
    /// The image, once it is known.
    #[serde(default)]
    pub image_id: Option<ImageId>,
    /// Snapshots that belong to an image being deleted.
    #[serde(default)]
    pub snapshot_ids: Vec<SnapshotId>,
    /// What the machine has just waited.
    #[serde(default)]
    pub wait_seconds: u64,
    /// All that it has waited.
    #[serde(default)]
    pub elapsed_seconds: u64,
    /// For how long a rollback has found nothing.
    #[serde(default)]
    pub quiet_seconds: u64,
    /// How many things the last look of a removal found.
    #[serde(default)]
    pub found: Option<usize>,
    /// For how long a removal has found no less.
    #[serde(default)]
    pub stuck_seconds: u64,
    /// What the looks so far tell of the image's end.
    #[serde(default)]
    pub promise: Option<Promise>,
    /// How many images the deployment's runs were making when it was last asked for.
    #[serde(default)]
    pub under_way: u64,
    /// How far events are trusted to come, once the first look has found out.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// When the image has ended, in RFC 3339, if EventBridge has told of it and so ended the wait.
    #[serde(default)]
    pub told: Option<String>,
    /// The source instance as the create found it.
    #[serde(default)]
    pub source_instance: Option<SourceInstance>,
}

impl Document {
    /// Reads what the machine sends.
    pub fn parse(input: Value) -> Result<Self, Error> {
        serde_json::from_value(input)
            .map_err(|error| Error::invalid("input", format!("the operation machine's document is required: {error}")))
    }

    /// What the machine has waited, the last wait included.
    pub fn waited(&self) -> u64 {
        self.elapsed_seconds + self.wait_seconds
    }

    /// An answer that keeps the time.
    pub fn step(&self, status: Status, wait_seconds: u64) -> Step {
        Step {
            status,
            wait_seconds,
            elapsed_seconds: self.waited(),
            image_id: self.image_id.clone(),
            reason: None,
            progress_percent: None,
            promise: None,
            under_way: None,
            trust: self.trust,
            told: None,
            image: None,
            source_instance: self.source_instance.clone(),
            snapshot_ids: None,
            quiet_seconds: None,
            found: None,
            stuck_seconds: None,
            removed: None,
            error: None,
        }
    }
}

/// Why an operation failed, in the form of an execution's Error and Cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// One of [`Error::NAMES`].
    pub name: String,
    /// A sentence.
    pub message: String,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { name: error.name().to_owned(), message: error.to_string() }
    }
}

/// One answer.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Where the operation stands.
    pub status: Status,
    /// How long to wait before the next call.
    pub wait_seconds: u64,
    /// All that was waited before this call.
    pub elapsed_seconds: u64,
    /// The image, once it is known.
    pub image_id: Option<ImageId>,
    /// Why it is not further.
    pub reason: Option<String>,
    /// How much of the snapshots EC2 has made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<u8>,
    /// What the looks so far tell of the image's end; null where they tell nothing.
    pub promise: Option<Promise>,
    /// How many images the deployment's runs are making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<u64>,
    /// How far events are trusted to come; with the image, by the next create.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Always null: what EventBridge told is done with.
    pub told: Option<String>,
    /// The image's attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Attributes>,
    /// The source instance's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_instance: Option<SourceInstance>,
    /// Snapshots that belong to an image being deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_ids: Option<Vec<SnapshotId>>,
    /// For how long a rollback has found nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_seconds: Option<u64>,
    /// How many things this look of a removal found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<usize>,
    /// For how long a removal has found no less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck_seconds: Option<u64>,
    /// Ids this call removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<Vec<String>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Step {
    /// The operation has failed for this reason.
    pub fn failed(mut self, error: Error) -> Self {
        self.status = Status::Failed;
        self.error = Some(error.into());
        self
    }

    /// Says why the operation is not further.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
