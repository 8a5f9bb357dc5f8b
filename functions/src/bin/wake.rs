//! Ends the wait for an image that has ended.

use ami_from_instance::{aws, event::parse, lambda::serve, settings::Settings, wake::handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("wake");
    let step_functions = aws::step_functions("wake");
    serve(async |event| handle(&ec2, &step_functions, &settings, parse(event)?).await).await
}
