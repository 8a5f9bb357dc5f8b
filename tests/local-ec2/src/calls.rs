//! The log of all calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use crate::{faults::FaultKind, query::Parameters, tags::Tags, xml::OF_AUTO_SCALING};

/// A call and how it went.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `CreateImage`.
    pub action: String,
    /// All parameters but the action and the version.
    pub parameters: Parameters,
    /// The names of all images it names, and the values of the tags of all resources.
    pub concerns: BTreeSet<String>,
    /// The images, snapshots and instances it names that there are, with their tags when it came.
    pub resources: BTreeMap<String, Tags>,
    /// The ids of the image and the snapshots that it made.
    pub made: Vec<String>,
    /// The caller's application id, else its execution environment, else its SDK; may be empty.
    pub caller: String,
    /// What was done: all right, or the code of the error.
    pub outcome: Result<(), String>,
    /// The fault that struck it.
    pub fault: Option<FaultKind>,
    /// Whether the caller was told the outcome.
    pub answered: bool,
    /// Whether the action is one that changes something.
    pub mutating: bool,
    /// When, in simulated time.
    pub at: SystemTime,
}

impl Call {
    /// What IAM calls the action, such as `ec2:CreateImage`.
    pub fn permission(&self) -> String {
        let service = if self.action == OF_AUTO_SCALING { "autoscaling" } else { "ec2" };
        format!("{service}:{}", self.action)
    }

    /// Whether a parameter's value, or a tag's value of a resource it names, contains `text`.
    pub fn mentions(&self, text: &str) -> bool {
        self.parameters.values().chain(&self.concerns).any(|value| value.contains(text))
    }
}
