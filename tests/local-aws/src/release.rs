//! What the functions are sent and answer in this release, recorded on the local AWS; the next release is put to
//! it by `tests/handlers/releases.rs`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ami_from_instance::model::run::RUN_TAG;
use anyhow::{Context, Result};
use aws_sdk_ec2::types::ImageState;
use aws_sdk_sfn::types::ExecutionStatus;
use local_ec2::{Ec2, Fate, Fault, FaultKind, SEED_INSTANCE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    deployment::{Deployment, Options},
    prepare::root,
};

/// The run that made the images which are there before a run.
const PAST_RUN: &str = "arn:aws:states:us-east-1:000000000000:execution:ami-from-instance-lifecycle:past";
/// How often the recording is looked at.
const POLL: Duration = Duration::from_millis(100);

/// What is there before a run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Before {
    /// Images by their ids: the name, and whether an earlier run made it.
    pub images: BTreeMap<String, (String, bool)>,
    /// Whether EC2 is too busy at first to make the run's image.
    pub is_busy: bool,
    /// Whether EC2 fails to make the run's image.
    pub image_fails: bool,
}

impl Before {
    /// Puts it into an EC2.
    pub fn set_up(&self, ec2: &Ec2) {
        for (id, (name, made_by_run)) in &self.images {
            let tags: &[_] = if *made_by_run { &[(RUN_TAG, PAST_RUN)] } else { &[("Team", "others")] };
            ec2.add_image_of_id(id, name, tags);
        }
        if self.is_busy {
            let (code, message) = ("PendingSnapshotLimitExceeded".to_owned(), "busy".to_owned());
            ec2.inject(Fault::on("CreateImage", FaultKind::Refused { code, message }));
        }
        if self.image_fails {
            let (code, message) = ("Client.InternalError".to_owned(), "it broke".to_owned());
            let after = Duration::from_secs(90);
            ec2.next_image(SEED_INSTANCE, Fate::Fail { state: ImageState::Failed, code, message, after });
        }
    }
}

/// A call of a function.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Such as `start-create`.
    pub function: String,
    /// When, in simulated seconds since the first call.
    pub at: f64,
    /// The event.
    pub sent: Value,
    /// The answer.
    pub answered: Value,
    /// What the function called of Step Functions, and what that answered.
    pub step_functions: Vec<Value>,
}

/// A run, call by call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Recording {
    /// What was there before.
    pub before: Before,
    /// The calls, in their order.
    pub calls: Vec<Call>,
}

struct Scenario {
    name: &'static str,
    request: Value,
    before: Before,
    is_aborted: bool,
}

fn scenarios() -> Result<Vec<Scenario>> {
    let file = |name: &str, changes: Value| -> Result<Value> {
        let text = fs::read_to_string(root().join("events/requests").join(name))?;
        let mut request: Value = serde_json::from_str(&text)?;
        if let (Value::Object(request), Value::Object(changes)) = (&mut request, changes) {
            request.extend(changes);
        }
        Ok(request)
    };
    let of = |name, request, before| Scenario { name, request, before, is_aborted: false };
    let nothing = Before::default;
    let image = |number: u8, name: &str, made_by_run| {
        let id = format!("ami-000000000000000{number:02}");
        let images = BTreeMap::from([(id.clone(), (name.to_owned(), made_by_run))]);
        (json!({"imageId": id}), Before { images, ..Before::default() })
    };
    let (_, foreign) = image(1, "taken", false);
    let (updated, to_update) = image(2, "web-updated", true);
    let (deleted, to_delete) = image(3, "web-deleted", true);
    let (replaced, to_replace) = image(4, "web-replaced", true);
    let (mut same, of_same_name) = image(5, "web-same", true);
    same["name"] = json!("web-same");
    Ok(vec![
        of("create", file("create.json", json!({}))?, nothing()),
        of("create-and-update", file("create-with-everything.json", json!({}))?, nothing()),
        of("create-begun-later", file("create.json", json!({"name": "later"}))?, Before { is_busy: true, ..nothing() }),
        of("create-refused", file("create.json", json!({"name": "taken"}))?, foreign),
        of("request-refused", json!({"name": "web", "unheardOf": 1}), nothing()),
        of(
            "create-rolled-back",
            file("create.json", json!({"name": "failed"}))?,
            Before { image_fails: true, ..nothing() },
        ),
        Scenario {
            name: "create-aborted",
            request: file("create.json", json!({"name": "aborted"}))?,
            before: nothing(),
            is_aborted: true,
        },
        of("update", file("update.json", updated)?, to_update),
        of("delete", file("delete.json", deleted)?, to_delete),
        of("replace", file("replace.json", replaced)?, to_replace),
        of("replace-same-name", file("replace-same-name.json", same)?, of_same_name),
    ])
}

/// The folder of the release in `template.yaml`.
pub fn folder() -> Result<PathBuf> {
    let template = fs::read_to_string(root().join("template.yaml"))?;
    let version = template.lines().find_map(|line| line.trim().strip_prefix("SemanticVersion: "));
    Ok(root().join("tests/releases").join(version.context("the template has no SemanticVersion")?))
}

/// Records this release: a run of each kind, a sweep, and the machines.
pub async fn record(options: Options, say: &dyn Fn(&str)) -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder)?;
    let sweeps = "SweepSchedule=rate(20 minutes)".to_owned();
    let aws = Deployment::start(&Options { parameters: vec![sweeps], ..options }, say).await?;
    for scenario in scenarios()? {
        say(scenario.name);
        let calls = scenario.play(&aws).await?;
        write(&folder.join(scenario.name), &Recording { before: scenario.before, calls })?;
    }
    say("sweep");
    aws.record()?;
    let calls = loop {
        let sweeps: Vec<_> = calls(&aws)?.into_iter().filter(is_sweep).take(1).collect();
        if !sweeps.is_empty() {
            break sweeps;
        }
        tokio::time::sleep(POLL).await;
    };
    write(&folder.join("sweep"), &Recording { before: Before::default(), calls })?;
    for machine in ["lifecycle.asl.json", "operation.asl.json"] {
        fs::copy(root().join("state-machine").join(machine), folder.join(machine))?;
    }
    Ok(())
}

impl Scenario {
    async fn play(&self, aws: &Deployment) -> Result<Vec<Call>> {
        self.before.set_up(&aws.ec2);
        aws.record()?;
        let client = aws.step_functions();
        let request = self.request.to_string();
        let run = aws.start_execution(aws.lifecycle_machine_arn(), Some(self.name), &request).await?;
        if self.is_aborted {
            while aws.ec2.snapshots_tagged(RUN_TAG, &run.arn).is_empty() {
                tokio::time::sleep(POLL).await;
            }
            client.stop_execution().execution_arn(&run.arn).send().await?;
        }
        run.wait().await?;
        // Events come twice, a second apart, and the rollback that one starts goes on for a while.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let running = client.list_executions().state_machine_arn(aws.output("OperationMachineArn"));
        let running = running.status_filter(ExecutionStatus::Running);
        while !running.clone().send().await?.executions.is_empty() {
            tokio::time::sleep(POLL).await;
        }
        let mut calls = calls(aws)?;
        let of_the_run = format!(":{}-", self.name);
        // The rollback that an event starts; of a run that has not rolled itself back it is the only one.
        let others = |call: &Call| {
            call.sent["execution"].as_str().filter(|execution| !execution.contains(&of_the_run)).map(str::to_owned)
        };
        let by_event = calls.iter().find_map(others).filter(|_| self.is_aborted);
        calls.retain(|call| !is_sweep(call) && others(call).is_none_or(|one| Some(&one) == by_event.as_ref()));
        Ok(calls)
    }
}

fn is_sweep(call: &Call) -> bool {
    call.sent["detail-type"] == "Sweep"
}

/// The calls so far, in the order in which they began.
fn calls(aws: &Deployment) -> Result<Vec<Call>> {
    let calls: Result<Vec<Call>, _> = aws.recorded()?.into_iter().map(serde_json::from_value).collect();
    let mut calls = calls?;
    calls.sort_by(|one, other| one.at.total_cmp(&other.at));
    let start = calls.first().map_or(0.0, |call| call.at);
    for call in &mut calls {
        call.at = ((call.at - start) * 10.0).round() / 10.0;
    }
    Ok(calls)
}

/// A line for each call.
fn write(path: &Path, recording: &Recording) -> Result<()> {
    let calls: Result<Vec<_>, _> = recording.calls.iter().map(serde_json::to_string).collect();
    let before = serde_json::to_string(&recording.before)?;
    let text = format!("{{\"before\": {before}, \"calls\": [\n{}\n]}}\n", calls?.join(",\n"));
    Ok(fs::write(path.with_extension("json"), text)?)
}
