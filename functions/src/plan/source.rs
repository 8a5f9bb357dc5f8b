//! What a create takes over from its source instance: tags, and which volumes. It is read once, so that every
//! attempt sends the same.

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    Client,
    types::{Filter, Instance, Volume},
};
use wildmatch::WildMatch;

use super::{request::Create, stop};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{
        block_devices::BlockDeviceMapping,
        tags::{self, Tags},
    },
    settings::SOURCE_TAG,
};

/// Which of the instance's tags are copied.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyTags {
    /// Patterns of keys; `*` stands for any characters, `?` for one.
    pub include: Vec<String>,
    /// Patterns of keys that are not copied all the same.
    pub exclude: Vec<String>,
}

impl Default for CopyTags {
    fn default() -> Self {
        Self { include: vec!["*".to_owned()], exclude: vec![] }
    }
}

/// Which volumes of the instance are in the image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volumes {
    /// What is said of single devices.
    pub mappings: Vec<BlockDeviceMapping>,
    /// Whether all but the root volume are left out.
    pub exclude_data_volumes: bool,
    /// A data volume with one of these tags is left out.
    pub exclude_data_volume_tags: Tags,
}

impl Volumes {
    fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What a create takes over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Source {
    /// The instance's tags that are copied.
    pub(super) tags: Option<Tags>,
    /// The mappings that CreateImage is sent.
    pub(super) mappings: Vec<BlockDeviceMapping>,
    /// The devices that the image must have; empty where it takes over all.
    pub(super) devices: BTreeSet<String>,
}

/// Reads the source instance, if the request asks for something of it.
pub(super) async fn read(app: &App, create: &Create) -> Result<Source, Error> {
    let is_as_it_is = create.copy_tags.is_none() && create.volumes.is_everything() && create.stop.is_none();
    if is_as_it_is && !app.settings.only_tagged_instances {
        return Ok(Source::default());
    }
    let client = &app.ec2;
    let instance_id = &create.source_instance_id;
    let Some(instance) = ec2::instance(client, instance_id).await? else {
        return Err(Error::SourceInstanceNotFound { instance_id: instance_id.to_string() });
    };
    if app.settings.only_tagged_instances {
        check_tag(&instance)?;
    }
    if let Some(stop) = create.stop {
        stop::check(client, &instance, stop).await?;
    }
    let tags = create.copy_tags.as_ref().map(|copied| copied.of(&instance));
    // The snapshots of a stopped instance are counted.
    if create.volumes.is_everything() && create.stop.is_none() {
        return Ok(Source { tags, ..Source::default() });
    }
    let excluded = excluded_by_tags(client, create).await?;
    let (mappings, devices) = chosen(&create.volumes, &instance, &excluded)?;
    Ok(Source { tags, mappings, devices })
}

/// Refuses an instance without the tag, which the roles may not image either.
fn check_tag(instance: &Instance) -> Result<(), Error> {
    let (key, value) = SOURCE_TAG;
    if tags::shown_by_ec2(instance.tags()).get(key).map(String::as_str) == Some(value) {
        return Ok(());
    }
    let id = instance.instance_id().unwrap_or_default();
    let problem = format!("must be an instance with the tag {key} = {value}, which {id} does not have");
    Err(Error::invalid("sourceInstanceId", problem))
}

impl CopyTags {
    /// The instance's tags that are copied. A reserved one never is: it would say something else of the image.
    fn of(&self, instance: &Instance) -> Tags {
        let is_one_of = |patterns: &[String], key: &str| patterns.iter().any(|one| WildMatch::new(one).matches(key));
        let mut tags = tags::shown_by_ec2(instance.tags());
        tags.retain(|key, _| {
            !tags::is_reserved(key) && is_one_of(&self.include, key) && !is_one_of(&self.exclude, key)
        });
        tags
    }
}

/// The instance's volumes that have one of the tags that leave a data volume out.
async fn excluded_by_tags(client: &Client, create: &Create) -> Result<BTreeSet<String>, Error> {
    let wanted = &create.volumes.exclude_data_volume_tags;
    if wanted.is_empty() {
        return Ok(BTreeSet::new());
    }
    let of_instance = Filter::builder().name("attachment.instance-id").values(create.source_instance_id.as_str());
    let volumes = client.describe_volumes().filters(of_instance.build()).into_paginator().items().send();
    let volumes: Result<Vec<Volume>, _> = volumes.collect().await;
    let volumes = volumes.map_err(|error| error_codes::unexpected("ec2:DescribeVolumes", &error))?;
    let has_one = |volume: &&Volume| {
        let shown = tags::shown_by_ec2(volume.tags());
        wanted.iter().any(|(key, value)| shown.get(key) == Some(value))
    };
    Ok(volumes.iter().filter(has_one).filter_map(Volume::volume_id).map(str::to_owned).collect())
}

/// The mappings to send, and the devices that the image must then have.
fn chosen(
    volumes: &Volumes,
    instance: &Instance,
    excluded: &BTreeSet<String>,
) -> Result<(Vec<BlockDeviceMapping>, BTreeSet<String>), Error> {
    let root = instance.root_device_name().unwrap_or_default();
    let attached: Vec<(&str, &str)> = instance
        .block_device_mappings()
        .iter()
        .filter_map(|one| Some((one.device_name()?, one.ebs()?.volume_id().unwrap_or_default())))
        .collect();
    for (position, mapping) in volumes.mappings.iter().enumerate() {
        let field = format!("blockDeviceMappings[{position}].deviceName");
        if !attached.iter().any(|(device, _)| *device == mapping.device_name) {
            let devices = attached.iter().map(|(device, _)| *device).collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(field, format!("must be a device of the instance, which has {devices}")));
        }
        if mapping.no_device && mapping.device_name == root {
            return Err(Error::invalid(field, format!("must not be {root}: the root volume cannot be left out")));
        }
    }
    let mut mappings = volumes.mappings.clone();
    let mut devices = BTreeSet::new();
    for (device, volume) in attached {
        let is_data = device != root;
        let is_left_out = mappings.iter().any(|mapping| mapping.device_name == device && mapping.no_device)
            || is_data && (volumes.exclude_data_volumes || excluded.contains(volume));
        if is_left_out {
            mappings.retain(|mapping| mapping.device_name != device);
            mappings.push(BlockDeviceMapping::left_out(device));
        } else {
            devices.insert(device.to_owned());
        }
    }
    Ok((mappings, devices))
}
