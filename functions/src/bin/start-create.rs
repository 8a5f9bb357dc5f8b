//! Begins an image.

use ami_from_instance::{ec2::aws_config, settings::Settings, start_create::handle, step::Document};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let ec2 = aws_sdk_ec2::Client::new(&aws_config("start-create").await);
    run(service_fn(async |event: LambdaEvent<_>| handle(&ec2, &settings, Document::parse(event.payload)?).await)).await
}
