//! Deregistration protection on the deployed stack.

use local_ec2::InstanceSpec;
use serde_json::json;

use crate::{
    ends::{failed, succeeded},
    event, execute, on_aws, unique,
};

#[test]
fn a_protected_image_goes_only_where_the_request_disables_its_protection() {
    on_aws(async |aws| {
        let instance = aws.ec2.add_instance(InstanceSpec::default());
        let changes = json!({"name": unique("image"), "sourceInstanceId": instance});
        let (_, outcome) = execute(aws, &event("create-protected.json", changes)).await;
        let image = succeeded(&outcome);
        assert_eq!(image["deregistrationProtection"], "enabled-without-cooldown");
        let id = image["id"].as_str().unwrap();

        let (_, outcome) = execute(aws, &event("delete.json", json!({"imageId": id}))).await;
        assert_eq!(failed(&outcome).0, "ImageProtected");
        let (_, outcome) = execute(aws, &event("delete-protected.json", json!({"imageId": id}))).await;
        succeeded(&outcome);
        assert!(aws.ec2.image(id).is_none());
    });
}

#[test]
fn a_delete_that_begins_a_cooldown_fails_with_its_end_and_notes_it_on_the_image() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[("ami-from-instance:run", &aws.past_run())]);
        let update = json!({"action": "update", "imageId": image, "deregistrationProtection": "enabled-with-cooldown"});
        let (_, outcome) = execute(aws, &update).await;
        succeeded(&outcome);
        let (_, outcome) = execute(aws, &event("delete-protected.json", json!({"imageId": image}))).await;
        let (error, cause) = failed(&outcome);
        let from = aws.ec2.image(&image).unwrap().tags["ami-from-instance:deletable-from"].clone();
        assert!(error == "ImageProtected" && cause.contains(&from), "{error}: {cause}");
        // A protection without a cooldown can be put on and off.
        let update = json!({"action": "update", "imageId": image, "deregistrationProtection": "disabled"});
        succeeded(&execute(aws, &update).await.1);
    });
}
