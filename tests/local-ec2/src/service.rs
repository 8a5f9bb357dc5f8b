//! The service: takes a request, lets it go wrong, limits it, has its action done, and writes it down.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    actions::Action,
    api_error::ApiError,
    buckets::Buckets,
    calls::Call,
    faults::FaultKind,
    ids::Ids,
    query::{Parameters, Query},
    resources::image::Image,
    seed,
    settings::Settings,
    tags::Tags,
    world::World,
    xml::{self, Xml},
};

/// What every request carries besides its action's parameters.
const COMMON: &[&str] = &[
    "AWSAccessKeyId",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// A call as it comes in.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) action: String,
    parameters: Parameters,
    caller: String,
}

impl Request {
    /// Reads the query of the URI and the body of an HTTP request. `user_agent` is its
    /// `x-amz-user-agent`, or else its `user-agent`.
    pub fn read(query: &str, body: &[u8], user_agent: &str) -> Self {
        let in_query = form_urlencoded::parse(query.as_bytes());
        let mut parameters: Parameters =
            in_query.into_owned().chain(form_urlencoded::parse(body).into_owned()).collect();
        parameters.retain(|name, _| !COMMON.contains(&name.as_str()) && !name.starts_with("X-Amz-"));
        let action = parameters.remove("Action").unwrap_or_default();
        Self { action, parameters, caller: caller(user_agent) }
    }
}

/// Who calls, as far as the user agent tells.
fn caller(user_agent: &str) -> String {
    let product = |name: &str| user_agent.split(' ').find_map(|product| product.strip_prefix(name));
    let known = product("app/").or_else(|| product("exec-env/")).or_else(|| user_agent.split(' ').next());
    known.unwrap_or_default().to_owned()
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer, in XML.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The XML.
        body: String,
        /// What `x-amzn-requestid` says.
        request_id: String,
        /// For how much of the wall's time it is held back.
        delay: Duration,
    },
    /// The connection is reset.
    Reset,
}

/// The service's state, for everybody who calls it or looks into it.
#[derive(Clone, Debug)]
pub(crate) struct SharedService(Arc<Mutex<Service>>);

impl SharedService {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self(Arc::new(Mutex::new(Service::new(settings))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Service> {
        // An action that panicked has answered nothing; the others go on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answer(&self, request: Request) -> Reply {
        self.lock().answer(request)
    }
}

/// Says whether a caller may make a call.
pub(crate) struct Authorizer(pub(crate) Arc<dyn Fn(&Call) -> bool + Send + Sync>);

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorizer")
    }
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) world: World,
    pub(crate) calls: Vec<Call>,
    pub(crate) authorizer: Option<Authorizer>,
    buckets: Option<Buckets>,
    request_ids: Ids,
}

impl Service {
    fn new(settings: &Settings) -> Self {
        let mut world = World::new(settings);
        seed::add_all(&mut world);
        Self {
            world,
            calls: Vec::new(),
            authorizer: None,
            buckets: settings.request_buckets.then(Buckets::default),
            // Of their own, so that the ids of resources do not depend on how often somebody looks.
            request_ids: Ids::new(!settings.seed),
        }
    }

    /// Answers a call, and writes it down.
    fn answer(&mut self, request: Request) -> Reply {
        let action = Action::find(&request.action);
        let mut call = self.call(&request, action);
        let fault = self.strike(&request, &call.concerns);
        let done = match &fault {
            Some(FaultKind::Throttle) => Err(ApiError::throttled()),
            Some(FaultKind::ServerError(status)) => Err(ApiError::server(*status)),
            Some(FaultKind::Refused { code, message }) => Err(ApiError::new(code.clone(), message)),
            Some(FaultKind::ConnectionReset) => Err(ApiError::new("ConnectionReset", "")),
            Some(FaultKind::LostResponse | FaultKind::LostResponseAs(_) | FaultKind::Slow(_)) | None => {
                match &self.authorizer {
                    Some(Authorizer(allows)) if !allows(&call) => {
                        let message = "You are not authorized to perform this operation.";
                        Err(ApiError::new("UnauthorizedOperation", message))
                    }
                    _ => self.perform(&request, action),
                }
            }
        };
        call.made = if done.is_ok() { made(&self.world, &request) } else { vec![] };
        call.outcome = done.as_ref().map(|_| ()).map_err(|error| error.code.clone().into_owned());
        call.answered =
            !matches!(fault, Some(FaultKind::ConnectionReset | FaultKind::LostResponse | FaultKind::LostResponseAs(_)));
        call.fault.clone_from(&fault);
        self.calls.push(call);
        let delay = if let Some(FaultKind::Slow(delay)) = fault { delay } else { Duration::ZERO };
        let answer = match fault {
            Some(FaultKind::ConnectionReset | FaultKind::LostResponse) => return Reply::Reset,
            Some(FaultKind::LostResponseAs(status)) => Err(ApiError::server(status)),
            _ => done,
        };
        let request_id = self.request_ids.request();
        let (status, body) = match answer {
            Ok(answer) => (200, answer.answer(&request.action, &request_id)),
            Err(error) => (error.status(), xml::error(&request.action, &error, &request_id)),
        };
        Reply::Answer { status, body, request_id, delay }
    }

    /// A call that has no outcome yet.
    fn call(&self, request: &Request, action: Option<&Action>) -> Call {
        let resources = resources(&self.world, &request.parameters);
        let is_dry = request.parameters.get("DryRun").is_some_and(|dry| dry == "true");
        Call {
            action: request.action.clone(),
            parameters: request.parameters.clone(),
            concerns: concerns(&self.world, &resources),
            resources,
            made: vec![],
            caller: request.caller.clone(),
            outcome: Ok(()),
            fault: None,
            answered: false,
            mutating: action.is_some_and(|action| action.mutating) && !is_dry,
            at: self.world.now(),
        }
    }

    /// What goes wrong with a call, if anything. A rule that mentions an image's name or a tag's value
    /// strikes the calls that name the image, or a resource with that tag.
    fn strike(&mut self, request: &Request, concerns: &BTreeSet<String>) -> Option<FaultKind> {
        let mut parameters = request.parameters.clone();
        parameters.extend(concerns.iter().map(|value| (format!("({value})"), value.clone())));
        self.world.faults.strike(&request.action, &parameters)
    }

    fn perform(&mut self, request: &Request, action: Option<&'static Action>) -> Result<Xml, ApiError> {
        let Some(action) = action else {
            return Err(match request.action.as_str() {
                "" => ApiError::new("MissingAction", "The request must contain the parameter Action."),
                name => ApiError::invalid_action(name),
            });
        };
        let now = self.world.now();
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
        (action.handler)(&mut self.world, &mut query)
    }
}

/// The resources that a call names, with their tags.
fn resources(world: &World, parameters: &Parameters) -> BTreeMap<String, Tags> {
    let tags = |id: &String| {
        let tags = world.images.get(id).map(|image| &image.tags);
        let tags = tags.or_else(|| world.snapshots.get(id).map(|snapshot| &snapshot.tags));
        let tags = tags.or_else(|| world.recycle_bin.tags_of_snapshot(id));
        tags.or_else(|| world.instances.get(id).map(|instance| &instance.tags)).cloned()
    };
    parameters.values().filter_map(|id| Some((id.clone(), tags(id)?))).collect()
}

/// The names of the images among a call's resources, and the values of the tags of all of them.
fn concerns(world: &World, resources: &BTreeMap<String, Tags>) -> BTreeSet<String> {
    let names = resources.keys().filter_map(|id| Some(world.images.get(id)?.name.clone()));
    names.chain(resources.values().flat_map(|tags| tags.values().cloned())).collect()
}

/// The image that a call has made, which is the newest of its name, and its snapshots.
fn made(world: &World, request: &Request) -> Vec<String> {
    let name = if request.action == "CreateImage" { request.parameters.get("Name") } else { None };
    let Some(name) = name else { return vec![] };
    let image = world.images.values().filter(|image| image.name == *name).max_by_key(|image| image.created);
    let ids = |image: &Image| {
        let snapshots = image.devices.iter().map(|device| device.snapshot_id.clone());
        [image.id.clone()].into_iter().chain(snapshots).collect()
    };
    image.map(ids).unwrap_or_default()
}
