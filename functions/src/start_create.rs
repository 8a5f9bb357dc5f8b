//! Begins an image: checks the instance and calls CreateImage, once for each run.
//!
//! CreateImage takes no client token. What makes a second call harmless is the name, which is
//! unique in a Region, together with the run tag: on `InvalidAMIName.Duplicate` the image of the
//! name is adopted if it carries this run's tag, and otherwise left alone.

use aws_sdk_ec2::{
    Client,
    error::ProvideErrorMetadata,
    operation::create_image::CreateImageError,
    types::{Image, ResourceType, TagSpecification},
};

use crate::{
    aws_error::{self, CONCURRENT_SNAPSHOTS, INVALID_PARAMETER_VALUE, NAME_DUPLICATE, PENDING_SNAPSHOTS},
    ec2,
    error::Error,
    ids::ImageId,
    lambda::log_image,
    pace,
    request::{Create, Request},
    run::{RUN_TAG, Run},
    settings::Settings,
    source_instance::{self, Readiness, SourceInstance},
    step::{Document, Status, Step},
    tags,
};

/// Seconds until another try, while the instance or the name is not ready.
const NOT_READY: u64 = 15;

/// Begins the image of the document's request, or finds the one that an earlier attempt began.
pub async fn handle(client: &Client, settings: &Settings, document: Document) -> Result<Step, Error> {
    let request = Request::parse(&document.request, None)?;
    let replaced = request.clone().into_delete().ok().map(|delete| delete.image_id);
    let create = request.into_create()?;
    let run = &document.run;
    let instance = ec2::instance(client, &create.source_instance_id).await?;
    let source = match source_instance::readiness(&create, instance.as_ref()) {
        Readiness::Ready(source) => source,
        Readiness::NotYet(why) => {
            tracing::info!(why, "the instance is not ready");
            return Ok(document.step(Status::NotStarted, NOT_READY).because(why));
        }
        // The instance may have changed after an earlier attempt whose answer was lost.
        Readiness::Never(refusal) => {
            let images = ec2::images_of_run(client, run).await?;
            return match images.iter().find(|image| is_of_this_run(&document, image)) {
                Some(image) => Ok(adopted(&document, image, None)),
                None => Err(refusal),
            };
        }
    };
    match create_image(client, settings, run, &create).await? {
        Answer::Begun(image_id) => {
            log_image(&image_id);
            tracing::info!("the image is begun");
            Ok(begun(&document, &image_id, Some(source)))
        }
        Answer::NameHeld => match ec2::image_named(client, &create.name).await? {
            Some(image) if is_of_this_run(&document, &image) => Ok(adopted(&document, &image, Some(source))),
            // A replace has deleted it; not every part of EC2 has heard of it.
            Some(image) if image.image_id() == replaced.as_ref().map(ImageId::as_str) => {
                Ok(document.step(Status::NotStarted, NOT_READY).because("EC2 still shows the old image"))
            }
            Some(image) => Err(Error::NameTaken { name: create.name, holder: image.image_id.unwrap_or_default() }),
            // Either an earlier attempt's image does not show yet, or a deregistered one's name is not free yet.
            None => {
                let why = "EC2 says the name is taken and shows no image of it yet";
                Ok(document.step(Status::NotStarted, NOT_READY).because(why))
            }
        },
        Answer::NotNow(why) => Ok(document.step(Status::NotStarted, NOT_READY).because(why)),
    }
}

/// The time of an operation counts from here: what was waited before was for the instance or the name.
fn begun(document: &Document, image_id: &str, source: Option<SourceInstance>) -> Step {
    let mut step = document.step(Status::Pending, pace::FIRST_LOOK);
    step.elapsed_seconds = 0;
    step.image_id = Some(ImageId::from(image_id));
    step.source_instance = source.or(step.source_instance);
    step
}

fn is_of_this_run(document: &Document, image: &Image) -> bool {
    let (made, started) = (ec2::time(image.creation_date()), ec2::time(document.start_time.as_deref()));
    tags::run_of(image.tags()) == Some(document.run.arn()) && ec2::is_since(made, started)
}

/// The first attempt's CreateImage leaves the instance in its state, so that it can be told from now.
fn adopted(document: &Document, image: &Image, source: Option<SourceInstance>) -> Step {
    let image_id = image.image_id().unwrap_or_default();
    log_image(image_id);
    tracing::info!("the image of an earlier attempt is adopted");
    begun(document, image_id, source).because("an earlier attempt of this run began the image")
}

enum Answer {
    Begun(String),
    NameHeld,
    NotNow(&'static str),
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
            // They empty as pending snapshots complete, which takes longer than retries last.
            Some(PENDING_SNAPSHOTS | CONCURRENT_SNAPSHOTS) => Ok(Answer::NotNow("too many snapshots are pending")),
            // It left its state between the look and the call.
            _ if error.as_service_error().is_some_and(is_about_state) => {
                Ok(Answer::NotNow("the instance is changing its state"))
            }
            _ => Err(aws_error::unexpected("ec2:CreateImage", &error)),
        },
    }
}

/// Tells the refusal over the instance's state from the others with the same code.
fn is_about_state(error: &CreateImageError) -> bool {
    error.code() == Some(INVALID_PARAMETER_VALUE)
        && error.message().is_some_and(|message| message.contains("is not in state"))
}
