//! The source instance: whether it can be imaged, and whether it is back after the reboot.

use aws_sdk_ec2::{
    Client,
    types::{DeviceType, Instance, InstanceStateName, SummaryStatus},
};

use super::Arguments;
use crate::{
    aws::{ec2, error_codes},
    error::Error,
    model::source_instance::SourceInstance,
};

#[derive(Debug, PartialEq)]
pub(crate) enum Readiness {
    Ready(SourceInstance),
    NotYet(&'static str),
    Never(Error),
}

/// Whether the instance can be imaged: EC2 takes running and stopped ones with an EBS root device.
pub(crate) fn readiness(create: &Arguments, instance: Option<&Instance>) -> Readiness {
    let instance_id = create.source_instance_id.to_string();
    let Some(instance) = instance else {
        return Readiness::Never(Error::SourceInstanceNotFound { instance_id });
    };
    if instance.root_device_type() == Some(&DeviceType::InstanceStore) {
        let reason = "its root device is an instance store, and only an EBS one can be imaged".to_owned();
        return Readiness::Never(Error::SourceInstanceNotImageable { instance_id, reason });
    }
    let ready = |state: &InstanceStateName| {
        Readiness::Ready(SourceInstance {
            id: create.source_instance_id.clone(),
            state_before: state.as_str().to_owned(),
            state_after: None,
            rebooted: *state == InstanceStateName::Running && !create.snapshot_without_reboot,
            down_seconds: None,
            stopped_at: None,
            seen_down: false,
        })
    };
    match instance.state().and_then(|state| state.name()) {
        Some(state @ (InstanceStateName::Running | InstanceStateName::Stopped)) => ready(state),
        Some(InstanceStateName::Pending) => Readiness::NotYet("the instance is pending"),
        Some(InstanceStateName::Stopping) => Readiness::NotYet("the instance is stopping"),
        other => {
            let state = other.map_or("in no known state", |state| state.as_str());
            let reason = format!("it is {state}, and only a running or stopped instance can be imaged");
            Readiness::Never(Error::SourceInstanceNotImageable { instance_id, reason })
        }
    }
}

/// The same for an instance that the run has stopped.
pub(crate) fn readiness_of_stopped(create: &Arguments, instance: Option<&Instance>) -> Readiness {
    match readiness(create, instance) {
        Readiness::Ready(source) if source.state_before != InstanceStateName::Stopped.as_str() => {
            let reason = "another client has started it before its image was begun".to_owned();
            Readiness::Never(Error::SourceInstanceNotImageable { instance_id: source.id.to_string(), reason })
        }
        readiness => readiness,
    }
}

/// Refuses an instance that never can be imaged.
pub(crate) fn check(create: &Arguments, instance: Option<&Instance>) -> Result<(), Error> {
    match readiness(create, instance) {
        Readiness::Never(refusal) => Err(refusal),
        Readiness::Ready(_) | Readiness::NotYet(_) => Ok(()),
    }
}

impl SourceInstance {
    /// Looks for how long a rebooted instance is down, `elapsed` seconds after CreateImage. EC2
    /// shows it by the instance's status checks alone; its state stays `running`.
    pub(crate) async fn watch(&mut self, client: &Client, elapsed: u64) -> Result<(), Error> {
        if !self.rebooted || self.down_seconds.is_some() {
            return Ok(());
        }
        let answer = client.describe_instance_status().instance_ids(self.id.as_str()).send().await;
        let answer = answer.map_err(|error| error_codes::unexpected("ec2:DescribeInstanceStatus", &error))?;
        let status =
            answer.instance_statuses().first().and_then(|one| one.instance_status()).and_then(|one| one.status());
        match status {
            Some(SummaryStatus::Ok) if self.seen_down => {
                self.seen_down = false;
                self.down_seconds = Some(elapsed);
            }
            Some(SummaryStatus::Ok) | None => {}
            Some(_) => self.seen_down = true,
        }
        Ok(())
    }

    /// Looks at its state; says whether the run may end. An instance that was running and is on its
    /// way to run again is waited for; of one that somebody stopped or terminated, only the state is given.
    pub(crate) async fn is_back(&mut self, client: &Client) -> Result<bool, Error> {
        let instance = ec2::instance(client, &self.id).await?;
        let state = instance.and_then(|instance| instance.state.and_then(|state| state.name));
        let on_its_way = state == Some(InstanceStateName::Pending) && self.state_before == "running";
        self.state_after = Some(state.unwrap_or(InstanceStateName::Terminated).as_str().to_owned());
        Ok(!on_its_way)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceState;
    use serde_json::json;

    use super::*;

    fn create(snapshot_without_reboot: bool) -> Arguments {
        let arguments = json!({"name": "web", "sourceInstanceId": "i-01234567", "tags": {}, "runStarted": "",
            "snapshotWithoutReboot": snapshot_without_reboot});
        serde_json::from_value(arguments).unwrap()
    }

    fn instance(state: InstanceStateName, root: DeviceType) -> Instance {
        Instance::builder().state(InstanceState::builder().name(state).build()).root_device_type(root).build()
    }

    fn rebooted(state: InstanceStateName, no_reboot: bool) -> bool {
        match readiness(&create(no_reboot), Some(&instance(state, DeviceType::Ebs))) {
            Readiness::Ready(source) => source.rebooted,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_running_instance_is_rebooted_and_only_unless_asked_not_to() {
        assert!(rebooted(InstanceStateName::Running, false));
        assert!(!rebooted(InstanceStateName::Running, true));
        assert!(!rebooted(InstanceStateName::Stopped, false));
    }

    #[test]
    fn an_instance_on_its_way_is_waited_for() {
        for state in [InstanceStateName::Pending, InstanceStateName::Stopping] {
            let readiness = readiness(&create(false), Some(&instance(state, DeviceType::Ebs)));
            assert!(matches!(readiness, Readiness::NotYet(_)));
        }
    }

    #[test]
    fn an_instance_that_never_can_be_imaged_is_refused() {
        for (instance, name) in [
            (None, "SourceInstanceNotFound"),
            (Some(instance(InstanceStateName::Terminated, DeviceType::Ebs)), "SourceInstanceNotImageable"),
            (Some(instance(InstanceStateName::ShuttingDown, DeviceType::Ebs)), "SourceInstanceNotImageable"),
            (Some(instance(InstanceStateName::Running, DeviceType::InstanceStore)), "SourceInstanceNotImageable"),
        ] {
            match readiness(&create(false), instance.as_ref()) {
                Readiness::Never(error) => assert_eq!(error.name(), name),
                other => panic!("{other:?}"),
            }
        }
    }
}
