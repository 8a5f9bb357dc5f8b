//! The proof's own rules of the Recycle Bin, and what the bin keeps of its images.

use std::collections::{BTreeMap, BTreeSet};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use local_aws::ministack::REGION;
use local_ec2::{Ec2, Settings};
use serde_json::json;
use verify::{
    aws::{Aws, EC2, RECYCLE_BIN, text},
    recycle_bin::{self, KEPT},
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
    let ours = ec2.add_foreign_image(world.name("one"), &[(KEPT, &world.value())]);
    let others = ec2.add_foreign_image(world.name("two"), &[(TAG, &world.value())]);
    let rules = recycle_bin::make_rules(&aws, &world).await.unwrap();
    recycle_bin::hold(&aws, &rules).await.unwrap();
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
    let ids = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    let none = BTreeSet::new();
    let kept = recycle_bin::kept(&aws, Some(&world.prefix()), &none).await.unwrap();
    assert_eq!(kept.keys().collect::<Vec<_>>(), [&ours]);
    assert!(kept[&ours].starts_with("20"), "{kept:?}");
    assert!(recycle_bin::kept(&aws, Some("another"), &none).await.unwrap().is_empty());
    assert_eq!(recycle_bin::kept(&aws, None, &ids(&[&ours])).await.unwrap(), kept);
    assert_eq!(recycle_bin::shows(&aws, &ids(&[&ours, &others])).await.unwrap(), ids(&[&ours]));
    recycle_bin::delete_rules(&aws, &rules).await.unwrap();
    assert!(known(world.value()).await.is_empty());
    // Once more does no harm.
    recycle_bin::delete_rules(&aws, &rules).await.unwrap();
    assert!(recycle_bin::hold(&aws, &rules).await.is_err());
    // What the bin has can be taken out, and is then removed for good.
    recycle_bin::take_back(&aws, &ids(&[&ours])).await.unwrap();
    assert!(ec2.image(&ours).is_some());
    aws.call(EC2, "DeregisterImage", json!({"ImageId": ours})).await.unwrap();
    assert!(recycle_bin::kept(&aws, Some(&world.prefix()), &none).await.unwrap().is_empty());
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
