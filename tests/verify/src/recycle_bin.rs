//! The Recycle Bin: rules of the proof's own, and what the bin keeps.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, RECYCLE_BIN, items, text},
    world::{TAG, World},
};

const KINDS: [&str; 2] = ["EC2_IMAGE", "EBS_SNAPSHOT"];
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOKS: u32 = 60;

/// Makes rules that keep what has the proof's tag for a day, and waits until they hold. Gives their ids.
pub async fn keep(aws: &Aws, world: &World) -> Result<Vec<String>> {
    let mut rules = vec![];
    for kind in KINDS {
        let rule = json!({
            "ResourceType": kind, "Description": world.value(),
            "RetentionPeriod": {"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"},
            "ResourceTags": [{"ResourceTagKey": TAG, "ResourceTagValue": world.value()}],
        });
        let made = aws.rest(RECYCLE_BIN, "POST", "/rules", rule).await?;
        rules.push(text(&made["Identifier"]).to_owned());
    }
    for _ in 0..LOOKS {
        let mut are_pending = false;
        for rule in &rules {
            let rule = aws.rest(RECYCLE_BIN, "GET", &format!("/rules/{rule}"), Value::Null).await?;
            are_pending |= text(&rule["Status"]) != "available";
        }
        if !are_pending {
            return Ok(rules);
        }
        aws.sleep(LOOK_EVERY).await;
    }
    bail!("the rules {} of the Recycle Bin are not available", rules.join(", "))
}

/// Deletes rules.
pub async fn keep_no_more(aws: &Aws, rules: &[String]) -> Result<()> {
    for rule in rules {
        aws.rest(RECYCLE_BIN, "DELETE", &format!("/rules/{rule}"), Value::Null).await?;
    }
    Ok(())
}

/// The ids of the rules whose description says whose they are.
pub async fn rules(aws: &Aws, is_ours: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
    let mut found = vec![];
    for kind in KINDS {
        let mut token = Value::Null;
        loop {
            let mut arguments = json!({"ResourceType": kind});
            if !text(&token).is_empty() {
                arguments["NextToken"] = token;
            }
            let listed = aws.rest(RECYCLE_BIN, "POST", "/list-rules", arguments).await?;
            let ours = items(&listed["Rules"]).iter().filter(|rule| is_ours(&rule["Description"]));
            found.extend(ours.map(|rule| text(&rule["Identifier"]).to_owned()));
            token = listed["NextToken"].clone();
            if text(&token).is_empty() {
                break;
            }
        }
    }
    Ok(found)
}

/// What the bin keeps of images whose names begin so, each with the time at which it is gone for good.
pub async fn kept(aws: &Aws, prefix: &str) -> Result<Vec<String>> {
    let mut kept = vec![];
    let mut images = vec![];
    for image in all(aws, "ListImagesInRecycleBin", "imageSet").await? {
        if text(&image["name"]).starts_with(prefix) {
            kept.push(format!("{} until {}", text(&image["imageId"]), text(&image["recycleBinExitTime"])));
            images.push(text(&image["imageId"]).to_owned());
        }
    }
    for snapshot in all(aws, "ListSnapshotsInRecycleBin", "snapshotSet").await? {
        // CreateImage writes down whose snapshot it is.
        if images.iter().any(|image| text(&snapshot["description"]).ends_with(&format!(" for {image}"))) {
            kept.push(format!("{} until {}", text(&snapshot["snapshotId"]), text(&snapshot["recycleBinExitTime"])));
        }
    }
    Ok(kept)
}

async fn all(aws: &Aws, action: &str, set: &str) -> Result<Vec<Value>> {
    let (mut all, mut token) = (vec![], Value::Null);
    loop {
        let mut arguments = json!({"MaxResults": 1000});
        if !text(&token).is_empty() {
            arguments["NextToken"] = token;
        }
        let answer = aws.call(EC2, action, arguments).await?;
        all.extend_from_slice(items(&answer[set]));
        token = answer["nextToken"].clone();
        if text(&token).is_empty() {
            return Ok(all);
        }
    }
}
