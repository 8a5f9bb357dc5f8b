//! Begins an image: checks the instance and calls CreateImage, once for each run.
//!
//! CreateImage takes no client token. What makes a second call harmless is the name, which is
//! unique in a Region, together with the run tag: on `InvalidAMIName.Duplicate` the image of the
//! name is adopted if it carries this run's tag, and otherwise left alone.

use aws_sdk_ec2::{
    Client,
    error::ProvideErrorMetadata,
    operation::create_image::CreateImageError,
    types::{DeviceType, Image, Instance, InstanceStateName, ResourceType, TagSpecification},
};

use crate::{
    aws_error::{self, INVALID_PARAMETER_VALUE, NAME_DUPLICATE},
    ec2,
    error::Error,
    ids::ImageId,
    request::{Create, Request},
    run::{RUN_TAG, Run},
    settings::Settings,
    step::{Document, SourceInstance, Status, Step},
    tags,
};

/// Seconds until the first look at an image that has just been begun.
const FIRST_LOOK: u64 = 15;
/// Seconds until another try, while the instance or the name is not ready.
const NOT_READY: u64 = 15;

/// Begins the image of the document's request, or finds the one that an earlier attempt began.
pub async fn handle(client: &Client, settings: &Settings, document: Document) -> Result<Step, Error> {
    let create = Request::parse(&document.request, None)?.into_create()?;
    let run = &document.run;
    let instance = ec2::instance(client, &create.source_instance_id).await?;
    let source = match readiness(&create, instance.as_ref()) {
        Readiness::Ready(source) => source,
        Readiness::NotYet(why) => {
            tracing::info!(run = run.arn(), instance_id = %create.source_instance_id, why, "the instance is not ready");
            return Ok(document.step(Status::NotStarted, NOT_READY).because(why));
        }
        // The instance may have changed after an earlier attempt whose answer was lost.
        Readiness::Never(refusal) => {
            return match ec2::images_of_run(client, run).await?.pop() {
                Some(image) => Ok(adopted(document, &image, None)),
                None => Err(refusal),
            };
        }
    };
    match create_image(client, settings, run, &create).await? {
        Answer::Begun(image_id) => {
            tracing::info!(run = run.arn(), image_id, instance_id = %create.source_instance_id, "the image is begun");
            Ok(begun(document, &image_id, Some(source)))
        }
        Answer::NameHeld => match ec2::image_named(client, &create.name).await? {
            Some(image) if tags::run_of(image.tags()) == Some(run.arn()) => Ok(adopted(document, &image, Some(source))),
            Some(image) => Err(Error::NameTaken { name: create.name, holder: image.image_id.unwrap_or_default() }),
            // Either an earlier attempt's image does not show yet, or a deregistered one's name is not free yet.
            None => {
                let why = "EC2 says the name is taken and shows no image of it yet";
                Ok(document.step(Status::NotStarted, NOT_READY).because(why))
            }
        },
        Answer::InstanceChanged => {
            Ok(document.step(Status::NotStarted, NOT_READY).because("the instance is changing its state"))
        }
    }
}

fn begun(document: Document, image_id: &str, source: Option<SourceInstance>) -> Step {
    let mut step = document.step(Status::Pending, FIRST_LOOK);
    step.image_id = Some(ImageId::from(image_id));
    step.source_instance = source.or(step.source_instance);
    step
}

/// The first attempt's CreateImage leaves the instance in its state, so that it can be told from now.
fn adopted(document: Document, image: &Image, source: Option<SourceInstance>) -> Step {
    let image_id = image.image_id().unwrap_or_default();
    tracing::info!(run = document.run.arn(), image_id, "the image of an earlier attempt is adopted");
    begun(document, image_id, source).because("an earlier attempt of this run began the image")
}

/// Refuses an instance that never can be imaged.
pub(crate) fn check(create: &Create, instance: Option<&Instance>) -> Result<(), Error> {
    match readiness(create, instance) {
        Readiness::Never(refusal) => Err(refusal),
        Readiness::Ready(_) | Readiness::NotYet(_) => Ok(()),
    }
}

#[derive(Debug, PartialEq)]
enum Readiness {
    Ready(SourceInstance),
    NotYet(&'static str),
    Never(Error),
}

/// Whether the instance can be imaged: EC2 takes running and stopped ones with an EBS root device.
fn readiness(create: &Create, instance: Option<&Instance>) -> Readiness {
    let instance_id = create.source_instance_id.to_string();
    let Some(instance) = instance else {
        return Readiness::Never(Error::SourceInstanceNotFound { instance_id });
    };
    if instance.root_device_type() == Some(&DeviceType::InstanceStore) {
        let reason = "its root device is an instance store, and only an EBS one can be imaged".to_owned();
        return Readiness::Never(Error::SourceInstanceNotImageable { instance_id, reason });
    }
    let ready = |state: &str, running: bool| {
        Readiness::Ready(SourceInstance {
            id: create.source_instance_id.to_string(),
            state_before: state.to_owned(),
            state_after: None,
            rebooted: running && !create.snapshot_without_reboot,
            down_seconds: None,
        })
    };
    match instance.state().and_then(|state| state.name()) {
        Some(InstanceStateName::Running) => ready("running", true),
        Some(InstanceStateName::Stopped) => ready("stopped", false),
        Some(InstanceStateName::Pending) => Readiness::NotYet("the instance is pending"),
        Some(InstanceStateName::Stopping) => Readiness::NotYet("the instance is stopping"),
        other => {
            let state = other.map_or("in no known state", |state| state.as_str());
            let reason = format!("it is {state}, and only a running or stopped instance can be imaged");
            Readiness::Never(Error::SourceInstanceNotImageable { instance_id, reason })
        }
    }
}

enum Answer {
    Begun(String),
    NameHeld,
    InstanceChanged,
}

async fn create_image(client: &Client, settings: &Settings, run: &Run, create: &Create) -> Result<Answer, Error> {
    let mut tags = tags::with_defaults(&settings.default_tags, &create.tags)?;
    tags.insert(RUN_TAG.to_owned(), run.arn().to_owned());
    let on = |resource: ResourceType| {
        let tags = tags.iter().map(|(key, value)| ec2::tag(key, value)).collect();
        TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
    };
    let answer = client
        .create_image()
        .name(&create.name)
        .instance_id(create.source_instance_id.as_str())
        .no_reboot(create.snapshot_without_reboot)
        .set_description(create.description.clone())
        .tag_specifications(on(ResourceType::Image))
        .tag_specifications(on(ResourceType::Snapshot))
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(Answer::Begun(answer.image_id.unwrap_or_default())),
        Err(error) => match aws_error::code(&error) {
            Some(NAME_DUPLICATE) => Ok(Answer::NameHeld),
            // It left its state between the look and the call.
            _ if error.as_service_error().is_some_and(is_about_state) => Ok(Answer::InstanceChanged),
            _ => Err(aws_error::unexpected("ec2:CreateImage", &error)),
        },
    }
}

/// Tells the refusal over the instance's state from the others with the same code.
fn is_about_state(error: &CreateImageError) -> bool {
    error.code() == Some(INVALID_PARAMETER_VALUE)
        && error.message().is_some_and(|message| message.contains("is not in state"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::InstanceState;
    use serde_json::json;

    use super::*;

    fn create(no_reboot: bool) -> Create {
        let input = json!({"name": "web", "sourceInstanceId": "i-01234567", "snapshotWithoutReboot": no_reboot});
        Request::parse(&input, None).and_then(Request::into_create).unwrap()
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
    fn only_a_running_instance_is_rebooted_and_only_unless_told_not_to() {
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
