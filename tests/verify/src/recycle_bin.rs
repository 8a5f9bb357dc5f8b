//! The Recycle Bin: rules of the proof's own, and what the bin keeps.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::{
    aws::{Aws, EC2, RECYCLE_BIN, Refusal, items, text},
    world::World,
};

const KINDS: [&str; 2] = ["EC2_IMAGE", "EBS_SNAPSHOT"];
/// The key of the tag that only the image has which is to go to the bin.
pub const KEPT: &str = "verify-ami-from-instance:keep";
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The first rule of an account may take half an hour (EBS User Guide, Recycle Bin considerations).
const BEGINS_WITHIN: Duration = Duration::from_secs(35 * 60);
const ENDS_WITHIN: Duration = Duration::from_secs(120);
/// What the bin keeps shows late.
const LISTS_WITHIN: Duration = Duration::from_secs(180);

/// Makes rules that keep what has the tag [`KEPT`] of the proof for a day. Gives their ids.
pub async fn make_rules(aws: &Aws, world: &World) -> Result<Vec<String>> {
    let mut rules = vec![];
    for kind in KINDS {
        let rule = json!({
            "ResourceType": kind, "Description": world.value(),
            "RetentionPeriod": {"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"},
            "ResourceTags": [{"ResourceTagKey": KEPT, "ResourceTagValue": world.value()}],
        });
        let made = aws.rest(RECYCLE_BIN, "POST", "/rules", rule).await?;
        rules.push(text(&made["Identifier"]).to_owned());
    }
    Ok(rules)
}

async fn rule(aws: &Aws, id: &str) -> Result<Option<Value>> {
    match aws.rest(RECYCLE_BIN, "GET", &format!("/rules/{id}"), Value::Null).await {
        Ok(rule) => Ok(Some(rule)),
        Err(error) if Refusal::of(&error).is_some_and(Refusal::is_not_there) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until rules hold.
pub async fn hold(aws: &Aws, rules: &[String]) -> Result<()> {
    let mut waited = Duration::ZERO;
    for id in rules {
        while rule(aws, id).await?.is_none_or(|rule| text(&rule["Status"]) != "available") {
            if waited > BEGINS_WITHIN {
                bail!("the rule {id} of the Recycle Bin is not available after {} s", waited.as_secs());
            }
            aws.sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }
    Ok(())
}

/// Deletes rules, and waits until they are gone.
pub async fn delete_rules(aws: &Aws, rules: &[String]) -> Result<()> {
    for id in rules {
        match aws.rest(RECYCLE_BIN, "DELETE", &format!("/rules/{id}"), Value::Null).await {
            Err(error) if !Refusal::of(&error).is_some_and(Refusal::is_not_there) => return Err(error),
            _ => {}
        }
    }
    let mut waited = Duration::ZERO;
    for id in rules {
        while rule(aws, id).await?.is_some() {
            if waited > ENDS_WITHIN {
                bail!("the rule {id} of the Recycle Bin is still there after {} s", waited.as_secs());
            }
            aws.sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }
    Ok(())
}

/// The ids of the rules whose description says whose they are.
pub async fn rules(aws: &Aws, is_ours: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
    let mut found = vec![];
    for kind in KINDS {
        let rules = rules_of(aws, kind).await?;
        let ours = rules.iter().filter(|rule| is_ours(&rule["Description"]));
        found.extend(ours.map(|rule| text(&rule["Identifier"]).to_owned()));
    }
    Ok(found)
}

/// All rules for a kind of resource.
pub async fn rules_of(aws: &Aws, kind: &str) -> Result<Vec<Value>> {
    let (mut rules, mut token) = (vec![], Value::Null);
    loop {
        let mut arguments = json!({"ResourceType": kind});
        if !text(&token).is_empty() {
            arguments["NextToken"] = token;
        }
        let listed = aws.rest(RECYCLE_BIN, "POST", "/list-rules", arguments).await?;
        rules.extend_from_slice(items(&listed["Rules"]));
        token = listed["NextToken"].clone();
        if text(&token).is_empty() {
            return Ok(rules);
        }
    }
}

/// What the bin keeps, by its id, with the time at which it is gone for good.
pub type Kept = BTreeMap<String, String>;

/// What the bin keeps under some ids, of instances among them, and of images whose names begin so, if that is given.
pub async fn kept(aws: &Aws, prefix: Option<&str>, known: &BTreeSet<String>) -> Result<Kept> {
    let mut kept = Kept::new();
    let mut makers = known.clone();
    let mut keep = |resource: &Value, id: &str| {
        kept.insert(text(&resource[id]).to_owned(), text(&resource["recycleBinExitTime"]).to_owned());
    };
    for image in all(aws, "ListImagesInRecycleBin", "imageSet").await? {
        let is_named = prefix.is_some_and(|prefix| text(&image["name"]).starts_with(prefix));
        if is_named || known.contains(text(&image["imageId"])) {
            keep(&image, "imageId");
            makers.insert(text(&image["imageId"]).to_owned());
        }
    }
    for snapshot in all(aws, "ListSnapshotsInRecycleBin", "snapshotSet").await? {
        // CreateImage writes down of which instance and for which image it was: "Created by CreateImage(i-1) for ami-1".
        let mut words = text(&snapshot["description"]).split(['(', ')', ' ']);
        if known.contains(text(&snapshot["snapshotId"])) || words.any(|word| makers.contains(word)) {
            keep(&snapshot, "snapshotId");
        }
    }
    Ok(kept)
}

/// Waits until the bin shows all of some ids, and gives those that it shows.
pub async fn shows(aws: &Aws, ids: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let mut waited = Duration::ZERO;
    loop {
        let shown: BTreeSet<_> = kept(aws, None, ids).await?.into_keys().collect();
        let shown: BTreeSet<_> = shown.intersection(ids).cloned().collect();
        if shown == *ids || waited > LISTS_WITHIN {
            return Ok(shown);
        }
        aws.sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}

/// Takes things out of the bin, snapshots before images, so that they can be removed for good.
pub async fn take_back(aws: &Aws, ids: &BTreeSet<String>) -> Result<()> {
    let (images, snapshots): (Vec<_>, Vec<_>) = ids.iter().partition(|id| id.starts_with("ami-"));
    for (action, named, ids) in
        [("RestoreSnapshotFromRecycleBin", "SnapshotId", snapshots), ("RestoreImageFromRecycleBin", "ImageId", images)]
    {
        for id in ids {
            aws.call(EC2, action, json!({named: id})).await?;
        }
    }
    Ok(())
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
