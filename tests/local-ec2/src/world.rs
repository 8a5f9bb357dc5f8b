//! Everything there is, and what a call does to it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::SystemTime,
};

use super::{
    Settings,
    actions::Action,
    api_error::ApiError,
    buckets::Buckets,
    calls::Call,
    clock::Clock,
    faults::{FaultKind, Faults},
    ids::Ids,
    images::{Fate, Image},
    instances::{Instance, InstanceSpec},
    lags::Lags,
    query::{Parameters, Query},
    snapshots::{Progress, Snapshot},
    tags::Tags,
    xml::{self, Xml},
};

/// The instance that is there from the beginning.
pub const SEED_INSTANCE: &str = "i-0123456789abcdef0";

/// The account's part of one Region.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    request_ids: Ids,
    pub(crate) lags: Lags,
    pub(crate) progress: Progress,
    pub(crate) instances: BTreeMap<String, Instance>,
    pub(crate) images: BTreeMap<String, Image>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    /// The reservation that RunInstances made for each client token.
    pub(crate) launch_tokens: HashMap<String, String>,
    /// How many snapshots have lost their image.
    pub(crate) snapshots_released: u64,
    fates: HashMap<String, VecDeque<Fate>>,
    /// The instances of whose next image's end nobody will be told.
    pub(crate) untold: BTreeSet<String>,
    buckets: Option<Buckets>,
    pub(crate) faults: Faults,
    pub(crate) calls: Vec<Call>,
}

/// A call as it comes in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) action: String,
    pub(crate) parameters: Parameters,
    pub(crate) caller: String,
}

/// What goes out.
#[derive(Debug)]
pub(crate) enum Reply {
    Answer { status: u16, body: String, request_id: String },
    Reset,
}

impl World {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut world = Self {
            clock: Clock::new(settings.speed),
            ids: Ids::new(settings.seed),
            // Of their own, so that the ids of resources do not depend on how often somebody looks.
            request_ids: Ids::new(!settings.seed),
            lags: settings.lags.clone(),
            progress: settings.progress,
            instances: BTreeMap::new(),
            images: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            launch_tokens: HashMap::new(),
            snapshots_released: settings.seed,
            fates: HashMap::new(),
            untold: BTreeSet::new(),
            buckets: settings.request_buckets.then(Buckets::default),
            faults: Faults::default(),
            calls: Vec::new(),
        };
        world.add_base_image();
        let web = InstanceSpec::default()
            .id(SEED_INSTANCE)
            .volume("/dev/sdf", 100, "gp3")
            .uefi("QU1aTlVFRkkAAAAA")
            .tag("Name", "web")
            .tag("Team", "platform");
        world.add_instance(web);
        world
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    pub(crate) fn plan(&mut self, instance_id: String, fate: Fate) {
        self.fates.entry(instance_id).or_default().push_back(fate);
    }

    pub(crate) fn next_fate(&mut self, instance_id: &str) -> Option<Fate> {
        self.fates.get_mut(instance_id)?.pop_front()
    }

    /// What goes wrong with a call, if anything. A rule that mentions an image's name or a tag's value
    /// strikes the calls that name the image, or a resource with that tag.
    pub(crate) fn strike(&mut self, request: &Request) -> Option<FaultKind> {
        let mut parameters = request.parameters.clone();
        parameters.extend(self.concerns(&request.parameters).into_iter().map(|value| (format!("({value})"), value)));
        self.faults.strike(&request.action, &parameters)
    }

    /// The names of all images that a call names, and the values of the tags of all resources.
    fn concerns(&self, parameters: &Parameters) -> BTreeSet<String> {
        let mut concerns = BTreeSet::new();
        for id in parameters.values() {
            let image = self.images.get(id);
            let tags = image.map(|image| &image.tags);
            let tags = tags.or_else(|| self.snapshots.get(id).map(|snapshot| &snapshot.tags));
            let tags = tags.or_else(|| self.instances.get(id).map(|instance| &instance.tags));
            concerns.extend(image.map(|image| image.name.clone()));
            concerns.extend(tags.into_iter().flat_map(|tags| tags.values().cloned()));
        }
        concerns
    }

    /// Answers a call with which `fault` goes wrong, and writes it down.
    pub(crate) fn handle(&mut self, request: Request, fault: Option<FaultKind>) -> Reply {
        let at = self.now();
        let action = Action::find(&request.action);
        let concerns = self.concerns(&request.parameters);
        let done = match &fault {
            Some(FaultKind::Throttle) => Err(ApiError::throttled()),
            Some(FaultKind::ServerError(status)) => Err(ApiError::server(*status)),
            Some(FaultKind::Refused { code, message }) => Err(ApiError::new(code.clone(), message)),
            Some(FaultKind::ConnectionReset) => Err(ApiError::new("ConnectionReset", "")),
            Some(FaultKind::LostResponse | FaultKind::LostResponseAs(_) | FaultKind::Slow(_)) | None => {
                self.perform(&request, action)
            }
        };
        self.calls.push(Call {
            action: request.action.clone(),
            parameters: request.parameters,
            concerns,
            caller: request.caller,
            outcome: done.as_ref().map(|_| ()).map_err(|error| error.code.clone().into_owned()),
            fault: fault.clone(),
            answered: !matches!(
                fault,
                Some(FaultKind::ConnectionReset | FaultKind::LostResponse | FaultKind::LostResponseAs(_))
            ),
            mutating: action.is_some_and(|action| action.mutating),
            at,
        });
        let answer = match fault {
            Some(FaultKind::ConnectionReset | FaultKind::LostResponse) => return Reply::Reset,
            Some(FaultKind::LostResponseAs(status)) => Err(ApiError::server(status)),
            _ => done,
        };
        let request_id = self.request_ids.request();
        let (status, body) = match answer {
            Ok(answer) => (200, answer.answer(&request.action, &request_id)),
            Err(error) => (error.status(), xml::error(&error, &request_id)),
        };
        Reply::Answer { status, body, request_id }
    }

    fn perform(&mut self, request: &Request, action: Option<&'static Action>) -> Result<Xml, ApiError> {
        let Some(action) = action else {
            return Err(match request.action.as_str() {
                "" => ApiError::new("MissingAction", "The request must contain the parameter Action."),
                name => ApiError::invalid_action(name),
            });
        };
        let now = self.now();
        if let Some(buckets) = &mut self.buckets
            && !buckets.take(action.name, action.rate(&request.parameters), now)
        {
            return Err(ApiError::throttled());
        }
        let mut query = Query::new(request.parameters.clone());
        if query.flag("DryRun")?.unwrap_or(false) {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(ApiError::new("DryRunOperation", message));
        }
        (action.handler)(self, &mut query)
    }

    /// The tags of a resource that EC2 shows.
    pub(crate) fn tags_of(&mut self, id: &str) -> Result<&mut Tags, ApiError> {
        let unknown = |id| ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."));
        match id.split_once('-').map(|(prefix, _)| prefix) {
            Some("ami") => self.own_image(id).map(|image| &mut image.tags),
            Some("i") => self.instance(id).map(|instance| &mut instance.tags),
            Some("snap") => self.snapshot(id).map(|snapshot| &mut snapshot.tags),
            Some("vol") => {
                let mut volumes = self.instances.values_mut().flat_map(|instance| &mut instance.volumes);
                volumes.find(|volume| volume.id == id).map(|volume| &mut volume.tags).ok_or_else(|| unknown(id))
            }
            _ => Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid"))),
        }
    }

    /// The type, id and tags of every resource.
    pub(crate) fn tagged_resources(&self) -> Vec<(&'static str, String, Tags)> {
        let images = self.images.values().filter(|image| image.is_registered());
        let images = images.map(|image| ("image", &image.id, &image.tags));
        let instances = self.instances.values().map(|instance| ("instance", &instance.id, &instance.tags));
        let snapshots = self.snapshots.values().map(|snapshot| ("snapshot", &snapshot.id, &snapshot.tags));
        let volumes = self.instances.values().flat_map(|instance| &instance.volumes);
        let volumes = volumes.map(|volume| ("volume", &volume.id, &volume.tags));
        let all = images.chain(instances).chain(snapshots).chain(volumes);
        all.map(|(resource_type, id, tags)| (resource_type, id.clone(), tags.clone())).collect()
    }
}
