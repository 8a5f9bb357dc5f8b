//! A dry run: every function says what it would do, and nothing changes.

use ami_from_instance::model::run::RUN_TAG;
use local_ec2::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::{
    ends::{assert_nothing_is_left, failed, succeeded},
    event, execute, new_create, on_aws, unique,
};

fn verdicts(output: &Value) -> Vec<(&str, &str)> {
    let asked = output["wouldDo"].as_array().unwrap();
    asked.iter().map(|one| (one["call"].as_str().unwrap(), one["verdict"].as_str().unwrap())).collect()
}

#[test]
fn a_create_that_stops_its_instance_says_all_that_it_would_do() {
    on_aws(async |aws| {
        aws.ec2.add_foreign_image(unique("earlier"), &[(RUN_TAG, &aws.past_run())]);
        let (instance, _) = new_create(aws, json!({}));
        let before = aws.ec2.instance(&instance);
        let name = unique("dry");
        let changes = json!({"name": format!("{name}-{{{{date}}}}"), "sourceInstanceId": instance});
        let (run, outcome) = execute(aws, &event("create-dry-run.json", changes)).await;
        let output = succeeded(&outcome);
        let calls = [
            "ec2:CreateTags",
            "ec2:StopInstances",
            "ec2:CreateImage",
            "ec2:StartInstances",
            "ec2:DeleteTags",
            "ec2:EnableImageDeprecation",
            "ec2:CreateTags",
            "ec2:DeregisterImage",
            "ec2:DeleteSnapshot",
        ];
        assert_eq!(verdicts(output), calls.map(|call| (call, "allowed")));
        assert!(output["names"][0].as_str().unwrap().starts_with(&format!("{name}-20")), "{output}");
        assert_eq!((&output["stops"], &output["reboots"]), (&json!(true), &json!(false)));
        assert_eq!(aws.ec2.instance(&instance), before);
        assert_nothing_is_left(aws, &run).await;
        let asked = |caller: &str, action: &str| {
            let calls =
                aws.ec2.calls_of(action).into_iter().filter(|call| call.mentions(&instance) || call.mentions(&name));
            calls.filter(|call| call.parameters["DryRun"] == "true").any(|call| call.caller.ends_with(caller))
        };
        assert!(asked("instance-state", "StopInstances") && asked("start-create", "CreateImage"));
    });
}

#[test]
fn a_call_that_is_denied_fails_the_dry_run_and_leaves_nothing() {
    on_aws(async |aws| {
        let (_, input) = new_create(aws, json!({"dryRun": true}));
        let refused = FaultKind::Refused { code: "UnauthorizedOperation".into(), message: "no".into() };
        aws.ec2.inject(Fault::on("CreateImage", refused).mentioning(input["name"].as_str().unwrap()).for_ever());
        let (run, outcome) = execute(aws, &input).await;
        let (error, cause) = failed(&outcome);
        assert_eq!(error, "NotAuthorized");
        assert!(cause.starts_with("ec2:CreateImage is not allowed: on i-"), "{cause}");
        assert_nothing_is_left(aws, &run).await;
    });
}

#[test]
fn a_replace_and_a_delete_name_what_would_go() {
    on_aws(async |aws| {
        let image = aws.ec2.add_foreign_image(unique("image"), &[(RUN_TAG, &aws.past_run())]);
        let before = aws.ec2.image(&image);
        let snapshots = before.clone().unwrap().snapshot_ids;
        let gone = json!([image, snapshots[0]]);
        let (_, outcome) = execute(aws, &event("delete.json", json!({"imageId": image, "dryRun": true}))).await;
        assert_eq!(succeeded(&outcome)["wouldDelete"], gone);
        let (instance, _) = new_create(aws, json!({}));
        let changes = json!({"imageId": image, "sourceInstanceId": instance, "name": unique("fresh"), "dryRun": true});
        let (_, outcome) = execute(aws, &event("replace.json", changes)).await;
        assert_eq!(succeeded(&outcome)["wouldDelete"], gone);
        assert_eq!(aws.ec2.image(&image), before);
    });
}
