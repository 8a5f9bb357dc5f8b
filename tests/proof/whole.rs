//! The whole command, as a user starts it.

use std::{
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use local_aws::{deployment::Deployment, ministack::ACCOUNT};
use verify::world::TAG;

use super::{checks, deploy, verify};

fn output(mut command: Command) -> (bool, String) {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The ids of what has the tag of a proof.
fn left(aws: &Deployment) -> Vec<String> {
    let is_tagged = |tags: &local_ec2::Tags| tags.contains_key(TAG);
    let images = aws.ec2.images().into_iter().filter(|image| is_tagged(&image.tags)).map(|image| image.id);
    let snapshots = aws.ec2.snapshots().into_iter().filter(|one| is_tagged(&one.tags)).map(|one| one.id);
    images.chain(snapshots).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_depth_passes_on_a_healthy_deployment_and_leaves_nothing() {
    let aws = deploy().await;
    let (succeeded, said) = output(verify(&aws, "healthy", &["--depth", "instance"]));
    assert!(succeeded, "{said}");
    let checks = checks("healthy");
    assert!(checks.len() > 80, "{checks:#?}");
    assert!(checks.values().all(|(verdict, _)| verdict == "passed"), "{checks:#?}");
    assert!(left(&aws).is_empty(), "{:?}", left(&aws));
    // What was there before is there still.
    assert!(aws.ec2.image(local_aws::deployment::MANAGED_IMAGE).is_some());
    assert!(aws.ec2.image(local_aws::deployment::UNMANAGED_IMAGE).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_in_another_account_or_without_a_yes() {
    let aws = deploy().await;
    let program = || Command::new(verify(&aws, "refused", &[]).get_program());
    let refused = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).envs(aws.environment());
        let (succeeded, said) = output(command);
        assert!(!succeeded, "{said}");
        said
    };
    let said = refused(&["--stack", "ami-from-instance", "--account", "111122223333", "--yes"]);
    assert!(said.contains(&format!("the credentials are of account {ACCOUNT}, not of 111122223333")), "{said}");
    let said = refused(&["--stack", "ami-from-instance", "--account", ACCOUNT]);
    assert!(said.contains("say so with --yes"), "{said}");
    let said = refused(&["--stack", "nowhere", "--account", ACCOUNT, "--yes"]);
    assert!(said.contains("nowhere"), "{said}");
    assert!(aws.ec2.calls().iter().all(|call| !call.mutating));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_killed_leaves_nothing_that_clean_does_not_find() {
    let aws = deploy().await;
    for (number, seconds) in [2, 5, 9].into_iter().enumerate() {
        let mut killed = verify(&aws, "killed", &["--depth", "instance"]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let (succeeded, said) = output(verify(&aws, "killed", &["--clean"]));
        assert!(succeeded && said.ends_with("nothing is left\n"), "{number}: {said}");
        assert!(left(&aws).is_empty(), "{number}: {:?}", left(&aws));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_interrupted_cleans_up_and_did_not_hold() {
    let aws = deploy().await;
    let proof = verify(&aws, "interrupted", &["--depth", "instance"]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while left(&aws).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Command::new("kill").args(["-INT", &proof.id().to_string()]).status().unwrap();
    let ended = proof.wait_with_output().unwrap();
    assert!(!ended.status.success());
    let checks = checks("interrupted");
    assert_eq!(checks["proof"].0, "unknown");
    assert_eq!(checks["nothing-left"].0, "passed", "{checks:#?}");
    assert!(left(&aws).is_empty(), "{:?}", left(&aws));
}
