//! Starts rollbacks for runs that ended without one.

use ami_from_instance::{aws, event::parse, lambda::serve, settings::Settings, start_rollback::handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let settings = Settings::from_env()?;
    let ec2 = aws::ec2("start-rollback");
    let step_functions = aws::step_functions("start-rollback");
    serve(async |event| handle(&ec2, &step_functions, &settings, parse(event)?).await).await
}
