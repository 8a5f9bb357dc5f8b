//! Disabling, enabling and restoring an image on the deployed stack.

use std::time::Duration;

use aws_sdk_ec2::types::{ImageAttributeName, LaunchPermission, LaunchPermissionModifications};
use local_ec2::{BinResource, BinRule, InstanceSpec};
use serde_json::json;

use crate::{ends::succeeded, event, execute, on_aws, unique};

#[test]
fn an_image_that_was_deleted_is_restored_from_the_recycle_bin() {
    on_aws(async |aws| {
        // The other tests' images stay out of the bin.
        let tag = unique("bin");
        for resource in [BinResource::Image, BinResource::Snapshot] {
            aws.ec2.add_bin_rule(BinRule::new(resource, Duration::from_secs(7 * 24 * 3600)).with_tag("Bin", &tag));
        }
        let instance = aws.ec2.add_instance(InstanceSpec::default());
        let fields = json!({"name": unique("image"), "sourceInstanceId": instance, "tags": {"Bin": tag}});
        let (_, made) = execute(aws, &event("create.json", fields)).await;
        let image = succeeded(&made)["id"].clone();
        let (_, deleted) = execute(aws, &event("delete.json", json!({"imageId": image}))).await;
        let told = succeeded(&deleted);
        assert!(told["restorableUntil"].is_string() && told["recycleBin"].as_array().unwrap().len() == 2, "{told}");
        let (_, restored) = execute(aws, &event("restore.json", json!({"imageId": image}))).await;
        let restored = succeeded(&restored);
        assert_eq!((&restored["id"], &restored["state"]), (&image, &json!("available")));
    });
}

#[test]
fn an_image_is_disabled_and_enabled_and_those_who_might_launch_it_may_again() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[("ami-from-instance:run", &aws.past_run())]);
        let ec2 = aws.ec2.client();
        let account = LaunchPermission::builder().user_id("111122223333").build();
        let add = LaunchPermissionModifications::builder().add(account.clone()).build();
        ec2.modify_image_attribute().image_id(&image).launch_permission(add).send().await.unwrap();
        for (file, state) in [("disable.json", "disabled"), ("enable.json", "available")] {
            let (_, outcome) = execute(aws, &event(file, json!({"imageId": image}))).await;
            assert_eq!(succeeded(&outcome)["state"], state);
        }
        let request = ec2.describe_image_attribute().image_id(&image).attribute(ImageAttributeName::LaunchPermission);
        assert_eq!(request.send().await.unwrap().launch_permissions(), [account]);
    });
}
