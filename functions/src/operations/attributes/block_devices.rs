//! The volumes of an image, as an execution gives them out.

use aws_sdk_ec2::types::BlockDeviceMapping;
use serde::Serialize;

use super::text;

/// One EBS volume of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EbsBlockDevice {
    /// Whether it goes with its instance.
    pub delete_on_termination: Option<bool>,
    /// Such as `/dev/xvda`.
    pub device_name: Option<String>,
    /// Whether it is encrypted.
    pub encrypted: Option<bool>,
    /// I/O operations a second.
    pub iops: Option<i32>,
    /// The Outpost with the snapshot.
    pub outpost_arn: Option<String>,
    /// Its snapshot.
    pub snapshot_id: Option<String>,
    /// MiB a second.
    pub throughput: Option<i32>,
    /// GiB.
    pub volume_size: Option<i32>,
    /// Such as `gp3`.
    pub volume_type: Option<String>,
}

/// One instance store volume of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralBlockDevice {
    /// Such as `/dev/sdb`.
    pub device_name: Option<String>,
    /// Such as `ephemeral0`.
    pub virtual_name: Option<String>,
}

pub(super) fn ebs_block_device(mapping: &BlockDeviceMapping) -> Option<EbsBlockDevice> {
    let ebs = mapping.ebs()?;
    Some(EbsBlockDevice {
        delete_on_termination: ebs.delete_on_termination(),
        device_name: text(mapping.device_name()),
        encrypted: ebs.encrypted(),
        iops: ebs.iops(),
        outpost_arn: text(ebs.outpost_arn()),
        snapshot_id: text(ebs.snapshot_id()),
        throughput: ebs.throughput(),
        volume_size: ebs.volume_size(),
        volume_type: text(ebs.volume_type().map(|kind| kind.as_str())),
    })
}

pub(super) fn ephemeral_block_device(mapping: &BlockDeviceMapping) -> Option<EphemeralBlockDevice> {
    let virtual_name = text(mapping.virtual_name())?;
    Some(EphemeralBlockDevice { device_name: text(mapping.device_name()), virtual_name: Some(virtual_name) })
}
