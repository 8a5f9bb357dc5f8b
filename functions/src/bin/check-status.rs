//! Looks at an image.

use ami_from_instance::{
    aws,
    check_status::{Input, handle},
    lambda::serve,
    settings::Settings,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("check-status");
    serve(async |event| handle(&ec2, &settings, Input::parse(event)?).await).await
}
