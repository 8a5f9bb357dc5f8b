//! Starts rollbacks for runs that ended without one.

use ami_from_instance::{app::App, events, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("start-rollback");
    lambda::to_events(async |event| events::start_rollback(&app, event).await).await
}
