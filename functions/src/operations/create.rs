//! A create: one image of an instance, with its snapshots.

mod begin;
mod look;
pub mod pace;
pub(crate) mod source_instance;
mod undo;

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Image;
use serde::{Deserialize, Serialize};

pub(super) use self::look::look;
use self::pace::Look;
use super::{EndedRun, Operation, Rehearsing, Undone, attributes::Attributes};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    machine::{answer, call},
    model::{
        block_devices::BlockDeviceMapping,
        ids::{ImageId, InstanceId, SnapshotId},
        run::Run,
        source_instance::SourceInstance,
        tags::{self, Tags},
    },
};

/// Makes an image.
#[derive(Debug)]
pub struct Create;

/// What an image is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The image's name, unique in the Region.
    pub name: String,
    /// The instance it is made from.
    pub source_instance_id: InstanceId,
    /// Whether the instance goes on running, with a crash-consistent image.
    pub snapshot_without_reboot: bool,
    /// The image's description; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Every tag but the run's and the series'.
    pub tags: Tags,
    /// The keys of the tags that the instance has, where they are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_tags: Option<Vec<String>>,
    /// What CreateImage is told of single volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// The devices that the image must have; empty where it is to have all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<String>,
    /// Among which images it counts; none in a plan of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// When the run started, in RFC 3339: nothing older is the run's, whatever its tag says.
    pub run_started: String,
    /// Whether the run has stopped the instance: the create is done once every snapshot exists, and its completion is
    /// an operation of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_stopped_instance: bool,
    /// The image of the same name that the run deregisters before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_image_id: Option<ImageId>,
}

/// What a create knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The image, once CreateImage has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// Every snapshot of the image that a look has found.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub snapshot_ids: BTreeSet<SnapshotId>,
    /// What the machine had waited when the image was begun, in seconds.
    pub begun_after: u64,
    /// What it had waited when the image was available, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_after: Option<u64>,
    /// How much of the slowest snapshot is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_percent: Option<u8>,
    /// What the next look asks for, and what the looks before it have found out.
    pub look: Look,
    /// The source instance's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_instance: Option<SourceInstance>,
}

/// What a create gives.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Output {
    /// The image is available.
    Available(Box<Available>),
    /// Every snapshot of the image exists.
    Begun(Begun),
}

/// An image that is being made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// The image.
    pub id: ImageId,
    /// The source instance's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_instance: Option<SourceInstance>,
}

/// An image that is available.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Available {
    /// The image's attributes.
    #[serde(flatten)]
    pub image: Attributes,
    /// The source instance's part; null where an image was adopted after its instance was gone.
    pub source_instance: Option<SourceInstance>,
    /// The keys of the tags that the image has from its instance; left out unless they are copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_tags: Option<Vec<String>>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

impl Operation for Create {
    const NAME: &'static str = "create";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
        begin::begin(app, call).await
    }

    async fn look(app: &App, call: Call) -> Result<Answer, Error> {
        look::look(app, call).await
    }

    async fn rehearse(app: &App, call: Call, rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        begin::rehearse(app, &call, rehearsing).await
    }

    async fn undo(app: &App, run: &EndedRun) -> Result<Undone, Error> {
        undo::undo(app, run).await
    }
}

impl Arguments {
    /// Whether the image was made by `run`: an execution's name, and so its ARN, can be used again after
    /// 90 days.
    fn is_of(&self, run: &Run, image: &Image) -> bool {
        tags::run_of(image.tags()) == Some(run.arn()) && self.is_since_the_run_started(image)
    }

    fn is_since_the_run_started(&self, image: &Image) -> bool {
        ec2::is_since(ec2::time(image.creation_date()), ec2::time(Some(&self.run_started)))
    }
}
