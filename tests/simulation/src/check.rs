//! What must hold after a run, whatever happened.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use ami_from_instance::{model::run::RUN_TAG, operations::instance_state::STOPPED_BY_TAG};
use aws_sdk_ec2::types::{ImageState, InstanceStateName};
use local_ec2::{ACCOUNT, Ec2, ImageInfo, SnapshotInfo, Tags};
use local_step_functions::{Execution, Status};
use serde_json::{Value, json};

use crate::{
    faults::Deed,
    plan::{Operation, Retires, WATERMARK},
    time,
};

/// The invariants, by name.
pub const INVARIANTS: [&str; 13] = [
    "SUCCEEDED: exactly what was asked for, and the output says what EC2 shows",
    "any other end: nothing of the run is left in the end, unless its plan says that it stays",
    "nothing of anybody else's was changed",
    "every instance is in the power state it was in",
    "every run ends within its limits",
    "no history reaches the limit of events",
    "rules and sweeps come to rest",
    "no function panics, and one name is one execution",
    "nothing is called that the caller's role does not allow",
    "the error of a failed run names what it has left, by its id or by the tag that finds it",
    "a replace leaves the old image, or all its snapshots, or the new image; no image goes while its instance is stopped",
    "what is known to be in use stays, and nothing stays for a use that there is not",
    "a prune leaves what the request keeps, and begins only when the new image is certain",
];

const RIGHT: usize = 0;
pub(crate) const NOTHING_LEFT: usize = 1;
pub(crate) const OTHERS: usize = 2;
const POWER: usize = 3;
pub(crate) const LIMITS: usize = 4;
pub(crate) const HISTORY: usize = 5;
pub(crate) const REST: usize = 6;
pub(crate) const ONE_NAME: usize = 7;
pub(crate) const NOT_ALLOWED: usize = 8;
pub(crate) const NAMED: usize = 9;
pub(crate) const NOTHING_LOST: usize = 10;
pub(crate) const IN_USE: usize = 11;
const RETAINED: usize = 12;

/// How long after its beginning everybody sees a snapshot, with its tags, and a look at it has come to an end.
const SHOWS_WITHIN: Duration = Duration::from_secs(10);

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's place in the list.
    pub invariant: usize,
    /// What was seen.
    pub seen: String,
}

/// A run that has ended, with what is needed to judge it.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) operation: Operation,
    pub(crate) execution: Execution,
    /// The name of the image it makes.
    pub(crate) name: String,
    pub(crate) instance: String,
    /// The image it changes, deletes or replaces.
    pub(crate) old: Option<String>,
    pub(crate) old_snapshots: Vec<String>,
    /// The power state the instance must be in, unless somebody changed it.
    pub(crate) power: Option<InstanceStateName>,
    /// When the image is to be deprecated.
    pub(crate) deprecation: Option<SystemTime>,
    /// The protection from deregistration that the image is to have.
    pub(crate) protection: Option<&'static str>,
    /// Whether the image is to have one watermark, and no other.
    pub(crate) marks: bool,
    /// Whether the image is to have the instance's tags, and not its data volume.
    pub(crate) chooses: bool,
    /// The image it changes, deletes or replaces, as it was before.
    pub(crate) before: Option<ImageInfo>,
    /// Whether it is a dry run.
    pub(crate) dry: bool,
    /// The older images of its series, the newest first, of which it keeps one.
    pub(crate) past: Vec<String>,
    /// What becomes of the others.
    pub(crate) retires: Option<Retires>,
    /// What somebody else did about it.
    pub(crate) done: BTreeSet<Deed>,
    /// The snapshots of no image that the last sweep has named.
    pub(crate) named_by_sweep: BTreeSet<String>,
    /// Whether an operation has begun, or should have, from which on the plan says that the image stays.
    pub(crate) keeps_image: bool,
}

impl Ended {
    /// One that makes an image, and changes nothing else.
    pub(crate) fn new(operation: Operation, execution: Execution, name: String, instance: String) -> Self {
        Self {
            operation,
            execution,
            name,
            instance,
            old: None,
            old_snapshots: vec![],
            power: None,
            deprecation: None,
            protection: None,
            marks: false,
            chooses: false,
            before: None,
            dry: false,
            past: vec![],
            retires: None,
            done: BTreeSet::new(),
            named_by_sweep: BTreeSet::new(),
            keeps_image: false,
        }
    }

    fn cause(&self) -> &str {
        self.execution.cause.as_deref().unwrap_or_default()
    }

    fn has(&self, deeds: &[Deed]) -> bool {
        deeds.iter().any(|deed| self.done.contains(deed))
    }

    fn made(&self, ec2: &Ec2) -> Vec<String> {
        let images = ec2.images_tagged(RUN_TAG, &self.execution.arn).into_iter().map(|image| image.id);
        let snapshots = ec2.snapshots_tagged(RUN_TAG, &self.execution.arn).into_iter().map(|snapshot| snapshot.id);
        images.chain(snapshots).collect()
    }

    /// What a run that failed by itself has left at its end without a word: neither by its id, nor by the tag that
    /// finds it, where the run was not even allowed to look. The machine of the release before tells of no instance.
    pub(crate) fn unnamed(&self, ec2: &Ec2, by_release_before: bool) -> Option<Violation> {
        if self.execution.status != Status::Failed {
            return None;
        }
        // Snapshots that a restore has brought back without their image have the tag of another run.
        let is_back = |id: &&String| ec2.snapshot(id).is_some();
        let image_is_gone = self.old.as_deref().is_some_and(|id| ec2.image(id).is_none());
        let restored = self.old_snapshots.iter().filter(is_back);
        let restored = restored.filter(|_| self.operation == Operation::Restore && image_is_gone);
        // Where the rollback may not even look, the image's id tells: it stands in their descriptions.
        let says_of_which =
            |image: &String| self.cause().contains(&format!("does not show which snapshots of {image} are back"));
        let is_said = self.old.as_ref().is_some_and(says_of_which);
        let mut left: Vec<_> = restored.filter(|_| !is_said).cloned().collect();
        let says_tag = self.cause().contains(&format!("{RUN_TAG} = {}", self.execution.arn));
        let tag_is_said = says_tag || says_both_tags(self.cause(), &self.execution.arn);
        if !tag_is_said {
            left.extend(ec2.images_tagged(RUN_TAG, &self.execution.arn).into_iter().map(|image| image.id));
        }
        // An image that stays stands for its snapshots. Some begin minutes after their image was begun.
        if !tag_is_said && !self.keeps_image {
            let shows = |snapshot: &SnapshotInfo| snapshot.begun + SHOWS_WITHIN <= time::now();
            let snapshots = ec2.snapshots_tagged(RUN_TAG, &self.execution.arn).into_iter().filter(shows);
            left.extend(snapshots.map(|snapshot| snapshot.id));
        }
        let mut unnamed: Vec<_> = left.into_iter().filter(|id| !self.cause().contains(id)).collect();
        let instance = unnamed_instance(ec2, &self.instance, &self.execution.arn, self.cause());
        unnamed.extend(instance.filter(|_| !by_release_before));
        let seen = format!("{unnamed:?} not named by {:?}: {}", self.execution.error, self.cause());
        (!unnamed.is_empty()).then_some(Violation { invariant: NAMED, seen })
    }

    /// Everything that does not hold once nothing goes on any more.
    pub(crate) fn violations(&self, ec2: &Ec2) -> Vec<Violation> {
        let mut violations = vec![];
        let mut violate = |invariant, seen| violations.push(Violation { invariant, seen });
        let Execution { status, error, cause, .. } = &self.execution;
        if *status == Status::Succeeded {
            let output: Value =
                serde_json::from_str(self.execution.output.as_deref().unwrap_or_default()).unwrap_or_default();
            self.wrong_success(ec2, &output).into_iter().for_each(|seen| violate(RIGHT, seen));
        } else if !self.keeps_image {
            let left = self.made(ec2);
            if !left.is_empty() {
                violate(NOTHING_LEFT, format!("{left:?} left after {status} {error:?} {cause:?}"));
            }
        } else if ec2.images_tagged(RUN_TAG, &self.execution.arn).is_empty() && !self.has(&[Deed::DeregisterImage]) {
            violate(NOTHING_LEFT, format!("the image that stays is gone after {status} {error:?} {cause:?}"));
        }
        let is_back = self.old.as_deref().is_some_and(|id| ec2.image(id).is_some());
        let says_it_is_not =
            self.cause().contains("is not restored") || self.cause().contains("does not show its image");
        if self.operation == Operation::Restore && says_it_is_not && is_back {
            violate(NAMED, format!("{:?} is back: {cause:?}", self.old));
        }
        if error.as_deref() == Some("ImageInUse") && !self.may_be_in_use(self.cause()) {
            violate(IN_USE, format!("{cause:?}"));
        }
        let left_alone = self.dry || self.operation == Operation::Adopt && *status != Status::Succeeded;
        // The image that an adopt has tagged is the run's own to those who deregister that.
        let others = [Deed::DeregisterOldImage, Deed::DeregisterImage, Deed::Tag, Deed::Untag];
        if let Some(before) = self.before.as_ref().filter(|_| left_alone && !self.has(&others))
            && ec2.image(&before.id).as_ref() != Some(before)
        {
            violate(OTHERS, format!("{before:?} is {:?} after {status} {error:?} {cause:?}", ec2.image(&before.id)));
        }
        if let Some(seen) = self.wrong_prune(ec2) {
            violate(RETAINED, format!("{seen} after {status} {error:?} {cause:?}"));
        }
        if self.operation.replaces() && self.has_lost_both(ec2) {
            violate(NOTHING_LOST, format!("neither {:?} nor a new image after {status} {error:?} {cause:?}", self.old));
        }
        let instance = ec2.instance(&self.instance);
        if instance.as_ref().is_some_and(|one| one.tags.contains_key(STOPPED_BY_TAG) && !is_gone(&one.state)) {
            violate(
                POWER,
                format!("{} still has the tag of its stop after {status} {error:?} {cause:?}", self.instance),
            );
        }
        let state = instance.map(|instance| settled(&instance.state));
        if let Some(power) = &self.power
            && !self.has(&[Deed::StopInstance, Deed::TerminateInstance])
            && state.as_ref() != Some(&settled(power))
        {
            violate(POWER, format!("{} is {state:?}, and was {power:?}", self.instance));
        }
        violations
    }

    /// Whether something names the image that was to go, or nobody knows.
    fn may_be_in_use(&self, because: &str) -> bool {
        self.has(&[Deed::UseOldImage]) || because.contains("is not known")
    }

    /// Whether a replace has left neither image, nor what the old one can be made of again.
    fn has_lost_both(&self, ec2: &Ec2) -> bool {
        let old = self.old.as_deref().and_then(|id| ec2.image(id));
        let new = ec2.images_tagged(RUN_TAG, &self.execution.arn);
        let has_snapshots = self.old_snapshots.iter().all(|id| ec2.snapshot(id).is_some());
        old.is_none()
            && !has_snapshots
            && new.iter().all(|image| image.state != ImageState::Available)
            && !self.has(&[Deed::DeregisterImage, Deed::DeregisterOldImage])
    }

    /// Whether somebody has deregistered its image, so that a run which has made another one leaves it, and names it.
    fn is_someone_elses(&self, snapshot: &str) -> bool {
        self.has(&[Deed::DeregisterImage]) && self.named_by_sweep.contains(snapshot)
    }

    fn is_protected_as_asked(&self, output: &Value) -> bool {
        self.protection.is_none_or(|protection| output["deregistrationProtection"] == protection)
    }

    fn is_marked_as_asked(&self, output: &Value) -> bool {
        let marks = output["imageWatermarks"].as_array().into_iter().flatten().map(|mark| &mark["watermarkKey"]);
        !self.marks || marks.eq([&json!(format!("{ACCOUNT}:{WATERMARK}"))])
    }

    /// What of the older images of the series is gone and should not be, or the other way round.
    fn wrong_prune(&self, ec2: &Ec2) -> Option<String> {
        let [newest, older @ ..] = self.past.as_slice() else { return None };
        let retires = self.retires?;
        let is = |id: &String, state: ImageState| ec2.image(id).is_some_and(|image| image.state == state);
        let is_there = |id: &String| ec2.image(id).is_some();
        let is_as_before = |id: &String| match retires {
            Retires::Delete => is_there(id),
            Retires::Disable => is(id, ImageState::Available),
            Retires::Deprecate => ec2.image(id).is_some_and(|image| image.deprecation.is_none()),
            Retires::Quarantine if self.past.last() == Some(id) => is_there(id),
            Retires::Quarantine => is(id, ImageState::Available),
        };
        let succeeded = self.execution.status == Status::Succeeded;
        let output = self.execution.output.as_deref().unwrap_or_default();
        let is_all_done =
            succeeded && !self.dry && !output.contains("pruneFailed") && !self.has(&[Deed::DeregisterImage]);
        let newest_stays = match retires {
            Retires::Quarantine => is_there(newest) && (!is_all_done || is_as_before(newest)),
            _ => is_as_before(newest),
        };
        let only_the_oldest_go = retires == Retires::Delete
            || self
                .past
                .iter()
                .all(|id| is_there(id) || retires == Retires::Quarantine && self.past.last() == Some(id));
        // The new image may be gone again, and then counts no more.
        let right = newest_stays
            && only_the_oldest_go
            && (succeeded || self.keeps_image || older.iter().all(is_as_before))
            && (!self.dry || older.iter().all(is_as_before))
            && (!is_all_done || !older.iter().any(|id| is_as_before(id) && !output.contains("is not known")));
        (!right).then(|| {
            let left: Vec<_> = self.past.iter().filter_map(|id| Some((id, ec2.image(id)?.state))).collect();
            format!("{left:?} are left of {:?}: {output}", self.past)
        })
    }

    /// What is wrong with a dry run that says it succeeded.
    fn wrong_dry_run(&self, ec2: &Ec2, output: &Value) -> Option<String> {
        let made = self.made(ec2);
        let is_gone = self.old.as_deref().is_some_and(|id| ec2.image(id).is_none());
        let says =
            output["wouldDo"].as_array().is_some_and(|calls| calls.iter().all(|call| call["verdict"] != "denied"));
        // One that is to be restored is in the Recycle Bin.
        let may_be_gone = self.operation == Operation::Restore || self.has(&[Deed::DeregisterOldImage]);
        let right = made.is_empty() && says && (!is_gone || may_be_gone);
        (!right).then(|| format!("a dry run has made {made:?}, {:?} is gone: {is_gone}, and says {output}", self.old))
    }

    /// What is wrong with a run that says it succeeded.
    fn wrong_success(&self, ec2: &Ec2, output: &Value) -> Option<String> {
        if self.dry {
            return self.wrong_dry_run(ec2, output);
        }
        let old = self.old.as_deref().and_then(|id| ec2.image(id));
        // Once an image of the same name has replaced the old one, a snapshot that cannot be deleted is told in
        // the result.
        let named = output["leftovers"].as_str().unwrap_or_default();
        let snapshots_left = !self.has(&[Deed::DeregisterOldImage])
            && self.old_snapshots.iter().any(|id| ec2.snapshot(id).is_some() && !named.contains(id.as_str()));
        let others_tagged = self.has(&[Deed::Tag, Deed::Untag]);
        if self.operation == Operation::Update {
            let image = old?;
            let has_tags =
                || image.tags.get("New").is_some_and(String::is_empty) && output["tagsAll"] == json!(image.tags);
            let right = image.description.as_deref() == Some("changed")
                && image.deprecation == self.deprecation
                && self.is_protected_as_asked(output)
                && self.is_marked_as_asked(output)
                && (others_tagged || has_tags());
            return (!right).then(|| format!("{image:?} for {output}"));
        }
        if self.operation == Operation::Adopt {
            let image = old?;
            let is_tagged = |tags: &Tags| tags.get(RUN_TAG) == Some(&self.execution.arn);
            let snapshots = image.snapshot_ids.iter().filter_map(|id| ec2.snapshot(id));
            let right = is_tagged(&image.tags)
                && snapshots.into_iter().all(|snapshot| is_tagged(&snapshot.tags))
                && output["series"] == "found";
            return (!right).then(|| format!("{image:?} for {output}"));
        }
        if self.operation == Operation::Restore {
            let is_back = |id: &String| ec2.snapshot(id).is_some();
            let is_available = |image: &ImageInfo| image.state == ImageState::Available && output["id"] == image.id;
            let gone_again = self.has(&[Deed::DeregisterOldImage]);
            let right = old.as_ref().map_or(gone_again, is_available) && self.old_snapshots.iter().all(is_back);
            return (!right).then(|| format!("{old:?} of {:?} for {output}", self.old_snapshots));
        }
        if let Operation::Disable | Operation::Enable = self.operation {
            let is_disabled = self.operation == Operation::Disable;
            let state = if is_disabled { ImageState::Disabled } else { ImageState::Available };
            let image = old?;
            let right = image.state == state && output["state"] == state.as_str();
            return (!right).then(|| format!("{image:?} for {output}"));
        }
        if output["keptImageId"].as_str() == self.old.as_deref() && self.operation == Operation::Replace {
            let because = output["keptBecause"].as_str().unwrap_or_default();
            if !self.may_be_in_use(because) || old.is_none() && !self.has(&[Deed::DeregisterOldImage]) {
                return Some(format!("{:?} is kept because {because:?}, and is {old:?}", self.old));
            }
        } else if self.old.is_some() && (old.is_some() || snapshots_left) {
            return Some(format!("{:?} is not gone", self.old));
        }
        if self.operation == Operation::Delete {
            return None;
        }
        let images = ec2.images_tagged(RUN_TAG, &self.execution.arn);
        let named = ec2.images_named(&self.name);
        if images.is_empty() && self.has(&[Deed::DeregisterImage]) {
            return None;
        }
        let [image] = images.as_slice() else { return Some(format!("{} images: {images:?}", images.len())) };
        let snapshots = ec2.snapshots_tagged(RUN_TAG, &self.execution.arn);
        let devices = output["ebsBlockDevice"].as_array();
        let shown: BTreeSet<_> = devices
            .into_iter()
            .flatten()
            .filter_map(|device| device["snapshotId"].as_str().map(str::to_owned))
            .collect();
        let asked_for = snapshots.iter().filter(|snapshot| !self.is_someone_elses(&snapshot.id));
        let asked_for = asked_for.map(|snapshot| snapshot.id.clone()).collect();
        let has_tags = || {
            output["tagsAll"] == json!(image.tags)
                && image.tags.get("Team").is_some_and(|team| team == "chaos")
                && snapshots.iter().all(|snapshot| snapshot.tags == image.tags)
        };
        let right = named.len() == 1
            && image.deprecation == self.deprecation
            && self.is_protected_as_asked(output)
            && self.is_marked_as_asked(output)
            && (!self.chooses || shown.len() == 1 && (others_tagged || image.tags.contains_key("Name")))
            && (others_tagged || has_tags())
            && image.state == ImageState::Available
            && output["id"] == image.id
            && output["name"] == image.name
            && output["description"] == json!(image.description)
            && shown == image.snapshot_ids.iter().cloned().collect()
            && shown == asked_for;
        (!right).then(|| format!("{image:?} and {snapshots:?} for {output}"))
    }
}

fn is_gone(state: &InstanceStateName) -> bool {
    settled(state) == InstanceStateName::Terminated
}

/// Whether a cause says by which tags everything is found that a run may have left.
fn says_both_tags(cause: &str, run: &str) -> bool {
    cause.contains(&format!("{STOPPED_BY_TAG}, each = {run}"))
}

/// The instance, if the run has left it stopped, and a cause says that neither by its id nor by its tag.
pub(crate) fn unnamed_instance(ec2: &Ec2, instance: &str, run: &str, cause: &str) -> Option<String> {
    let instance = ec2.instance(instance)?;
    let is_stopped = instance.tags.get(STOPPED_BY_TAG).is_some_and(|by| by == run)
        && settled(&instance.state) == InstanceStateName::Stopped;
    (is_stopped && !cause.contains(&instance.id) && !says_both_tags(cause, run)).then_some(instance.id)
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
