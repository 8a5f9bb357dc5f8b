//! What must hold after a campaign, whatever happened.

use std::collections::BTreeSet;

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_ec2::{ImageInfo, InstanceInfo, InstanceSpec, SnapshotInfo};
use serde_json::json;

use super::plan::{Operation, Plan};
use crate::{deployment::Deployment, execution::Outcome};

/// The invariants, by name.
pub(super) const INVARIANTS: [&str; 4] = [
    "SUCCEEDED: exactly what was asked for, and the output says what EC2 shows",
    "any other end: nothing of the run is left but the leftovers it names",
    "nothing of anybody else's was changed",
    "every instance is in the power state it was in",
];

/// A run that has ended, with what is needed to judge it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) plan: Plan,
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) instance: String,
    /// The image it changes, deletes or replaces.
    pub(super) old: Option<String>,
    pub(super) old_snapshots: Vec<String>,
    /// Snapshots that were locked for ever.
    pub(super) locked: BTreeSet<String>,
    /// The power state the instance must be in, unless a trouble changed it.
    pub(super) power: Option<InstanceStateName>,
    pub(super) outcome: Outcome,
}

/// Something that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The invariant's place in the list.
    pub(super) invariant: usize,
    /// The run it was seen at; none for the strangers.
    pub(super) run: Option<Plan>,
    /// What was seen.
    pub(super) seen: String,
}

/// Images, snapshots and instances of others, some with names and tags that look alike.
#[derive(Debug)]
pub(super) struct Strangers {
    images: Vec<ImageInfo>,
    snapshots: Vec<SnapshotInfo>,
    instances: Vec<InstanceInfo>,
}

impl Strangers {
    /// Adds them.
    pub(super) fn add(aws: &Deployment) -> Self {
        let lifecycle = aws.lifecycle_machine_arn().replace(":stateMachine:", ":execution:");
        let images: Vec<_> = [
            aws.ec2.add_foreign_image("chaos", &[("Team", "chaos")]),
            aws.ec2.add_foreign_image("chaos-1-1-fresh-2", &[(RUN_TAG, "")]),
            aws.ec2.add_foreign_image("chaos-1-00", &[(RUN_TAG, &format!("{lifecycle}-2:chaos-1-1"))]),
            aws.ec2.add_foreign_image("chaos-1-11111111", &[(RUN_TAG, &format!("{lifecycle}:nobody-knows"))]),
            aws.ec2.add_foreign_image("chaos-1-0-", &[("ami-from-instance-run", &format!("{lifecycle}:chaos-1-0"))]),
        ]
        .iter()
        .filter_map(|id| aws.ec2.image(id))
        .collect();
        let instance = aws.ec2.add_instance(InstanceSpec::default().tag(RUN_TAG, format!("{lifecycle}:chaos-1-0")));
        let of_images = |snapshot: &SnapshotInfo| images.iter().any(|image| image.snapshot_ids.contains(&snapshot.id));
        Self {
            snapshots: aws.ec2.snapshots().into_iter().filter(of_images).collect(),
            instances: aws.ec2.instance(&instance).into_iter().collect(),
            images,
        }
    }

    fn violations(&self, aws: &Deployment) -> impl Iterator<Item = Violation> {
        let (images, snapshots, instances) = (aws.ec2.images(), aws.ec2.snapshots(), aws.ec2.instances());
        let lost =
            |what: &dyn std::fmt::Debug| Violation { invariant: 2, run: None, seen: format!("no longer {what:?}") };
        let changed: Vec<_> = [
            self.images.iter().filter(|one| !images.contains(one)).map(|one| lost(one)).collect::<Vec<_>>(),
            self.snapshots.iter().filter(|one| !snapshots.contains(one)).map(|one| lost(one)).collect(),
            self.instances.iter().filter(|one| !instances.contains(one)).map(|one| lost(one)).collect(),
        ]
        .concat();
        changed.into_iter()
    }
}

/// What of the run is left that nothing accounts for.
pub(super) fn leftovers(aws: &Deployment, ended: &Ended) -> Vec<String> {
    if is_kept(ended) {
        return vec![];
    }
    let images = aws.ec2.images_tagged(RUN_TAG, &ended.arn).into_iter().map(|image| image.id);
    let snapshots = aws.ec2.snapshots_tagged(RUN_TAG, &ended.arn).into_iter().map(|snapshot| snapshot.id);
    images.chain(snapshots.filter(|id| !ended.locked.contains(id))).collect()
}

/// Whether the run's image is to stay: it succeeded, or it is a replace that has begun to delete the
/// old image, which its error tells of.
fn is_kept(ended: &Ended) -> bool {
    let replaces = matches!(ended.plan.operation, Operation::Replace | Operation::ReplaceSameName);
    match &ended.outcome {
        Outcome::Succeeded(_) => true,
        Outcome::Ended { status, cause, .. } => {
            replaces && (status != "FAILED" || cause.contains("the new image") || cause.contains("was deleted before"))
        }
    }
}

/// Everything that does not hold.
pub(super) fn violations(aws: &Deployment, ended: &[Ended], strangers: &Strangers) -> Vec<Violation> {
    let mut violations: Vec<_> = strangers.violations(aws).collect();
    for run in ended {
        let mut violation =
            |invariant, seen| violations.push(Violation { invariant, run: Some(run.plan.clone()), seen });
        if let Outcome::Succeeded(output) = &run.outcome {
            if let Some(seen) = wrong_success(aws, run, output) {
                violation(0, seen);
            }
        } else {
            let left = leftovers(aws, run);
            if !left.is_empty() {
                violation(1, format!("{left:?} left after {:?}", run.outcome));
            }
            if let Some(seen) = unnamed_leftovers(aws, run) {
                violation(1, seen);
            }
        }
        let state = aws.ec2.instance(&run.instance).map(|instance| settled(&instance.state));
        if let Some(power) = &run.power
            && state.as_ref() != Some(&settled(power))
        {
            violation(3, format!("{} is {state:?}, and was {power:?}", run.instance));
        }
    }
    violations
}

/// A run that failed by itself names what it left; where its rollback was not even allowed to look, by
/// the tag that finds it.
fn unnamed_leftovers(aws: &Deployment, run: &Ended) -> Option<String> {
    let Outcome::Ended { status, error, cause } = &run.outcome else { return None };
    let locked = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).into_iter().filter(|one| run.locked.contains(&one.id));
    let mut unnamed = locked.map(|snapshot| snapshot.id).filter(|id| !cause.contains(id)).peekable();
    let could_not_look = cause.contains("ec2:DescribeSnapshots") && cause.contains(&run.arn);
    let must_name = status == "FAILED" && !is_kept(run) && !could_not_look && unnamed.peek().is_some();
    must_name.then(|| format!("{:?} not named by {error}: {cause}", unnamed.collect::<Vec<_>>()))
}

/// What is wrong with a run that says it succeeded.
fn wrong_success(aws: &Deployment, run: &Ended, output: &serde_json::Value) -> Option<String> {
    let old = run.old.as_deref().and_then(|id| aws.ec2.image(id));
    // Once an image of the same name has replaced the old one, a snapshot that cannot be deleted is told in the
    // result.
    let named = output["leftovers"].as_str().unwrap_or_default();
    let snapshots_left =
        run.old_snapshots.iter().any(|id| aws.ec2.snapshot(id).is_some() && !named.contains(id.as_str()));
    match run.plan.operation {
        Operation::Update => {
            let image = old?;
            let right = image.tags.get("New").is_some_and(String::is_empty)
                && image.description.as_deref() == Some("changed")
                && output["tagsAll"] == json!(image.tags);
            return (!right).then(|| format!("{image:?} for {output}"));
        }
        Operation::Delete if old.is_some() || snapshots_left => return Some(format!("{:?} is not gone", run.old)),
        Operation::Delete => return None,
        // An image of which nobody may ask whether it is in use stays, and the result says why.
        Operation::Replace if old.is_some() && run.plan.refuses("DescribeImageReferences") => {
            let because = output["keptBecause"].as_str().unwrap_or_default();
            if !because.contains("ec2:DescribeImageReferences") {
                return Some(format!("{:?} is not gone, and {output}", run.old));
            }
        }
        Operation::Replace | Operation::ReplaceSameName if old.is_some() || snapshots_left => {
            return Some(format!("{:?} is not gone", run.old));
        }
        _ => {}
    }
    let images = aws.ec2.images_tagged(RUN_TAG, &run.arn);
    let named = aws.ec2.images_named(&run.name);
    let [image] = images.as_slice() else { return Some(format!("{} images: {images:?}", images.len())) };
    let snapshots = aws.ec2.snapshots_tagged(RUN_TAG, &run.arn);
    let shown: BTreeSet<_> = output["ebsBlockDevice"]
        .as_array()
        .map(|devices| devices.iter().filter_map(|device| device["snapshotId"].as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
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

/// An instance's power state, as far as it stays by itself.
fn settled(state: &InstanceStateName) -> InstanceStateName {
    match state {
        InstanceStateName::Pending => InstanceStateName::Running,
        InstanceStateName::Stopping => InstanceStateName::Stopped,
        InstanceStateName::ShuttingDown => InstanceStateName::Terminated,
        state => state.clone(),
    }
}
