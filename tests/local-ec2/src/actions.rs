//! The actions: what each is called, whether it changes anything, and how often it may be called.

mod encryption;
mod images;
mod instances;
mod launch_configurations;
mod launch_templates;
mod network;
mod recycle_bin;
mod regions;
mod snapshots;
mod tags;
mod volumes;

use self::{
    encryption::get_ebs_encryption_by_default,
    images::{
        attributes::{describe_image_attribute, modify_image_attribute},
        create::create_image,
        deprecation::{disable_image_deprecation, enable_image_deprecation},
        deregister::deregister_image,
        describe::describe_images,
        disable::{disable_image, enable_image},
        protection::{disable_image_deregistration_protection, enable_image_deregistration_protection},
        references::describe_image_references,
        register::register_image,
        sharing::reset_image_attribute,
        watermarks::{attach_image_watermark, detach_image_watermark},
    },
    instances::{
        attributes::{describe_instance_attribute, describe_instance_types},
        describe::{describe_instance_status, describe_instances},
        power::{reboot_instances, start_instances, stop_instances, terminate_instances},
        run::run_instances,
    },
    launch_configurations::describe_launch_configurations,
    launch_templates::{
        create_launch_template, create_launch_template_version, delete_launch_template, describe_launch_templates,
    },
    network::{
        key_pairs::{create_key_pair, delete_key_pair},
        security_groups::{
            authorize_security_group_ingress, create_security_group, delete_security_group, describe_security_groups,
        },
        vpcs::{describe_subnets, describe_vpcs},
    },
    regions::{describe_availability_zones, describe_regions},
    snapshots::{
        delete::delete_snapshot,
        describe::describe_snapshots,
        lock::{lock_snapshot, unlock_snapshot},
        sharing::{describe_snapshot_attribute, modify_snapshot_attribute, reset_snapshot_attribute},
    },
    tags::{create_tags, delete_tags, describe_tags},
    volumes::describe_volumes,
};
use crate::{
    api_error::ApiError,
    buckets::{CHANGING, LOOKING, Rate},
    query::{Parameters, Query},
    world::World,
    xml::Xml,
};

/// Does the work of an action.
pub(crate) type Handler = fn(&mut World, &mut Query) -> Result<Xml, ApiError>;

/// An action of the API.
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) mutating: bool,
    limit: Limit,
    pub(crate) handler: Handler,
}

enum Limit {
    Always(Rate),
    /// Less is allowed without a filter and without pages.
    Describing {
        narrow: Rate,
        wide: Rate,
    },
}

const LOOKS: Limit = Limit::Always(LOOKING);
const LOOKS_WIDE: Limit = Limit::Describing { narrow: LOOKING, wide: Rate::new(50, 10) };
const CHANGES: Limit = Limit::Always(CHANGING);
const REMOVALS: Limit = Limit::Always(Rate::new(100, 5));
const TAGGING: Limit = Limit::Always(Rate::new(100, 10));

const fn look(name: &'static str, limit: Limit, handler: Handler) -> Action {
    Action { name, mutating: false, limit, handler }
}

const fn change(name: &'static str, limit: Limit, handler: Handler) -> Action {
    Action { name, mutating: true, limit, handler }
}

static ACTIONS: &[Action] = &[
    change("AttachImageWatermark", CHANGES, attach_image_watermark),
    change("AuthorizeSecurityGroupIngress", CHANGES, authorize_security_group_ingress),
    change("CreateImage", CHANGES, create_image),
    change("CreateKeyPair", CHANGES, create_key_pair),
    change("CreateLaunchTemplate", CHANGES, create_launch_template),
    change("CreateLaunchTemplateVersion", CHANGES, create_launch_template_version),
    change("CreateSecurityGroup", CHANGES, create_security_group),
    change("CreateTags", TAGGING, create_tags),
    change("DeleteKeyPair", CHANGES, delete_key_pair),
    change("DeleteLaunchTemplate", CHANGES, delete_launch_template),
    change("DeleteSecurityGroup", CHANGES, delete_security_group),
    change("DeleteSnapshot", REMOVALS, delete_snapshot),
    change("DeleteTags", TAGGING, delete_tags),
    change("DeregisterImage", REMOVALS, deregister_image),
    look("DescribeAvailabilityZones", LOOKS, describe_availability_zones),
    look("DescribeImageAttribute", LOOKS, describe_image_attribute),
    look("DescribeImageReferences", LOOKS, describe_image_references),
    look("DescribeImages", LOOKS, describe_images),
    look("DescribeInstanceAttribute", LOOKS, describe_instance_attribute),
    look("DescribeInstanceTypes", LOOKS, describe_instance_types),
    look("DescribeInstanceStatus", LOOKS, describe_instance_status),
    look("DescribeInstances", LOOKS_WIDE, describe_instances),
    look("DescribeLaunchConfigurations", LOOKS, describe_launch_configurations),
    look("DescribeLaunchTemplates", LOOKS, describe_launch_templates),
    look("DescribeRegions", LOOKS, describe_regions),
    look("DescribeSecurityGroups", LOOKS, describe_security_groups),
    look("DescribeSnapshotAttribute", LOOKS, describe_snapshot_attribute),
    look("DescribeSnapshots", LOOKS_WIDE, describe_snapshots),
    look("DescribeSubnets", LOOKS, describe_subnets),
    look("DescribeTags", LOOKS, describe_tags),
    look("DescribeVolumes", LOOKS, describe_volumes),
    look("DescribeVpcs", LOOKS, describe_vpcs),
    change("DetachImageWatermark", CHANGES, detach_image_watermark),
    change("DisableImage", CHANGES, disable_image),
    change("DisableImageDeprecation", CHANGES, disable_image_deprecation),
    change("DisableImageDeregistrationProtection", CHANGES, disable_image_deregistration_protection),
    change("EnableImage", CHANGES, enable_image),
    change("EnableImageDeprecation", CHANGES, enable_image_deprecation),
    change("EnableImageDeregistrationProtection", CHANGES, enable_image_deregistration_protection),
    look("GetEbsEncryptionByDefault", LOOKS, get_ebs_encryption_by_default),
    look("ListImagesInRecycleBin", LOOKS, recycle_bin::list_images),
    look("ListSnapshotsInRecycleBin", LOOKS, recycle_bin::list_snapshots),
    change("LockSnapshot", CHANGES, lock_snapshot),
    change("ModifyImageAttribute", REMOVALS, modify_image_attribute),
    change("ModifySnapshotAttribute", REMOVALS, modify_snapshot_attribute),
    change("RebootInstances", CHANGES, reboot_instances),
    change("RegisterImage", CHANGES, register_image),
    change("ResetImageAttribute", REMOVALS, reset_image_attribute),
    change("ResetSnapshotAttribute", REMOVALS, reset_snapshot_attribute),
    change("RestoreImageFromRecycleBin", CHANGES, recycle_bin::restore_image),
    change("RestoreSnapshotFromRecycleBin", CHANGES, recycle_bin::restore_snapshot),
    change("RunInstances", CHANGES, run_instances),
    change("StartInstances", CHANGES, start_instances),
    change("StopInstances", CHANGES, stop_instances),
    change("TerminateInstances", CHANGES, terminate_instances),
    change("UnlockSnapshot", CHANGES, unlock_snapshot),
];

impl Action {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        ACTIONS.iter().find(|action| action.name == name)
    }

    /// The rate that a call with these parameters counts against.
    pub(crate) fn rate(&self, parameters: &Parameters) -> Rate {
        match self.limit {
            Limit::Always(rate) => rate,
            Limit::Describing { narrow, wide } => {
                let is_narrow = parameters.keys().any(|name| name.starts_with("Filter.") || name == "MaxResults");
                if is_narrow { narrow } else { wide }
            }
        }
    }
}
