//! Looks at an image that is being made; asked with nothing but an `imageId`, gives the image's attributes.

use ami_from_instance::{
    app::App,
    lambda,
    operations::{answer, describe},
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let app = App::from_env("check-status");
    lambda::to_machines(async |event| match event.get("operation") {
        Some(_) => answer(&app, event).await,
        None => describe::handle(&app, &event).await.map(|attributes| json!(attributes)),
    })
    .await
}
