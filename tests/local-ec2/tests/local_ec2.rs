//! The local EC2 behaves like EC2. Its clock stands still here and is moved by hand.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_sdk_ec2::{
    Client,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::create_image::builders::CreateImageFluentBuilder,
    primitives::{DateTime, DateTimeFormat},
    types::{
        BlockDeviceMapping, EbsBlockDevice, Filter, Image, ImageAttributeName, ImageState, InstanceStateName,
        InstanceType, LaunchPermission, LaunchPermissionModifications, LockMode, PermissionGroup,
        RequestLaunchTemplateData, ResetImageAttributeName, ResourceType, ResourceTypeOption, ResourceTypeRequest,
        Snapshot, SnapshotState, SummaryStatus, Tag, TagSpecification,
    },
};
use local_ec2::{
    BinResource, BinRule, Ec2, Fate, Fault, FaultKind, InstanceSpec, Lags, Progress, Reply, Request, SEED_INSTANCE,
    Settings, TimeSource,
};

/// Both volumes of the first instance, 8 and 100 GiB: the set is complete with the larger one.
const MADE_AFTER: u64 = 220;

async fn start(settings: Settings) -> (Ec2, Client) {
    let ec2 = Ec2::start(settings).await.unwrap();
    let config = ec2.client().config().to_builder().retry_config(RetryConfig::disabled()).build();
    (ec2, Client::from_conf(config))
}

async fn still() -> (Ec2, Client) {
    start(Settings { speed: 0.0, ..Settings::default() }).await
}

fn pass(ec2: &Ec2, seconds: u64) {
    ec2.advance(Duration::from_secs(seconds));
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn tagged(resource_type: ResourceType, tags: impl IntoIterator<Item = Tag>) -> TagSpecification {
    TagSpecification::builder().resource_type(resource_type).set_tags(Some(tags.into_iter().collect())).build()
}

/// The code of the error that a call gave.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    answer: Result<T, SdkError<E, R>>,
) -> String {
    answer.unwrap_err().code().expect("an error with a code").to_owned()
}

fn create(client: &Client, name: &str) -> CreateImageFluentBuilder {
    client.create_image().instance_id(SEED_INSTANCE).name(name)
}

async fn begun(client: &Client, name: &str) -> String {
    create(client, name).send().await.unwrap().image_id.unwrap()
}

/// An available image.
async fn made(ec2: &Ec2, client: &Client, name: &str) -> String {
    let id = begun(client, name).await;
    pass(ec2, MADE_AFTER);
    id
}

async fn image(client: &Client, id: &str) -> Image {
    client.describe_images().image_ids(id).send().await.unwrap().images.unwrap().remove(0)
}

fn snapshot_ids(image: &Image) -> Vec<String> {
    let ebs = image.block_device_mappings().iter().filter_map(|mapping| mapping.ebs());
    ebs.map(|ebs| ebs.snapshot_id().unwrap().to_owned()).collect()
}

async fn snapshots(client: &Client) -> Vec<Snapshot> {
    client.describe_snapshots().owner_ids("self").send().await.unwrap().snapshots.unwrap()
}

async fn state(client: &Client, instance_id: &str) -> InstanceStateName {
    let answer = client.describe_instances().instance_ids(instance_id).send().await.unwrap();
    answer.reservations()[0].instances()[0].state().unwrap().name().unwrap().clone()
}

#[tokio::test]
async fn the_first_instance_is_running_with_two_volumes_and_two_tags() {
    let (_ec2, client) = still().await;
    let answer = client.describe_instances().filters(filter("tag:Name", "w?b*")).send().await.unwrap();
    let instance = &answer.reservations()[0].instances()[0];
    assert_eq!(instance.instance_id(), Some(SEED_INSTANCE));
    assert_eq!(instance.state().unwrap().name(), Some(&InstanceStateName::Running));
    let devices: Vec<_> = instance.block_device_mappings().iter().filter_map(|mapping| mapping.device_name()).collect();
    assert_eq!(devices, ["/dev/xvda", "/dev/sdf"]);
    assert_eq!(instance.tags(), [tag("Name", "web"), tag("Team", "platform")]);
    assert_eq!(instance.launch_time().map(|time| time.secs() > 0), Some(true));
}

#[tokio::test]
async fn an_instance_passes_through_its_states() {
    let (ec2, client) = still().await;
    let image_id = local_ec2::BASE_IMAGE;
    let run = client
        .run_instances()
        .image_id(image_id)
        .instance_type(InstanceType::T3Nano)
        .min_count(2)
        .max_count(2)
        .block_device_mappings(
            BlockDeviceMapping::builder()
                .device_name("/dev/sdf")
                .ebs(EbsBlockDevice::builder().volume_size(20).build())
                .build(),
        )
        .tag_specifications(tagged(ResourceType::Instance, [tag("Name", "new")]))
        .send()
        .await
        .unwrap();
    assert_eq!(run.instances().len(), 2);
    let instance = &run.instances()[0];
    assert_eq!(instance.block_device_mappings().len(), 2);
    let id = instance.instance_id().unwrap();
    assert_eq!(state(&client, id).await, InstanceStateName::Pending);
    pass(&ec2, 10);
    assert_eq!(state(&client, id).await, InstanceStateName::Running);
    client.stop_instances().instance_ids(id).send().await.unwrap();
    assert_eq!(state(&client, id).await, InstanceStateName::Stopping);
    assert_eq!(refusal(client.start_instances().instance_ids(id).send().await), "IncorrectInstanceState");
    pass(&ec2, 20);
    assert_eq!(state(&client, id).await, InstanceStateName::Stopped);
    let started = client.start_instances().instance_ids(id).send().await.unwrap();
    let change = &started.starting_instances()[0];
    assert_eq!(change.previous_state().unwrap().name(), Some(&InstanceStateName::Stopped));
    assert_eq!(change.current_state().unwrap().name(), Some(&InstanceStateName::Pending));
    client.terminate_instances().instance_ids(id).send().await.unwrap();
    assert_eq!(state(&client, id).await, InstanceStateName::ShuttingDown);
    pass(&ec2, 20);
    assert_eq!(state(&client, id).await, InstanceStateName::Terminated);
    pass(&ec2, 3600);
    assert_eq!(refusal(client.describe_instances().instance_ids(id).send().await), "InvalidInstanceID.NotFound");
    assert_eq!(refusal(client.describe_instances().instance_ids("i-x").send().await), "InvalidInstanceID.Malformed");
}

#[tokio::test]
async fn an_image_is_invisible_then_pending_then_available_with_its_snapshots() {
    let (ec2, client) = still().await;
    let id = begun(&client, "web-1").await;
    assert_eq!(refusal(client.describe_images().image_ids(&id).send().await), "InvalidAMIID.NotFound");
    let by_name = client.describe_images().owners("self").filters(filter("name", "web-1"));
    assert!(by_name.send().await.unwrap().images().is_empty());
    assert!(snapshots(&client).await.is_empty());
    pass(&ec2, 1);
    assert_eq!(snapshots(&client).await.len(), 2);
    pass(&ec2, 1);
    let pending = image(&client, &id).await;
    assert_eq!(pending.state(), Some(&ImageState::Pending));
    assert!(snapshot_ids(&pending).is_empty());
    pass(&ec2, 1);
    assert_eq!(snapshot_ids(&image(&client, &id).await).len(), 2);
    pass(&ec2, MADE_AFTER - 4);
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Pending));
    pass(&ec2, 1);
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Available));
    assert!(snapshots(&client).await.iter().all(|snapshot| snapshot.state() == Some(&SnapshotState::Completed)));
}

#[tokio::test]
async fn an_image_shows_what_ec2_shows() {
    let (ec2, client) = still().await;
    let description = "R&D's <first> \"image\" ~";
    let id = create(&client, "web-1").description(description).send().await.unwrap().image_id.unwrap();
    pass(&ec2, MADE_AFTER);
    let image = image(&client, &id).await;
    assert_eq!(image.description(), Some(description));
    assert_eq!(image.image_location(), Some("000000000000/web-1"));
    assert_eq!(image.owner_id(), Some("000000000000"));
    assert_eq!(image.architecture().unwrap().as_str(), "x86_64");
    assert_eq!(image.boot_mode().unwrap().as_str(), "uefi");
    assert_eq!(image.tpm_support().unwrap().as_str(), "v2.0");
    assert_eq!(image.imds_support().unwrap().as_str(), "v2.0");
    assert_eq!(image.source_instance_id(), Some(SEED_INSTANCE));
    assert_eq!(image.root_device_name(), Some("/dev/xvda"));
    assert_eq!(image.platform_details(), Some("Linux/UNIX"));
    assert_eq!(image.public(), Some(false));
    assert!(image.creation_date().unwrap().ends_with('Z'));
    let data = image.block_device_mappings()[1].ebs().unwrap();
    assert_eq!((data.volume_size(), data.iops(), data.throughput()), (Some(100), Some(3000), Some(125)));
    let attribute = client.describe_image_attribute().image_id(&id).attribute(ImageAttributeName::UefiData);
    assert!(attribute.send().await.unwrap().uefi_data().unwrap().value().is_some());
}

#[tokio::test]
async fn the_snapshots_of_a_set_wait_for_each_other_at_99_percent() {
    let (ec2, client) = still().await;
    begun(&client, "web-1").await;
    let progress = async |size: i32| {
        let snapshots = snapshots(&client).await;
        snapshots.iter().find(|snapshot| snapshot.volume_size() == Some(size)).unwrap().progress().unwrap().to_owned()
    };
    pass(&ec2, 18);
    assert_eq!(progress(8).await, "50%");
    pass(&ec2, 18);
    assert_eq!(progress(8).await, "99%");
    pass(&ec2, MADE_AFTER - 36);
    assert_eq!((progress(8).await, progress(100).await), ("100%".to_owned(), "100%".to_owned()));

    ec2.set_progress(Progress::AtOnce);
    begun(&client, "web-2").await;
    pass(&ec2, MADE_AFTER - 1);
    assert_eq!(ec2.snapshots().iter().map(|snapshot| snapshot.percent).min(), Some(0));
}

#[tokio::test]
async fn snapshots_tell_which_image_they_were_made_for() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let described = filter("description", &format!("Created by CreateImage(*) for {id}*"));
    let answer = client.describe_snapshots().owner_ids("self").filters(described).send().await.unwrap();
    assert_eq!(answer.snapshots().len(), 2);
    let expected = format!("Created by CreateImage({SEED_INSTANCE}) for {id}");
    assert_eq!(answer.snapshots()[0].description(), Some(expected.as_str()));
}

#[tokio::test]
async fn a_running_instance_is_rebooted_unless_told_not_to_and_a_stopped_one_is_not() {
    let (ec2, client) = still().await;
    let reboots = || ec2.instance(SEED_INSTANCE).unwrap().reboots;
    create(&client, "web-1").no_reboot(true).send().await.unwrap();
    assert!(reboots().is_empty());
    begun(&client, "web-2").await;
    assert_eq!(reboots(), [ec2.sim_now()]);
    let status = async || {
        let answer = client.describe_instance_status().instance_ids(SEED_INSTANCE).send().await.unwrap();
        answer.instance_statuses()[0].instance_status().unwrap().status().unwrap().clone()
    };
    assert_eq!(state(&client, SEED_INSTANCE).await, InstanceStateName::Running);
    assert_eq!(status().await, SummaryStatus::Initializing);
    pass(&ec2, 30);
    assert_eq!(status().await, SummaryStatus::Ok);
    client.stop_instances().instance_ids(SEED_INSTANCE).send().await.unwrap();
    pass(&ec2, 20);
    begun(&client, "web-3").await;
    assert_eq!(reboots().len(), 1);
    let running = client.describe_instance_status().send().await.unwrap();
    assert!(running.instance_statuses().is_empty());
    let all = client.describe_instance_status().include_all_instances(true).send().await.unwrap();
    assert_eq!(all.instance_statuses().len(), 1);
}

#[tokio::test]
async fn only_a_running_or_stopped_instance_with_an_ebs_root_can_be_imaged() {
    let (ec2, client) = still().await;
    for state in [
        InstanceStateName::Pending,
        InstanceStateName::Stopping,
        InstanceStateName::ShuttingDown,
        InstanceStateName::Terminated,
    ] {
        let id = ec2.add_instance(InstanceSpec::default().state(state));
        let error = client.create_image().instance_id(id).name("web-1").send().await.unwrap_err();
        assert_eq!(error.code(), Some("InvalidParameterValue"));
        assert!(error.message().unwrap().contains("is not in state 'running' or 'stopped'"), "{error:?}");
    }
    let id = ec2.add_instance(InstanceSpec::default().instance_store_root());
    let described = client.describe_instances().instance_ids(&id).send().await.unwrap();
    assert_eq!(described.reservations()[0].instances()[0].root_device_type().unwrap().as_str(), "instance-store");
    assert_eq!(refusal(client.create_image().instance_id(id).name("web-1").send().await), "InvalidParameterValue");
    let unknown = client.create_image().instance_id("i-00000000000000000").name("web-1");
    assert_eq!(refusal(unknown.send().await), "InvalidInstanceID.NotFound");
}

#[tokio::test]
async fn a_name_is_unique_and_stays_taken_for_a_while_after_deregistration() {
    let (ec2, client) = still().await;
    let id = begun(&client, "web-1").await;
    let error = create(&client, "web-1").send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAMIName.Duplicate"));
    assert!(error.message().unwrap().contains(&id));
    pass(&ec2, 2);
    client.deregister_image().image_id(&id).send().await.unwrap();
    assert_eq!(refusal(create(&client, "web-1").send().await), "InvalidAMIName.Duplicate");
    pass(&ec2, 5);
    begun(&client, "web-1").await;
    assert_eq!(refusal(create(&client, "we").send().await), "InvalidAMIName.Malformed");
    assert_eq!(refusal(create(&client, "web:2").send().await), "InvalidAMIName.Malformed");
    let long = create(&client, "web-2").description("d".repeat(256));
    assert_eq!(refusal(long.send().await), "InvalidParameterValue");
}

#[tokio::test]
async fn tags_given_at_creation_are_on_the_image_and_every_snapshot() {
    let (ec2, client) = still().await;
    let request = create(&client, "web-1")
        .tag_specifications(tagged(ResourceType::Image, [tag("run", "1"), tag("on", "image")]))
        .tag_specifications(tagged(ResourceType::Snapshot, [tag("run", "1")]));
    request.send().await.unwrap();
    assert_eq!((ec2.images_tagged("run", "1").len(), ec2.snapshots_tagged("run", "1").len()), (1, 2));
    pass(&ec2, 3);
    let images = client.describe_images().filters(filter("tag:run", "1")).send().await.unwrap();
    assert_eq!(images.images()[0].tags(), [tag("on", "image"), tag("run", "1")]);
    let snapshots = client.describe_snapshots().filters(filter("tag-key", "run")).send().await.unwrap();
    assert_eq!(snapshots.snapshots().len(), 2);

    let create_with = |specification| create(&client, "web-2").tag_specifications(specification).send();
    let refused = async |tags: Vec<Tag>| refusal(create_with(tagged(ResourceType::Image, tags)).await);
    assert_eq!(refused(vec![tag("aws:run", "1")]).await, "InvalidParameterValue");
    assert_eq!(refused(vec![tag(&"k".repeat(129), "")]).await, "InvalidParameterValue");
    assert_eq!(refused(vec![tag("k", &"v".repeat(257))]).await, "InvalidParameterValue");
    assert_eq!(refused((0..51).map(|number| tag(&number.to_string(), "")).collect()).await, "TagLimitExceeded");
    let volume = create_with(tagged(ResourceType::Volume, [tag("run", "1")]));
    assert_eq!(refusal(volume.await), "InvalidParameterValue");
    assert_eq!(ec2.images().len(), 1);
}

#[tokio::test]
async fn tags_can_be_added_taken_away_and_listed() {
    let (ec2, client) = still().await;
    let id = begun(&client, "web-1").await;
    let add = |key: String| client.create_tags().resources(&id).resources(SEED_INSTANCE).tags(tag(&key, "1")).send();
    assert_eq!(refusal(add("run".to_owned()).await), "InvalidAMIID.NotFound");
    pass(&ec2, 3);
    add("run".to_owned()).await.unwrap();
    assert_eq!(ec2.instance(SEED_INSTANCE).unwrap().tags["run"], "1");
    let list = client.describe_tags().filters(filter("key", "run")).send().await.unwrap();
    let resources: Vec<_> = list.tags().iter().filter_map(|tag| tag.resource_id()).collect();
    assert_eq!(resources, [id.as_str(), SEED_INSTANCE]);
    let other_value = client.delete_tags().resources(&id).tags(tag("run", "2"));
    other_value.send().await.unwrap();
    assert_eq!(ec2.images_tagged("run", "1").len(), 1);
    client.delete_tags().resources(&id).tags(Tag::builder().key("run").build()).send().await.unwrap();
    assert_eq!(ec2.images_tagged("run", "1").len(), 0);
    for number in 3..50 {
        add(number.to_string()).await.unwrap();
    }
    assert_eq!(refusal(add("one".to_owned()).await), "TagLimitExceeded");
}

#[tokio::test]
async fn block_device_mappings_leave_devices_out_but_change_no_sizes() {
    let (ec2, client) = still().await;
    let mapping = || BlockDeviceMapping::builder().device_name("/dev/sdf");
    let ebs = |ebs: aws_sdk_ec2::types::builders::EbsBlockDeviceBuilder| mapping().ebs(ebs.build()).build();
    let larger = create(&client, "web-1").block_device_mappings(ebs(EbsBlockDevice::builder().volume_size(200)));
    assert_eq!(refusal(larger.send().await), "InvalidBlockDeviceMapping");
    let root = BlockDeviceMapping::builder().device_name("/dev/xvda").no_device("").build();
    assert_eq!(refusal(create(&client, "web-1").block_device_mappings(root).send().await), "InvalidBlockDeviceMapping");
    let kept =
        create(&client, "web-1").block_device_mappings(ebs(EbsBlockDevice::builder().delete_on_termination(true)));
    let kept = kept.send().await.unwrap().image_id.unwrap();
    let without = create(&client, "web-2").block_device_mappings(mapping().no_device("").build());
    let without = without.send().await.unwrap().image_id.unwrap();
    pass(&ec2, 3);
    let kept = image(&client, &kept).await;
    assert_eq!(kept.block_device_mappings()[1].ebs().unwrap().delete_on_termination(), Some(true));
    assert_eq!(snapshot_ids(&image(&client, &without).await).len(), 1);
    assert_eq!(ec2.snapshots().len(), 3);
}

#[tokio::test]
async fn at_most_five_snapshots_of_a_volume_are_made_at_once_and_one_of_a_throughput_volume() {
    let (ec2, client) = still().await;
    for number in 0..5 {
        begun(&client, &format!("web-{number}")).await;
    }
    assert_eq!(refusal(create(&client, "web-5").send().await), "ConcurrentSnapshotLimitExceeded");
    pass(&ec2, MADE_AFTER);
    begun(&client, "web-5").await;
    let slow = ec2.add_instance(InstanceSpec::default().volume("/dev/sdg", 500, "st1"));
    client.create_image().instance_id(&slow).name("slow-1").send().await.unwrap();
    let second = client.create_image().instance_id(&slow).name("slow-2");
    assert_eq!(refusal(second.send().await), "ConcurrentSnapshotLimitExceeded");
}

#[tokio::test]
async fn a_failed_image_gives_its_reason_shows_no_devices_and_leaves_its_snapshots() {
    let (ec2, client) = still().await;
    let after = Duration::from_secs(30);
    let (code, message) = ("Client.InternalError".to_owned(), "it broke".to_owned());
    ec2.next_image(SEED_INSTANCE, Fate::Fail { state: ImageState::Failed, code, message, after });
    let id = begun(&client, "web-1").await;
    pass(&ec2, 29);
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Pending));
    pass(&ec2, 1);
    let failed = image(&client, &id).await;
    assert_eq!(failed.state(), Some(&ImageState::Failed));
    assert_eq!(failed.state_reason().unwrap().message(), Some("it broke"));
    assert!(failed.block_device_mappings().is_empty());
    assert_eq!(ec2.snapshots().len(), 2);
    assert_eq!(ec2.image(&id).unwrap().snapshot_ids.len(), 2);
}

#[tokio::test]
async fn the_fate_of_an_image_can_be_chosen() {
    let (ec2, client) = still().await;
    ec2.next_image(SEED_INSTANCE, Fate::Never);
    ec2.next_image(SEED_INSTANCE, Fate::Takes(Duration::from_secs(5000)));
    let (never, late, usual) =
        (begun(&client, "never").await, begun(&client, "late").await, begun(&client, "usual").await);
    let states = |seconds| {
        pass(&ec2, seconds);
        [&never, &late, &usual].map(|id| ec2.image(id).unwrap().state)
    };
    use ImageState::{Available, Pending};
    assert_eq!(states(MADE_AFTER), [Pending, Pending, Available]);
    assert_eq!(states(5000), [Pending, Available, Available]);
    assert_eq!(states(1_000_000), [Pending, Available, Available]);
    assert_eq!(ec2.snapshots().iter().filter(|snapshot| snapshot.state == SnapshotState::Pending).count(), 2);
}

#[tokio::test]
async fn an_image_fails_when_its_instance_is_terminated_meanwhile() {
    let (ec2, client) = still().await;
    ec2.next_image(SEED_INSTANCE, Fate::InstanceTerminated);
    let planned = begun(&client, "web-1").await;
    pass(&ec2, 5);
    let reason = image(&client, &planned).await.state_reason.unwrap();
    assert_eq!(reason.code(), Some("Client.InstanceTerminated"));
    assert_eq!(state(&client, SEED_INSTANCE).await, InstanceStateName::ShuttingDown);

    let instance = ec2.add_instance(InstanceSpec::default());
    let id = client.create_image().instance_id(&instance).name("web-2").send().await.unwrap().image_id.unwrap();
    pass(&ec2, 2);
    client.reboot_instances().instance_ids(&instance).send().await.unwrap();
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Failed));
}

#[tokio::test]
async fn a_deregistered_image_lingers_then_fades_for_hours_then_is_unknown() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    client.deregister_image().image_id(&id).send().await.unwrap();
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Available));
    assert!(ec2.images().is_empty());
    pass(&ec2, 3);
    assert!(client.describe_images().image_ids(&id).send().await.unwrap().images().is_empty());
    assert!(client.describe_images().owners("self").send().await.unwrap().images().is_empty());
    assert_eq!(refusal(client.deregister_image().image_id(&id).send().await), "InvalidAMIID.Unavailable");
    pass(&ec2, 6 * 3600);
    assert_eq!(refusal(client.describe_images().image_ids(&id).send().await), "InvalidAMIID.NotFound");
}

#[tokio::test]
async fn a_deregistered_image_is_answered_with_an_empty_list_as_long_as_there_are_instances_of_it() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let run = client.run_instances().image_id(&id).min_count(1).max_count(1).send().await.unwrap();
    let instance = run.instances()[0].instance_id().unwrap();
    client.deregister_image().image_id(&id).send().await.unwrap();
    pass(&ec2, 30 * 24 * 3600);
    assert!(client.describe_images().image_ids(&id).send().await.unwrap().images().is_empty());
    client.terminate_instances().instance_ids(instance).send().await.unwrap();
    pass(&ec2, 2 * 3600);
    assert_eq!(refusal(client.describe_images().image_ids(&id).send().await), "InvalidAMIID.NotFound");
}

#[tokio::test]
async fn the_snapshots_of_an_image_in_the_recycle_bin_stay_in_use() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    ec2.add_bin_rule(BinRule::new(BinResource::Image, Duration::from_secs(24 * 3600)));
    ec2.hold_snapshots_of_images_in_bin();
    client.deregister_image().image_id(&id).send().await.unwrap();
    pass(&ec2, 23 * 3600);
    for snapshot in ec2.snapshots() {
        assert_eq!(refusal(client.delete_snapshot().snapshot_id(snapshot.id).send().await), "InvalidSnapshot.InUse");
    }
    pass(&ec2, 3600);
    for snapshot in ec2.snapshots() {
        client.delete_snapshot().snapshot_id(snapshot.id).send().await.unwrap();
    }
}

#[tokio::test]
async fn the_recycle_bin_keeps_by_its_longest_rule_what_no_tag_excludes_and_gives_it_back() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let of_image = snapshot_ids(&image(&client, &id).await);
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    ec2.add_bin_rule(BinRule::new(BinResource::Image, days(1)));
    ec2.add_bin_rule(BinRule::new(BinResource::Image, days(7)).with_tag("Team", "web"));
    ec2.add_bin_rule(BinRule::new(BinResource::Snapshot, days(2)).without_tag("Bin", "no"));
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    client.create_tags().resources(&id).tags(tag("Team", "web")).send().await.unwrap();
    client.create_tags().resources(&of_image[1]).tags(tag("Bin", "no")).send().await.unwrap();
    client.deregister_image().image_id(&id).send().await.unwrap();
    for snapshot in &of_image {
        client.delete_snapshot().snapshot_id(snapshot).send().await.unwrap();
    }
    let in_bin = client.list_images_in_recycle_bin().image_ids(&id).send().await.unwrap();
    let stay = &in_bin.images()[0];
    let seconds = stay.recycle_bin_exit_time().unwrap().secs() - stay.recycle_bin_enter_time().unwrap().secs();
    assert_eq!((in_bin.images().len(), seconds, stay.name()), (1, 7 * 24 * 3600, Some("web-1")));
    let in_bin = client.list_snapshots_in_recycle_bin().send().await.unwrap();
    let kept: Vec<_> = in_bin.snapshots().iter().filter_map(|one| one.snapshot_id()).collect();
    assert_eq!(kept, [of_image[0].as_str()]);
    assert!(in_bin.snapshots()[0].description().unwrap().contains(&id));
    // Without all of its snapshots, an image cannot be brought back.
    let restore = || client.restore_image_from_recycle_bin().image_id(&id).send();
    assert_eq!(refusal(restore().await), "InvalidSnapshot.NotFound");
    pass(&ec2, 2 * 24 * 3600);
    let gone = client.restore_snapshot_from_recycle_bin().snapshot_id(&of_image[0]).send().await;
    assert_eq!(refusal(gone), "InvalidSnapshot.NotFound");
    pass(&ec2, 5 * 24 * 3600);
    assert_eq!(refusal(restore().await), "InvalidAMIID.NotFound");
}

#[tokio::test]
async fn a_snapshot_can_be_deleted_only_after_its_image() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let ids = snapshot_ids(&image(&client, &id).await);
    let error = client.delete_snapshot().snapshot_id(&ids[0]).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSnapshot.InUse"));
    assert!(error.message().unwrap().ends_with(&format!("is currently in use by {id}")));
    client.deregister_image().image_id(&id).send().await.unwrap();
    for snapshot_id in &ids {
        client.delete_snapshot().snapshot_id(snapshot_id).send().await.unwrap();
    }
    assert!(ec2.snapshots().is_empty());
    assert_eq!(refusal(client.delete_snapshot().snapshot_id(&ids[0]).send().await), "InvalidSnapshot.NotFound");
    assert_eq!(refusal(client.describe_snapshots().snapshot_ids(&ids[0]).send().await), "InvalidSnapshot.NotFound");
}

#[tokio::test]
async fn one_snapshot_in_five_seems_in_use_for_a_while_after_deregistration() {
    let (ec2, client) = still().await;
    let mut in_use = Vec::new();
    for number in 0..5 {
        let id = made(&ec2, &client, &format!("web-{number}")).await;
        let ids = snapshot_ids(&image(&client, &id).await);
        client.deregister_image().image_id(&id).send().await.unwrap();
        for snapshot_id in ids {
            if let Err(error) = client.delete_snapshot().snapshot_id(&snapshot_id).send().await {
                assert_eq!(error.code(), Some("InvalidSnapshot.InUse"));
                in_use.push(snapshot_id);
            }
        }
    }
    assert_eq!(in_use.len(), 2, "of ten");
    pass(&ec2, 8);
    for snapshot_id in in_use {
        client.delete_snapshot().snapshot_id(snapshot_id).send().await.unwrap();
    }
    assert!(ec2.snapshots().is_empty());
}

#[tokio::test]
async fn deleting_snapshots_along_with_their_image_tells_what_became_of_each() {
    let (ec2, client) = still().await;
    let remove = async |id: &str| {
        let answer = client.deregister_image().image_id(id).delete_associated_snapshots(true).send().await.unwrap();
        assert_eq!(answer.r#return(), Some(true));
        let codes = answer.delete_snapshot_results().iter().map(|result| result.return_code().unwrap().to_string());
        codes.collect::<Vec<_>>()
    };
    let id = made(&ec2, &client, "plain").await;
    assert_eq!(remove(&id).await, ["success", "success"]);
    let id = made(&ec2, &client, "shared").await;
    let sharing = ec2.add_image_sharing(&id, "sharing");
    assert_eq!(remove(&id).await, ["skipped", "skipped"]);
    assert_eq!(remove(&sharing).await, ["success", "success"]);
    let id = made(&ec2, &client, "locked").await;
    let ids = snapshot_ids(&image(&client, &id).await);
    ec2.lock_snapshot(&ids[0]);
    let denied = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    ec2.inject(Fault::on("DeleteSnapshot", denied).mentioning(&ids[1]));
    assert_eq!(remove(&id).await, ["client-error", "missing-permissions"]);
    assert_eq!(ec2.snapshots().len(), 2);
}

#[tokio::test]
async fn a_locked_snapshot_cannot_be_deleted() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let ids = snapshot_ids(&image(&client, &id).await);
    let lock = client.lock_snapshot().snapshot_id(&ids[0]).lock_mode(LockMode::Governance).lock_duration(1);
    assert_eq!(lock.send().await.unwrap().lock_state().unwrap().as_str(), "governance");
    client.deregister_image().image_id(&id).send().await.unwrap();
    assert_eq!(refusal(client.delete_snapshot().snapshot_id(&ids[0]).send().await), "SnapshotLocked");
    pass(&ec2, 24 * 3600);
    client.delete_snapshot().snapshot_id(&ids[0]).send().await.unwrap();
    assert_eq!(ec2.snapshots().len(), 1);
}

#[tokio::test]
async fn a_lock_can_be_taken_off_unless_it_is_of_compliance_mode_and_has_cooled_off() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let ids = snapshot_ids(&image(&client, &id).await);
    let lock = |mode| client.lock_snapshot().snapshot_id(&ids[0]).lock_mode(mode).lock_duration(1);
    let unlock = async || client.unlock_snapshot().snapshot_id(&ids[0]).send().await;
    assert_eq!(refusal(unlock().await), "IncorrectState");
    lock(LockMode::Governance).send().await.unwrap();
    unlock().await.unwrap();
    lock(LockMode::Compliance).cool_off_period(1).send().await.unwrap();
    unlock().await.unwrap();
    lock(LockMode::Compliance).cool_off_period(1).send().await.unwrap();
    pass(&ec2, 3600);
    assert_eq!(refusal(unlock().await), "IncorrectState");
}

#[tokio::test]
async fn a_protected_image_cannot_be_deregistered_nor_for_a_day_after_if_it_has_a_cooldown() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let deregister = || client.deregister_image().image_id(&id).send();
    let protection = async || image(&client, &id).await.deregistration_protection.unwrap();
    let protect = |cooldown| client.enable_image_deregistration_protection().image_id(&id).with_cooldown(cooldown);
    let unprotect = || client.disable_image_deregistration_protection().image_id(&id).send();
    assert_eq!(protection().await, "disabled");
    protect(false).send().await.unwrap();
    assert_eq!(protection().await, "enabled-without-cooldown");
    assert_eq!(refusal(deregister().await), "OperationNotPermitted");
    unprotect().await.unwrap();
    protect(true).send().await.unwrap();
    assert_eq!(protection().await, "enabled-with-cooldown");
    unprotect().await.unwrap();
    pass(&ec2, 24 * 3600 - 1);
    assert_eq!(refusal(deregister().await), "OperationNotPermitted");
    pass(&ec2, 1);
    deregister().await.unwrap();
}

#[tokio::test]
async fn a_description_and_a_deprecation_time_show_late() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let in_a_day = DateTime::from(ec2.sim_now() + Duration::from_secs(24 * 3600));
    let rounded = DateTime::from_secs((in_a_day.secs() + 30) / 60 * 60).fmt(DateTimeFormat::DateTime).unwrap();
    client.enable_image_deprecation().image_id(&id).deprecate_at(in_a_day).send().await.unwrap();
    let description = aws_sdk_ec2::types::AttributeValue::builder().value("new").build();
    client.modify_image_attribute().image_id(&id).description(description).send().await.unwrap();
    let before = image(&client, &id).await;
    assert_eq!((before.deprecation_time(), before.description()), (None, None));
    pass(&ec2, 2);
    let after = image(&client, &id).await;
    assert_eq!(after.deprecation_time(), Some(rounded.replace('Z', ".000Z").as_str()));
    assert_eq!(after.description(), Some("new"));
    client.disable_image_deprecation().image_id(&id).send().await.unwrap();
    pass(&ec2, 2);
    assert_eq!(image(&client, &id).await.deprecation_time(), None);
}

#[tokio::test]
async fn a_deprecation_time_in_the_past_or_ten_years_ahead_is_refused() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    let deprecate = |at: SystemTime| client.enable_image_deprecation().image_id(&id).deprecate_at(at.into()).send();
    let year = Duration::from_secs(366 * 24 * 3600);
    let now = ec2.sim_now();
    assert_eq!(refusal(deprecate(now - Duration::from_secs(60)).await), "InvalidParameterValue");
    assert_eq!(refusal(deprecate(now + year * 10).await), "InvalidParameterValue");
    deprecate(now + year * 9).await.unwrap();
}

#[tokio::test]
async fn a_disabled_image_is_invisible_unless_asked_for() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    client.disable_image().image_id(&id).send().await.unwrap();
    let own = || client.describe_images().owners("self");
    assert!(own().send().await.unwrap().images().is_empty());
    let disabled = own().include_disabled(true).send().await.unwrap();
    assert_eq!(disabled.images()[0].state(), Some(&ImageState::Disabled));
    assert_eq!(refusal(create(&client, "web-1").send().await), "InvalidAMIName.Duplicate");
    client.enable_image().image_id(&id).send().await.unwrap();
    assert_eq!(own().send().await.unwrap().images()[0].state(), Some(&ImageState::Available));
}

#[tokio::test]
async fn lists_come_in_pages_and_pass_filters() {
    let (ec2, client) = still().await;
    for number in 0..12 {
        ec2.add_foreign_image(format!("old-{number:02}"), &[("Team", "other")]);
    }
    let pages = client.describe_images().owners("self").filters(filter("tag:Team", "other")).max_results(5);
    let images: Vec<Image> = pages.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(images.len(), 12);
    assert_eq!(ec2.calls_of("DescribeImages").len(), 3);
    let pages = client.describe_snapshots().max_results(5).into_paginator().items().send();
    assert_eq!(pages.collect::<Result<Vec<_>, _>>().await.unwrap().len(), 12);
    let either = Filter::builder().name("name").values("old-0?").values("old-11").build();
    assert_eq!(client.describe_images().filters(either).send().await.unwrap().images().len(), 11);
    let unknown = client.describe_images().filters(filter("nme", "web")).send();
    assert_eq!(refusal(unknown.await), "InvalidParameterValue");
    assert_eq!(refusal(client.describe_snapshots().max_results(4).send().await), "InvalidParameterValue");
    let amazons = client.describe_images().owners("amazon").send().await.unwrap();
    assert_eq!(amazons.images()[0].image_id(), Some(local_ec2::BASE_IMAGE));
}

/// A world with foreign images, a snapshot each, and an image with a tag whose id sorts after theirs.
async fn crowded() -> (Ec2, Client) {
    let (ec2, client) = still().await;
    for number in 0..12 {
        ec2.add_foreign_image(format!("old-{number:02}"), &[]);
    }
    ec2.add_image_of_id("ami-0fffffffffffffffe", "wanted", &[("run", "1")]);
    (ec2, client)
}

#[tokio::test]
async fn ec2_pages_first_and_filters_then_so_that_a_page_may_be_empty_and_not_the_last() {
    let (_ec2, client) = crowded().await;
    let first = client.describe_images().owners("self").filters(filter("tag:run", "1")).max_results(5);
    let first = first.send().await.unwrap();
    assert!(first.images().is_empty() && first.next_token().is_some());
    let first = client.describe_images().owners("self").filters(filter("name", "wanted")).max_results(12);
    let first = first.send().await.unwrap();
    assert!(first.images().is_empty() && first.next_token().is_some());

    let pages = client.describe_snapshots().filters(filter("tag:run", "1")).max_results(5).into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    let sizes: Vec<_> = pages.iter().map(|page| page.snapshots().len()).collect();
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (3, 1));

    // Two volumes and the instance have no such tag, the first instance has two of its own.
    let pages = client.describe_tags().filters(filter("value", "platform")).max_results(5).into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.tags().len()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn instances_are_paged_before_they_are_filtered_too() {
    let (ec2, client) = still().await;
    for _ in 0..6 {
        ec2.add_instance(InstanceSpec::default());
    }
    ec2.add_instance(InstanceSpec::default().id("i-0ffffffffffffffff").tag("Name", "wanted"));
    let pages = client.describe_instances().filters(filter("tag:Name", "wanted")).max_results(5);
    let pages: Vec<_> = pages.into_paginator().send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.reservations().len()).collect::<Vec<_>>(), [0, 1]);
    let both = client.describe_instances().instance_ids(SEED_INSTANCE).max_results(5).send();
    assert_eq!(refusal(both.await), "InvalidParameterCombination");
}

#[tokio::test]
async fn without_pages_a_filter_answers_everything_at_once() {
    let (_ec2, client) = crowded().await;
    let images = client.describe_images().owners("self").filters(filter("tag:run", "1")).send().await.unwrap();
    assert_eq!((images.images().len(), images.next_token()), (1, None));
    let snapshots = client.describe_snapshots().filters(filter("tag:run", "1")).send().await.unwrap();
    assert_eq!((snapshots.snapshots().len(), snapshots.next_token()), (1, None));
    let tags = client.describe_tags().filters(filter("key", "run")).send().await.unwrap();
    assert_eq!((tags.tags().len(), tags.next_token()), (2, None));
}

#[test]
fn an_account_of_2500_images_and_50000_snapshots_is_looked_at_quickly() {
    let ec2 = Ec2::new(&Settings { speed: 0.0, request_buckets: false, ..Settings::default() });
    for number in 0..2_500 {
        ec2.add_foreign_image(format!("old-{number}"), &[("Team", "other")]);
    }
    ec2.add_foreign_snapshots(47_500);
    let answer = |body: &str| ec2.answer(Request::read("", body.as_bytes(), "app/test"));
    let start = std::time::Instant::now();
    for _ in 0..10 {
        for body in [
            "Action=DescribeImages&Owner.1=self&Filter.1.Name=tag:run&Filter.1.Value.1=1",
            "Action=DescribeSnapshots&Owner.1=self&Filter.1.Name=tag:run&Filter.1.Value.1=1",
            "Action=DescribeSnapshots&Filter.1.Name=description&Filter.1.Value.1=Created by CreateImage(*) for ami-1*",
            "Action=DescribeSnapshots&Filter.1.Name=snapshot-id&Filter.1.Value.1=snap-1&Filter.1.Value.2=snap-2",
            "Action=DescribeTags&Filter.1.Name=resource-id&Filter.1.Value.1=ami-1",
        ] {
            assert!(matches!(answer(body), Reply::Answer { status: 200, .. }));
        }
        ec2.snapshots();
        ec2.images();
    }
    let took = start.elapsed() / 70;
    assert!(took < Duration::from_millis(250), "{took:?} a look");
}

#[tokio::test]
async fn a_description_beyond_printable_ascii_is_refused() {
    let (ec2, client) = still().await;
    let id = made(&ec2, &client, "web-1").await;
    for text in ["Ünïcode", "образ", "two\nlines", "\u{7f}"] {
        assert_eq!(refusal(create(&client, "web-2").description(text).send().await), "InvalidParameterValue");
        let value = aws_sdk_ec2::types::AttributeValue::builder().value(text).build();
        let change = client.modify_image_attribute().image_id(&id).description(value);
        assert_eq!(refusal(change.send().await), "InvalidParameterValue");
    }
    assert_eq!((ec2.images().len(), ec2.image(&id).unwrap().description), (1, None));
}

#[tokio::test]
async fn only_so_many_images_of_an_instance_are_made_at_once_without_a_reboot() {
    let settings = Settings { speed: 0.0, images_without_reboot: 1, ..Settings::default() };
    let (ec2, client) = start(settings).await;
    let without_reboot = |name: &str| create(&client, name).no_reboot(true).send();
    without_reboot("web-1").await.unwrap();
    assert_eq!(refusal(without_reboot("web-2").await), "ConcurrentCreateImageNoRebootLimitExceeded");
    begun(&client, "web-3").await;
    let other = ec2.add_instance(InstanceSpec::default());
    client.create_image().instance_id(other).name("other").no_reboot(true).send().await.unwrap();
    pass(&ec2, MADE_AFTER);
    without_reboot("web-2").await.unwrap();
}

#[tokio::test]
async fn two_changes_of_a_resources_tags_at_once_are_refused() {
    let lags = Lags { tag_access: Duration::from_secs(2), ..Lags::default() };
    let (ec2, client) = start(Settings { speed: 0.0, lags, ..Settings::default() }).await;
    let image = ec2.add_foreign_image("web", &[]);
    let tag_it = |id: &str| client.create_tags().resources(id).tags(tag("k", "v")).send();
    tag_it(&image).await.unwrap();
    assert_eq!(refusal(tag_it(&image).await), "ConcurrentTagAccess");
    let off = client.delete_tags().resources(SEED_INSTANCE).resources(&image).tags(tag("k", "v")).send();
    assert_eq!(refusal(off.await), "ConcurrentTagAccess");
    tag_it(SEED_INSTANCE).await.unwrap();
    pass(&ec2, 2);
    tag_it(&image).await.unwrap();
}

#[tokio::test]
async fn an_image_may_show_before_its_tags_and_devices_and_snapshots_before_their_tags() {
    let minute = Duration::from_secs(60);
    let lags =
        Lags { image_tags_show: minute, image_devices_show: 2 * minute, snapshot_tags_show: minute, ..Lags::default() };
    let (ec2, client) = start(Settings { speed: 0.0, lags, ..Settings::default() }).await;
    let tags = || [tag("run", "1")];
    let request = create(&client, "web-1")
        .tag_specifications(tagged(ResourceType::Image, tags()))
        .tag_specifications(tagged(ResourceType::Snapshot, tags()));
    let id = request.send().await.unwrap().image_id.unwrap();
    let seen = async || {
        let tagged = || filter("tag:run", "1");
        let images = client.describe_images().filters(tagged()).send().await.unwrap();
        let snapshots = client.describe_snapshots().filters(tagged()).send().await.unwrap();
        let listed = client.describe_tags().filters(filter("key", "run")).send().await.unwrap();
        let image = image(&client, &id).await;
        assert_eq!(image.tags().len(), images.images().len());
        (image.tags().len(), snapshot_ids(&image).len(), snapshots.snapshots().len(), listed.tags().len())
    };
    pass(&ec2, 59);
    assert_eq!(seen().await, (0, 0, 0, 0));
    pass(&ec2, 1);
    assert_eq!(seen().await, (1, 0, 2, 3));
    pass(&ec2, 60);
    assert_eq!(seen().await, (1, 2, 2, 3));
}

#[tokio::test]
async fn the_snapshots_of_a_rebooting_instance_may_begin_minutes_after_the_image() {
    let lags = Lags { rebooted_snapshots_begin: Duration::from_secs(180), ..Lags::default() };
    let (ec2, client) = start(Settings { speed: 0.0, lags, ..Settings::default() }).await;
    let id = begun(&client, "web-1").await;
    pass(&ec2, 180);
    assert!(snapshots(&client).await.is_empty());
    let pending = image(&client, &id).await;
    assert_eq!((pending.state(), snapshot_ids(&pending).len()), (Some(&ImageState::Pending), 2));
    pass(&ec2, 1);
    assert_eq!(snapshots(&client).await.len(), 2);
    pass(&ec2, MADE_AFTER - 2);
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Pending));
    pass(&ec2, 1);
    assert_eq!(image(&client, &id).await.state(), Some(&ImageState::Available));

    create(&client, "web-2").no_reboot(true).send().await.unwrap();
    pass(&ec2, 1);
    assert_eq!(snapshots(&client).await.len(), 4);
}

#[tokio::test]
async fn an_image_in_use_names_its_instances() {
    let (ec2, client) = still().await;
    let references = || client.describe_image_references().image_ids(local_ec2::BASE_IMAGE);
    let all = references().include_all_resource_types(true).send().await.unwrap();
    let arn = format!("arn:aws:ec2:us-east-1:000000000000:instance/{SEED_INSTANCE}");
    assert_eq!(all.image_references()[0].arn(), Some(arn.as_str()));
    client.terminate_instances().instance_ids(SEED_INSTANCE).send().await.unwrap();
    pass(&ec2, 3600);
    let all = references().include_all_resource_types(true).send().await.unwrap();
    assert_eq!(all.image_references().len(), 1, "a terminated instance counts");
    let of_instances = |states: &[&str]| {
        let values = Some(states.iter().map(|state| (*state).to_owned()).collect());
        let option = ResourceTypeOption::builder().option_name("state-name".into()).set_option_values(values).build();
        ResourceTypeRequest::builder().resource_type("ec2:Instance".into()).resource_type_options(option).build()
    };
    let running = references().resource_types(of_instances(&["running", "stopped"])).send().await.unwrap();
    assert!(running.image_references().is_empty(), "unless the request says otherwise");
}

#[tokio::test]
async fn references_have_a_depth_pages_and_at_most_ten_images() {
    let (ec2, client) = still().await;
    let image = ec2.add_foreign_image("golden", &[]);
    let versions: Vec<_> = [image.as_str()].into_iter().chain(["ami-0other"; 10]).collect();
    let template = ec2.add_launch_template("web", &versions);
    let references = || client.describe_image_references().image_ids(&image).include_all_resource_types(true);
    assert!(references().send().await.unwrap().image_references().is_empty(), "only the ten newest versions");
    let option = ResourceTypeOption::builder().option_name("version-depth".into()).option_values("11").build();
    let deep = ResourceTypeRequest::builder().resource_type("ec2:LaunchTemplate".into()).resource_type_options(option);
    let found = references().resource_types(deep.build()).send().await.unwrap();
    assert_eq!(found.image_references()[0].arn(), Some(template.as_str()));

    for number in 0..7 {
        ec2.add_reference("ssm:Parameter", format!("/golden/{number}"), &image);
    }
    ec2.add_reference("autoscaling:LaunchConfiguration", "old", &image);
    let first = references().max_results(5).send().await.unwrap();
    let second = references().max_results(5).set_next_token(first.next_token).send().await.unwrap();
    assert_eq!((first.image_references.unwrap().len(), second.image_references().len()), (5, 2));
    assert_eq!(references().max_results(4).send().await.unwrap_err().code(), Some("InvalidParameterValue"));
    let eleven = references().set_image_ids(Some(vec![image.clone(); 11])).send().await;
    assert_eq!(eleven.unwrap_err().code(), Some("InvalidParameterValue"));
    assert_eq!(
        client.describe_image_references().image_ids(&image).send().await.unwrap_err().code(),
        Some("MissingParameter")
    );
}

#[tokio::test]
async fn an_image_that_is_aged_is_made_so_much_earlier_with_its_snapshots() {
    let (ec2, client) = still().await;
    ec2.next_image(SEED_INSTANCE, Fate::Takes(Duration::from_secs(3600)));
    let id = create(&client, "web-1").send().await.unwrap().image_id.unwrap();
    pass(&ec2, 60);
    assert_eq!(ec2.image(&id).unwrap().state, ImageState::Pending);
    ec2.age_image(&id, Duration::from_secs(3600));
    assert_eq!(ec2.image(&id).unwrap().state, ImageState::Available);
    assert!(ec2.snapshots().iter().all(|snapshot| snapshot.state == SnapshotState::Completed));
}

#[tokio::test]
async fn a_launch_template_has_the_tags_that_it_was_made_with() {
    let (ec2, client) = still().await;
    let image = ec2.add_foreign_image("golden", &[]);
    let create = |kind| {
        let data = RequestLaunchTemplateData::builder().image_id(&image).build();
        let named = client.create_launch_template().launch_template_name("web").launch_template_data(data);
        named.tag_specifications(tagged(kind, [tag("Team", "web")])).send()
    };
    let refused = create(ResourceType::Instance).await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterValue"));
    let made = create(ResourceType::LaunchTemplate).await.unwrap().launch_template.unwrap();
    assert_eq!(made.tags(), [tag("Team", "web")]);
    let id = made.launch_template_id().unwrap();
    client.create_tags().resources(id).tags(tag("Stage", "new")).send().await.unwrap();
    let shown = async || {
        let tagged = client.describe_launch_templates().filters(filter("tag:Team", "w*")).send().await.unwrap();
        let tags = tagged.launch_templates().iter().flat_map(|template| template.tags());
        tags.map(|tag| format!("{}={}", tag.key().unwrap(), tag.value().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, ["Stage=new", "Team=web"]);
    client.delete_launch_template().launch_template_id(id).send().await.unwrap();
    assert!(shown().await.is_empty());
    let gone = client.create_tags().resources(id).tags(tag("Stage", "new")).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("InvalidLaunchTemplateId.NotFound"));
}

#[tokio::test]
async fn requests_beyond_the_bucket_are_refused_until_it_refills() {
    let (ec2, client) = still().await;
    let look = || client.describe_instances().send();
    for _ in 0..50 {
        look().await.unwrap();
    }
    let error = look().await.unwrap_err();
    assert_eq!(error.code(), Some("RequestLimitExceeded"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 503);
    client.describe_instances().filters(filter("tag:Name", "web")).send().await.unwrap();
    pass(&ec2, 1);
    for _ in 0..10 {
        look().await.unwrap();
    }
    assert_eq!(refusal(look().await), "RequestLimitExceeded");
    let (_ec2, client) = start(Settings { speed: 0.0, request_buckets: false, ..Settings::default() }).await;
    for _ in 0..60 {
        client.describe_instances().send().await.unwrap();
    }
}

#[tokio::test]
async fn faults_strike_the_calls_they_are_meant_for_as_often_as_they_are_meant_to() {
    let (ec2, client) = still().await;
    let named = |name: &str| create(&client, name).send();
    ec2.inject(Fault::on("CreateImage", FaultKind::Throttle).mentioning("web-1").times(2));
    assert_eq!(refusal(named("web-1").await), "RequestLimitExceeded");
    named("web-2").await.unwrap();
    assert_eq!(refusal(named("web-1").await), "RequestLimitExceeded");
    named("web-1").await.unwrap();

    let look = || client.describe_images().send();
    ec2.inject(Fault::on("DescribeImages", FaultKind::ServerError(503)).after(1));
    look().await.unwrap();
    assert_eq!(refusal(look().await), "Unavailable");
    let refused = FaultKind::Refused { code: "UnauthorizedOperation".to_owned(), message: "no".to_owned() };
    ec2.inject(Fault::on_any(refused).for_ever());
    for _ in 0..3 {
        assert_eq!(refusal(look().await), "UnauthorizedOperation");
    }
    ec2.clear_faults();
    look().await.unwrap();
    ec2.inject(Fault::on_any(FaultKind::Slow(Duration::from_millis(100))));
    let before = std::time::Instant::now();
    look().await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_lost_response_leaves_the_work_done_and_a_reset_connection_does_not() {
    let (ec2, client) = still().await;
    ec2.inject(Fault::on("CreateImage", FaultKind::ConnectionReset));
    let error = create(&client, "web-1").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert!(ec2.images().is_empty());
    ec2.inject(Fault::on("CreateImage", FaultKind::LostResponse));
    let error = create(&client, "web-1").send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    assert_eq!(ec2.images().len(), 1);
    ec2.inject(Fault::on("CreateImage", FaultKind::LostResponseAs(500)));
    assert_eq!(refusal(create(&client, "web-2").send().await), "InternalError");
    assert_eq!(ec2.images().len(), 2);
    let calls = ec2.calls_of("CreateImage");
    let outcomes: Vec<_> = calls.iter().map(|call| (call.outcome.is_ok(), call.answered)).collect();
    assert_eq!(outcomes, [(false, false), (true, false), (true, false)]);

    // The SDK's own retry of a lost CreateImage meets the image it has made.
    ec2.inject(Fault::on("CreateImage", FaultKind::LostResponse));
    let retrying = ec2.client();
    assert_eq!(refusal(create(&retrying, "web-3").send().await), "InvalidAMIName.Duplicate");
}

#[tokio::test]
async fn every_call_is_written_down() {
    let (ec2, client) = still().await;
    begun(&client, "web-1").await;
    client.describe_images().send().await.unwrap();
    create(&client, "web-1").send().await.unwrap_err();
    let calls = ec2.calls();
    let actions: Vec<_> = calls.iter().map(|call| call.action.as_str()).collect();
    assert_eq!(actions, ["CreateImage", "DescribeImages", "CreateImage"]);
    assert_eq!(calls[0].parameters["InstanceId"], SEED_INSTANCE);
    assert_eq!(calls[2].outcome, Err("InvalidAMIName.Duplicate".to_owned()));
    assert_eq!((calls[0].at, calls[0].caller.starts_with("aws-sdk-rust/")), (ec2.sim_now(), true));
    assert_eq!(ec2.mutating_calls().len(), 2);
}

#[tokio::test]
async fn a_dry_run_does_nothing() {
    let (ec2, client) = still().await;
    let error = create(&client, "web-1").dry_run(true).send().await.unwrap_err();
    assert_eq!(error.code(), Some("DryRunOperation"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 412);
    assert!(ec2.images().is_empty());
}

#[tokio::test]
async fn what_ec2_does_not_know_is_refused() {
    let (_ec2, client) = still().await;
    assert_eq!(refusal(client.describe_hosts().send().await), "InvalidAction");
    let unknown = client.describe_images().customize().mutate_request(|request| {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap() + "&Colour=red";
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = body.into();
    });
    assert_eq!(refusal(unknown.send().await), "UnknownParameter");
    assert_eq!(refusal(client.create_image().name("web-1").send().await), "MissingParameter");
}

#[tokio::test]
async fn ids_are_the_same_for_the_same_seed() {
    let mut ids = Vec::new();
    for seed in [7, 7, 8] {
        let (_ec2, client) = start(Settings { speed: 0.0, seed, ..Settings::default() }).await;
        client.describe_images().send().await.unwrap();
        ids.push(begun(&client, "web-1").await);
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn time_runs_at_the_speed_it_is_told_to() {
    let lags = Lags { image_appears: Duration::ZERO, ..Lags::default() };
    let (_ec2, client) = start(Settings { speed: 10_000.0, lags, ..Settings::default() }).await;
    let id = begun(&client, "web-1").await;
    // 22 ms of the wall's time.
    while image(&client, &id).await.state() != Some(&ImageState::Available) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_request_is_answered_without_a_server_in_the_time_of_whoever_asks() {
    let seconds = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&seconds);
    let time = TimeSource::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(told.load(Ordering::Relaxed)));
    let ec2 = Ec2::new(&Settings { time: Some(time), ..Settings::default() });
    let answer = |body: &str| ec2.answer(Request::read("", body.as_bytes(), "app/test"));
    ec2.inject(Fault::on("DescribeImages", FaultKind::ConnectionReset).times(1));
    assert_eq!(answer("Action=DescribeImages&Version=2016-11-15"), Reply::Reset);
    let create = format!("Action=CreateImage&Version=2016-11-15&InstanceId={SEED_INSTANCE}&Name=web-1");
    assert!(matches!(answer(&create), Reply::Answer { status: 200, delay: Duration::ZERO, .. }));
    let state = || ec2.images()[0].state.clone();
    assert_eq!(state(), ImageState::Pending);
    seconds.store(MADE_AFTER, Ordering::Relaxed);
    assert_eq!(state(), ImageState::Available);
    let call = &ec2.calls_of("CreateImage")[0];
    assert_eq!((call.at, call.caller.as_str()), (SystemTime::UNIX_EPOCH, "test"));
}

#[tokio::test]
async fn an_image_is_shared_and_made_private_again() {
    let (ec2, client) = still().await;
    let image = ec2.add_foreign_image("shared", &[]);
    let user = LaunchPermission::builder().user_id("111122223333").build();
    let everybody = LaunchPermission::builder().group(PermissionGroup::All).build();
    let add = LaunchPermissionModifications::builder().add(user).add(everybody.clone()).build();
    client.modify_image_attribute().image_id(&image).launch_permission(add).send().await.unwrap();
    let shared = async || {
        let attribute = client.describe_image_attribute().image_id(&image);
        let answer = attribute.attribute(ImageAttributeName::LaunchPermission).send().await.unwrap();
        let public = client.describe_images().executable_users("all").owners("self").send().await.unwrap();
        (answer.launch_permissions().len(), public.images().len())
    };
    assert_eq!(shared().await, (2, 1));
    let remove = LaunchPermissionModifications::builder().remove(everybody).build();
    client.modify_image_attribute().image_id(&image).launch_permission(remove).send().await.unwrap();
    assert_eq!(shared().await, (1, 0));
    let reset = client.reset_image_attribute().image_id(&image);
    reset.attribute(ResetImageAttributeName::LaunchPermission).send().await.unwrap();
    assert_eq!(shared().await, (0, 0));
    let nobody = LaunchPermission::builder().user_id("nobody").build();
    let add = LaunchPermissionModifications::builder().add(nobody).build();
    let refused = client.modify_image_attribute().image_id(&image).launch_permission(add).send().await;
    assert_eq!(refusal(refused), "InvalidAMIAttributeItemValue");
}

/// What a person would do with curl.
fn posted(ec2: &Ec2, name: &str, form: &str) -> (u16, String) {
    sent(ec2, &format!("POST /_local/{name}"), form)
}

/// Sends an HTTP request, and gives its status and answer.
fn sent(ec2: &Ec2, start: &str, body: &str) -> (u16, String) {
    let address = ec2.endpoint();
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "{start} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_ask_aws_for_is_to_be_had_by_http() {
    let (ec2, client) = still().await;
    let image = ec2.add_foreign_image("old", &[]);
    let created = async || {
        let shown = client.describe_images().image_ids(&image).send().await.unwrap();
        DateTime::from_str(shown.images()[0].creation_date().unwrap(), DateTimeFormat::DateTime).unwrap().secs()
    };
    let before = created().await;
    assert_eq!(posted(&ec2, "age-images", "days=2").0, 200);
    assert_eq!(created().await, before - 2 * 24 * 3600);
    let (_, arn) = posted(&ec2, "references", &format!("resourceType=ssm:Parameter&name=golden&imageId={image}"));
    let references = client.describe_image_references().image_ids(&image).include_all_resource_types(true);
    let references = references.send().await.unwrap();
    assert_eq!(references.image_references()[0].arn(), Some(arn.trim()));
    assert_eq!(posted(&ec2, "recycle-bin-rules", "resource=image&days=7").0, 200);
    client.deregister_image().image_id(&image).send().await.unwrap();
    pass(&ec2, 60);
    assert_eq!(client.list_images_in_recycle_bin().send().await.unwrap().images().len(), 1);
    for (name, form, problem) in [
        ("age-images", "", "age-images needs the field days"),
        ("age-images", "days=0", "days must be from 1 to 3650"),
        ("references", "resourceType=web&name=golden&imageId=ami-1", "resourceType must be one of ssm:Parameter"),
        ("recycle-bin-rules", "resource=volume&days=7", "resource must be image or snapshot"),
        ("terminate", "", "it must be /_local/age-images"),
    ] {
        let (status, said) = posted(&ec2, name, form);
        assert!(status == 400 && said.starts_with(problem), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_registered_of_an_empty_snapshot_once_it_is_completed() {
    let (ec2, client) = still().await;
    let (status, started) =
        sent(&ec2, "POST /snapshots", r#"{"VolumeSize": 1, "Tags": [{"Key": "Team", "Value": "web"}]}"#);
    assert_eq!(status, 201);
    let id = started.split('"').find(|text| text.starts_with("snap-")).unwrap().to_owned();
    let register = |name: &str, snapshot: &str| {
        let device = BlockDeviceMapping::builder().device_name("/dev/xvda");
        let device = device.ebs(EbsBlockDevice::builder().snapshot_id(snapshot).build()).build();
        client.register_image().name(name).root_device_name("/dev/xvda").block_device_mappings(device).send()
    };
    assert_eq!(refusal(register("web", &id).await), "InvalidParameterValue");
    assert_eq!(refusal(register("web", "snap-00000000000000000").await), "InvalidSnapshot.NotFound");
    assert_eq!(sent(&ec2, &format!("POST /snapshots/completion/{id}"), "").0, 202);
    assert_eq!(sent(&ec2, "POST /snapshots/completion/snap-00000000000000000", "").0, 404);
    let image = register("web", &id).await.unwrap().image_id.unwrap();
    assert_eq!(refusal(register("web", &id).await), "InvalidAMIName.Duplicate");
    let info = ec2.image(&image).unwrap();
    assert_eq!((info.name.as_str(), info.state), ("web", ImageState::Available));
    assert_eq!(ec2.snapshots_tagged("Team", "web").len(), 1);
    pass(&ec2, 60);
    assert_eq!(ec2.take_events().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recycle_bin_and_the_quotas_tell_of_the_account() {
    let (ec2, client) = still().await;
    assert_eq!(client.get_ebs_encryption_by_default().send().await.unwrap().ebs_encryption_by_default, Some(false));
    ec2.add_bin_rule(BinRule::new(BinResource::Image, Duration::from_secs(86_400)).without_tag("Keep", "no"));
    let listed = |kind: &str| sent(&ec2, "POST /list-rules", &format!(r#"{{"ResourceType": "{kind}"}}"#)).1;
    assert_eq!(listed("EBS_SNAPSHOT"), r#"{"Rules":[]}"#);
    assert_eq!(listed("EC2_IMAGE"), r#"{"Rules":[{"Description":"","Identifier":"rule0000001"}]}"#);
    let (status, rule) = sent(&ec2, "GET /rules/rule0000001", "");
    assert!(status == 200 && rule.contains(r#""ResourceTagKey":"Keep""#), "{rule}");
    assert_eq!(sent(&ec2, "GET /rules/rule0000002", "").0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rule_of_the_recycle_bin_keeps_nothing_before_it_is_available() {
    let (ec2, client) = still().await;
    let period = r#"{"RetentionPeriodValue": 1, "RetentionPeriodUnit": "DAYS"}"#;
    let rule = format!(r#"{{"ResourceType": "EC2_IMAGE", "RetentionPeriod": {period}}}"#);
    let (status, made) = sent(&ec2, "POST /rules", &rule);
    assert!(status == 201 && made.contains(r#""Status":"pending""#), "{made}");
    let kept = async |name: &str| {
        let image = ec2.add_foreign_image(name, &[]);
        client.deregister_image().image_id(&image).send().await.unwrap();
        let kept = client.list_images_in_recycle_bin().image_ids(&image).send().await.unwrap();
        kept.images().len()
    };
    assert_eq!(kept("early").await, 0);
    pass(&ec2, 59);
    assert!(sent(&ec2, "GET /rules/rule0000001", "").1.contains("pending"));
    pass(&ec2, 1);
    assert!(sent(&ec2, "GET /rules/rule0000001", "").1.contains(r#""Status":"available""#));
    assert_eq!(kept("late").await, 1);
}
