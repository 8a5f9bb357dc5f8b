//! The source instance of an image, as the operations of a run see it.

use aws_sdk_ec2::types::InstanceStateName;
use serde::{Deserialize, Serialize};

use super::ids::InstanceId;

/// The source instance's part in a create.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its state before CreateImage.
    pub state_before: String,
    /// Its state when the image was available; null until then.
    pub state_after: Option<String>,
    /// Whether CreateImage rebooted it.
    pub rebooted: bool,
    /// Seconds after CreateImage at which a look found its status checks passed again: it was down
    /// for no longer. Of one that the run has stopped, what the machine has waited since StopInstances. Null where it
    /// was not down, or no look found it so.
    pub down_seconds: Option<u64>,
    /// When the run stopped it, in RFC 3339; left out where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<String>,
    /// Whether the latest look found its status checks anything but passed; left out if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen_down: bool,
}

impl SourceInstance {
    /// One that the run has stopped.
    pub(crate) fn stopped(id: InstanceId, stopped_at: String) -> Self {
        let state_before = InstanceStateName::Running.as_str().to_owned();
        Self {
            id,
            state_before,
            state_after: None,
            rebooted: false,
            down_seconds: None,
            stopped_at: Some(stopped_at),
            seen_down: false,
        }
    }

    /// The same after the machine has waited so many seconds more while it was stopped.
    pub(crate) fn down_for(self, waited: u64) -> Self {
        let down_seconds = self.is_stopped_by_run().then(|| self.down_seconds.unwrap_or_default() + waited);
        Self { down_seconds, ..self }
    }

    /// Whether the run has stopped it.
    pub(crate) fn is_stopped_by_run(&self) -> bool {
        self.stopped_at.is_some()
    }
}
