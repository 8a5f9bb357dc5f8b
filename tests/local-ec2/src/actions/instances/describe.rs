//! DescribeInstances and DescribeInstanceStatus.

use std::{collections::BTreeMap, time::SystemTime};

use aws_sdk_ec2::types::InstanceStateName;

use super::state::{code, write_state};
use crate::{
    account::{ACCOUNT, ZONE},
    api_error::ApiError,
    clock::timestamp,
    filters::Filters,
    pages::Page,
    query::Query,
    resources::instance::Instance,
    tags,
    world::World,
    xml::Xml,
};

const FILTERS: &[&str] = &[
    "architecture",
    "availability-zone",
    "block-device-mapping.volume-id",
    "image-id",
    "instance-id",
    "instance-state-code",
    "instance-state-name",
    "instance-type",
    "owner-id",
    "private-ip-address",
    "root-device-name",
    "root-device-type",
];

/// The smallest page EC2 gives of instances.
const SMALLEST_PAGE: usize = 5;

fn filter_values(instance: &Instance, now: SystemTime, name: &str) -> Vec<String> {
    if name == "block-device-mapping.volume-id" {
        return instance.volumes.iter().map(|volume| volume.id.clone()).collect();
    }
    let state = instance.state(now);
    vec![match name {
        "architecture" => instance.machine.architecture.clone(),
        "availability-zone" => ZONE.to_owned(),
        "image-id" => instance.image_id.clone(),
        "instance-id" => instance.id.clone(),
        "instance-state-code" => code(&state).to_string(),
        "instance-state-name" => state.as_str().to_owned(),
        "instance-type" => instance.instance_type.clone(),
        "owner-id" => ACCOUNT.to_owned(),
        "private-ip-address" => instance.address.clone(),
        "root-device-name" => instance.machine.root_device_name.clone(),
        "root-device-type" => instance.machine.root_device_type().to_owned(),
        _ => return Vec::new(),
    }]
}

pub(crate) fn describe_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("InstanceId");
    let filters = Filters::take(query, FILTERS)?;
    let page = Page::take(query, SMALLEST_PAGE)?;
    query.ignore(&["IncludeManagedResources"]);
    query.finish()?;
    let now = world.now();
    let admits = |instance: &&Instance| filters.admit(&instance.tags, |name| filter_values(instance, now, name));
    let (instances, next) = page.cut(world.listed_instances(&ids, &page)?, |instance| instance.id.clone(), admits);
    let mut reservations: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        reservations.entry(&instance.reservation_id).or_default().push(instance);
    }
    let mut xml = Xml::default();
    xml.list("reservationSet", reservations, |xml, (id, instances)| {
        write_reservation_members(xml, id, &instances, now)
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}

/// A reservation, as RunInstances answers it.
pub(crate) fn write_reservation(world: &World, reservation_id: &str) -> Xml {
    let instances: Vec<_> =
        world.instances.values().filter(|instance| instance.reservation_id == reservation_id).collect();
    let mut xml = Xml::default();
    write_reservation_members(&mut xml, reservation_id, &instances, world.now());
    xml
}

fn write_reservation_members(xml: &mut Xml, id: &str, instances: &[&Instance], now: SystemTime) {
    xml.text("reservationId", id);
    xml.text("ownerId", ACCOUNT);
    xml.element("groupSet", |_| ());
    xml.list("instancesSet", instances, |xml, instance| write_instance(xml, instance, now));
}

fn write_instance(xml: &mut Xml, instance: &Instance, now: SystemTime) {
    let state = instance.state(now);
    let is_up = matches!(state, InstanceStateName::Pending | InstanceStateName::Running);
    let host = instance.address.replace('.', "-");
    xml.text("instanceId", &instance.id);
    xml.text("imageId", &instance.image_id);
    write_state(xml, "instanceState", &state);
    xml.text("privateDnsName", format_args!("ip-{host}.ec2.internal"));
    xml.text("dnsName", "");
    if is_up {
        xml.text("reason", "");
    } else {
        let at = timestamp(instance.power.since(now)).replace('T', " ");
        // Seen by users of instances whose key was not granted.
        let (reason, code, message) = if instance.power.starts_in_vain(now) {
            ("Client.InternalError", "Client.InternalError", "Client.InternalError: Client error on launch")
        } else {
            let message = "Client.UserInitiatedShutdown: User initiated shutdown";
            ("User initiated", "Client.UserInitiatedShutdown", message)
        };
        xml.text("reason", format_args!("{reason} ({} GMT)", at.split('.').next().unwrap_or_default()));
        xml.element("stateReason", |xml| {
            xml.text("code", code);
            xml.text("message", message);
        });
    }
    xml.text("amiLaunchIndex", instance.launch_index);
    xml.text("instanceType", &instance.instance_type);
    xml.text("launchTime", timestamp(instance.power.launched(now)));
    xml.element("placement", |xml| {
        xml.text("availabilityZone", ZONE);
        xml.element("groupName", |_| ());
        xml.text("tenancy", "default");
    });
    xml.element("monitoring", |xml| xml.text("state", "disabled"));
    xml.text("privateIpAddress", &instance.address);
    xml.text("sourceDestCheck", true);
    xml.text("ebsOptimized", false);
    xml.element("groupSet", |_| ());
    instance.machine.write(xml);
    let attached = if state == InstanceStateName::Terminated { &[] } else { instance.volumes.as_slice() };
    xml.list("blockDeviceMapping", attached, |xml, volume| {
        xml.text("deviceName", &volume.device);
        xml.element("ebs", |xml| {
            xml.text("volumeId", &volume.id);
            xml.text("status", "attached");
            xml.text("attachTime", timestamp(volume.attached));
            xml.text("deleteOnTermination", volume.delete_on_termination);
        });
    });
    tags::write(xml, &instance.tags);
}

pub(crate) fn describe_instance_status(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("InstanceId");
    let filters = Filters::take(query, FILTERS)?;
    let page = Page::take(query, SMALLEST_PAGE)?;
    let all = query.flag("IncludeAllInstances")?.unwrap_or(false);
    query.ignore(&["IncludeManagedResources"]);
    query.finish()?;
    let now = world.now();
    let admits = |instance: &&Instance| {
        (all || instance.state(now) == InstanceStateName::Running)
            && filters.admit(&instance.tags, |name| filter_values(instance, now, name))
    };
    let (instances, next) = page.cut(world.listed_instances(&ids, &page)?, |instance| instance.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("instanceStatusSet", instances, |xml, instance| {
        let state = instance.state(now);
        let (status, reachability) = match state {
            InstanceStateName::Running if instance.is_initializing(now) => ("initializing", Some("initializing")),
            InstanceStateName::Running => ("ok", Some("passed")),
            _ => ("not-applicable", None),
        };
        xml.text("instanceId", &instance.id);
        xml.text("availabilityZone", ZONE);
        write_state(xml, "instanceState", &state);
        for name in ["systemStatus", "instanceStatus"] {
            xml.element(name, |xml| {
                xml.text("status", status);
                xml.list("details", reachability, |xml, reachability| {
                    xml.text("name", "reachability");
                    xml.text("status", reachability);
                });
            });
        }
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}
