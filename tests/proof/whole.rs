//! The whole command, as a user starts it.

use std::{
    env,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use aws_sdk_ec2::types::{Filter, InstanceStateName, RequestLaunchTemplateData, ResourceType, Tag, TagSpecification};
use local_aws::{
    deployment::{Deployment, STACK},
    ministack::ACCOUNT,
};
use verify::{
    probes::{ASSUMPTIONS, recordings},
    recording::Recording,
    world::TAG,
};

use super::{checks, deploy, folder, verify, verify_at};

fn output(mut command: Command) -> (bool, String) {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stderr).into_owned())
}

/// The ids of what has the tag of a proof.
async fn left(aws: &Deployment) -> Vec<String> {
    let is_tagged = |tags: &local_ec2::Tags| tags.contains_key(TAG);
    let images = aws.ec2.images().into_iter().filter(|image| is_tagged(&image.tags)).map(|image| image.id);
    let snapshots = aws.ec2.snapshots().into_iter().filter(|one| is_tagged(&one.tags)).map(|one| one.id);
    let instances = aws.ec2.instances().into_iter().filter(|one| is_tagged(&one.tags));
    let instances = instances.filter(|one| one.state != InstanceStateName::Terminated).map(|one| one.id);
    let tagged = Filter::builder().name("tag-key").values(TAG).build();
    let templates = aws.ec2.client().describe_launch_templates().filters(tagged).send().await.unwrap();
    let templates =
        templates.launch_templates().iter().map(|template| template.launch_template_id().unwrap().to_owned());
    images.chain(snapshots).chain(instances).chain(templates).collect()
}

/// Adds an image, of another proof of the stack, whose snapshot is locked; gives the tag's value and the image's id.
fn plant_lock(aws: &Deployment) -> (String, String) {
    let value = format!("{STACK}/planted");
    let image = aws.ec2.add_foreign_image("cargo-verify-planted", &[(TAG, &value)]);
    aws.ec2.lock_snapshot(&aws.ec2.image(&image).unwrap().snapshot_ids[0]);
    (value, image)
}

/// Whether a word is an id of EC2's.
fn is_id(word: &str) -> bool {
    let is_number = |rest: &str| rest.len() == 17 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.rsplit_once('-')
        .is_some_and(|(kind, rest)| ["ami", "i", "lt", "snap", "vol"].contains(&kind) && is_number(rest))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_depth_passes_on_a_healthy_deployment_and_leaves_nothing() {
    let aws = deploy().await;
    aws.enforce_iam().unwrap();
    let _ = std::fs::remove_dir_all(folder("healthy"));
    let (succeeded, said) = output(verify(&aws, "healthy", &["--depth", "instance"]));
    assert!(succeeded, "{said}");
    let checks = checks("healthy");
    assert!(checks.len() > 110, "{checks:#?}");
    assert!(checks.values().all(|(verdict, _)| verdict == "passed"), "{checks:#?}");
    assert!(left(&aws).await.is_empty(), "{:?}", left(&aws).await);
    // The models are held to what AWS itself has answered.
    let ours = Recording::read_all(&folder("healthy").join("recordings")).unwrap();
    assert_eq!(ours.len(), ASSUMPTIONS.len());
    for text in ours.iter().flat_map(|one| &one.exchanges).flat_map(|one| [&one.request, &one.answer]) {
        assert!(!text.split(|one: char| !one.is_ascii_alphanumeric() && one != '-').any(is_id), "{text}");
    }
    for real in Recording::read_all(&recordings()).unwrap() {
        let ours = ours.iter().find(|one| one.probe == real.probe).unwrap();
        assert!(ours.differences(&real).is_empty(), "{:#?}", ours.differences(&real));
    }
    // What was there before is there still.
    assert!(aws.ec2.image(local_aws::deployment::MANAGED_IMAGE).is_some());
    assert!(aws.ec2.image(local_aws::deployment::UNMANAGED_IMAGE).is_some());
}

/// How many proofs `cargo test` kills. `KILLS` says another number.
const KILLS: u64 = 2;
/// A whole proof makes about as many calls of EC2 that change something.
const CHANGES: u64 = 200;

/// Each at a random moment, as many calls after its beginning as a number says that the seed decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_is_killed_leaves_nothing_that_clean_does_not_find() {
    let aws = deploy().await;
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("KILLS").unwrap_or(KILLS);
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut amid, mut left_most) = (0, 0);
    for kill in 0..kills {
        let before = aws.ec2.mutating_calls().len();
        let changes = usize::try_from(random.u64(..CHANGES)).unwrap();
        let mut killed = verify(&aws, "killed", &["--depth", "instance"]).stderr(Stdio::null()).spawn().unwrap();
        // It may be over before.
        while aws.ec2.mutating_calls().len() < before + changes && killed.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        amid += u64::from(killed.try_wait().unwrap().is_none());
        killed.kill().unwrap();
        killed.wait().unwrap();
        left_most = left_most.max(left(&aws).await.len());
        let (succeeded, said) = output(verify(&aws, "killed", &["--clean"]));
        assert!(succeeded && said.ends_with("nothing is left\n"), "{kill}, after {changes} calls: {said}");
        assert!(left(&aws).await.is_empty(), "{kill}, after {changes} calls: {:?}", left(&aws).await);
    }
    // What only a few moments leave: a launch template, and a snapshot that is locked.
    let (value, image) = plant_lock(&aws);
    let tags = TagSpecification::builder().resource_type(ResourceType::LaunchTemplate);
    let tags = tags.tags(Tag::builder().key(TAG).value(&value).build()).build();
    let data = RequestLaunchTemplateData::builder().image_id(&image).build();
    let template = aws.ec2.client().create_launch_template().launch_template_name("cargo-verify-planted");
    template.launch_template_data(data).tag_specifications(tags).send().await.unwrap();
    assert_eq!(left(&aws).await.len(), 3);
    let (succeeded, said) = output(verify(&aws, "killed", &["--clean"]));
    assert!(succeeded && left(&aws).await.is_empty(), "{said}");
    println!("{amid} of {kills} killed before their end; one left {left_most} things; --clean left none");
    assert!(amid > 0 && left_most > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_net_removes_what_a_killed_proof_has_left() {
    let aws = deploy().await;
    // The three hours until the schedule pass in half a minute.
    let mut killed = verify_at(360.0, &aws, "net", &["--depth", "instance"]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while left(&aws).await.len() < 3 {
        assert!(start.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    plant_lock(&aws);
    // A second proof does not begin.
    let (succeeded, said) = output(verify(&aws, "second", &["--depth", "instance"]));
    assert!(!succeeded && said.contains("another proof goes on, or was killed"), "{said}");
    while !left(&aws).await.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(300), "{:?}", left(&aws).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_and_no_yes_are_refused_and_an_interrupted_proof_cleans_up() {
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
    let proof = verify(&aws, "interrupted", &["--depth", "instance"]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while left(&aws).await.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Command::new("kill").args(["-INT", &proof.id().to_string()]).status().unwrap();
    let ended = proof.wait_with_output().unwrap();
    assert!(!ended.status.success());
    let checks = checks("interrupted");
    assert_eq!(checks["proof"].0, "unknown");
    assert_eq!(checks["nothing-left"].0, "passed", "{checks:#?}");
    assert!(left(&aws).await.is_empty(), "{:?}", left(&aws).await);
}
