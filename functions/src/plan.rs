//! The first state of a run: reads the request, refuses it before anything is touched, and lays out the
//! run's operations. Nothing reads the request a second time.

mod fields;
mod placeholders;
mod planner;
mod replace;
pub mod request;
pub mod source;
mod stop;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{planner::Planner, request::Request};
use crate::{
    app::App,
    error::Error,
    model::run::Run,
    operations::{Operation, rehearsal::DryRun},
};

/// What the lifecycle machine sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    run: Run,
    start_time: String,
    request: Value,
}

/// What the run is to do: the input of the lifecycle machine's loop.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    run: Run,
    operations: Vec<Planned>,
    rollback_timeout_seconds: u64,
    /// How many of the operations are done.
    done: usize,
    /// What they gave.
    results: Value,
}

/// One operation of a plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    operation: &'static str,
    timeout_seconds: u64,
    /// Whether the run keeps its image from here on, whatever happens.
    keeps_image: bool,
    /// What the run's error is to say besides, should the operation fail.
    note: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    arguments: Value,
    /// The same in a dry run: a function that knows of none finds no arguments, and does nothing.
    #[serde(skip_serializing_if = "Value::is_null")]
    rehearsed: Value,
    /// Where the operation stands in a dry run; left out of any other run.
    #[serde(skip_serializing_if = "Option::is_none")]
    dry_run: Option<DryRun>,
}

impl Planned {
    fn new<O: Operation>(timeout_seconds: u64, arguments: &O::Arguments) -> Result<Self, Error> {
        let arguments =
            serde_json::to_value(arguments).map_err(|error| Error::invalid("arguments", error.to_string()))?;
        let (operation, note) = (O::NAME, String::new());
        Ok(Self {
            operation,
            timeout_seconds,
            keeps_image: false,
            note,
            arguments,
            rehearsed: Value::Null,
            dry_run: None,
        })
    }

    fn note(self, note: &str) -> Self {
        Self { note: note.to_owned(), ..self }
    }

    fn keeping_the_image(self) -> Self {
        Self { keeps_image: true, ..self }
    }
}

/// Reads the whole request and lays out the run's operations.
///
/// # Errors
///
/// `InvalidRequest`, naming the field, and the refusals of a replace that could only fail.
pub async fn handle(app: &App, input: Value) -> Result<Plan, Error> {
    let Input { run, start_time, request } = serde_json::from_value(input)
        .map_err(|error| Error::invalid("input", format!("must be what the lifecycle machine sends: {error}")))?;
    run.check_name()?;
    let now = app.seconds();
    let request = placeholders::render(&app.ec2, &run, &start_time, request).await?;
    let request = Request::parse(&request, now)?;
    let timeouts = request.timeouts.over(app.settings.timeouts.clone()?);
    let default_tags = app.settings.default_tags()?;
    let planner = Planner { app, run: &run, start_time: &start_time, now, timeouts, default_tags };
    let mut operations = planner.operations(&request.action).await?;
    if request.dry_run {
        operations = planner.dry(operations)?;
    }
    let names: Vec<_> = operations.iter().map(|planned| planned.operation).collect();
    tracing::info!(operations = names.join(", "), "the request is valid");
    let rollback_timeout_seconds = timeouts.rollback();
    Ok(Plan { run, operations, rollback_timeout_seconds, done: 0, results: Value::Object(serde_json::Map::new()) })
}
