//! What must hold after a run, whatever happened.

use std::collections::BTreeSet;

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_ec2::Ec2;
use local_step_functions::{Execution, Status};
use serde_json::{Value, json};

use crate::plan::{Operation, Plan};

/// The invariants, by name.
pub const INVARIANTS: [&str; 8] = [
    "SUCCEEDED: exactly what was asked for, and the output says what EC2 shows",
    "any other end: nothing of the run is left in the end, and its error names what it left",
    "nothing of anybody else's was changed",
    "every instance is in the power state it was in",
    "every run ends within its limits",
    "no history reaches the limit of events",
    "rules and sweeps come to rest",
    "no function panics, and one name is one execution",
];

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's place in the list.
    pub invariant: usize,
    /// What was seen.
    pub seen: String,
}

/// A run that has ended, with what is needed to judge it.
#[derive(Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) execution: Execution,
    /// The name of the image it makes.
    pub(crate) name: String,
    pub(crate) instance: String,
    /// The image it changes, deletes or replaces.
    pub(crate) old: Option<String>,
    pub(crate) old_snapshots: Vec<String>,
    /// The power state the instance must be in, unless somebody changed it.
    pub(crate) power: Option<InstanceStateName>,
}

impl Ended<'_> {
    fn cause(&self) -> &str {
        self.execution.cause.as_deref().unwrap_or_default()
    }

    /// Whether the run's image is to stay: it succeeded, or it is a replace that has begun to delete the
    /// old image, which its error tells of.
    pub(crate) fn is_kept(&self) -> bool {
        match self.execution.status {
            Status::Succeeded => true,
            status => {
                self.plan.operation.replaces()
                    && (status != Status::Failed
                        || self.cause().contains("the new image")
                        || self.cause().contains("was deleted before"))
            }
        }
    }

    fn made(&self, ec2: &Ec2) -> Vec<String> {
        let images = ec2.images_tagged(RUN_TAG, &self.execution.arn).into_iter().map(|image| image.id);
        let snapshots = ec2.snapshots_tagged(RUN_TAG, &self.execution.arn).into_iter().map(|snapshot| snapshot.id);
        images.chain(snapshots).collect()
    }

    /// What a run that failed by itself has left at its end without a word: neither by its id, nor by the tag that
    /// finds it, where the run was not even allowed to look.
    pub(crate) fn unnamed(&self, ec2: &Ec2) -> Option<Violation> {
        let names_the_tag = self.cause().contains(&self.execution.arn);
        if self.execution.status != Status::Failed || self.is_kept() || names_the_tag {
            return None;
        }
        let unnamed: Vec<_> = self.made(ec2).into_iter().filter(|id| !self.cause().contains(id)).collect();
        let seen = format!("{unnamed:?} not named by {:?}: {}", self.execution.error, self.cause());
        (!unnamed.is_empty()).then_some(Violation { invariant: 1, seen })
    }

    /// Everything that does not hold once nothing goes on any more.
    pub(crate) fn violations(&self, ec2: &Ec2) -> Vec<Violation> {
        let mut violations = vec![];
        if self.execution.status == Status::Succeeded {
            let output: Value =
                serde_json::from_str(self.execution.output.as_deref().unwrap_or_default()).unwrap_or_default();
            violations.extend(self.wrong_success(ec2, &output).map(|seen| Violation { invariant: 0, seen }));
        } else if !self.is_kept() {
            let left = self.made(ec2);
            if !left.is_empty() {
                let Execution { status, error, cause, .. } = &self.execution;
                let seen = format!("{left:?} left after {status} {error:?} {cause:?}");
                violations.push(Violation { invariant: 1, seen });
            }
        }
        let state = ec2.instance(&self.instance).map(|instance| settled(&instance.state));
        if let Some(power) = &self.power
            && state.as_ref() != Some(&settled(power))
        {
            let seen = format!("{} is {state:?}, and was {power:?}", self.instance);
            violations.push(Violation { invariant: 3, seen });
        }
        violations
    }

    /// What is wrong with a run that says it succeeded.
    fn wrong_success(&self, ec2: &Ec2, output: &Value) -> Option<String> {
        let old = self.old.as_deref().and_then(|id| ec2.image(id));
        // Once an image of the same name has replaced the old one, a snapshot that cannot be deleted is told in
        // the result.
        let named = output["leftovers"].as_str().unwrap_or_default();
        let snapshots_left =
            self.old_snapshots.iter().any(|id| ec2.snapshot(id).is_some() && !named.contains(id.as_str()));
        if self.plan.operation == Operation::Update {
            let image = old?;
            let right = image.tags.get("New").is_some_and(String::is_empty)
                && image.description.as_deref() == Some("changed")
                && output["tagsAll"] == json!(image.tags);
            return (!right).then(|| format!("{image:?} for {output}"));
        }
        if self.old.is_some() && (old.is_some() || snapshots_left) {
            return Some(format!("{:?} is not gone", self.old));
        }
        if self.plan.operation == Operation::Delete {
            return None;
        }
        let images = ec2.images_tagged(RUN_TAG, &self.execution.arn);
        let named = ec2.images_named(&self.name);
        let [image] = images.as_slice() else { return Some(format!("{} images: {images:?}", images.len())) };
        let snapshots = ec2.snapshots_tagged(RUN_TAG, &self.execution.arn);
        let devices = output["ebsBlockDevice"].as_array();
        let shown: BTreeSet<_> = devices
            .into_iter()
            .flatten()
            .filter_map(|device| device["snapshotId"].as_str().map(str::to_owned))
            .collect();
        let right = named.len() == 1
            && image.state == ImageState::Available
            && output["id"] == image.id
            && output["name"] == image.name
            && output["description"] == json!(image.description)
            && output["tagsAll"] == json!(image.tags)
            && image.tags.get("Team").is_some_and(|team| team == "chaos")
            && shown == image.snapshot_ids.iter().cloned().collect()
            && shown == snapshots.iter().map(|snapshot| snapshot.id.clone()).collect()
            && snapshots.iter().all(|snapshot| snapshot.tags == image.tags);
        (!right).then(|| format!("{image:?} and {snapshots:?} for {output}"))
    }
}

/// An instance's power state, as far as it stays by itself.
fn settled(state: &InstanceStateName) -> InstanceStateName {
    match state {
        InstanceStateName::Pending => InstanceStateName::Running,
        InstanceStateName::Stopping => InstanceStateName::Stopped,
        InstanceStateName::ShuttingDown => InstanceStateName::Terminated,
        state => state.clone(),
    }
}
