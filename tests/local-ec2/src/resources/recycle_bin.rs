//! The Recycle Bin of the account and Region: its rules, and for how long each thing in it stays.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use crate::{resources::snapshot::Snapshot, tags::Tags};

/// What a rule keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinResource {
    /// Images that are deregistered.
    Image,
    /// Snapshots that are deleted.
    Snapshot,
}

/// A retention rule. Without tags it is one of the Region's, and keeps all but what has an excluded tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinRule {
    resource: BinResource,
    retention: Duration,
    tags: Vec<(String, String)>,
    excluded: Vec<(String, String)>,
    description: String,
    /// When it begins to keep; none if it always has.
    begins: Option<SystemTime>,
}

impl BinRule {
    /// Keeps everything of a kind for so long.
    pub fn new(resource: BinResource, retention: Duration) -> Self {
        Self { resource, retention, tags: Vec::new(), excluded: Vec::new(), description: String::new(), begins: None }
    }

    /// Keeps only what has the tag, or another one of the rule.
    #[must_use]
    pub fn with_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Leaves out what has the tag.
    #[must_use]
    pub fn without_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.excluded.push((key.into(), value.into()));
        self
    }

    /// Says what it is for.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Keeps nothing before that.
    #[must_use]
    pub(crate) fn beginning(mut self, at: SystemTime) -> Self {
        self.begins = Some(at);
        self
    }

    /// Whether it keeps anything yet.
    pub(crate) fn is_available(&self, now: SystemTime) -> bool {
        self.begins.is_none_or(|begins| begins <= now)
    }

    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    pub(crate) fn resource(&self) -> BinResource {
        self.resource
    }

    pub(crate) fn tags(&self) -> &[(String, String)] {
        &self.tags
    }

    pub(crate) fn excluded(&self) -> &[(String, String)] {
        &self.excluded
    }

    fn keeps(&self, resource: BinResource, tags: &Tags, now: SystemTime) -> bool {
        let has = |(key, value): &(String, String)| tags.get(key) == Some(value);
        self.resource == resource
            && self.is_available(now)
            && (self.tags.is_empty() || self.tags.iter().any(has))
            && !self.excluded.iter().any(has)
    }
}

/// When something entered the bin, and when it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    pub(crate) entered: SystemTime,
    pub(crate) exits: SystemTime,
}

impl Stay {
    fn shows(&self, now: SystemTime, since: Duration) -> bool {
        self.entered + since <= now && now < self.exits
    }
}

/// The rules, and what they keep.
#[derive(Debug, Default)]
pub(crate) struct RecycleBin {
    /// By their ids.
    rules: BTreeMap<String, BinRule>,
    rules_made: usize,
    /// Whether an image in the bin keeps its snapshots in use. EC2 does not document it.
    pub(crate) holds_snapshots: bool,
    images: BTreeMap<String, Stay>,
    snapshots: BTreeMap<String, (Stay, Snapshot)>,
}

impl RecycleBin {
    /// Adds a rule, for what is deregistered or deleted from now on; gives its id.
    pub(crate) fn add_rule(&mut self, rule: BinRule) -> String {
        self.rules_made += 1;
        let id = format!("rule{:07}", self.rules_made);
        self.rules.insert(id.clone(), rule);
        id
    }

    /// Removes a rule; says whether it was there. What it has kept stays in the bin.
    pub(crate) fn remove_rule(&mut self, id: &str) -> bool {
        self.rules.remove(id).is_some()
    }

    pub(crate) fn rules(&self) -> &BTreeMap<String, BinRule> {
        &self.rules
    }

    /// For how long it keeps something with these tags: by the longest of its rules.
    fn stay(&self, resource: BinResource, tags: &Tags, now: SystemTime) -> Option<Stay> {
        let rules = self.rules.values().filter(|rule| rule.keeps(resource, tags, now));
        rules.map(|rule| rule.retention).max().map(|retention| Stay { entered: now, exits: now + retention })
    }

    /// Takes an image that is deregistered, if a rule keeps it.
    pub(crate) fn take_image(&mut self, id: &str, tags: &Tags, now: SystemTime) -> Option<Stay> {
        let stay = self.stay(BinResource::Image, tags, now)?;
        self.images.insert(id.to_owned(), stay);
        Some(stay)
    }

    /// Takes a snapshot that is deleted, if a rule keeps it.
    pub(crate) fn take_snapshot(&mut self, snapshot: Snapshot, now: SystemTime) {
        if let Some(stay) = self.stay(BinResource::Snapshot, &snapshot.tags, now) {
            self.snapshots.insert(snapshot.id.clone(), (stay, snapshot));
        }
    }

    /// The images that it has had for so long.
    pub(crate) fn images(&self, now: SystemTime, since: Duration) -> BTreeMap<String, Stay> {
        let images = self.images.iter().filter(|(_, stay)| stay.shows(now, since));
        images.map(|(id, stay)| (id.clone(), *stay)).collect()
    }

    /// The snapshots that it has had for so long.
    pub(crate) fn snapshots(&self, now: SystemTime, since: Duration) -> BTreeMap<String, (Stay, &Snapshot)> {
        let snapshots = self.snapshots.iter().filter(|(_, (stay, _))| stay.shows(now, since));
        snapshots.map(|(id, (stay, snapshot))| (id.clone(), (*stay, snapshot))).collect()
    }

    /// The tags of a snapshot that it has or had.
    pub(crate) fn tags_of_snapshot(&self, id: &str) -> Option<&Tags> {
        self.snapshots.get(id).map(|(_, snapshot)| &snapshot.tags)
    }

    /// Gives an image back; says whether it was there.
    pub(crate) fn restore_image(&mut self, id: &str, now: SystemTime) -> bool {
        self.images.remove(id).is_some_and(|stay| now < stay.exits)
    }

    /// Gives a snapshot back.
    pub(crate) fn restore_snapshot(&mut self, id: &str, now: SystemTime) -> Option<Snapshot> {
        self.snapshots.remove(id).filter(|(stay, _)| now < stay.exits).map(|(_, snapshot)| snapshot)
    }
}
