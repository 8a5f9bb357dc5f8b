//! Questions that need nothing.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::Probe;
use crate::{
    aws::{EC2, Refusal, items},
    scene::Stage,
};

pub(super) async fn ask(stage: &Stage<'_>, folder: &Path, origin: &str) {
    let probe = Probe { stage: *stage, folder, origin };
    for (id, action, field, value, code) in [
        ("codes/unknown-image", "DescribeImages", "ImageId", "ami-00000000000000000", "InvalidAMIID.NotFound"),
        ("codes/malformed-image", "DescribeImages", "ImageId", "ami-nothing", "InvalidAMIID.Malformed"),
        (
            "codes/unknown-snapshot",
            "DescribeSnapshots",
            "SnapshotId",
            "snap-00000000000000000",
            "InvalidSnapshot.NotFound",
        ),
    ] {
        probe.ask(id, async || refused(stage.aws.call(EC2, action, json!({field: [value]})).await, &[code])).await;
    }
    for (id, action, field, value, set, codes) in [
        (
            "bin/unknown-image",
            "ListImagesInRecycleBin",
            "ImageId",
            "ami-00000000000000000",
            "imageSet",
            &["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"][..],
        ),
        (
            "bin/unknown-snapshot",
            "ListSnapshotsInRecycleBin",
            "SnapshotId",
            "snap-00000000000000000",
            "snapshotSet",
            &["InvalidSnapshot.NotFound"],
        ),
    ] {
        let ask = async || match stage.aws.call(EC2, action, json!({field: [value]})).await {
            Ok(answer) if items(&answer[set]).is_empty() => Ok((true, "an empty list".to_owned())),
            answer => refused(answer, codes),
        };
        probe.ask(id, ask).await;
    }
}

/// Whether AWS has said no, with one of these codes.
pub(super) fn refused(answer: Result<Value>, codes: &[&str]) -> Result<(bool, String)> {
    match answer {
        Ok(answer) => Ok((false, format!("it was done: {answer}"))),
        Err(error) => match Refusal::of(&error) {
            Some(refusal) => Ok((codes.contains(&refusal.code.as_str()), refusal.to_string())),
            None => Err(error),
        },
    }
}
