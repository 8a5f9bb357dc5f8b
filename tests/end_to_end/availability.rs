//! Disabling and enabling an image on the deployed stack.

use aws_sdk_ec2::types::{ImageAttributeName, LaunchPermission, LaunchPermissionModifications};
use serde_json::json;

use crate::{ends::succeeded, event, execute, on_aws, unique};

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
