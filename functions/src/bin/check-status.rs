//! Looks at an image.

use ami_from_instance::{
    check_status::{Input, handle},
    ec2::aws_config,
    settings::Settings,
};
use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let settings = Settings::from_env()?;
    let ec2 = aws_sdk_ec2::Client::new(&aws_config("check-status").await);
    run(service_fn(async |event: LambdaEvent<_>| handle(&ec2, &settings, Input::parse(event.payload)?).await)).await
}
