//! A deploy while runs are under way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use ami_from_instance::model::run::RUN_TAG;
use aws_sdk_ec2::types::ImageState;
use local_aws::{campaign::SLOW, deployment::Deployment, execution::Outcome};
use local_ec2::{Fate, Fault, FaultKind, Parameters};
use serde_json::{Value, json};

use super::{beside, create, held::Held, on_aws, start, stop, until};

/// What an image takes that is being made when the deploy comes: shortly less than the timeouts of these runs.
const LONG: Duration = Duration::from_secs(4 * 3600 - 600);

/// Starts runs, each of which stays in another state for a while.
struct Starter<'a> {
    aws: &'a Deployment,
    held: Vec<Held>,
    /// Whether the deploy is still to come: until then calls of EC2 go wrong, so that their states go on.
    is_held: Arc<AtomicBool>,
    /// Whether the runs that wait are started, which go on by themselves; those before do not until the deploy.
    waits: bool,
}

impl Starter<'_> {
    fn skips(&self, state: &str) -> bool {
        (state.starts_with("Wait") || state == "Roll back") != self.waits
    }

    /// Until the deploy has come, the calls after so many go wrong, however long that takes.
    fn goes_wrong(&self, action: &str, mentioning: &str, kind: FaultKind, after: usize) {
        let (is_held, mentioning) = (Arc::clone(&self.is_held), mentioning.to_owned());
        // Not what is only told of the resources that a call names.
        let is_sent = move |(name, value): (&String, &String)| !name.starts_with('(') && value.contains(&mentioning);
        let is_meant = move |parameters: &Parameters| is_held.load(Ordering::SeqCst) && parameters.iter().any(&is_sent);
        self.aws.ec2.inject(Fault::on(action, kind).when(is_meant).after(after).for_ever());
    }

    /// They are answered later than the client waits. The machine's retries last for two minutes and more, but what a
    /// call has done it does only once: then a later one is to be slow as well.
    fn slow(&self, action: &str, mentioning: &str, after: usize) {
        self.goes_wrong(action, mentioning, FaultKind::Slow(SLOW), after);
    }

    /// A removal begins to wait for a snapshot in use, which it would not do for long, and then for EC2's limits.
    fn stays(&self, snapshot: &str) {
        let in_use = Fault::on("DeleteSnapshot", refused("InvalidSnapshot.InUse"));
        self.aws.ec2.inject(in_use.mentioning(snapshot).times(2));
        self.goes_wrong("DeleteSnapshot", snapshot, FaultKind::Throttle, 0);
    }

    fn old_image(&self, name: &str) -> String {
        self.aws.ec2.add_foreign_image(name, &[(RUN_TAG, &self.aws.past_run())])
    }

    async fn add(&mut self, request: &Value, name: &str, operation: &'static str, state: &'static str) -> &mut Held {
        let mut request = request.clone();
        // How fast this machine is must not decide.
        request["timeouts"] = json!({"create": "4h", "update": "4h", "delete": "4h"});
        let run = start(self.aws, name, &request).await;
        self.held.push(Held { run, operation, state, error: None, images: 0, gone: None });
        self.held.last_mut().unwrap()
    }

    async fn creates(&mut self) {
        for (name, state) in [
            ("being-created", "Begin"),
            ("created-later", "Wait to begin again"),
            ("awaited", "Wait for the event"),
            ("looked-at", "Look"),
        ] {
            if self.skips(state) {
                continue;
            }
            let (instance, request) = create(&self.aws.ec2, name);
            match state {
                "Begin" => self.slow("CreateImage", name, 0),
                "Wait to begin again" => {
                    self.goes_wrong("CreateImage", name, refused("PendingSnapshotLimitExceeded"), 0);
                }
                "Look" => self.slow("DescribeSnapshots", &format!(":{name}"), 0),
                _ => self.aws.ec2.next_image(instance, Fate::Takes(LONG)),
            }
            self.add(&request, name, "create", state).await.images = 1;
        }
    }

    async fn updates(&mut self) {
        for (name, state) in [("being-updated", "Begin"), ("updated", "Wait"), ("shown", "Look")] {
            if self.skips(state) {
                continue;
            }
            let image = self.old_image(name);
            match state {
                "Begin" => {
                    self.slow("ModifyImageAttribute", &image, 0);
                    self.slow("DescribeImages", &image, 1);
                }
                "Wait" => self.goes_wrong("DescribeImages", &image, FaultKind::Throttle, 1),
                _ => self.slow("DescribeImages", &image, 1),
            }
            let request = json!({"action": "update", "imageId": image, "description": "new", "tags": {"Team": "audit"},
                "deprecationTime": "2030-06-30T00:00:00Z"});
            self.add(&request, name, "update", state).await;
        }
    }

    async fn deletes(&mut self) {
        for (name, state) in [("being-deleted", "Begin"), ("in-use", "Wait"), ("deregistered", "Look")] {
            if self.skips(state) {
                continue;
            }
            let image = self.old_image(name);
            match state {
                "Begin" => self.slow("DescribeImages", &image, 0),
                "Wait" => self.stays(&self.aws.ec2.image(&image).unwrap().snapshot_ids[0]),
                _ => {
                    self.slow("DeregisterImage", &image, 0);
                    self.slow("DescribeImages", &image, 2);
                }
            }
            let request = json!({"action": "delete", "imageId": image});
            self.add(&request, name, "delete", state).await.gone = Some(image);
        }
    }

    /// One whose request is being read, and one by the same name whose old image has just been deregistered.
    async fn replaces(&mut self) {
        for (name, operation, state) in [("read", "run", "Read the request"), ("same", "create", "Wait for the event")]
        {
            if self.skips(state) {
                continue;
            }
            let old = self.old_image(name);
            let (instance, mut request) = create(&self.aws.ec2, if name == "read" { "fresh" } else { name });
            if name == "read" {
                self.slow("DescribeImages", &old, 0);
            } else {
                self.aws.ec2.next_image(instance, Fate::Takes(LONG));
            }
            request["action"] = json!("replace");
            request["imageId"] = json!(old);
            let held = self.add(&request, name, operation, state).await;
            (held.images, held.gone) = (1, Some(old));
        }
    }

    /// By the run itself, and by the rule for one that was aborted.
    async fn rollbacks(&mut self) {
        for (name, operation, state) in [
            ("failing", "rollback", "Begin"),
            ("failed", "rollback", "Wait"),
            ("undone", "rollback", "Look"),
            ("rolled-back", "run", "Roll back"),
        ] {
            if self.skips(state) {
                continue;
            }
            let (instance, request) = create(&self.aws.ec2, name);
            let (code, message) = ("Client.InternalError".to_owned(), "it broke".to_owned());
            let after = Duration::from_secs(30);
            self.aws.ec2.next_image(instance, Fate::Fail { state: ImageState::Failed, code, message, after });
            // A look of the create asks for the image's id; only the rollback asks for the run's images.
            let of_the_run = format!(":{name}");
            if state == "Begin" {
                self.slow("DescribeImages", &of_the_run, 0);
            }
            self.add(&request, name, operation, state).await.error = Some("ImageFailed");
            if state != "Begin" {
                self.keep().await;
            }
            if state == "Look" {
                assert!(self.held.last().unwrap().comes_to(self.aws, operation, "Wait").await);
                self.slow("DescribeImages", &of_the_run, 0);
            }
        }
        if self.skips("Wait") {
            return;
        }
        let (instance, request) = create(&self.aws.ec2, "aborted");
        self.aws.ec2.next_image(instance, Fate::Never);
        self.add(&request, "aborted", "run", "").await.error = Some("");
        self.keep().await;
        stop(self.aws, &self.held.last().unwrap().run).await;
    }

    /// The snapshots of the last run stay until the deploy has come.
    async fn keep(&self) {
        let run = &self.held.last().unwrap().run.arn;
        until(async || !self.aws.ec2.snapshots_tagged(RUN_TAG, run).is_empty()).await;
        for snapshot in self.aws.ec2.snapshots_tagged(RUN_TAG, run) {
            self.stays(&snapshot.id);
        }
    }
}

fn refused(code: &str) -> FaultKind {
    FaultKind::Refused { code: code.to_owned(), message: "busy".to_owned() }
}

/// What the CLI prints as text.
fn text(aws: &Deployment, arguments: &[&str]) -> String {
    aws.aws_cli(&[arguments, &["--output", "text"]].concat()).unwrap().trim().to_owned()
}

/// The second deploy changes every function and both machines. As on AWS, an execution that has begun keeps
/// its definition, and each child that it starts later has the new one; the functions are new from their next call
/// on. AWS lets a call of a function that is under way come to its end. MiniStack ends its process amid the
/// call: that is less kind, and the machine's Retry calls the new function.
#[test]
fn a_deploy_amid_runs_in_every_state_of_every_operation_changes_how_none_of_them_ends() {
    on_aws(async |first| {
        let aws = &beside(first, "redeployed", &[]);
        let mut starter = Starter { aws, held: vec![], is_held: Arc::new(AtomicBool::new(true)), waits: false };
        for waits in [false, true] {
            starter.waits = waits;
            starter.replaces().await;
            starter.creates().await;
            starter.rollbacks().await;
            starter.updates().await;
            starter.deletes().await;
            for held in &starter.held {
                held.comes(aws).await;
            }
        }
        let from = SystemTime::now();
        aws.deploy_again("two", &[]).unwrap();
        let to = SystemTime::now();
        starter.is_held.store(false, Ordering::SeqCst);
        let long = starter.held.iter().filter(|held| held.state == "Wait for the event");
        let made = long.flat_map(|held| aws.ec2.images_tagged(RUN_TAG, &held.run.arn));
        made.for_each(|image| aws.ec2.age_image(&image.id, LONG));
        eprintln!("the deploy took {:?}", to.duration_since(from).unwrap());
        let function = aws.function("CheckStatusFunction").unwrap();
        let query = "Environment.Variables.RELEASE";
        let arguments = ["lambda", "get-function-configuration", "--function-name", &function, "--query", query];
        assert_eq!(text(aws, &arguments), "two");
        for machine in ["LifecycleMachineArn", "OperationMachineArn"] {
            let arguments = ["stepfunctions", "describe-state-machine", "--state-machine-arn", aws.output(machine)];
            assert!(text(aws, &arguments).contains("Release two."));
        }
        for held in &starter.held {
            held.assert_ends_as_if_no_deploy_had_come(aws).await;
            let was_there = held.was_there(aws, from, to);
            assert!(was_there, "{} was not at {}, {}", held.run.name(), held.operation, held.state);
        }
    });
}

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
