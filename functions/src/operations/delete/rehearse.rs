//! What a delete would do, in a dry run.

use std::collections::BTreeSet;

use super::{Call, IfInUse, Snapshots, to_go, used};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::ids::SnapshotId,
    operations::{Rehearsing, ownership, protection, rehearsal::Kept},
};

/// What the delete would do, as things are now.
pub(super) async fn rehearse(app: &App, call: &Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
    let (delete, machines) = (&call.arguments, app.settings.machines()?);
    let id = delete.image_id.as_str();
    let image = ec2::image(&app.ec2, &delete.image_id).await?;
    let mut snapshots: BTreeSet<_> = to_go(app, machines, delete).await?.into_iter().collect();
    if let Some(image) = image.filter(|_| !matches!(delete.snapshots, Snapshots::DeleteAfterwards(_))) {
        ownership::check_delete(&image, delete, delete.disable_protection, machines)?;
        if let Some(because) = used(app, call).await? {
            if delete.if_in_use == IfInUse::Fail {
                return Err(Error::ImageInUse { image_id: id.to_owned(), reason: because });
            }
            rehearsing.given().would_keep.push(Kept { id: id.to_owned(), because });
            return Ok(());
        }
        let now = app.seconds();
        let waits = protection::deletable_from(&image).map_or(0, |from| from - now);
        if protection::has_cooldown(&image) || waits > i64::try_from(call.left()).unwrap_or(i64::MAX) {
            let reason =
                "its protection has a cooldown: EC2 lets it be deregistered a day after a delete has disabled it";
            return Err(Error::ImageProtected { image_id: id.to_owned(), reason: reason.to_owned() });
        }
        if protection::of(&image).is_some() {
            let answer = app.ec2.disable_image_deregistration_protection().image_id(id).dry_run(true).send().await;
            rehearsing.ask("ec2:DisableImageDeregistrationProtection", &[id], answer)?;
        }
        let answer = app.ec2.deregister_image().image_id(id).dry_run(true).send().await;
        rehearsing.ask("ec2:DeregisterImage", &[id], answer)?;
        rehearsing.given().would_delete.push(id.to_owned());
        let of_image = ec2::snapshot_ids(&image).map(SnapshotId::from);
        if delete.snapshots == Snapshots::Delete {
            snapshots.extend(of_image);
        } else if delete.manage_ebs_snapshots == Some(false) {
            let because = "manageEbsSnapshots is false";
            let kept = of_image.map(|id| Kept { id: id.to_string(), because: because.to_owned() });
            rehearsing.given().would_keep.extend(kept);
        }
    }
    for id in snapshots {
        let answer = app.ec2.delete_snapshot().snapshot_id(id.as_str()).dry_run(true).send().await;
        rehearsing.ask("ec2:DeleteSnapshot", &[id.as_str()], answer)?;
        rehearsing.given().would_delete.push(id.to_string());
    }
    Ok(())
}
