//! Which images of a series are kept.

use serde::{Deserialize, Serialize};

use super::tags::Tags;

/// How many images a prune removes at the most, where the request does not say.
pub const MAX_PER_RUN: usize = 20;
/// How much of a series it removes at the most, in percent, where the request does not say.
pub const MAX_PERCENT: usize = 50;

/// What is kept: the union of all that these rules name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retain {
    /// The newest available images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What is younger, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// The newest available images that stay whatever the other rules say.
    pub at_least: usize,
    /// More than so many candidates refuse the whole prune.
    pub max_per_run: usize,
    /// More than this share of a series refuses it too.
    pub max_percent_per_run: usize,
    /// What else stays.
    #[serde(default)]
    pub exclusions: Exclusions,
    /// What becomes of the others.
    #[serde(default)]
    pub action: Action,
    /// For how long they are disabled before they are deleted, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<i64>,
}

/// What becomes of an image that does not stay as it is, in the words of Image Builder's lifecycle policies.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::VariantNames,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Action {
    /// It is deleted, with its snapshots.
    #[default]
    Delete,
    /// It can be launched no more.
    Disable,
    /// It is deprecated from then on.
    Deprecate,
}

/// Images that stay whatever their age.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exclusions {
    /// Those from which an instance was launched of late, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_launched: Option<i64>,
    /// Those with one of these tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tag_map: Tags,
    /// Those that others may launch.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}
