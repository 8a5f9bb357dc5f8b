//! Begins an image: checks the instance and calls CreateImage, once for each run.
//!
//! CreateImage takes no client token. What makes a second call harmless is the name, which is
//! unique in a Region, together with the run tag: on `InvalidAMIName.Duplicate` the image of the
//! name is adopted if it carries this run's tag, and otherwise left alone.

use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    operation::create_image::CreateImageError,
    types::{Image, ResourceType, TagSpecification},
};

use super::{
    Answer, Arguments, Call, Memory, pace,
    source_instance::{self, Readiness, SourceInstance},
};
use crate::{
    app::App,
    aws::{
        ec2,
        error_codes::{self, BUSY, INVALID_PARAMETER_VALUE, NAME_DUPLICATE},
    },
    error::Error,
    lambda::logs::log_image,
    model::{
        ids::ImageId,
        run::{RUN_TAG, Run},
    },
};

/// Seconds until another try, while the instance or the name is not ready.
const NOT_READY: u64 = 15;
/// For how long an image may show before its tags, in seconds.
const TAGS_SHOW_WITHIN: u64 = 120;

/// Begins the image of the call's arguments, or finds the one that an earlier attempt began.
pub(super) async fn begin(app: &App, call: Call) -> Result<Answer, Error> {
    let create = &call.arguments;
    let instance = ec2::instance(&app.ec2, &create.source_instance_id).await?;
    let source = match source_instance::readiness(create, instance.as_ref()) {
        Readiness::Ready(source) => source,
        Readiness::NotYet(why) => return Ok(not_started(call, why)),
        // The instance may have changed after an earlier attempt whose answer was lost.
        Readiness::Never(refusal) => {
            let images = ec2::images_of_run(&app.ec2, &call.run).await?;
            return match images.iter().find(|image| create.is_of(&call.run, image)) {
                Some(image) => Ok(adopted(&call, image, None)),
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
            Some(image) => named(call, image, source),
            // Either an earlier attempt's image does not show yet, or a deregistered one's name is not free yet.
            None => Ok(not_started(call, "EC2 says that the name is taken, and shows no image of it yet")),
        },
        Called::NotNow(why) => Ok(not_started(call, why)),
    }
}

/// What follows where an image has the name.
fn named(call: Call, image: Image, source: SourceInstance) -> Result<Answer, Error> {
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
    Err(Error::NameTaken { name: create.name.clone(), holder: id.to_owned() })
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
    Answer::pending(pace::FIRST_LOOK, format!("EC2 has begun {image_id}"), memory).until_woken()
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

async fn create_image(app: &App, run: &Run, create: &Arguments) -> Result<Called, Error> {
    let on = |resource: ResourceType| {
        let run = (RUN_TAG, run.arn());
        let tags = create.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain([run]);
        let tags = tags.map(|(key, value)| ec2::tag(key, value)).collect();
        TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
    };
    let answer = app
        .ec2
        .create_image()
        .name(&create.name)
        .instance_id(create.source_instance_id.as_str())
        .no_reboot(create.snapshot_without_reboot)
        .set_description(Some(create.description.clone()).filter(|text| !text.is_empty()))
        .tag_specifications(on(ResourceType::Image))
        .tag_specifications(on(ResourceType::Snapshot))
        .send()
        .await;
    match answer {
        Ok(answer) => Ok(Called::Begun(answer.image_id.unwrap_or_default())),
        Err(error) => match error_codes::code(&error) {
            Some(NAME_DUPLICATE) => Ok(Called::NameHeld),
            // They pass as snapshots complete, which takes longer than retries last.
            Some(code) if BUSY.contains(&code) => Ok(Called::NotNow("too many snapshots or images are being made")),
            // It left its state between the look and the call.
            _ if error.as_service_error().is_some_and(is_about_state) => {
                Ok(Called::NotNow("the instance is changing its state"))
            }
            _ => Err(error_codes::unexpected("ec2:CreateImage", &error)),
        },
    }
}

/// Tells the refusal over the instance's state from the others with the same code.
fn is_about_state(error: &CreateImageError) -> bool {
    error.code() == Some(INVALID_PARAMETER_VALUE)
        && error.message().is_some_and(|message| message.contains("is not in state"))
}
