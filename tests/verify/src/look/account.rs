//! What the account can spoil.

use anyhow::Result;
use serde_json::{Value, json};

use super::check;
use crate::{
    aws::{Aws, EC2, KMS, QUOTAS, RECYCLE_BIN, Refusal, items, text},
    recycle_bin,
    report::Report,
    stack::Stack,
};

/// The quota of AMIs in a Region.
const IMAGES: &str = "L-B665C33B";
/// What a rollback marks before it removes it.
const ROLLED_BACK: &str = "ami-from-instance:rolled-back";

pub(super) async fn look(aws: &Aws, _: &Stack, report: &Report<'_>) {
    let expected = format!("no rule for the whole Region keeps what has the tag {ROLLED_BACK}");
    report.add(check("look/account/recycle-bin".to_owned(), &expected, bin_rules(aws)).await);
    let expected = "off, or with a key that is enabled";
    report.add(check("look/account/encryption".to_owned(), expected, encryption(aws)).await);
    let expected = "at least ten more images than there are";
    report.add(check("look/account/quota".to_owned(), expected, quota(aws)).await);
}

async fn bin_rules(aws: &Aws) -> Result<(bool, String)> {
    let mut keeping = vec![];
    for kind in ["EC2_IMAGE", "EBS_SNAPSHOT"] {
        for rule in recycle_bin::rules_of(aws, kind).await? {
            let id = text(&rule["Identifier"]);
            let rule = aws.rest(RECYCLE_BIN, "GET", &format!("/rules/{id}"), Value::Null).await?;
            let is_regional = items(&rule["ResourceTags"]).is_empty();
            let excluded = items(&rule["ExcludeResourceTags"]).iter();
            let excludes = excluded.into_iter().any(|tag| text(&tag["ResourceTagKey"]) == ROLLED_BACK);
            if is_regional && !excludes {
                keeping.push(format!("{id} keeps every {kind}, also what a failed run made"));
            }
        }
    }
    Ok((keeping.is_empty(), keeping.join("; ")))
}

async fn encryption(aws: &Aws) -> Result<(bool, String)> {
    let answer = aws.call(EC2, "GetEbsEncryptionByDefault", json!({})).await?;
    if text(&answer["ebsEncryptionByDefault"]) != "true" {
        return Ok((true, "off".to_owned()));
    }
    let answer = aws.call(EC2, "GetEbsDefaultKmsKeyId", json!({})).await?;
    let key = text(&answer["kmsKeyId"]).to_owned();
    let answer = aws.call(KMS, "DescribeKey", json!({"KeyId": key})).await?;
    let state = text(&answer["KeyMetadata"]["KeyState"]);
    Ok((state == "Enabled", format!("{key} is {state}")))
}

async fn quota(aws: &Aws) -> Result<(bool, String)> {
    let about = json!({"ServiceCode": "ec2", "QuotaCode": IMAGES});
    let answer = match aws.call(QUOTAS, "GetServiceQuota", about.clone()).await {
        // Nobody has changed it.
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code == "NoSuchResourceException") => {
            aws.call(QUOTAS, "GetAWSDefaultServiceQuota", about).await?
        }
        answer => answer?,
    };
    let quota = answer["Quota"]["Value"].as_f64().unwrap_or_default();
    let (mut images, mut token) = (0, Value::Null);
    loop {
        let arguments = json!({"Owner": ["self"], "IncludeDisabled": true, "MaxResults": 1000, "NextToken": token});
        let answer = aws.call(EC2, "DescribeImages", arguments).await?;
        images += items(&answer["imagesSet"]).len();
        token = answer["nextToken"].clone();
        if text(&token).is_empty() {
            break;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "there are some ten thousand")]
    Ok((images as f64 + 10.0 <= quota, format!("{images} of {quota}")))
}
