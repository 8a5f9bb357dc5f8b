//! Begins an image: checks the instance and calls CreateImage, once for each run.
//!
//! CreateImage takes no client token. What makes a second call harmless is the name, which is
//! unique in a Region, together with the run tag: on `InvalidAMIName.Duplicate` the image of the
//! name is adopted if it carries this run's tag, and otherwise left alone.

use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    operation::create_image::{CreateImageError, builders::CreateImageFluentBuilder},
    types::{self, EbsBlockDevice, Image, ResourceType, TagSpecification},
};
use aws_sdk_sfn::types::ExecutionStatus;

use super::{
    Answer, Arguments, Call, Memory, pace,
    source_instance::{self, Readiness},
};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, INVALID_PARAMETER_VALUE, NAME_DUPLICATE},
        step_functions,
    },
    error::Error,
    lambda::logs::log_image,
    model::{
        ids::ImageId,
        run::{RUN_TAG, Run},
        source_instance::SourceInstance,
        tags::{self, SERIES_TAG},
    },
    operations::Rehearsing,
};

/// Seconds until another try, while the instance or the name is not ready.
const NOT_READY: u64 = 15;
/// For how long an image may show before its tags, in seconds.
const TAGS_SHOW_WITHIN: u64 = 120;
/// For how long after the end of an aborted or timed-out run its image may still be on its way out, in seconds:
/// an event starts its rollback, which deregisters the image first.
const ROLLED_BACK_WITHIN: i64 = 10 * 60;
/// The same for a run that failed, which rolls itself back before it ends. What it leaves, its error names, or it
/// keeps it; only EC2 may still show what is gone.
const SHOWN_WITHIN: i64 = 2 * 60;

/// Begins the image of the call's arguments, or finds the one that an earlier attempt began.
pub(super) async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
    let create = &call.arguments;
    let instance = ec2::instance(&app.ec2, &create.source_instance_id).await?;
    let readiness = if create.of_stopped_instance {
        source_instance::readiness_of_stopped(create, instance.as_ref())
    } else {
        source_instance::readiness(create, instance.as_ref())
    };
    let source = match readiness {
        // As it was before the run stopped it.
        Readiness::Ready(source) => call.results.source_instance.clone().unwrap_or(source),
        Readiness::NotYet(why) => return Ok(not_started(call, why)),
        // The instance may have changed after an earlier attempt whose answer was lost.
        Readiness::Never(refusal) => {
            let images = ec2::images_of_run(&app.ec2, &call.run).await?;
            return match images.iter().find(|image| create.is_of(&call.run, image)) {
                Some(image) => Ok(adopted(&call, image, call.results.source_instance.clone())),
                None => Err(refusal),
            };
        }
    };
    match create_image(app, &call.run, create).await? {
        Called::Begun(image_id) => {
            log_image(&image_id);
            tracing::info!("the image is begun");
            Ok(begun(&call, &image_id, Some(source)))
        }
        Called::NameHeld => match ec2::image_named(&app.ec2, &create.name).await? {
            Some(image) => named(app, call, image, source).await,
            // Either an earlier attempt's image does not show yet, or a deregistered one's name is not free yet.
            None => Ok(not_started(call, "EC2 says that the name is taken, and shows no image of it yet")),
        },
        Called::NotNow(why) => Ok(not_started(call, why)),
    }
}

/// What follows where an image has the name.
async fn named(app: &App, call: Call, image: Image, source: SourceInstance) -> Result<Answer, Error> {
    let create = &call.arguments;
    let id = image.image_id().unwrap_or_default();
    if create.is_of(&call.run, &image) {
        return Ok(adopted(&call, &image, Some(source)));
    }
    // Not every part of EC2 knows yet that the run has deregistered it.
    if create.replaced_image_id.as_ref().is_some_and(|replaced| replaced.as_str() == id) {
        return Ok(not_started(call, "EC2 still shows the old image"));
    }
    let may_be_ours = image.tags().is_empty() && create.is_since_the_run_started(&image);
    if may_be_ours && call.waited() < TAGS_SHOW_WITHIN {
        return Ok(not_started(call, "EC2 shows an image of the name without its tags"));
    }
    if is_being_rolled_back(app, &image).await? {
        return Ok(not_started(call, &format!("the run that made {id}, which has the name, is being rolled back")));
    }
    Err(Error::NameTaken { name: create.name.clone(), holder: id.to_owned() })
}

/// Whether the image is of a run of this deployment whose rollback is about to remove it.
async fn is_being_rolled_back(app: &App, image: &Image) -> Result<bool, Error> {
    let machines = app.settings.machines()?;
    let run = tags::run_of(image.tags()).map(Run::new).filter(|run| run.is_of(&machines.lifecycle));
    let Some(run) = run else { return Ok(false) };
    let of = async |arn: &str| {
        let execution = step_functions::execution(&app.step_functions, arn).await;
        Ok(error_codes::optional(execution)?.flatten())
    };
    let Some(execution) = of(run.arn()).await? else { return Ok(false) };
    if execution.status == ExecutionStatus::Running {
        return Ok(of(&run.rollback(&machines.operation)).await?.is_some());
    }
    let now = app.seconds();
    let ended_for = execution.stop_date.map(|end| now - end.secs());
    Ok(is_rolled_back_soon(&execution.status, ended_for))
}

/// Whether a run that has ended so many seconds ago is still to be rolled back.
fn is_rolled_back_soon(status: &ExecutionStatus, ended_for: Option<i64>) -> bool {
    let within = match status {
        ExecutionStatus::Aborted | ExecutionStatus::TimedOut => ROLLED_BACK_WITHIN,
        ExecutionStatus::Failed => SHOWN_WITHIN,
        _ => 0,
    };
    ended_for.is_some_and(|seconds| seconds < within)
}

fn not_started(call: Call, why: &str) -> Answer {
    Answer::not_started(call.growing(NOT_READY), why, call.memory)
}

fn begun(call: &Call, image_id: &str, source: Option<SourceInstance>) -> Answer {
    let memory = Memory {
        image_id: Some(ImageId::from(image_id)),
        begun_after: call.waited(),
        source_instance: source,
        ..Memory::default()
    };
    let answer = |wait| Answer::pending(wait, format!("EC2 has begun {image_id}"), memory);
    if call.arguments.of_stopped_instance {
        return answer(pace::SHORTLY);
    }
    answer(pace::FIRST_LOOK).until_woken()
}

/// The first attempt's CreateImage leaves the instance in its state, so that it can be told from now.
fn adopted(call: &Call, image: &Image, source: Option<SourceInstance>) -> Answer {
    let image_id = image.image_id().unwrap_or_default();
    log_image(image_id);
    tracing::info!("the image of an earlier attempt is adopted");
    begun(call, image_id, source)
}

enum Called {
    Begun(String),
    NameHeld,
    NotNow(&'static str),
}

/// Asks whether the image could be made as things are now.
pub(super) async fn rehearse(app: &App, call: &Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let create = &call.arguments;
    let instance = ec2::instance(&app.ec2, &create.source_instance_id).await?;
    match source_instance::readiness(create, instance.as_ref()) {
        Readiness::Ready(source) => rehearsing.given().reboots |= source.rebooted && !create.of_stopped_instance,
        Readiness::NotYet(_) => {}
        Readiness::Never(refusal) => return Err(refusal),
    }
    if create.replaced_image_id.is_none()
        && let Some(image) = ec2::image_named(&app.ec2, &create.name).await?
    {
        let holder = image.image_id().unwrap_or_default().to_owned();
        return Err(Error::NameTaken { name: create.name.clone(), holder });
    }
    rehearsing.given().names.push(create.name.clone());
    let answer = request(app, &call.run, create).dry_run(true).send().await;
    rehearsing.ask("ec2:CreateImage", &[create.source_instance_id.as_str()], answer)
}

/// CreateImage, for a run.
fn request(app: &App, run: &Run, create: &Arguments) -> CreateImageFluentBuilder {
    let on = |resource: ResourceType| {
        let run = (RUN_TAG, run.arn());
        let series = create.series.as_deref().map(|series| (SERIES_TAG, series));
        let tags = create.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain([run]).chain(series);
        let tags = tags.map(|(key, value)| ec2::tag(key, value)).collect();
        TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
    };
    let request = app.ec2.create_image();
    request
        .name(&create.name)
        .instance_id(create.source_instance_id.as_str())
        .no_reboot(create.snapshot_without_reboot)
        .set_description(Some(create.description.clone()).filter(|text| !text.is_empty()))
        .set_block_device_mappings(mappings(create))
        .tag_specifications(on(ResourceType::Image))
        .tag_specifications(on(ResourceType::Snapshot))
}

async fn create_image(app: &App, run: &Run, create: &Arguments) -> Result<Called, Error> {
    match request(app, run, create).send().await {
        Ok(answer) => Ok(Called::Begun(answer.image_id.unwrap_or_default())),
        Err(error) => match error_codes::code(&error) {
            Some(NAME_DUPLICATE) => Ok(Called::NameHeld),
            // It left its state between the look and the call.
            _ if error.as_service_error().is_some_and(is_about_state) => {
                Ok(Called::NotNow("the instance is changing its state"))
            }
            code => match code.and_then(error_codes::busy) {
                Some(why) => Ok(Called::NotNow(why)),
                None => Err(error_codes::unexpected("ec2:CreateImage", &error)),
            },
        },
    }
}

fn mappings(create: &Arguments) -> Option<Vec<types::BlockDeviceMapping>> {
    let mappings = create.block_device_mappings.iter().map(|mapping| {
        let ebs = mapping.delete_on_termination.map(|on| EbsBlockDevice::builder().delete_on_termination(on).build());
        // Its presence leaves the device out, and its value must be empty (CreateImage, NoDevice).
        let no_device = mapping.no_device.then(String::new);
        let device = types::BlockDeviceMapping::builder().device_name(&mapping.device_name);
        device.set_no_device(no_device).set_ebs(ebs).build()
    });
    Some(mappings.collect()).filter(|mappings: &Vec<_>| !mappings.is_empty())
}

/// Tells the refusal over the instance's state from the others with the same code.
fn is_about_state(error: &CreateImageError) -> bool {
    error.code() == Some(INVALID_PARAMETER_VALUE)
        && error.message().is_some_and(|message| message.contains("is not in state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_has_just_ended_badly_is_still_to_be_rolled_back() {
        use ExecutionStatus::{Aborted, Failed, Succeeded, TimedOut};
        for (status, within) in [(Aborted, 600), (TimedOut, 600), (Failed, 120), (Succeeded, 0)] {
            assert!(within == 0 || is_rolled_back_soon(&status, Some(within - 1)));
            assert!(!is_rolled_back_soon(&status, Some(within)));
        }
        assert!(!is_rolled_back_soon(&Aborted, None));
    }
}
