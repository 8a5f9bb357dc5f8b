//! What the Recycle Bin keeps: deletes, prunes and rollbacks tell it, or keep out of it, and a restore brings it back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ami_from_instance::{
    app::App,
    model::{run::RUN_TAG, tags::SERIES_TAG},
};
use local_ec2::{
    BinResource::{self, Image, Snapshot},
    BinRule, Ec2, Fault, FaultKind, Lags,
};
use serde_json::{Value, json};

use crate::{
    RUN, app, begin, call, create_request, ec2, ec2_with, first_operation, image_id, is_going_on, look, merged,
    plan_of, rollbacks, step_functions, wait, whole,
};

const ROLLED_BACK: &str = "ami-from-instance:rolled-back";

fn days(resource: BinResource, days: u64) -> BinRule {
    BinRule::new(resource, Duration::from_secs(days * 24 * 3600))
}

/// An EC2 whose bin has these rules.
async fn with_rules(rules: impl IntoIterator<Item = BinRule>) -> Ec2 {
    let ec2 = ec2().await;
    rules.into_iter().for_each(|rule| ec2.add_bin_rule(rule));
    ec2
}

/// Makes an image and deletes it; gives its id, its snapshots' ids and what the delete answered.
async fn made_and_deleted(ec2: &Ec2) -> (String, Vec<String>, Value) {
    let made = whole(ec2, &app(ec2), create_request()).await;
    let image = image_id(&made).to_owned();
    let snapshots = ec2.snapshots().into_iter().map(|one| one.id).collect();
    let deleted = whole(ec2, &app(ec2), json!({"action": "delete", "imageId": image})).await;
    assert!(ec2.image(&image).is_none() && ec2.snapshots().is_empty(), "{deleted}");
    ec2.forget_calls();
    (image, snapshots, deleted["result"].clone())
}

fn refused(code: &str) -> FaultKind {
    FaultKind::Refused { code: code.to_owned(), message: "not now".to_owned() }
}

fn restore(image: &str) -> Value {
    json!({"action": "restore", "imageId": image})
}

#[tokio::test]
async fn a_delete_tells_what_the_bin_keeps_and_a_restore_brings_it_back() {
    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    let (image, snapshots, told) = made_and_deleted(&ec2).await;
    let ids: Vec<_> = told["recycleBin"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], image, "{told}");
    assert!(snapshots.len() == 2 && snapshots.iter().all(|id| ids.contains(&id.as_str())), "{told}");
    assert_eq!(told["restorableUntil"], told["recycleBin"][0]["exitTime"], "{told}");
    assert!(told.get("recycleBinProblem").is_none(), "{told}");

    let back = whole(&ec2, &app(&ec2), restore(&image)).await;
    assert_eq!((&back["result"]["id"], &back["result"]["state"]), (&json!(image), &json!("available")), "{back}");
    assert_eq!(back["result"]["ebsBlockDevice"].as_array().unwrap().len(), 2, "{back}");
    let actions: Vec<_> = ec2.mutating_calls().into_iter().map(|call| call.action).collect();
    let snapshot = "RestoreSnapshotFromRecycleBin";
    assert_eq!(actions, [snapshot, snapshot, "RestoreImageFromRecycleBin"]);
    // Again, there is nothing to do.
    assert_eq!(whole(&ec2, &app(&ec2), restore(&image)).await["result"]["id"], image);
    assert_eq!(ec2.mutating_calls().len(), 3);
}

#[tokio::test]
async fn rules_that_make_an_image_unrestorable_are_named() {
    let ec2 = with_rules([days(Image, 7)]).await;
    let (image, snapshots, told) = made_and_deleted(&ec2).await;
    let problem = told["recycleBinProblem"].as_str().unwrap();
    assert!(problem.contains(&snapshots[0]) && problem.contains("cannot be restored"), "{problem}");
    assert!(told.get("restorableUntil").is_none(), "{told}");
    let refused = whole(&ec2, &app(&ec2), restore(&image)).await;
    assert_eq!(refused["error"]["name"], "ImageNotRestored", "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("does not exist"), "{refused}");

    let ec2 = with_rules([days(Image, 7), days(Snapshot, 3)]).await;
    let (_, snapshots, told) = made_and_deleted(&ec2).await;
    let problem = told["recycleBinProblem"].as_str().unwrap();
    assert!(snapshots.iter().any(|id| problem.contains(id)), "{problem}");
    assert_eq!(told["restorableUntil"], told["recycleBin"][1]["exitTime"], "{told}");
    assert_ne!(told["restorableUntil"], told["recycleBin"][0]["exitTime"], "{told}");
}

/// What is certain is told, and nothing else: the first delete of a replace, and one of an image that is gone, know no
/// snapshots.
#[tokio::test]
async fn nothing_is_promised_where_the_snapshots_are_not_known() {
    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    let (image, _, _) = made_and_deleted(&ec2).await;
    let again = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
    assert_eq!(again["result"]["recycleBin"].as_array().unwrap().len(), 1, "{again}");
    assert!(again["result"].get("restorableUntil").is_none(), "{again}");

    let made = whole(&ec2, &app(&ec2), create_request()).await;
    let old = image_id(&made).to_owned();
    let mut request = create_request();
    (request["action"], request["imageId"]) = (json!("replace"), json!(old));
    let plan = plan_of(&app(&ec2), RUN, request).await.unwrap();
    let mut results = vec![];
    for document in plan["operations"].as_array().unwrap() {
        let mut document = merged(document.clone(), json!({"run": RUN, "execution": RUN}));
        document = merged(document.clone(), call(&app(&ec2), "begin", document).await.unwrap());
        while is_going_on(&document) {
            wait(&ec2, &document);
            document = look(&ec2, document).await;
        }
        results.push(document["result"].clone());
    }
    assert!(results[0].get("recycleBin").is_none(), "{results:?}");
    assert_eq!(results[2]["recycleBin"].as_array().unwrap().len(), 3, "{results:?}");
    assert!(results[2].get("restorableUntil").is_none(), "{results:?}");
    // Its name is the new image's now.
    let refused = whole(&ec2, &app(&ec2), restore(&old)).await;
    assert_eq!(refused["error"]["name"], "NameTaken", "{refused}");
    assert!(ec2.snapshots().iter().all(|snapshot| !snapshot.description.contains(&old)));
}

/// The second snapshot is deleted, and listed, some seconds after the first.
#[tokio::test]
async fn a_bin_that_lists_late_is_asked_again_before_anything_is_called_unrestorable() {
    let ec2 = ec2_with(Lags { bin_lists: Duration::from_secs(7), ..Lags::default() }).await;
    [Image, Snapshot].into_iter().for_each(|resource| ec2.add_bin_rule(days(resource, 7)));
    ec2.inject(Fault::on("DeleteSnapshot", refused("InvalidSnapshot.InUse")));
    let (_, _, told) = made_and_deleted(&ec2).await;
    assert!(told["restorableUntil"].is_string() && told.get("recycleBinProblem").is_none(), "{told}");
}

#[tokio::test]
async fn a_prune_names_the_images_that_the_bin_keeps() {
    let ec2 = with_rules([days(Image, 7)]).await;
    let ids = [2, 3].map(|age: u32| {
        let id = ec2.add_foreign_image(format!("web-{age}"), &[(RUN_TAG, RUN), (SERIES_TAG, "web")]);
        ec2.age_image(&id, Duration::from_secs(24 * 3600) * age);
        id
    });
    let request = json!({"action": "prune", "series": "web", "retain": {"count": 1}});
    let pruned = whole(&ec2, &app(&ec2), request).await;
    let result = &pruned["result"];
    assert_eq!((&result["pruned"], &result["recycleBin"][0]["id"]), (&json!([ids[1]]), &json!(ids[1])), "{pruned}");
    assert!(result["recycleBinProblem"].as_str().unwrap().contains("cannot be restored"), "{pruned}");
}

#[tokio::test]
async fn without_a_rule_and_without_the_permission_a_delete_says_nothing_of_the_bin() {
    let ec2 = ec2().await;
    let (image, _, told) = made_and_deleted(&ec2).await;
    assert_eq!(told, json!({"deletedImageId": image, "wasThere": true}));
    let gone = whole(&ec2, &app(&ec2), restore(&image)).await;
    assert_eq!(gone["error"]["name"], "ImageNotRestored", "{gone}");

    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    for kind in [refused("UnauthorizedOperation"), FaultKind::ServerError(503), FaultKind::Throttle] {
        for action in ["ListImagesInRecycleBin", "ListSnapshotsInRecycleBin"] {
            ec2.inject(Fault::on(action, kind.clone()).for_ever());
        }
        let (image, _, told) = made_and_deleted(&ec2).await;
        assert_eq!(told, json!({"deletedImageId": image, "wasThere": true}));
        ec2.clear_faults();
    }
}

/// EC2 does not document what it answers about what is not in the bin.
#[tokio::test]
async fn an_error_about_what_is_not_in_the_bin_says_that_it_is_not_there() {
    let ec2 = with_rules([days(Snapshot, 7)]).await;
    ec2.inject(Fault::on("ListImagesInRecycleBin", refused("InvalidAMIID.NotFound")).for_ever());
    ec2.inject(Fault::on("ListSnapshotsInRecycleBin", refused("InvalidSnapshot.NotFound")));
    ec2.inject(Fault::on("ListSnapshotsInRecycleBin", refused("InvalidSnapshot.NotFound")));
    let (image, snapshots, told) = made_and_deleted(&ec2).await;
    // The first answer was about both, the second about one of them.
    let kept: Vec<_> = told["recycleBin"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert!(kept.len() == 1 && snapshots.iter().any(|id| kept[0] == id), "{told}");
    let gone = whole(&ec2, &app(&ec2), restore(&image)).await;
    assert_eq!(gone["error"]["name"], "ImageNotRestored", "{gone}");
}

#[tokio::test]
async fn a_snapshot_that_an_image_in_the_bin_uses_is_a_leftover_and_the_bin_is_named() {
    let ec2 = with_rules([days(Image, 1)]).await;
    ec2.hold_snapshots_of_images_in_bin();
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, RUN)]);
    let left = whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
    assert_eq!(left["error"]["name"], "LeftoversRemain");
    let message = left["error"]["message"].as_str().unwrap();
    assert!(message.contains(&ec2.snapshots()[0].id), "{message}");
    assert!(message.contains(&format!("the Recycle Bin keeps {image} until ")), "{message}");
}

/// The image's answer is lost, and it is back: the restore goes on. Refused, its snapshots are back without it.
#[tokio::test]
async fn a_restore_whose_answer_is_lost_succeeds_and_one_that_ends_half_way_names_what_is_back() {
    for (kind, succeeds) in [(FaultKind::LostResponse, true), (refused("OperationNotPermitted"), false)] {
        let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
        // What the restore's own run has made would be removed with it.
        let image = ec2.add_foreign_image("web", &[(RUN_TAG, &format!("{RUN}-before"))]);
        let snapshot = ec2.snapshots()[0].id.clone();
        whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
        let fault = Fault::on("RestoreImageFromRecycleBin", kind);
        ec2.inject(if succeeds { fault } else { fault.for_ever() });
        let document = restored(&ec2, &image).await;
        assert_eq!(document["status"] == "Succeeded", succeeds, "{document}");
        let undone = rollbacks::roll_back_ended(&ec2, &document, "FAILED").await;
        if succeeds {
            assert_eq!(undone["status"], "Succeeded", "{undone}");
            continue;
        }
        assert_eq!(document["error"]["name"], "ImageNotRestored", "{document}");
        let message = undone["error"]["message"].as_str().unwrap_or_else(|| panic!("{undone} {document}"));
        assert!(message.contains(&snapshot) && message.contains("is back"), "{message}");
        assert!(!message.contains("has the tag"), "it has the tag of another run: {message}");
        assert_eq!(ec2.snapshots().len(), 1, "it stays");
    }
}

/// The rollback may not even ask about its run: it knows what the machine tells it.
#[tokio::test]
async fn a_rollback_that_is_denied_names_the_snapshots_that_are_back_and_what_the_plan_says() {
    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    let image = ec2.add_foreign_image("web", &[(RUN_TAG, &format!("{RUN}-before"))]);
    let snapshot = ec2.snapshots()[0].id.clone();
    whole(&ec2, &app(&ec2), json!({"action": "delete", "imageId": image})).await;
    let denied =
        step_functions::that_answers(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
    let denied = App { step_functions: denied.await, ..app(&ec2) };
    let planned = |operation: &str| {
        json!({"operation": operation, "arguments": {"imageId": image, "allowUnmanagedImages": false},
            "timeoutSeconds": 2_400, "keepsImage": false, "note": "ami-1 still exists"})
    };
    let told = async |operation: &str| {
        let caught = json!({"name": "States.TaskFailed", "message": "it has failed"});
        let failed = json!({"position": 1, "planned": planned(operation), "caught": caught});
        let document = json!({"operation": "rollback", "run": RUN, "execution": format!("{RUN}-undo"),
            "timeoutSeconds": 5_400, "arguments": {"failed": failed}});
        let document = call(&denied, "begin", document).await.unwrap();
        assert_eq!(document["error"]["name"], "LeftoversRemain", "{document}");
        document["error"]["message"].as_str().unwrap().to_owned()
    };
    // Nothing is back yet.
    let message = told("restore").await;
    assert!(!message.contains(&snapshot) && message.contains("ami-1 still exists"), "{message}");
    ec2.client().restore_snapshot_from_recycle_bin().snapshot_id(&snapshot).send().await.unwrap();
    let message = told("restore").await;
    assert!(message.contains(&snapshot) && !message.contains("has the tag"), "{message}");
    let message = told("delete").await;
    assert!(!message.contains(&snapshot) && message.contains("has the tag"), "{message}");
    ec2.client().restore_image_from_recycle_bin().image_id(&image).send().await.unwrap();
    let message = told("restore").await;
    assert!(!message.contains(&snapshot), "it is back with its image: {message}");
    // It may not ask EC2 either.
    ec2.inject(Fault::on_any(refused("UnauthorizedOperation")).for_ever());
    let message = told("restore").await;
    assert!(
        message.contains(&format!("does not show which snapshots of {image} are back from the Recycle Bin")),
        "{message}"
    );
    let message = told("delete").await;
    assert!(!message.contains("Recycle Bin"), "{message}");
}

/// Nobody tells it the plan; the execution of the restore has it.
#[tokio::test]
async fn a_rollback_of_an_aborted_restore_that_ec2_does_not_let_look_names_the_image() {
    let ec2 = with_rules([]).await;
    ec2.inject(Fault::on_any(refused("UnauthorizedOperation")).for_ever());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (operation, is_named) in [("restore", true), ("update", false)] {
        let input = json!({"operation": operation, "run": RUN,
            "arguments": {"imageId": "ami-0aaaaaaaaaaaaaaaa", "allowUnmanagedImages": false}})
        .to_string();
        let aborted = json!({"executionArn": RUN, "stateMachineArn": "arn", "status": "ABORTED", "startDate": 0,
            "stopDate": now, "input": input});
        let step_functions = step_functions::that_answers(move |action, asked| {
            let arn = asked["executionArn"].as_str().unwrap_or_default();
            match action {
                "GetExecutionHistory" => (200, json!({"events": []})),
                _ if arn == RUN || arn.ends_with("-1") => (200, aborted.clone()),
                _ => (400, json!({"__type": "ExecutionDoesNotExist", "message": arn})),
            }
        });
        let app = App { step_functions: step_functions.await, ..app(&ec2) };
        let document = json!({"operation": "rollback", "run": RUN, "execution": "arn", "timeoutSeconds": 5_400,
            "arguments": {}, "waitedSeconds": 60});
        let document = call(&app, "look", document).await.unwrap();
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("is not allowed"), "{message}");
        assert_eq!(message.contains("which snapshots of ami-0aaaaaaaaaaaaaaaa are back"), is_named, "{message}");
    }
}

/// A refusal may pass: EC2 may not know yet that the snapshots are back, or that the name is free. The bin may list the
/// image late, and EC2 may show it late.
#[tokio::test]
async fn what_passes_does_not_end_a_restore() {
    let seconds = Duration::from_secs;
    let lists_late = Lags { bin_lists: seconds(25), image_lingers: seconds(60), ..Lags::default() };
    let is_gone = Lags { bin_lists: seconds(25), image_lingers: seconds(0), ..Lags::default() };
    let shows_late = Lags { restored_shows: seconds(20), ..is_gone.clone() };
    for (lags, refusals, has_snapshots) in [
        (Lags::default(), 2, false),
        (lists_late.clone(), 0, false),
        // EC2 shows everything that a restored image has.
        (lists_late, 0, true),
        (is_gone, 0, false),
        (shows_late, 0, false),
    ] {
        let ec2 = ec2_with(lags).await;
        [Image, Snapshot].into_iter().for_each(|resource| ec2.add_bin_rule(days(resource, 7)));
        let image = ec2.add_foreign_image("web", &[(RUN_TAG, &format!("{RUN}-before"))]);
        let snapshot = ec2.snapshots()[0].id.clone();
        ec2.client().deregister_image().image_id(&image).send().await.unwrap();
        if !has_snapshots {
            ec2.client().delete_snapshot().snapshot_id(&snapshot).send().await.unwrap();
        }
        ec2.inject(Fault::on("RestoreImageFromRecycleBin", refused("InvalidSnapshot.NotFound")).times(refusals));
        let document = restored(&ec2, &image).await;
        assert_eq!(document["status"], "Succeeded", "{document}");
        assert!(ec2.image(&image).is_some() && ec2.snapshot(&snapshot).is_some());
    }
}

/// The document of a restore that has ended.
async fn restored(ec2: &Ec2, image: &str) -> Value {
    let app = app(ec2);
    let mut document = first_operation(&app, RUN, restore(image)).await;
    let mut step = "begin";
    loop {
        // As the machine does, where the answer is lost.
        let answer = match call(&app, step, document.clone()).await {
            Err(error) if error.is_to_be_retried() => continue,
            answer => answer.unwrap(),
        };
        document = merged(document, answer);
        if !is_going_on(&document) {
            return document;
        }
        wait(ec2, &document);
        step = "look";
    }
}

/// What was not finished need not come back, and nothing can be deleted from the bin.
#[tokio::test]
async fn what_is_rolled_back_is_tagged_so_that_a_rule_can_leave_it_out() {
    let rules = || [Image, Snapshot].map(|resource| days(resource, 7).without_tag(ROLLED_BACK, "true"));
    let on = |kind| Fault::on("CreateTags", kind);
    for (fails, is_marked) in [
        (None, true),
        // One of several has no place for a tag, and the others are tagged without it.
        (Some(on(refused("TagLimitExceeded"))), true),
        (Some(on(refused("UnauthorizedOperation")).for_ever()), false),
        (Some(on(FaultKind::ServerError(503)).for_ever()), false),
    ] {
        let ec2 = with_rules(rules()).await;
        let pending = begin(&ec2, create_request()).await;
        wait(&ec2, &pending);
        let pending = look(&ec2, pending).await;
        if let Some(fails) = fails {
            ec2.inject(fails);
        }
        let undone = rollbacks::roll_back(&ec2, &pending).await;
        assert_eq!(undone["status"], "Succeeded", "{undone}");
        assert!(ec2.images_tagged(RUN_TAG, RUN).is_empty() && ec2.snapshots().is_empty());
        let in_bin = ec2.client().list_snapshots_in_recycle_bin().send().await.unwrap();
        assert_eq!(in_bin.snapshots().is_empty(), is_marked);
        let in_bin = ec2.client().list_images_in_recycle_bin().send().await.unwrap();
        assert_eq!(in_bin.images().is_empty(), is_marked);
    }
}

/// Somebody has protected the image meanwhile.
#[tokio::test]
async fn what_a_rollback_leaves_is_not_tagged_as_rolled_back() {
    let ec2 = ec2().await;
    let created = begin(&ec2, create_request()).await;
    ec2.advance(Duration::from_secs(3_600));
    let image = image_id(&created);
    ec2.client().enable_image_deregistration_protection().image_id(image).send().await.unwrap();
    let left = rollbacks::roll_back(&ec2, &created).await;
    assert_eq!(left["error"]["name"], "LeftoversRemain", "{left}");
    assert!(ec2.images_tagged(RUN_TAG, RUN).iter().all(|image| !image.tags.contains_key(ROLLED_BACK)));
    assert_eq!(ec2.snapshots_tagged(RUN_TAG, RUN).len(), 2);
    assert!(ec2.snapshots().iter().all(|snapshot| !snapshot.tags.contains_key(ROLLED_BACK)));
}

#[tokio::test]
async fn a_dry_restore_asks_for_each_call_and_changes_nothing() {
    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    let (image, _, _) = made_and_deleted(&ec2).await;
    let mut request = restore(&image);
    request["dryRun"] = json!(true);
    let document = first_operation(&app(&ec2), RUN, request).await;
    let dry = call(&app(&ec2), "begin", document).await.unwrap();
    let asked: Vec<_> = dry["result"]["wouldDo"].as_array().unwrap().iter().map(|one| one["call"].as_str()).collect();
    let snapshot = Some("ec2:RestoreSnapshotFromRecycleBin");
    assert_eq!(asked, [snapshot, snapshot, Some("ec2:RestoreImageFromRecycleBin")], "{dry}");
    assert!(ec2.image(&image).is_none());
}

#[tokio::test]
async fn a_restore_notes_the_snapshots_before_it_brings_any_back() {
    let ec2 = with_rules([days(Image, 7), days(Snapshot, 7)]).await;
    let (image, snapshots, _) = made_and_deleted(&ec2).await;
    let app = app(&ec2);
    let document = first_operation(&app, RUN, restore(&image)).await;
    let noted = call(&app, "begin", document).await.unwrap();
    assert_eq!(noted["memory"]["snapshotIds"].as_array().map(Vec::len), Some(snapshots.len()), "{noted}");
    assert!(ec2.snapshots().is_empty());
}
