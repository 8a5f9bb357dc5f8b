//! A local EC2: one account's instances, images and snapshots in one Region, behind the EC2 Query
//! API.
//!
//! It keeps state, takes its (simulated) time, shows changes late, limits requests as EC2 does, and
//! goes wrong on demand. Signatures are not checked.

mod actions;
mod api_error;
pub mod buckets;
mod calls;
mod clock;
mod connection;
mod events;
mod faults;
mod filters;
mod ids;
mod images;
mod inspect;
mod instances;
mod lags;
mod machine;
mod pages;
mod query;
mod server;
mod snapshots;
mod tags;
mod world;
mod xml;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::{
    calls::Call,
    events::Event,
    faults::{Fault, FaultKind},
    images::{BASE_IMAGE, Fate},
    inspect::{ImageInfo, InstanceInfo, SnapshotInfo},
    instances::InstanceSpec,
    lags::Lags,
    query::Parameters,
    snapshots::Progress,
    tags::Tags,
    world::SEED_INSTANCE,
};
use self::{snapshots::Lock, world::World};

/// The account.
pub const ACCOUNT: &str = "000000000000";
/// The Region.
pub const REGION: &str = "us-east-1";
/// The Availability Zone of every instance.
pub(crate) const ZONE: &str = "us-east-1a";

/// What a local EC2 is to be like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Simulated seconds a second; at 0 the time only moves with [`Ec2::advance`].
    pub speed: f64,
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What the ids are made of, and which snapshots are unlucky.
    pub seed: u64,
    /// Whether requests are limited.
    pub request_buckets: bool,
    /// How the progress of snapshots grows.
    pub progress: Progress,
    /// How late changes show.
    pub lags: Lags,
}

impl Default for Settings {
    /// The speed of the real EC2.
    fn default() -> Self {
        Self {
            speed: 1.0,
            port: 0,
            seed: 0,
            request_buckets: true,
            progress: Progress::default(),
            lags: Lags::default(),
        }
    }
}

#[derive(Clone, Debug)]
struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    fn lock(&self) -> MutexGuard<'_, World> {
        // A handler that panicked has answered nothing; the others go on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the server along with the last handle.
struct Server(JoinHandle<io::Result<()>>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A running local EC2. Clones are handles to the same one; it ends with the last of them.
#[derive(Clone)]
pub struct Ec2 {
    world: SharedWorld,
    address: SocketAddr,
    _server: Arc<Server>,
}

impl fmt::Debug for Ec2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ec2").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Ec2 {
    /// Starts one, with [`SEED_INSTANCE`] and [`BASE_IMAGE`] in it.
    ///
    /// # Errors
    ///
    /// If the port cannot be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
        let address = listener.local_addr()?;
        let world = SharedWorld(Arc::new(Mutex::new(World::new(&settings))));
        let server = server::serve(listener, world.clone());
        tracing::info!(%address, speed = settings.speed, "the local EC2 is up");
        Ok(Self { world, address, _server: Arc::new(Server(server)) })
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

    /// The simulated time.
    pub fn sim_now(&self) -> SystemTime {
        self.world.lock().now()
    }

    /// Lets simulated time pass at once.
    pub fn advance(&self, by: Duration) {
        self.world.lock().clock.advance(by);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.world.lock().calls.clone()
    }

    /// The calls so far of actions that change something, whether they did or not.
    pub fn mutating_calls(&self) -> Vec<Call> {
        self.world.lock().calls.iter().filter(|call| call.mutating).cloned().collect()
    }

    /// The calls so far of one action.
    pub fn calls_of(&self, action: &str) -> Vec<Call> {
        self.world.lock().calls.iter().filter(|call| call.action == action).cloned().collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.world.lock().calls.clear();
    }

    /// Adds a rule of what goes wrong.
    pub fn inject(&self, fault: Fault) {
        self.world.lock().faults.add(fault);
    }

    /// Drops all rules of what goes wrong.
    pub fn clear_faults(&self) {
        self.world.lock().faults.clear();
    }

    /// Says what becomes of the next image of an instance; said again, of the one after that.
    pub fn next_image(&self, instance_id: impl Into<String>, fate: Fate) {
        self.world.lock().plan(instance_id.into(), fate);
    }

    /// Loses the event of the end of an instance's next image.
    pub fn lose_event(&self, instance_id: impl Into<String>) {
        self.world.lock().untold.insert(instance_id.into());
    }

    /// What EventBridge is to be told, each event once.
    pub fn take_events(&self) -> Vec<Event> {
        self.world.lock().take_events()
    }

    /// Says how the progress of the snapshots to come grows.
    pub fn set_progress(&self, progress: Progress) {
        self.world.lock().progress = progress;
    }

    /// The account's registered images.
    pub fn images(&self) -> Vec<ImageInfo> {
        self.world.lock().image_infos(|_| true)
    }

    /// The account's registered image of an id.
    pub fn image(&self, id: &str) -> Option<ImageInfo> {
        self.world.lock().image_infos(|image| image.id == id).pop()
    }

    /// The account's registered images with a tag.
    pub fn images_tagged(&self, key: &str, value: &str) -> Vec<ImageInfo> {
        self.world.lock().image_infos(|image| has(&image.tags, key, value))
    }

    /// The account's registered images of a name.
    pub fn images_named(&self, name: &str) -> Vec<ImageInfo> {
        self.world.lock().image_infos(|image| image.name == name)
    }

    /// The account's snapshot of an id.
    pub fn snapshot(&self, id: &str) -> Option<SnapshotInfo> {
        self.world.lock().snapshot_infos(|snapshot| snapshot.id == id).pop()
    }

    /// The account's snapshots.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.world.lock().snapshot_infos(|_| true)
    }

    /// The account's snapshots with a tag.
    pub fn snapshots_tagged(&self, key: &str, value: &str) -> Vec<SnapshotInfo> {
        self.world.lock().snapshot_infos(|snapshot| has(&snapshot.tags, key, value))
    }

    /// The instances, terminated ones included.
    pub fn instances(&self) -> Vec<InstanceInfo> {
        self.world.lock().instance_infos(|_| true)
    }

    /// The instance of an id.
    pub fn instance(&self, id: &str) -> Option<InstanceInfo> {
        self.world.lock().instance_infos(|instance| instance.id == id).pop()
    }

    /// Adds an instance and gives its id.
    pub fn add_instance(&self, spec: InstanceSpec) -> String {
        self.world.lock().add_instance(spec)
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
        self.world.lock().add_foreign_image(id, name.into(), tags)
    }

    /// Adds an available image over the snapshots of another one, and gives its id.
    pub fn add_image_sharing(&self, image_id: &str, name: impl Into<String>) -> String {
        self.world.lock().add_image_sharing(image_id, name.into())
    }

    /// Locks a snapshot for a simulated year.
    pub fn lock_snapshot(&self, id: &str) {
        let mut world = self.world.lock();
        let lock = Lock::new(world.now(), 365);
        if let Some(snapshot) = world.snapshots.get_mut(id) {
            snapshot.lock = Some(lock);
        }
    }

    /// Takes the lock off a snapshot.
    pub fn unlock_snapshot(&self, id: &str) {
        if let Some(snapshot) = self.world.lock().snapshots.get_mut(id) {
            snapshot.lock = None;
        }
    }
}

fn has(tags: &Tags, key: &str, value: &str) -> bool {
    tags.get(key).is_some_and(|found| found == value)
}
