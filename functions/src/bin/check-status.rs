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
    let step_functions = aws::step_functions("check-status");
    serve(async |event| handle(&ec2, &step_functions, &settings, Input::parse(event)?).await).await
}
