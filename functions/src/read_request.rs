//! The first state of a run: reads the request, and refuses it before anything is touched.

use std::time::SystemTime;

use aws_sdk_ec2::{Client, primitives::DateTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    cleanup, ec2,
    error::Error,
    image_name,
    limits::Limits,
    request::{Action, Create, Delete, Request},
    run::{Operation, Run},
    settings::Settings,
    source_instance,
    tags::{self, Tags},
};

/// What the lifecycle machine sends.
#[derive(Debug, Deserialize)]
pub struct Input {
    run: Run,
    #[serde(rename = "startTime")]
    start_time: String,
    request: Value,
}

impl Input {
    /// Reads what the machine sends.
    pub fn parse(input: Value) -> Result<Self, Error> {
        serde_json::from_value(input)
            .map_err(|error| Error::invalid("input", format!("what the lifecycle machine sends is required: {error}")))
    }
}

/// What the run is to do: the input of the lifecycle machine's loop.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    run: Run,
    start_time: String,
    request: Value,
    limits: Limits,
    operations: Vec<Operation>,
    /// How many of the operations are done.
    done: usize,
}

/// Reads the whole request and lays out the run's operations.
pub async fn handle(client: &Client, settings: &Settings, input: Input) -> Result<Plan, Error> {
    let now = DateTime::from(SystemTime::now()).secs();
    input.run.check_name()?;
    let Input { run, start_time, request: input } = input;
    let input = image_name::render(client, &run, &start_time, input).await?;
    let request = Request::parse(&input, Some(now))?;
    let limits = request.timeouts.over(settings.limits);
    tags::with_defaults(&settings.default_tags, own_tags(&request.action))?;
    check_deprecation_time(&request.action, limits, now)?;
    let operations = match &request.action {
        Action::Create(create) => made(create),
        Action::Update(_) => vec![Operation::Update],
        Action::Delete(_) => vec![Operation::Delete],
        Action::Replace(create, delete) => replacement(client, settings, create, delete).await?,
    };
    tracing::info!(?operations, "the request is valid");
    Ok(Plan { run, start_time, request: input, limits, operations, done: 0 })
}

/// EC2 refuses a deprecation time in the past, and a create may take as long as its limit before it
/// is set: an image is not to be lost to that.
fn check_deprecation_time(action: &Action, limits: Limits, now: i64) -> Result<(), Error> {
    let (Action::Create(create) | Action::Replace(create, _)) = action else { return Ok(()) };
    let longest = i64::try_from(limits.create + limits.update).unwrap_or(i64::MAX);
    if create.deprecation_time.is_none_or(|time| time.to_date_time().secs() >= now.saturating_add(longest)) {
        return Ok(());
    }
    let problem =
        format!("a moment later than the limits of create and update together, {longest} seconds, is allowed");
    Err(Error::invalid("deprecationTime", problem))
}

fn own_tags(action: &Action) -> &Tags {
    static NONE: Tags = Tags::new();
    match action {
        Action::Create(create) | Action::Replace(create, _) => &create.tags,
        Action::Update(update) => update.tags.as_ref().unwrap_or(&NONE),
        Action::Delete(_) => &NONE,
    }
}

/// CreateImage takes no deprecation time: an update sets it.
fn made(create: &Create) -> Vec<Operation> {
    let update = create.deprecation_time.map(|_| Operation::Update);
    [Operation::Create].into_iter().chain(update).collect()
}

/// The new image is made first, so that there is always one. Where both have the same name, which
/// is unique in a Region, the old one has to go first: then everything that can be checked is
/// checked before.
async fn replacement(
    client: &Client,
    settings: &Settings,
    create: &Create,
    delete: &Delete,
) -> Result<Vec<Operation>, Error> {
    let Some(old) = ec2::image(client, &delete.image_id).await? else {
        return Err(Error::ImageNotFound { image_id: delete.image_id.to_string() });
    };
    cleanup::check(&old, delete, settings)?;
    let instance = ec2::instance(client, &create.source_instance_id).await?;
    source_instance::check(create, instance.as_ref())?;
    let made = made(create);
    Ok(if old.name() == Some(create.name.as_str()) {
        [vec![Operation::Delete], made].concat()
    } else {
        [made, vec![Operation::Delete]].concat()
    })
}
