//! Stops an instance for its image, and starts it again.

use ami_from_instance::{app::App, lambda, operations};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("instance-state");
    lambda::to_machines(async |call| operations::answer(&app, call).await).await
}
