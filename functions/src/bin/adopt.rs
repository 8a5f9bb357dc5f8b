//! Takes over an image that no run made.

use ami_from_instance::{app::App, lambda, operations};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("adopt");
    lambda::to_machines(async |call| operations::answer(&app, call).await).await
}
