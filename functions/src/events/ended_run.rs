//! Starts a rollback when EventBridge tells that a run was aborted, has timed out or has failed: such a run
//! may have executed no Catch.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use serde::Serialize;
use serde_json::Value;

use super::{detail, roll_back};
use crate::{app::App, error::Error, model::run::Run};

/// What was started.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The run that is rolled back now.
    rolled_back: Run,
}

/// Starts the rollback of the event's run; the rollback itself asks whether the run has ended.
///
/// # Errors
///
/// `InvalidRequest` if the event names no execution, and what Step Functions refuses.
pub async fn handle(app: &App, event: &EventBridgeEvent<Value>) -> Result<Started, Error> {
    let run = Run::new(detail(event, "executionArn")?);
    roll_back(app, &run).await?;
    Ok(Started { rolled_back: run })
}
