//! Removes an image and its snapshots.

use ami_from_instance::{cleanup::handle, ec2::aws_config, settings::Settings, step::Document};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let config = aws_config("cleanup").await;
    let ec2 = aws_sdk_ec2::Client::new(&config);
    let step_functions = aws_sdk_sfn::Client::new(&config);
    run(service_fn(async |event: LambdaEvent<_>| {
        handle(&ec2, &step_functions, &settings, Document::parse(event.payload)?).await
    }))
    .await
}
