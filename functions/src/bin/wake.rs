//! Ends the wait for an image that has ended.

use ami_from_instance::{app::App, events::wake, lambda};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("wake");
    lambda::to_events(async |event| wake::handle(&app, event).await).await
}
