//! Starting, stopping, rebooting and terminating.

use aws_sdk_ec2::types::InstanceStateName;

use super::state::write_state;
use crate::{
    api_error::ApiError,
    query::Query,
    resources::{instance::Instance, power::Move},
    world::World,
    xml::Xml,
};

pub(crate) fn start_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    query.ignore(&["AdditionalInfo"]);
    change(world, query, Move::Start, |instance, state| {
        if !instance.machine.root_is_ebs {
            return Err(unsupported(instance, "started"));
        }
        match state {
            InstanceStateName::Stopped => Ok(true),
            InstanceStateName::Pending | InstanceStateName::Running => Ok(false),
            _ => Err(incorrect_state(instance, "started")),
        }
    })
}

pub(crate) fn stop_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    query.ignore(&["Force", "Hibernate", "SkipOsShutdown"]);
    change(world, query, Move::Stop, |instance, state| {
        if !instance.machine.root_is_ebs {
            return Err(unsupported(instance, "stopped"));
        }
        if instance.stop_protection {
            let problem = format!(
                "The instance '{}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
                instance.id
            );
            return Err(ApiError::new("OperationNotPermitted", problem));
        }
        match state {
            InstanceStateName::Running => Ok(true),
            InstanceStateName::Stopping | InstanceStateName::Stopped => Ok(false),
            _ => Err(incorrect_state(instance, "stopped")),
        }
    })
}

pub(crate) fn terminate_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    query.ignore(&["Force", "SkipOsShutdown"]);
    change(world, query, Move::Terminate, |_, state| {
        Ok(!matches!(state, InstanceStateName::ShuttingDown | InstanceStateName::Terminated))
    })
}

pub(crate) fn reboot_instances(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.required_list("InstanceId")?;
    query.finish()?;
    let now = world.now();
    for id in &ids {
        let instance = world.instance(id)?;
        if instance.state(now) != InstanceStateName::Running {
            return Err(incorrect_state(instance, "rebooted"));
        }
    }
    for id in &ids {
        world.instance(id)?.reboots.push(now);
        world.fail_images_in_the_making(id);
    }
    Ok(Xml::done())
}

/// Makes the move with every instance asked for, or with none: `allowed` says whether one needs it.
fn change(
    world: &mut World,
    query: &mut Query,
    power_move: Move,
    allowed: impl Fn(&Instance, &InstanceStateName) -> Result<bool, ApiError>,
) -> Result<Xml, ApiError> {
    let ids = query.required_list("InstanceId")?;
    query.finish()?;
    let now = world.now();
    let mut changes = Vec::new();
    for id in ids {
        let instance = world.instance(&id)?;
        let state = instance.state(now);
        let needed = allowed(instance, &state)?;
        changes.push((id, state, needed));
    }
    let mut xml = Xml::default();
    for (id, _, _) in changes.iter().filter(|(_, _, needed)| *needed) {
        let instance = world.instance(id)?;
        let in_vain = power_move == Move::Start && instance.ungranted_key.is_some();
        instance.power.make(now, if in_vain { Move::StartInVain } else { power_move });
        if power_move == Move::Terminate {
            world.fail_images_in_the_making(id);
        }
    }
    xml.list("instancesSet", changes, |xml, (id, previous, _)| {
        let current = world.instances.get(&id).map_or(previous.clone(), |instance| instance.state(now));
        xml.text("instanceId", id);
        write_state(xml, "currentState", &current);
        write_state(xml, "previousState", &previous);
    });
    Ok(xml)
}

fn incorrect_state(instance: &Instance, participle: &str) -> ApiError {
    let problem = format!("The instance '{}' is not in a state from which it can be {participle}.", instance.id);
    ApiError::new("IncorrectInstanceState", problem)
}

fn unsupported(instance: &Instance, participle: &str) -> ApiError {
    let problem =
        format!("The instance '{}' does not have an 'ebs' root device type and cannot be {participle}.", instance.id);
    ApiError::new("UnsupportedOperation", problem)
}
