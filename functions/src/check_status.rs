//! Looks at an image: pending, available with its attributes, or failed with EC2's reason.

use aws_sdk_ec2::{
    Client,
    types::{Image, ImageAttributeName, Snapshot},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    attributes::Attributes,
    aws_error, ec2,
    error::Error,
    ids::ImageId,
    image_state::{self, Outlook},
    pace,
    request::Request,
    settings::Settings,
    step::{Document, Status, Step},
};

/// For how long EC2 may not yet show an image it has begun, in seconds.
const INVISIBLE_AT_FIRST: u64 = 120;
/// Seconds until the next look at such an image, or at an instance that is not back yet.
const SHORTLY: u64 = 5;

/// A look within a run, or a question about one image.
#[derive(Debug)]
pub enum Input {
    /// A look within a run.
    Look(Box<Document>),
    /// A question about one image.
    Describe(ImageId),
}

impl Input {
    /// Reads the operation machine's document, or an object with nothing but an `imageId`.
    pub fn parse(input: Value) -> Result<Self, Error> {
        if input.get("operation").is_some() {
            return Document::parse(input).map(|document| Self::Look(Box::new(document)));
        }
        match input.as_object() {
            Some(members) if members.keys().eq(["imageId"]) => {
                let image_id = members["imageId"].as_str().unwrap_or_default();
                ImageId::parse("imageId", image_id).map(Self::Describe)
            }
            _ => Err(Error::invalid("imageId", "an object with this field alone is allowed")),
        }
    }
}

/// The answer to either.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Output {
    /// Where the run stands.
    Step(Box<Step>),
    /// The image's attributes.
    Attributes(Box<Attributes>),
}

/// Looks once.
pub async fn handle(client: &Client, settings: &Settings, input: Input) -> Result<Output, Error> {
    match input {
        Input::Look(document) => look(client, settings, *document).await.map(|step| Output::Step(Box::new(step))),
        Input::Describe(image_id) => {
            let image = ec2::image(client, &image_id).await?;
            let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
            let attributes = attributes(client, settings, &image, &Value::Null).await?;
            Ok(Output::Attributes(Box::new(attributes)))
        }
    }
}

async fn look(client: &Client, settings: &Settings, mut document: Document) -> Result<Step, Error> {
    let Some(image_id) = document.image_id.clone() else {
        return Err(Error::invalid("imageId", "the id of the image that was begun is required"));
    };
    let elapsed = document.waited();
    let Some(image) = ec2::image(client, &image_id).await? else {
        if elapsed < INVISIBLE_AT_FIRST {
            tracing::info!(elapsed, "the image does not show yet");
            return Ok(document.step(Status::Pending, SHORTLY).because("EC2 does not show the image yet"));
        }
        return Err(Error::ImageNotFound { image_id: image_id.to_string() });
    };
    if let Some(source) = &mut document.source_instance {
        source.watch(client, elapsed).await?;
    }
    let state = image.state().map_or("unknown", |state| state.as_str()).to_owned();
    match image.state().map_or(Outlook::Pending, image_state::outlook) {
        Outlook::Pending => {
            let percent = progress(client, &document, &image).await?;
            let (wait, promise) = pace::next_look(elapsed, percent, document.promise);
            tracing::info!(state, elapsed, percent, wait, "the image is pending");
            let mut step = document.step(Status::Pending, wait);
            step.progress_percent = percent;
            step.promise = promise;
            Ok(step)
        }
        Outlook::Failed => {
            let reason = image_state::reason(&image);
            tracing::info!(state, reason, "the image has failed");
            Ok(document.step(Status::Failed, 0).failed(Error::ImageFailed {
                image_id: image_id.to_string(),
                state,
                reason,
            }))
        }
        Outlook::Available => {
            let is_back = match &mut document.source_instance {
                Some(source) => source.is_back(client).await?,
                None => true,
            };
            if !is_back {
                tracing::info!("the image is available, its source instance is not back yet");
                return Ok(document.step(Status::Pending, SHORTLY).because("the source instance is not back yet"));
            }
            tracing::info!(elapsed, "the image is available");
            let mut step = document.step(Status::Available, 0);
            step.image = Some(attributes(client, settings, &image, &document.request).await?);
            Ok(step)
        }
    }
}

/// The attributes, with those that DescribeImages does not show.
pub(crate) async fn attributes(
    client: &Client,
    settings: &Settings,
    image: &Image,
    request: &Value,
) -> Result<Attributes, Error> {
    let mut attributes = Attributes::of(image, settings);
    let create = Request::parse(request, None).and_then(Request::into_create).ok();
    attributes.snapshot_without_reboot = create.map(|create| create.snapshot_without_reboot);
    // Only an image that boots by UEFI has a variable store (EC2 User Guide, UEFI variables).
    if attributes.boot_mode.as_deref().is_some_and(|mode| mode.starts_with("uefi")) {
        let request = client.describe_image_attribute().image_id(image.image_id().unwrap_or_default());
        let answer = request.attribute(ImageAttributeName::UefiData).send().await;
        let answer = answer.map_err(|error| aws_error::unexpected("ec2:DescribeImageAttribute", &error));
        let data = aws_error::optional(answer)?.and_then(|answer| answer.uefi_data);
        attributes.uefi_data = data.and_then(|data| data.value).filter(|value| !value.is_empty());
    }
    Ok(attributes)
}

/// How much of the image's slowest snapshot is made: the others wait for it at 99 %.
async fn progress(client: &Client, document: &Document, image: &Image) -> Result<Option<u8>, Error> {
    let snapshots = aws_error::optional(ec2::snapshots_of_run(client, document.run.arn()).await)?;
    Ok(snapshots.and_then(|snapshots| slowest(ec2::snapshot_ids(image), &snapshots)))
}

/// The least progress of these snapshots; one that does not show yet has none.
fn slowest<'a>(ids: impl Iterator<Item = &'a str>, snapshots: &[Snapshot]) -> Option<u8> {
    let percent = |id: &str| {
        let snapshot = snapshots.iter().find(|one| one.snapshot_id() == Some(id))?;
        snapshot.progress()?.trim_end_matches('%').parse::<u8>().ok()
    };
    ids.map(|id| percent(id).unwrap_or(0)).min()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_question_is_an_image_id_and_nothing_else() {
        assert!(matches!(Input::parse(json!({"imageId": "ami-0123456789abcdef0"})), Ok(Input::Describe(_))));
        for wrong in [
            json!({}),
            json!([]),
            json!({"imageId": 1}),
            json!({"imageId": "ami-1"}),
            json!({"imageId": "ami-01234567", "x": 1}),
        ] {
            assert_eq!(Input::parse(wrong).map(|_| ()).map_err(|error| error.name()), Err("InvalidRequest"));
        }
    }

    #[test]
    fn the_progress_is_the_slowest_snapshots() {
        let snapshot = |id: &str, progress: &str| Snapshot::builder().snapshot_id(id).progress(progress).build();
        let snapshots = [snapshot("a", "99%"), snapshot("b", "55%"), snapshot("silent", "")];
        assert_eq!(slowest(["a", "b"].into_iter(), &snapshots), Some(55));
        assert_eq!(slowest(["a", "silent"].into_iter(), &snapshots), Some(0));
        assert_eq!(slowest(["a", "not shown yet"].into_iter(), &snapshots), Some(0));
        assert_eq!(slowest([].into_iter(), &snapshots), None);
    }
}
