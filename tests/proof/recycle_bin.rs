//! The proof's own rules of the Recycle Bin, and what the bin keeps of its images.

use std::collections::BTreeMap;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use local_aws::ministack::REGION;
use local_ec2::{Ec2, Settings};
use serde_json::json;
use verify::{
    aws::{Aws, EC2, RECYCLE_BIN, Refusal, text},
    recycle_bin,
    world::{TAG, World},
};

/// An account that has no more than a local EC2.
async fn account() -> (Ec2, Aws) {
    let ec2 = Ec2::start(Settings { speed: 1000.0, ..Settings::default() }).await.unwrap();
    let credentials = SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "local"));
    let endpoints = ["EC2", "RBIN"].map(|service| (format!("AWS_ENDPOINT_URL_{service}"), ec2.endpoint()));
    let aws = Aws::of(REGION.to_owned(), credentials, BTreeMap::from(endpoints), 1000.0);
    (ec2, aws)
}

#[tokio::test]
async fn rules_of_a_proof_keep_only_what_has_its_tag_and_are_known_by_their_description() {
    let (ec2, aws) = account().await;
    let world = World::new("web", None);
    let ours = ec2.add_foreign_image(world.name("one"), &[(TAG, &world.value())]);
    let others = ec2.add_foreign_image("another", &[(TAG, "web/other")]);
    let rules = recycle_bin::keep(&aws, &world).await.unwrap();
    let known = |value: String| {
        let aws = &aws;
        async move { recycle_bin::rules(aws, |description| text(description) == value).await.unwrap() }
    };
    assert_eq!(rules.len(), 2);
    assert_eq!(known(world.value()).await, rules);
    assert!(known("web/other".to_owned()).await.is_empty());
    for image in [&ours, &others] {
        aws.call(EC2, "DeregisterImage", json!({"ImageId": image})).await.unwrap();
    }
    let kept = recycle_bin::kept(&aws, &world.prefix()).await.unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with(&format!("{ours} until 20")), "{kept:?}");
    assert!(recycle_bin::kept(&aws, "another").await.unwrap().is_empty());
    recycle_bin::keep_no_more(&aws, &rules).await.unwrap();
    assert!(known(world.value()).await.is_empty());
    let gone = recycle_bin::keep_no_more(&aws, &rules).await.unwrap_err();
    assert_eq!(Refusal::of(&gone).unwrap().code, "ResourceNotFoundException");
}

#[tokio::test]
async fn a_rule_keeps_for_one_day_to_a_year() {
    let (_ec2, aws) = account().await;
    for (days, is_refused) in [(0, true), (1, false), (365, false), (366, true)] {
        let period = json!({"RetentionPeriodValue": days, "RetentionPeriodUnit": "DAYS"});
        let rule = json!({"ResourceType": "EBS_SNAPSHOT", "RetentionPeriod": period});
        assert_eq!(aws.rest(RECYCLE_BIN, "POST", "/rules", rule).await.is_err(), is_refused, "{days}");
    }
}
