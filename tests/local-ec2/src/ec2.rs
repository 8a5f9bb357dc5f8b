//! The handle on a local EC2.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_sdk_ec2::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use tokio::net::TcpListener;

use crate::{
    account::REGION,
    calls::Call,
    events::Event,
    faults::Fault,
    inspect::{ImageInfo, InstanceInfo, SnapshotInfo},
    resources::{
        fate::Fate,
        lock::Lock,
        recycle_bin::BinRule,
        referrer::{LaunchTemplate, Referrer, Referrers},
        snapshot::Progress,
    },
    seed::InstanceSpec,
    server::Server,
    service::{Authorizer, Reply, Request, SharedService},
    settings::Settings,
    tags::Tags,
};

/// A local EC2. Clones are handles to the same one; it ends with the last of them.
#[derive(Clone)]
pub struct Ec2 {
    service: SharedService,
    address: SocketAddr,
    _server: Option<Arc<Server>>,
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Ec2 {
    /// One that listens nowhere and is called with [`Ec2::answer`], with
    /// [`SEED_INSTANCE`](crate::SEED_INSTANCE) and [`BASE_IMAGE`](crate::BASE_IMAGE) in it.
    pub fn new(settings: &Settings) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { service: SharedService::new(settings), address: nowhere, _server: None }
    }

    /// The same, listening on its port.
    ///
    /// # Errors
    ///
    /// If the port cannot be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port)).await?;
        let address = listener.local_addr()?;
        let service = SharedService::new(&settings);
        let server = Server::start(listener, service.clone());
        tracing::info!(%address, speed = settings.speed, "the local EC2 is up");
        Ok(Self { service, address, _server: Some(Arc::new(server)) })
    }

    /// Answers a request at once, as it does one that comes by HTTP.
    pub fn answer(&self, request: Request) -> Reply {
        self.service.answer(request)
    }

    /// Such as `http://127.0.0.1:4567`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client for it, with the SDK's usual retries.
    pub fn client(&self) -> Client {
        let config = aws_sdk_ec2::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(Builder::new().tls_provider(Provider::rustls(CryptoMode::Ring)).build_https())
            .credentials_provider(Credentials::new("local", "local", None, None, "local EC2"))
            .region(Region::from_static(REGION))
            .endpoint_url(self.endpoint())
            .build();
        Client::from_conf(config)
    }

    /// A client of Auto Scaling for it.
    pub fn auto_scaling(&self) -> aws_sdk_autoscaling::Client {
        let config = aws_sdk_autoscaling::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(Builder::new().tls_provider(Provider::rustls(CryptoMode::Ring)).build_https())
            .credentials_provider(Credentials::new("local", "local", None, None, "local EC2"))
            .region(Region::from_static(REGION))
            .endpoint_url(self.endpoint())
            .build();
        aws_sdk_autoscaling::Client::from_conf(config)
    }

    /// The simulated time.
    pub fn sim_now(&self) -> SystemTime {
        self.service.lock().world.now()
    }

    /// Lets simulated time pass at once.
    pub fn advance(&self, by: Duration) {
        self.service.lock().world.clock.advance(by);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.service.lock().calls.clone()
    }

    /// The calls so far of actions that change something, whether they did or not.
    pub fn mutating_calls(&self) -> Vec<Call> {
        self.service.lock().calls.iter().filter(|call| call.mutating).cloned().collect()
    }

    /// The calls so far of one action.
    pub fn calls_of(&self, action: &str) -> Vec<Call> {
        self.service.lock().calls.iter().filter(|call| call.action == action).cloned().collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.service.lock().calls.clear();
    }

    /// From now on, asks before each call whether its caller may make it; it has no outcome then.
    pub fn authorize(&self, allows: impl Fn(&Call) -> bool + Send + Sync + 'static) {
        self.service.lock().authorizer = Some(Authorizer(Arc::new(allows)));
    }

    /// Adds a rule of what goes wrong.
    pub fn inject(&self, fault: Fault) {
        self.service.lock().world.faults.add(fault);
    }

    /// Drops all rules of what goes wrong.
    pub fn clear_faults(&self) {
        self.service.lock().world.faults.clear();
    }

    /// Says what becomes of the next image of an instance; said again, of the one after that.
    pub fn next_image(&self, instance_id: impl Into<String>, fate: Fate) {
        self.service.lock().world.plan(instance_id.into(), fate);
    }

    /// Loses the event of the end of an instance's next image.
    pub fn lose_event(&self, instance_id: impl Into<String>) {
        self.service.lock().world.untold.insert(instance_id.into());
    }

    /// When [`Ec2::take_events`] gives the next event, as far as is known now.
    pub fn next_event(&self) -> Option<SystemTime> {
        self.service.lock().world.next_event()
    }

    /// What EventBridge is to be told, each event once.
    pub fn take_events(&self) -> Vec<Event> {
        self.service.lock().world.take_events()
    }

    /// Says how the progress of the snapshots to come grows.
    pub fn set_progress(&self, progress: Progress) {
        self.service.lock().world.progress = progress;
    }

    /// The account's registered images.
    pub fn images(&self) -> Vec<ImageInfo> {
        self.service.lock().world.image_infos(|_| true)
    }

    /// The account's registered image of an id.
    pub fn image(&self, id: &str) -> Option<ImageInfo> {
        self.service.lock().world.image_infos(|image| image.id == id).pop()
    }

    /// The account's registered images with a tag.
    pub fn images_tagged(&self, key: &str, value: &str) -> Vec<ImageInfo> {
        self.service.lock().world.image_infos(|image| has(&image.tags, key, value))
    }

    /// The account's registered images of a name.
    pub fn images_named(&self, name: &str) -> Vec<ImageInfo> {
        self.service.lock().world.image_infos(|image| image.name == name)
    }

    /// The account's snapshot of an id.
    pub fn snapshot(&self, id: &str) -> Option<SnapshotInfo> {
        self.service.lock().world.snapshot_infos(|snapshot| snapshot.id == id).pop()
    }

    /// The account's snapshots.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.service.lock().world.snapshot_infos(|_| true)
    }

    /// The account's snapshots with a tag.
    pub fn snapshots_tagged(&self, key: &str, value: &str) -> Vec<SnapshotInfo> {
        self.service.lock().world.snapshot_infos(|snapshot| has(&snapshot.tags, key, value))
    }

    /// The instances, terminated ones included.
    pub fn instances(&self) -> Vec<InstanceInfo> {
        self.service.lock().world.instance_infos(|_| true)
    }

    /// The instance of an id.
    pub fn instance(&self, id: &str) -> Option<InstanceInfo> {
        self.service.lock().world.instance_infos(|instance| instance.id == id).pop()
    }

    /// Adds an instance and gives its id.
    pub fn add_instance(&self, spec: InstanceSpec) -> String {
        self.service.lock().world.add_instance(spec)
    }

    /// Adds an available image, with a snapshot, that somebody else in the account made; both have
    /// the tags. Gives the image's id.
    pub fn add_foreign_image(&self, name: impl Into<String>, tags: &[(&str, &str)]) -> String {
        self.add_image(None, name, tags)
    }

    /// The same, under an id instead of one made up.
    pub fn add_image_of_id(&self, id: impl Into<String>, name: impl Into<String>, tags: &[(&str, &str)]) {
        self.add_image(Some(id.into()), name, tags);
    }

    fn add_image(&self, id: Option<String>, name: impl Into<String>, tags: &[(&str, &str)]) -> String {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.service.lock().world.add_foreign_image(id, name.into(), tags)
    }

    /// Adds so many completed snapshots that somebody else in the account made.
    pub fn add_foreign_snapshots(&self, count: usize) {
        let world = &mut self.service.lock().world;
        for _ in 0..count {
            world.add_foreign_snapshot("ami-0f0f0f0f0f0f0f0f0", Tags::new());
        }
    }

    /// Lets an image, and its snapshots, be so much older.
    pub fn age_image(&self, id: &str, by: Duration) {
        self.service.lock().world.age_image(id, by);
    }

    /// Lets an image's snapshots be so old, whatever the image is.
    pub fn age_snapshots(&self, image_id: &str, age: Duration) {
        let world = &mut self.service.lock().world;
        let begun = world.now() - age;
        let devices = world.images.get(image_id).map(|image| image.devices.clone()).unwrap_or_default();
        for device in devices {
            if let Some(snapshot) = world.snapshots.get_mut(&device.snapshot_id) {
                snapshot.begun = begun;
            }
        }
    }

    /// Says that an instance was launched from an image so long ago.
    pub fn launched_from(&self, id: &str, ago: Duration) {
        let world = &mut self.service.lock().world;
        let at = world.now() - ago;
        if let Some(image) = world.images.get_mut(id) {
            image.last_launched = Some(at);
        }
    }

    /// Adds a launch template whose versions name these images, and gives its ARN.
    pub fn add_launch_template(&self, name: impl Into<String>, image_ids: &[&str]) -> String {
        let world = &mut self.service.lock().world;
        let images = image_ids.iter().map(|id| Some((*id).to_owned())).collect();
        let template = LaunchTemplate { id: world.ids.resource("lt"), name: name.into(), images, tags: Tags::new() };
        let arn = template.arn();
        world.referrers.templates.insert(template.id.clone(), template);
        arn
    }

    /// Adds a resource that names an image, such as an `ssm:Parameter`, an `imagebuilder:ImageRecipe` or an
    /// `autoscaling:LaunchConfiguration`, and gives its ARN.
    pub fn add_reference(&self, resource_type: impl Into<String>, name: impl Into<String>, image_id: &str) -> String {
        let referrer =
            Referrer { resource_type: resource_type.into(), name: name.into(), image_id: image_id.to_owned() };
        self.service.lock().world.referrers.add(referrer)
    }

    /// Lets nothing name any image any more, but the instances that were launched from it.
    pub fn remove_references(&self) {
        self.service.lock().world.referrers = Referrers::default();
    }

    /// Adds a rule to the Recycle Bin, for what is deregistered or deleted from now on.
    pub fn add_bin_rule(&self, rule: BinRule) {
        self.service.lock().world.recycle_bin.add_rule(rule);
    }

    /// Lets every image in the Recycle Bin keep its snapshots in use.
    pub fn hold_snapshots_of_images_in_bin(&self) {
        self.service.lock().world.recycle_bin.holds_snapshots = true;
    }

    /// Adds an available image over the snapshots of another one, and gives its id.
    pub fn add_image_sharing(&self, image_id: &str, name: impl Into<String>) -> String {
        self.service.lock().world.add_image_sharing(image_id, name.into())
    }

    /// Locks a snapshot for a simulated year.
    pub fn lock_snapshot(&self, id: &str) {
        let world = &mut self.service.lock().world;
        let lock = Lock::new(world.now(), 365);
        if let Some(snapshot) = world.snapshots.get_mut(id) {
            snapshot.lock = Some(lock);
        }
    }

    /// Lets an instance use the key of its volumes: it starts again.
    pub fn grant_key(&self, id: &str) {
        if let Some(instance) = self.service.lock().world.instances.get_mut(id) {
            instance.ungranted_key = None;
        }
    }

    /// Takes the lock off a snapshot.
    pub fn unlock_snapshot(&self, id: &str) {
        if let Some(snapshot) = self.service.lock().world.snapshots.get_mut(id) {
            snapshot.lock = None;
        }
    }
}

fn has(tags: &Tags, key: &str, value: &str) -> bool {
    tags.get(key).is_some_and(|found| found == value)
}
