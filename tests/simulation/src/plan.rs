//! What one run asks for and suffers, made of the seed and the run's number alone.

use std::time::Duration;

use ami_from_instance::model::{run::ROLLED_BACK_TAG, timeouts::Timeouts};
use fastrand::Rng;
use local_ec2::{BinResource, BinRule, Lags, Progress};
use serde_json::{Value, json};

use crate::faults::{Deed, Fault};

/// The time of deprecation, a year after every run's start.
const DEPRECATION: &str = "2027-11-23T00:00:00Z";
/// The series of what is pruned.
pub(crate) const SERIES: &str = "pruned";
/// The protection from deregistration, without a day's cooldown.
const PROTECTION: &str = "enabled-without-cooldown";
/// The watermark that its image is to have, and no other.
pub(crate) const WATERMARK: &str = "chaos";
/// The tag of a volume that is left out.
pub(crate) const SKIPPED: (&str, &str) = ("Skip", "yes");
/// The time of deprecation, in seconds since 1970.
pub(crate) const DEPRECATION_SECONDS: u64 = 1_826_928_000;

/// What a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Make an image.
    Create,
    /// Change an image.
    Update,
    /// Keep an image from being launched.
    Disable,
    /// Let a disabled image be launched.
    Enable,
    /// Bring an image back from the Recycle Bin.
    Restore,
    /// Take over an image that no run made.
    Adopt,
    /// Remove an image.
    Delete,
    /// Make an image, and remove another one.
    Replace,
    /// The same, where both have one name.
    ReplaceSameName,
}

impl Operation {
    /// Whether it removes an image once another one is there.
    pub fn replaces(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceSameName)
    }

    /// Whether it removes an image.
    fn removes(self) -> bool {
        self == Self::Delete || self.replaces()
    }

    /// Whether it makes an image.
    pub(crate) fn creates(self) -> bool {
        self == Self::Create || self.replaces()
    }
}

/// What the rules of the Recycle Bin keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bin {
    /// Images and snapshots.
    All,
    /// Images without their snapshots.
    Images,
    /// All but what is rolled back.
    AllButRolledBack,
}

impl Bin {
    const ALL: [Self; 3] = [Self::All, Self::Images, Self::AllButRolledBack];

    /// The rules, each of a week.
    pub(crate) fn rules(self) -> Vec<BinRule> {
        let rule = |resource| BinRule::new(resource, Duration::from_secs(7 * 24 * 3600));
        let all = [BinResource::Image, BinResource::Snapshot].map(rule);
        match self {
            Self::All => all.to_vec(),
            Self::Images => vec![rule(BinResource::Image)],
            Self::AllButRolledBack => all.map(|rule| rule.without_tag(ROLLED_BACK_TAG, "true")).to_vec(),
        }
    }
}

/// What becomes of the images of a series that do not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retires {
    Delete,
    Disable,
    Deprecate,
    /// They are disabled until they are deleted. Of three, the newest and the oldest are already.
    Quarantine,
}

impl Retires {
    const ALL: [Self; 6] =
        [Self::Delete, Self::Delete, Self::Disable, Self::Deprecate, Self::Quarantine, Self::Quarantine];
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The run's number.
    pub number: u64,
    /// What it asks for.
    pub operation: Operation,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Whether the instance is stopped from the start.
    pub(crate) stopped: bool,
    pub(crate) without_reboot: bool,
    /// Whether it stops the instance for the image.
    pub(crate) stops: bool,
    /// Whether it asks for a time of deprecation, which takes an update after a create.
    pub(crate) deprecates: bool,
    /// Whether it asks for deregistration protection, which takes an update after a create too.
    pub(crate) protects: bool,
    /// Whether it asks for a watermark in place of another one, which takes an update after a create too.
    pub(crate) marks: bool,
    /// Whether the old image is protected, and the request takes the protection off: an update, or what removes the image.
    pub(crate) frees: bool,
    /// Whether the old image has a time of deprecation that an update takes off.
    pub(crate) undeprecates: bool,
    /// Whether it is a dry run.
    pub(crate) dry: bool,
    /// Whether it prunes the series of its image, and what becomes of the others.
    pub(crate) retains: Option<Retires>,
    /// What the Recycle Bin keeps.
    pub(crate) bin: Option<Bin>,
    /// Whether it takes over the instance's tags, and leaves out its data volume.
    pub(crate) chooses: bool,
    /// Whether it knows the data volume by its tag.
    pub(crate) chooses_by_tag: bool,
    /// The size of the data volume.
    pub(crate) gigabytes: u32,
    /// The request's timeouts, if it sets any.
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) progress: Progress,
    pub(crate) lags: Lags,
    /// How late Step Functions shows how an execution stands, in milliseconds.
    pub(crate) shows_after_millis: i64,
    /// Decides all that is not planned.
    pub(crate) seed: u64,
}

impl Plan {
    /// The run of a number.
    pub fn new(seed: u64, number: u64) -> Self {
        let seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number);
        let mut rng = Rng::with_seed(seed);
        let operation = match rng.u8(0..20) {
            0..10 => Operation::Create,
            10..12 => Operation::Update,
            12 => Operation::Disable,
            13 => rng.choice([Operation::Enable, Operation::Restore, Operation::Adopt]).unwrap_or(Operation::Enable),
            14..16 => Operation::Delete,
            16..18 => Operation::Replace,
            _ => Operation::ReplaceSameName,
        };
        let count = rng.choice([0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5]).unwrap_or(1);
        let mut faults: Vec<_> = (0..count).map(|_| Fault::draw(&mut rng)).collect();
        // Who has aborted a run may want it to go on.
        if faults.iter().any(|fault| matches!(fault, Fault::Person { does: Deed::Abort, .. })) && rng.u8(0..3) == 0 {
            faults.push(Fault::redrive(&mut rng));
        }
        // The machines of the release before let a redriven run go on.
        if faults.iter().any(|fault| matches!(fault, Fault::Person { does: Deed::Deploy, .. })) {
            faults
                .retain(|fault| !matches!(fault, Fault::Person { does: Deed::Redrive | Deed::RedriveOperations, .. }));
        }
        let lags = Lags {
            rebooted_snapshots_begin: Duration::from_secs(rng.choice([0, 0, 5, 60, 180]).unwrap_or(0)),
            tag_access: Duration::from_secs(rng.choice([0, 0, 2]).unwrap_or(0)),
            ..Lags::default()
        };
        Self {
            number,
            operation,
            faults,
            stopped: rng.u8(0..5) == 0,
            without_reboot: rng.bool(),
            gigabytes: rng.u32(1..200),
            timeout_seconds: rng.choice([None, None, Some(14_400), Some(120), Some(600)]).flatten(),
            progress: rng.choice([Progress::Linear, Progress::Jumping, Progress::AtOnce]).unwrap_or_default(),
            lags,
            shows_after_millis: rng.choice([0, 0, 0, 2_000, 20_000, 50_000]).unwrap_or(0),
            deprecates: rng.u8(0..4) == 0,
            protects: rng.u8(0..4) == 0,
            chooses: rng.u8(0..4) == 0,
            chooses_by_tag: rng.bool(),
            marks: rng.u8(0..4) == 0,
            frees: rng.u8(0..4) == 0 && (operation.removes() || operation == Operation::Update),
            undeprecates: rng.u8(0..4) == 0 && operation == Operation::Update,
            stops: rng.u8(0..4) == 0,
            dry: rng.u8(0..16) == 0,
            bin: match operation {
                Operation::Restore => Some(Bin::All),
                _ => (rng.u8(0..8) == 0).then(|| rng.choice(Bin::ALL)).flatten(),
            },
            retains: (rng.u8(0..4) == 0 && operation == Operation::Create).then(|| rng.choice(Retires::ALL)).flatten(),
            seed,
        }
    }

    /// The same with other faults.
    #[must_use]
    pub fn with_faults(&self, faults: Vec<Fault>) -> Self {
        Self { faults, ..self.clone() }
    }

    /// Whether the deploy in its midst is one over the release before, which knew neither adopt, restore nor prune.
    pub(crate) fn begins_with_release_before(&self) -> bool {
        let deploys = |fault: &Fault| matches!(fault, Fault::Person { does: Deed::Deploy, .. });
        !matches!(self.operation, Operation::Adopt | Operation::Restore)
            && self.retains.is_none()
            && self.faults.iter().any(deploys)
    }

    /// The protection that it asks for.
    pub(crate) fn protection(&self) -> Option<&'static str> {
        let is_taken_off = self.frees && self.operation == Operation::Update;
        if is_taken_off { Some("disabled") } else { self.protects.then_some(PROTECTION) }
    }

    /// Whether its request has a field.
    pub(crate) fn asks_for(&self, field: &str) -> bool {
        self.request("", "", None).get(field).is_some()
    }

    /// The execution's name.
    pub(crate) fn name(&self) -> String {
        format!("run-{}", self.number)
    }

    /// The request, for an image of a name.
    pub(crate) fn request(&self, name: &str, instance: &str, old: Option<&str>) -> Value {
        let create = create(name, instance, self.without_reboot);
        let (action, mut request) = match self.operation {
            Operation::Create => ("create", create),
            Operation::Update => ("update", json!({"tags": {"Team": "chaos", "New": ""}, "description": "changed"})),
            Operation::Disable => ("disable", json!({})),
            Operation::Enable => ("enable", json!({})),
            Operation::Restore => ("restore", json!({})),
            Operation::Adopt => ("adopt", json!({"series": "found"})),
            Operation::Delete => ("delete", json!({})),
            Operation::Replace | Operation::ReplaceSameName => ("replace", create),
        };
        request["action"] = action.into();
        if self.stops && self.operation.creates() {
            request["stopInstance"] = true.into();
            request["snapshotWithoutReboot"] = Value::Null;
        }
        let changes = self.operation.creates() || self.operation == Operation::Update;
        if self.undeprecates {
            request["deprecationTime"] = "".into();
        } else if self.deprecates && changes {
            request["deprecationTime"] = DEPRECATION.into();
        }
        if self.marks && changes {
            request["watermarks"] = json!({"attach": [WATERMARK]});
        }
        if self.frees && self.operation.removes() {
            request["disableProtection"] = true.into();
        }
        if let Some(protection) = self.protection().filter(|_| changes) {
            request["deregistrationProtection"] = protection.into();
        }
        if self.chooses && self.operation.creates() {
            request["copyTags"] = true.into();
            if self.chooses_by_tag {
                request["excludeDataVolumeTags"] = json!({SKIPPED.0: SKIPPED.1});
            } else {
                request["excludeDataVolumes"] = true.into();
            }
        }
        if let Some(retires) = self.retains {
            request["series"] = SERIES.into();
            request["retain"] = match retires {
                Retires::Delete => json!({"count": 2}),
                Retires::Disable => json!({"count": 2, "action": "DISABLE"}),
                Retires::Deprecate => json!({"count": 2, "action": "DEPRECATE"}),
                Retires::Quarantine => json!({"count": 2, "quarantine": "1d"}),
            };
        }
        if self.dry {
            request["dryRun"] = true.into();
        }
        if let Some(old) = old {
            request["imageId"] = old.into();
        }
        if let Some(timeout) = self.timeout_seconds {
            request["timeouts"] = match self.operation {
                Operation::Create => json!({"create": timeout}),
                Operation::Delete => json!({"delete": timeout}),
                operation if operation.replaces() => json!({"create": timeout, "delete": timeout}),
                _ => json!({"update": timeout}),
            };
        }
        request
    }

    /// How long the run may take at the most: its operations and a rollback with their timeouts, and the
    /// retries around them.
    pub(crate) fn longest(&self) -> Duration {
        const REQUEST: u64 = 16 * 70 + 8 * 120 + 7 * 60;
        const RETRIES: u64 = 7 * 60 + 180;
        const NAMING: u64 = 8 * 60 + 7 * 60;
        let usual = Timeouts::default();
        let own = |usual: u64| self.timeout_seconds.unwrap_or(usual);
        let (mut operations, rollback) = match self.operation {
            Operation::Create => (vec![own(usual.create)], usual.delete),
            Operation::Delete => (vec![own(usual.delete)], own(usual.delete)),
            Operation::Replace => (vec![own(usual.create), own(usual.delete)], own(usual.delete)),
            // The old image goes first, and its snapshots last.
            Operation::ReplaceSameName => {
                (vec![own(usual.delete), own(usual.create), own(usual.delete)], own(usual.delete))
            }
            _ => (vec![own(usual.update)], usual.delete),
        };
        if self.stops && self.operation.creates() {
            // The stop, the start, and the completion.
            operations.extend([own(usual.create); 3]);
        }
        if (self.deprecates || self.protects || self.marks) && self.operation.creates() {
            operations.push(usual.update);
        }
        if self.retains.is_some() {
            operations.push(own(usual.delete));
        }
        if self.dry {
            // Whether what it makes could be removed.
            operations.push(rollback.max(900));
        }
        let operations: u64 = operations.iter().map(|seconds| seconds + RETRIES).sum();
        let rollback = rollback.max(900) + RETRIES;
        Duration::from_secs(REQUEST + operations + rollback + NAMING)
    }
}

/// The request for an image.
pub(crate) fn create(name: &str, instance: &str, without_reboot: bool) -> Value {
    json!({
        "name": name,
        "sourceInstanceId": instance,
        "snapshotWithoutReboot": without_reboot,
        "description": "chaos",
        "tags": {"Team": "chaos"},
    })
}
