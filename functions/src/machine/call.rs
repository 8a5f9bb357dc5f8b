//! What the operation machine calls a function with.

use serde::{Deserialize, Serialize};

use crate::model::{ids::ImageId, run::Run, source_instance::SourceInstance};

/// A call of a function that does one operation, with the operation's own arguments `A` and memory `M`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call<A, M> {
    /// The run that the operation belongs to.
    pub run: Run,
    /// ARN of the operation's own execution.
    pub execution: String,
    /// Whether the operation is to begin, or is looked at.
    pub step: Step,
    /// Whether the run or the operation itself was redriven.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redriven: bool,
    /// The operation's timeout, in seconds.
    pub timeout_seconds: u64,
    /// What the plan says.
    pub arguments: A,
    /// What the operations before this one gave.
    #[serde(default)]
    pub results: Results,
    /// All that the machine had waited at the call before this one, in seconds.
    #[serde(default)]
    pub waited_seconds: u64,
    /// What it has waited since, in seconds; no longer, if an event ended the wait.
    #[serde(default)]
    pub wait_seconds: u64,
    /// Whether an event ended the wait.
    #[serde(default)]
    pub woken: bool,
    /// What the operation's call before this one answered.
    #[serde(default)]
    pub memory: M,
}

/// Why a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Nothing is known to have begun.
    Begin,
    /// The operation has begun.
    Look,
}

/// What an operation may need of those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Results {
    /// The image that the run made.
    pub id: Option<ImageId>,
    /// Whether its source instance went on running.
    pub snapshot_without_reboot: Option<bool>,
    /// The source instance's part, once an operation has given it.
    pub source_instance: Option<SourceInstance>,
}

impl<A, M> Call<A, M> {
    /// All that the machine has waited, in seconds.
    pub fn waited(&self) -> u64 {
        self.waited_seconds + self.wait_seconds
    }

    /// What is left until the timeout, in seconds.
    pub fn left(&self) -> u64 {
        self.timeout_seconds.saturating_sub(self.waited())
    }

    /// A wait that grows with the time waited, so that a day of waits fits into an execution's history.
    pub fn growing(&self, shortest: u64) -> u64 {
        shortest + self.waited() / 10
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_first_call_needs_no_memory_and_no_results() {
        let call = json!({"run": "arn", "execution": "arn", "step": "begin", "timeoutSeconds": 60, "arguments": {}});
        let call: Call<Value, Option<u64>> = serde_json::from_value(call).unwrap();
        assert_eq!((call.waited(), call.left(), call.memory), (0, 60, None));
    }

    #[test]
    fn a_day_of_growing_waits_has_less_than_a_hundred_of_them() {
        let call = json!({"run": "arn", "execution": "arn", "step": "look", "timeoutSeconds": 86_400, "arguments": {}});
        let mut call: Call<Value, Option<u64>> = serde_json::from_value(call).unwrap();
        let mut waits = 0;
        while call.left() > 0 {
            (call.waited_seconds, call.wait_seconds) = (call.waited(), call.growing(5));
            waits += 1;
        }
        assert!(waits < 100, "{waits}");
    }
}
