//! Reads a run's request.

use ami_from_instance::{
    aws,
    lambda::serve,
    read_request::{Input, handle},
    settings::Settings,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("read-request");
    serve(async |event| handle(&ec2, &settings, Input::parse(event)?).await).await
}
