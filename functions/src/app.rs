//! What a function works with: the clients of AWS, the deployment's settings, the time and the log.

use std::time::SystemTime;

use aws_sdk_ec2::primitives::DateTime;

use crate::{aws::clients, settings::Settings};

/// The clients, the settings, and what else comes from outside.
#[derive(Clone, Debug)]
pub struct App {
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// Step Functions.
    pub step_functions: aws_sdk_sfn::Client,
    /// Auto Scaling.
    pub auto_scaling: aws_sdk_autoscaling::Client,
    /// What the deployment decides.
    pub settings: Settings,
    /// Tells the time.
    pub now: fn() -> SystemTime,
    /// Writes a line to the log, whatever its level.
    pub print: fn(&str),
}

impl App {
    /// The time, in seconds since 1970.
    pub fn seconds(&self) -> i64 {
        DateTime::from((self.now)()).secs()
    }

    /// From what Lambda puts into the environment of the function of a name.
    pub fn from_env(function: &str) -> Self {
        Self {
            ec2: clients::ec2(function),
            step_functions: clients::step_functions(function),
            auto_scaling: clients::auto_scaling(function),
            settings: Settings::from_env(),
            now: SystemTime::now,
            print: |line| println!("{line}"),
        }
    }
}
