//! Removes an image and its snapshots.

use ami_from_instance::{aws, cleanup::handle, lambda::serve, settings::Settings, step::Document};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("cleanup");
    let step_functions = aws::step_functions("cleanup");
    serve(async |event| handle(&ec2, &step_functions, &settings, Document::parse(event)?).await).await
}
