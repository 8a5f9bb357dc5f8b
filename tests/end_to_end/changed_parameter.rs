//! A deploy that changes a parameter.

use std::time::Duration;

use ami_from_instance::model::run::RUN_TAG;
use local_aws::execution::Outcome;
use local_ec2::Fate;

use crate::{beside, create, on_aws, start, until};

#[test]
fn a_deploy_that_changes_only_a_parameter_takes_effect_with_the_next_run() {
    on_aws(async |first| {
        let aws = &beside(first, "changed", &[]);
        let slow_create = async |name: &str| {
            let (instance, request) = create(&aws.ec2, name);
            aws.ec2.next_image(&instance, Fate::Takes(Duration::from_secs(900)));
            start(aws, name, &request).await
        };
        let before = slow_create("before").await;
        until(async || !aws.ec2.images_tagged(RUN_TAG, &before.arn).is_empty()).await;
        aws.deploy_again("", &["CreateTimeout=3m".to_owned()]).unwrap();
        let after = slow_create("after").await.wait().await.unwrap();
        let Outcome::Ended { error, cause, .. } = &after else { panic!("{after:?}") };
        assert!(error == "TimedOut" && cause.contains("timeout of 180 seconds"), "{after:?}");
        assert!(matches!(before.wait().await.unwrap(), Outcome::Succeeded(_)));
    });
}
