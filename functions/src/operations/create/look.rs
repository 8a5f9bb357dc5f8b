//! Looks at an image that is being made: pending, available with its attributes, or failed with EC2's
//! reason.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Image, Snapshot, SnapshotState};

use super::{
    Answer, Arguments, Available, Begun, Call, Output,
    pace::{self, Asks, Seen},
};
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{
        ids::{ImageId, SnapshotId},
        image_state::{self, Outlook},
    },
    operations::attributes,
};

/// For how long EC2 may not yet show an image it has begun, in seconds.
const INVISIBLE_AT_FIRST: u64 = 120;

/// Looks once.
pub(in crate::operations) async fn look(app: &App, mut call: Call) -> Result<Answer, Error> {
    let Some(image_id) = call.memory.image_id.clone() else {
        return Err(Error::invalid("memory.imageId", "must be the id of the image that was begun"));
    };
    let elapsed = call.waited().saturating_sub(call.memory.begun_after);
    let asks = if call.woken { Asks::Image } else { call.memory.look.asks };
    let progress = if asks.for_snapshots() { snapshots(app, &mut call).await? } else { Progress::default() };
    if call.arguments.of_stopped_instance && has_every_snapshot(&call) {
        let begun = Begun {
            id: image_id,
            source_instance: call.memory.source_instance.clone().map(|one| one.down_for(call.waited())),
        };
        return Ok(Answer::succeeded(Output::Begun(begun), "every snapshot of the image exists", call.memory));
    }
    let asks_for_the_image = asks.for_image(progress.is_any_pending);
    let image = if asks_for_the_image { ec2::image(&app.ec2, &image_id).await? } else { None };
    if asks_for_the_image && image.is_none() {
        if elapsed < INVISIBLE_AT_FIRST {
            return Ok(Answer::pending(pace::SHORTLY, "EC2 does not show the image yet", call.memory).until_woken());
        }
        return Err(Error::ImageNotFound { image_id: image_id.to_string() });
    }
    if let Some(source) = &mut call.memory.source_instance {
        source.watch(&app.ec2, elapsed).await?;
    }
    let Some(image) = image else { return Ok(pending(call, elapsed, progress.percent)) };
    match image.state().map_or(Outlook::Pending, image_state::outlook) {
        Outlook::Pending if call.woken => {
            Ok(Answer::pending(pace::SHORTLY, "EC2 still shows the image as pending", call.memory))
        }
        Outlook::Pending => Ok(pending(call, elapsed, progress.percent)),
        Outlook::Failed => Err(Error::ImageFailed {
            image_id: image_id.to_string(),
            state: image.state().map_or("unknown", |state| state.as_str()).to_owned(),
            reason: image_state::reason(&image),
        }),
        Outlook::Available => available(app, call, &image_id, &image).await,
    }
}

/// The image is available; the create is done once its instance is back.
async fn available(app: &App, mut call: Call, image_id: &ImageId, image: &Image) -> Result<Answer, Error> {
    if let Some(source) = &mut call.memory.source_instance
        && !source.is_back(&app.ec2).await?
    {
        let waited = call.waited();
        let since = *call.memory.available_after.get_or_insert(waited);
        let wait = pace::SHORTLY + (waited - since) / 10;
        return Ok(Answer::pending(wait, "the source instance is not back yet", call.memory));
    }
    check_devices(&call.arguments, image_id, image)?;
    let without_reboot = Some(call.arguments.snapshot_without_reboot);
    let image = attributes::of(app, image, without_reboot).await?;
    let copied_tags = call.arguments.copied_tags.clone();
    let output = Available { image, source_instance: call.memory.source_instance.clone(), copied_tags };
    Ok(Answer::succeeded(Output::Available(Box::new(output)), format!("{image_id} is available"), call.memory))
}

/// Whether each volume that the image is to have has its snapshot: what is written from now on is in none of them.
fn has_every_snapshot(call: &Call) -> bool {
    call.memory.snapshot_ids.len() >= call.arguments.devices.len()
}

/// Refuses an image that has not the volumes that were asked for: EC2 takes a device that it does not know for one
/// that is to be left out, and a volume may be attached or detached meanwhile.
fn check_devices(create: &Arguments, image_id: &ImageId, image: &Image) -> Result<(), Error> {
    if create.devices.is_empty() {
        return Ok(());
    }
    let ebs = image.block_device_mappings().iter().filter(|mapping| mapping.ebs().is_some());
    let shown: BTreeSet<_> = ebs.filter_map(|mapping| mapping.device_name().map(str::to_owned)).collect();
    let differing: Vec<_> = create.devices.symmetric_difference(&shown).map(String::as_str).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let [differing, wanted] =
        [differing, create.devices.iter().map(String::as_str).collect()].map(|all| all.join(", "));
    let reason = format!("it should have exactly the volumes {wanted}, and differs in {differing}");
    Err(Error::ImageFailed { image_id: image_id.to_string(), state: "not what was asked for".to_owned(), reason })
}

/// How far EC2 is with an image's snapshots.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How much of the slowest one is made, 0 if there are none; none if nobody asked.
    percent: Option<u8>,
    /// Whether it makes one at least, so that the image cannot be available.
    is_any_pending: bool,
}

/// Asks for the run's snapshots, by its tag: some of them may begin late, those of a rebooting instance minutes
/// after CreateImage.
async fn snapshots(app: &App, call: &mut Call) -> Result<Progress, Error> {
    let snapshots = error_codes::optional(ec2::snapshots_of_run(&app.ec2, &call.run).await)?.unwrap_or_default();
    call.memory.snapshot_ids.extend(snapshots.iter().filter_map(Snapshot::snapshot_id).map(SnapshotId::from));
    let percent = slowest(&snapshots);
    call.memory.progress_percent = percent;
    let is_any = |state: SnapshotState| snapshots.iter().any(|snapshot| snapshot.state() == Some(&state));
    let percent = Some(percent.unwrap_or_default());
    Ok(Progress { percent, is_any_pending: is_any(SnapshotState::Pending) && !is_any(SnapshotState::Error) })
}

/// The least progress of these snapshots: the others wait for it at 99 %.
fn slowest(snapshots: &[Snapshot]) -> Option<u8> {
    let percent = |snapshot: &Snapshot| snapshot.progress()?.trim_end_matches('%').parse::<u8>().ok();
    snapshots.iter().map(|snapshot| percent(snapshot).unwrap_or(0)).min()
}

fn pending(mut call: Call, elapsed: u64, percent: Option<u8>) -> Answer {
    if call.arguments.of_stopped_instance {
        let reason = "EC2 has not begun every snapshot of the image yet";
        return Answer::pending(call.growing(pace::SHORTLY), reason, call.memory);
    }
    let (wait, look) = pace::next_look(Seen { elapsed, percent }, call.memory.look);
    call.memory.look = look;
    let reason = match call.memory.progress_percent {
        Some(percent) => format!("EC2 has made {percent} % of the slowest snapshot"),
        None => "EC2 makes the image, and shows no snapshot of it yet".to_owned(),
    };
    Answer::pending(wait, reason, call.memory).until_woken()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_is_the_slowest_snapshots() {
        let snapshot = |progress: &str| Snapshot::builder().progress(progress).build();
        assert_eq!(slowest(&[snapshot("99%"), snapshot("55%")]), Some(55));
        assert_eq!(slowest(&[snapshot("99%"), snapshot("")]), Some(0));
        assert_eq!(slowest(&[]), None);
    }
}
