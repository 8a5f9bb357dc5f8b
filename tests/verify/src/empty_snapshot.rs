//! A snapshot out of nothing, by the EBS direct APIs.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EBS, text},
    ec2,
    scene::Stage,
    world::TAG,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOKS: u32 = 90;
/// The block that is written if EC2 takes no snapshot without one: 512 KiB of zeros, and their SHA-256.
const BLOCK: usize = 524_288;
const BLOCK_CHECKSUM: &str = "B4VNL+8pega6gWheZgwzLeNtXRjVRpJ9MNqtbX/aFUE=";

/// Makes a completed snapshot of a GiB with nothing in it, as if a run of a name had made it.
pub(crate) async fn empty_snapshot(stage: &Stage<'_>, name: &str) -> Result<String> {
    let (aws, world) = (stage.aws, stage.world);
    let run = stage.stack.run_arn(name);
    let tags = json!([
        {"Key": TAG, "Value": world.value()},
        {"Key": "ami-from-instance:run", "Value": run},
    ]);
    let started = async |what: &str| {
        let body = json!({"VolumeSize": 1, "Timeout": 10, "Tags": tags, "ClientToken": format!("{name}{what}")});
        let started = aws.rest(EBS, "POST", "/snapshots", body).await?;
        anyhow::Ok(text(&started["SnapshotId"]).to_owned())
    };
    let id = started("").await?;
    if complete(aws, &id, 0).await.is_ok()
        && let Ok(id) = completed(aws, &id).await
    {
        return Ok(id);
    }
    let id = started("-block").await?;
    let headers = [
        ("x-amz-Checksum", BLOCK_CHECKSUM.to_owned()),
        ("x-amz-Checksum-Algorithm", "SHA256".to_owned()),
        ("x-amz-Data-Length", BLOCK.to_string()),
        ("content-type", "application/octet-stream".to_owned()),
    ];
    let path = format!("/snapshots/{id}/blocks/0");
    aws.send_text(EBS, "PUT", &path, "\0".repeat(BLOCK), headers.to_vec()).await?;
    complete(aws, &id, 1).await?;
    completed(aws, &id).await
}

/// Waits until a snapshot is completed.
async fn completed(aws: &Aws, id: &str) -> Result<String> {
    for _ in 0..LOOKS {
        let snapshots = ec2::snapshots(aws, &[id.to_owned()]).await?;
        match snapshots.first().map(|one| text(&one["status"])) {
            Some("completed") => return Ok(id.to_owned()),
            Some("error") => bail!("{id} is in error"),
            _ => aws.sleep(LOOK_EVERY).await,
        }
    }
    bail!("{id} is not completed")
}

async fn complete(aws: &Aws, id: &str, blocks: u32) -> Result<Value> {
    let headers = vec![("x-amz-ChangedBlocksCount", blocks.to_string())];
    aws.rest_with(EBS, "POST", &format!("/snapshots/completion/{id}"), Value::Null, headers).await
}
