//! Answers one event after the other, for as long as Lambda lets the process live.

use std::io;

use lambda_runtime::{LambdaEvent, run, service_fn};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use tracing::Instrument;

use super::logs;
use crate::{
    error::{Error, Failure},
    machine::answer::Status,
};

/// Answers the machines. They retry what is raised; every other error is an answer with the status `Failed`.
///
/// # Errors
///
/// If the runtime API cannot be reached.
pub async fn to_machines<T: Serialize>(
    handle: impl AsyncFn(Value) -> Result<T, Error>,
) -> Result<(), lambda_runtime::Error> {
    serve(handle, conclude).await
}

/// The answer to the machines that an error is, unless they are to retry.
///
/// # Errors
///
/// The error, if they are.
pub fn conclude(error: Error) -> Result<Value, Error> {
    if error.is_to_be_retried() {
        tracing::warn!(%error, "the call is to be retried");
        return Err(error);
    }
    tracing::info!(%error, name = error.name(), "the call is refused");
    Ok(json!({"status": Status::Failed, "error": Failure::from(error)}))
}

/// Answers EventBridge and Scheduler, which nobody waits for: every error is raised, so that Lambda tries again
/// and counts it.
///
/// # Errors
///
/// If the runtime API cannot be reached.
pub async fn to_events<T: Serialize>(
    handle: impl AsyncFn(Value) -> Result<T, Error>,
) -> Result<(), lambda_runtime::Error> {
    serve(handle, Err).await
}

/// Hands each event to `handle`, and each of its errors to `conclude`.
async fn serve<T: Serialize>(
    handle: impl AsyncFn(Value) -> Result<T, Error>,
    conclude: impl Fn(Error) -> Result<Value, Error>,
) -> Result<(), lambda_runtime::Error> {
    logs::lines(io::stdout).with_max_level(logs::level()).init();
    run(service_fn(async |event: LambdaEvent<Box<RawValue>>| {
        let payload = parse(&event.payload);
        let span = logs::span(&event.context.request_id, payload.as_ref().unwrap_or(&Value::Null));
        // Boxed, as the compiler cannot lay out the nested future of a whole function.
        let answer = Box::pin(async { handle(payload?).await.map(|answer| json!(answer)) });
        async { answer.await.or_else(&conclude) }.instrument(span).await
    }))
    .await
}

fn parse(json: &RawValue) -> Result<Value, Error> {
    serde_json::from_str(json.get())
        .map_err(|error| Error::invalid("input", format!("must be JSON that is not nested too deeply: {error}")))
}
