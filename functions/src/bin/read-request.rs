//! Reads a run's request.

use ami_from_instance::{ec2::aws_config, read_request::handle, settings::Settings};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let ec2 = aws_sdk_ec2::Client::new(&aws_config("read-request").await);
    run(service_fn(async |event: LambdaEvent<_>| handle(&ec2, &settings, event.payload).await)).await
}
