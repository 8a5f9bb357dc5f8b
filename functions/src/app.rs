//! What a function works with: the clients of AWS and the deployment's settings.

use crate::{aws::clients, settings::Settings};

/// The clients and the settings.
#[derive(Clone, Debug)]
pub struct App {
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Step Functions.
    pub step_functions: aws_sdk_sfn::Client,
    /// What the deployment decides.
    pub settings: Settings,
}

impl App {
    /// From what Lambda puts into the environment of the function of a name.
    pub fn from_env(function: &str) -> Self {
        Self {
            ec2: clients::ec2(function),
            step_functions: clients::step_functions(function),
            settings: Settings::from_env(),
        }
    }
}
