//! Reads a run's request.

use ami_from_instance::{app::App, lambda, plan};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("read-request");
    lambda::to_machines(async |input| plan::handle(&app, input).await).await
}
