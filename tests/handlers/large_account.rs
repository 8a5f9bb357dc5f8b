//! An account of 2,500 images and 50,000 snapshots that others have made.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use ami_from_instance::{events, model::run::RUN_TAG};
use local_aws::prepare::root;
use local_ec2::Ec2;
use serde_json::{Value, json};

use crate::{
    RUN, actions, app, app_that_knows, begin, call, create_request, ec2, image_id, is_going_on, merged, sweep, wait,
    whole,
};

async fn large_account() -> Ec2 {
    let ec2 = ec2().await;
    for number in 0..2_500 {
        ec2.add_foreign_image(format!("golden-{number}"), &[("Team", "others")]);
    }
    ec2.add_foreign_snapshots(47_500);
    ec2
}

/// What an operation takes of EC2.
struct Taken {
    operation: &'static str,
    /// By the action.
    calls: BTreeMap<String, usize>,
    /// All that the machine waits, in seconds.
    waited: u64,
}

impl Taken {
    fn of(operation: &'static str, ec2: &Ec2, document: &Value) -> Self {
        assert!(!is_going_on(document) && document["error"].is_null(), "{document}");
        let mut calls = BTreeMap::new();
        for action in actions(ec2) {
            *calls.entry(action).or_default() += 1;
        }
        ec2.forget_calls();
        Self { operation, calls, waited: document["waitedSeconds"].as_u64().unwrap_or_default() }
    }

    /// Its row in docs/performance.md.
    fn row(&self) -> String {
        let calls: Vec<_> = self.calls.iter().map(|(action, count)| format!("{count} {action}")).collect();
        let count: usize = self.calls.values().sum();
        format!("| {} | {count} | {} | {} s |", self.operation, calls.join(", "), self.waited)
    }
}

async fn roll_back(ec2: &Ec2) -> Value {
    let app = app_that_knows(ec2, [(RUN.to_owned(), "RUNNING", None)]).await;
    let execution = format!("{RUN}-undo").replace(":ami-lifecycle:", ":ami-operation:");
    let mut document = json!({"operation": "rollback", "run": RUN, "execution": execution,
        "timeoutSeconds": 5_400, "arguments": {}});
    document = call(&app, "begin", document).await.unwrap();
    while is_going_on(&document) {
        wait(ec2, &document);
        document = call(&app, "look", document).await.unwrap();
    }
    assert!(ec2.images_tagged(RUN_TAG, RUN).is_empty() && ec2.snapshots_tagged(RUN_TAG, RUN).is_empty());
    document
}

async fn sweep_once(ec2: &Ec2) -> Value {
    let app = app_that_knows(ec2, []).await;
    events::start_rollback(&app, sweep()).await.unwrap()
}

/// Every operation, one after the other.
async fn take_all(ec2: &Ec2) -> Vec<Taken> {
    let app = app(ec2);
    let mut all = vec![];
    let mut image = String::new();
    for (operation, no_reboot) in [("create", false), ("create without a reboot", true)] {
        let changes = json!({"name": operation, "snapshotWithoutReboot": no_reboot});
        let created = whole(ec2, &app, merged(create_request(), changes)).await;
        all.push(Taken::of(operation, ec2, &created));
        image = image_id(&created).to_owned();
    }
    let request = json!({"action": "update", "imageId": image, "tags": {"Team": "audit"}, "description": "new",
        "deprecationTime": "2031-01-01T00:00:00Z"});
    all.push(Taken::of("update", ec2, &whole(ec2, &app, request).await));
    let deleted = whole(ec2, &app, json!({"action": "delete", "imageId": image})).await;
    all.push(Taken::of("delete", ec2, &deleted));
    roll_back(ec2).await;
    begin(ec2, create_request()).await;
    ec2.advance(Duration::from_secs(30));
    ec2.forget_calls();
    let rolled_back = roll_back(ec2).await;
    all.push(Taken::of("rollback", ec2, &rolled_back));
    all.push(Taken::of("sweep", ec2, &sweep_once(ec2).await));
    all
}

#[tokio::test]
async fn all_but_the_sweep_call_the_same_in_a_large_account_as_in_a_small_one_and_as_the_documents_say() {
    let in_a_small_one = take_all(&ec2().await).await;
    let large = large_account().await;
    let start = Instant::now();
    let in_a_large_one = take_all(&large).await;
    let documents = fs::read_to_string(root().join("docs/performance.md")).unwrap();
    println!("answered by the local EC2 in {:?}", start.elapsed());
    let rows: Vec<_> = in_a_large_one.iter().map(Taken::row).collect();
    println!("{}", rows.join("\n"));
    for (large, small) in in_a_large_one.iter().zip(in_a_small_one) {
        assert!(large.calls == small.calls || large.operation == "sweep", "{} and {}", large.row(), small.row());
        assert!(documents.contains(&large.row()), "docs/performance.md has no {}", large.row());
    }
    // EC2 may take some seconds for a page.
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let of_the_sweep = template.split("\n  StartRollbackFunction:\n").nth(1).unwrap();
    let timeout = of_the_sweep.lines().find_map(|line| line.trim().strip_prefix("Timeout: ")).unwrap();
    let pages: usize = in_a_large_one.last().unwrap().calls.values().sum();
    assert!(timeout.parse::<usize>().unwrap() >= 5 * pages);
}
