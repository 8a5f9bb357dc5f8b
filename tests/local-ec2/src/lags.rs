//! How long EC2 takes to let every reader see a change.

use std::time::{Duration, SystemTime};

/// The lags, in simulated time. A lag of zero never shows.
#[derive(Clone, Debug)]
pub struct Lags {
    /// From CreateImage until the image is found by its id or in a list.
    pub image_appears: Duration,
    /// From CreateImage until the image shows its tags.
    pub image_tags_show: Duration,
    /// From CreateImage until the image shows its devices; it does not show them before its snapshots begin.
    pub image_devices_show: Duration,
    /// From CreateImage until the snapshots of an instance that it reboots begin. On EC2 it may be minutes.
    pub rebooted_snapshots_begin: Duration,
    /// From a snapshot's beginning until it is found.
    pub snapshot_appears: Duration,
    /// From a snapshot's beginning until it shows its tags.
    pub snapshot_tags_show: Duration,
    /// For how long CreateTags and DeleteTags of a resource forbid others of the same one.
    pub tag_access: Duration,
    /// From a change of description or deprecation until DescribeImages shows it.
    pub change_shows: Duration,
    /// From an image's end until EventBridge is told of it.
    pub image_told: Duration,
    /// From CreateRule until a rule of the Recycle Bin keeps anything. An account's first rule may take half an hour (EBS
    /// User Guide, Recycle Bin considerations).
    pub bin_rule_begins: Duration,
    /// From DeregisterImage or DeleteSnapshot until the Recycle Bin lists what it keeps.
    pub bin_lists: Duration,
    /// From RestoreImageFromRecycleBin until the image is found.
    pub restored_shows: Duration,
    /// From DeregisterImage until lists are without the image.
    pub image_lingers: Duration,
    /// How long, after that, a look by id gets an empty list before it gets `InvalidAMIID.NotFound`; longer, as
    /// long as there are instances of the image.
    pub image_fades: Duration,
    /// From DeregisterImage until another image may have the name.
    pub name_held: Duration,
    /// From DeregisterImage until the unlucky fifth of the snapshots is no longer in use.
    pub snapshot_held: Duration,
}

impl Default for Lags {
    fn default() -> Self {
        Self {
            image_appears: Duration::from_secs(2),
            image_tags_show: Duration::from_secs(3),
            image_devices_show: Duration::from_secs(3),
            rebooted_snapshots_begin: Duration::ZERO,
            snapshot_appears: Duration::from_secs(1),
            snapshot_tags_show: Duration::from_secs(2),
            tag_access: Duration::ZERO,
            change_shows: Duration::from_secs(2),
            image_told: Duration::from_secs(1),
            bin_rule_begins: Duration::from_secs(60),
            bin_lists: Duration::ZERO,
            restored_shows: Duration::ZERO,
            image_lingers: Duration::from_secs(3),
            image_fades: Duration::from_secs(6 * 3600),
            name_held: Duration::from_secs(5),
            snapshot_held: Duration::from_secs(8),
        }
    }
}

/// A value whose changes show late.
#[derive(Clone, Debug)]
pub(crate) struct Lagging<T> {
    settled: T,
    coming: Option<(SystemTime, T)>,
}

impl<T: Clone> Lagging<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { settled: value, coming: None }
    }

    /// Changes the value; readers see it from `shows_at` on.
    pub(crate) fn change(&mut self, now: SystemTime, shows_at: SystemTime, value: T) {
        self.settled = self.shown(now).clone();
        self.coming = Some((shows_at, value));
    }

    /// What a reader sees.
    pub(crate) fn shown(&self, now: SystemTime) -> &T {
        match &self.coming {
            Some((shows_at, value)) if *shows_at <= now => value,
            _ => &self.settled,
        }
    }

    /// What the value really is.
    pub(crate) fn latest(&self) -> &T {
        self.coming.as_ref().map_or(&self.settled, |(_, value)| value)
    }
}
