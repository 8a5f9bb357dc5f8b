//! Changes an image.

use ami_from_instance::{aws, lambda::serve, settings::Settings, start_update::handle, step::Document};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("start-update");
    serve(async |event| handle(&ec2, &settings, Document::parse(event)?).await).await
}
