//! Starting, stopping, rebooting and terminating.

use std::time::{Duration, SystemTime};

use aws_sdk_ec2::types::InstanceStateName;

use crate::{api_error::ApiError, clock::between, instances::Instance, query::Query, world::World, xml::Xml};

const STARTS_IN: Duration = Duration::from_secs(10);
const STOPS_IN: Duration = Duration::from_secs(20);
const TERMINATES_IN: Duration = Duration::from_secs(20);

/// A change of an instance's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    Start,
    Stop,
    Terminate,
}

/// All the moves of an instance, some perhaps still to come.
#[derive(Clone, Debug)]
pub(crate) struct Power(Vec<(SystemTime, Move)>);

impl Power {
    pub(crate) fn new(at: SystemTime, first: Move) -> Self {
        Self(vec![(at, first)])
    }

    /// The power of an instance that is in `state` from now on.
    pub(crate) fn in_state(state: &InstanceStateName, now: SystemTime) -> Self {
        let long_ago = now - Duration::from_secs(3600);
        match state {
            InstanceStateName::Pending => Self::new(now, Move::Start),
            InstanceStateName::Stopping => Self::new(now, Move::Stop),
            InstanceStateName::Stopped => Self::new(long_ago, Move::Stop),
            InstanceStateName::ShuttingDown => Self::new(now, Move::Terminate),
            InstanceStateName::Terminated => Self::new(now - TERMINATES_IN, Move::Terminate),
            _ => Self::new(long_ago, Move::Start),
        }
    }

    pub(crate) fn make(&mut self, at: SystemTime, power_move: Move) {
        self.0.push((at, power_move));
    }

    fn latest(&self, now: SystemTime) -> (SystemTime, Move) {
        let made = self.0.iter().filter(|(at, _)| *at <= now).max_by_key(|(at, _)| *at);
        made.or(self.0.first()).copied().unwrap_or((now, Move::Start))
    }

    /// When the latest move was made.
    pub(crate) fn since(&self, now: SystemTime) -> SystemTime {
        self.latest(now).0
    }

    /// When the instance was last started.
    pub(crate) fn launched(&self, now: SystemTime) -> SystemTime {
        let starts = self.0.iter().filter(|(at, power_move)| *at <= now && *power_move == Move::Start);
        starts.map(|(at, _)| *at).max().unwrap_or_else(|| self.0.first().map_or(now, |(at, _)| *at))
    }

    pub(crate) fn state(&self, now: SystemTime) -> InstanceStateName {
        let (at, power_move) = self.latest(now);
        let elapsed = between(at, now);
        match power_move {
            Move::Start if elapsed < STARTS_IN => InstanceStateName::Pending,
            Move::Start => InstanceStateName::Running,
            Move::Stop if elapsed < STOPS_IN => InstanceStateName::Stopping,
            Move::Stop => InstanceStateName::Stopped,
            Move::Terminate if elapsed < TERMINATES_IN => InstanceStateName::ShuttingDown,
            Move::Terminate => InstanceStateName::Terminated,
        }
    }
}

pub(crate) fn code(state: &InstanceStateName) -> u8 {
    match state {
        InstanceStateName::Pending => 0,
        InstanceStateName::ShuttingDown => 32,
        InstanceStateName::Terminated => 48,
        InstanceStateName::Stopping => 64,
        InstanceStateName::Stopped => 80,
        _ => 16,
    }
}

/// Writes a state with its code as the element `name`.
pub(crate) fn write_state(xml: &mut Xml, name: &str, state: &InstanceStateName) {
    xml.element(name, |xml| {
        xml.text("code", code(state));
        xml.text("name", state.as_str());
    });
}

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
        world.instance(id)?.power.make(now, power_move);
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
