//! Looks at an image: pending, available with its attributes, or failed with EC2's reason.

use std::time::SystemTime;

use aws_sdk_ec2::{
    Client,
    primitives::DateTime,
    types::{Image, ImageAttributeName, Snapshot, SnapshotState},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    attributes::Attributes,
    aws_error,
    ec2::{self, UnderWay},
    error::Error,
    ids::ImageId,
    image_state::{self, Outlook},
    pace::{self, Seen},
    request::Request,
    settings::Settings,
    step::{Document, Status, Step},
    trust::Trust,
};

/// For how long EC2 may not yet show an image it has begun, in seconds.
const INVISIBLE_AT_FIRST: u64 = 120;
/// Seconds until the next look at such an image, at one whose end does not show yet, or at an
/// instance that is not back yet.
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
pub async fn handle(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    input: Input,
) -> Result<Output, Error> {
    match input {
        Input::Look(document) => {
            look(client, step_functions, settings, *document).await.map(|step| Output::Step(Box::new(step)))
        }
        Input::Describe(image_id) => {
            let image = ec2::image(client, &image_id).await?;
            let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
            let attributes = attributes(client, settings, &image, &Value::Null).await?;
            Ok(Output::Attributes(Box::new(attributes)))
        }
    }
}

async fn look(
    client: &Client,
    step_functions: &aws_sdk_sfn::Client,
    settings: &Settings,
    mut document: Document,
) -> Result<Step, Error> {
    let Some(image_id) = document.image_id.clone() else {
        return Err(Error::invalid("imageId", "the id of the image that was begun is required"));
    };
    let told = document.told.take();
    let trust = match document.trust {
        Some(trust) => trust,
        None => Trust::handed_on(step_functions, &settings.operation_machine_arn).await,
    };
    document.trust = Some(trust);
    let progress =
        if told.is_some() { Progress::default() } else { progress(client, &mut document, &image_id).await? };
    let image = if progress.is_pending { None } else { ec2::image(client, &image_id).await? };
    if let Some(told) = &told {
        count_until(&mut document, image.as_ref(), told);
    }
    let elapsed = document.waited();
    if image.is_none() && !progress.is_pending {
        // An event may have cut the wait short, nobody knows by how much.
        if elapsed < INVISIBLE_AT_FIRST || told.is_some() {
            tracing::info!(elapsed, "the image does not show yet");
            return Ok(document.step(Status::Pending, SHORTLY).because("EC2 does not show the image yet"));
        }
        return Err(Error::ImageNotFound { image_id: image_id.to_string() });
    }
    if let Some(source) = &mut document.source_instance {
        source.watch(client, elapsed).await?;
    }
    let Some(image) = image else { return Ok(pending(&document, settings, progress.percent)) };
    let state = image.state().map_or("unknown", |state| state.as_str()).to_owned();
    match image.state().map_or(Outlook::Pending, image_state::outlook) {
        Outlook::Pending if told.is_some() => {
            tracing::info!(state, elapsed, "EventBridge has told of the image's end, and EC2 does not show it yet");
            Ok(document.step(Status::Pending, SHORTLY).because("EC2 does not show the image's end yet"))
        }
        Outlook::Pending => Ok(pending(&document, settings, progress.percent)),
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
            let late = match &told {
                Some(told) => seconds_since(told),
                None => late(&document, &image, progress.made),
            };
            document.trust = Some(trust.after(told.is_some(), late));
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

/// How far EC2 is with an image.
#[derive(Debug, Default)]
struct Progress {
    /// How much of the slowest snapshot is made: the others wait for it at 99 %.
    percent: Option<u8>,
    /// When the last snapshot was made, if all are.
    made: Option<DateTime>,
    /// Whether it is still being made, so that nobody need ask for the image itself.
    is_pending: bool,
}

/// Looks at the run's snapshots, before all of which are made no image is ready; and now and then at
/// the images under way, of which this one may have failed before.
async fn progress(client: &Client, document: &mut Document, image_id: &ImageId) -> Result<Progress, Error> {
    let snapshots = aws_error::optional(ec2::snapshots_of_run(client, document.run.arn()).await)?.unwrap_or_default();
    let is_any = |state: SnapshotState| snapshots.iter().any(|snapshot| snapshot.state() == Some(&state));
    let mut is_pending = is_any(SnapshotState::Pending) && !is_any(SnapshotState::Error);
    if is_pending && pace::asks_for_the_image(document.elapsed_seconds, document.waited()) {
        let UnderWay { images, more } = ec2::images_under_way(client, &document.run).await?;
        document.under_way = if more { pace::CROWD } else { images.len() as u64 };
        is_pending = images.iter().any(|image| image.image_id() == Some(image_id.as_str()));
    }
    Ok(Progress { percent: slowest(&snapshots), made: last_made(&snapshots), is_pending })
}

/// The least progress of these snapshots.
fn slowest(snapshots: &[Snapshot]) -> Option<u8> {
    let percent = |snapshot: &Snapshot| snapshot.progress()?.trim_end_matches('%').parse::<u8>().ok();
    snapshots.iter().map(|snapshot| percent(snapshot).unwrap_or(0)).min()
}

/// When the last of these snapshots was made, if all are.
fn last_made(snapshots: &[Snapshot]) -> Option<DateTime> {
    let made: Option<Vec<_>> = snapshots.iter().map(|snapshot| snapshot.completion_time).collect();
    made?.into_iter().max()
}

fn pending(document: &Document, settings: &Settings, percent: Option<u8>) -> Step {
    let elapsed = document.waited();
    let timeouts = Request::parse(&document.request, None).map(|request| request.timeouts).unwrap_or_default();
    let left = timeouts.over(settings.limits).create.saturating_sub(elapsed);
    let events_come = document.trust.is_some_and(Trust::is_enough);
    let seen = Seen { elapsed, percent, under_way: document.under_way, left, events_come };
    let (wait, promise) = pace::next_look(seen, document.promise);
    tracing::info!(
        elapsed,
        percent,
        underWay = document.under_way,
        eventsCome = events_come,
        wait,
        "the image is pending"
    );
    let mut step = document.step(Status::Pending, wait);
    step.progress_percent = percent;
    step.promise = promise;
    step.under_way = Some(document.under_way);
    step
}

/// A wait that was cut short has lasted until the image's end, by EC2's own clock.
fn count_until(document: &mut Document, image: Option<&Image>, told: &str) {
    let took = image.and_then(|image| seconds_until(image, ec2::time(Some(told))));
    let (least, most) = (document.elapsed_seconds, document.waited());
    (document.elapsed_seconds, document.wait_seconds) = (took.unwrap_or_default().clamp(least, most), 0);
}

/// How many seconds after the image's end this look has come, at the most: the one before has not seen the
/// end, and before its last snapshot was `made` no image has ended.
fn late(document: &Document, image: &Image, made: Option<DateTime>) -> u64 {
    let since_made = seconds_until(image, made).map_or(u64::MAX, |made| document.waited().saturating_sub(made));
    since_made.min(document.wait_seconds)
}

/// How many seconds ago something was that EventBridge has told of.
fn seconds_since(time: &str) -> u64 {
    let time = ec2::time(Some(time)).map(|time| time.secs());
    time.and_then(|time| u64::try_from(DateTime::from(SystemTime::now()).secs() - time).ok()).unwrap_or_default()
}

/// How long after an image's beginning something was, in whole seconds of EC2's own clock.
fn seconds_until(image: &Image, time: Option<DateTime>) -> Option<u64> {
    let (begun, time) = (ec2::time(image.creation_date())?, time?);
    u64::try_from(time.secs() - begun.secs()).ok()
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
        let snapshot = |progress: &str| Snapshot::builder().progress(progress).build();
        assert_eq!(slowest(&[snapshot("99%"), snapshot("55%")]), Some(55));
        assert_eq!(slowest(&[snapshot("99%"), snapshot("")]), Some(0));
        assert_eq!(slowest(&[]), None);
    }

    #[test]
    fn a_look_is_late_since_the_last_snapshot_was_made_or_the_look_before() {
        let image = Image::builder().creation_date("2026-11-23T03:00:00.000Z").build();
        let made = |second| Some(ec2::time(Some("2026-11-23T03:00:00Z")).map(|time| time.secs() + second).unwrap());
        for (wait, made, expected) in
            [(60, made(90), 10), (60, made(95), 5), (5, made(50), 5), (60, made(300), 0), (60, None, 60)]
        {
            let document =
                json!({"operation": "create", "run": "arn", "elapsedSeconds": 100 - wait, "waitSeconds": wait});
            let document = Document::parse(document).unwrap();
            assert_eq!(late(&document, &image, made.map(DateTime::from_secs)), expected, "{wait} {made:?}");
        }
    }

    #[test]
    fn an_event_of_the_future_is_not_late() {
        assert_eq!(seconds_since("2100-01-01T00:00:00Z"), 0);
        assert!(seconds_since("2026-11-23T03:00:00Z") > 60);
    }

    #[test]
    fn a_wait_that_was_cut_short_counts_until_the_images_end() {
        let image = Image::builder().creation_date("2026-11-23T03:00:00.000Z").build();
        for (told, elapsed) in [("2026-11-23T03:01:40Z", 100), ("2026-11-23T03:09:00Z", 140), ("nonsense", 80)] {
            let document = json!({"operation": "create", "run": "arn", "elapsedSeconds": 80, "waitSeconds": 60});
            let mut document = Document::parse(document).unwrap();
            count_until(&mut document, Some(&image), told);
            assert_eq!(document.waited(), elapsed, "{told}");
        }
    }
}
