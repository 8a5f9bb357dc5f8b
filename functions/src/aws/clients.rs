//! The clients of AWS, made of what Lambda puts into a function's environment.
//!
//! That is credentials and a Region. `aws_config::load_defaults` would look for profiles, instance
//! metadata and web identities too, which a function never has, and bring the code for it.

use std::{env, time::Duration};

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider,
    timeout::TimeoutConfig,
};
use aws_sdk_ec2::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// One attempt of a call. The template gives a function a minute, and those that make many calls in a row
/// more.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(18);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const REGION: &str = "AWS_REGION";
/// Where all services are, in place of AWS's own addresses.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// A client of EC2 for the function of a name.
pub fn ec2(function: &str) -> aws_sdk_ec2::Client {
    aws_sdk_ec2::Client::new(&config(function, "AWS_ENDPOINT_URL_EC2"))
}

/// A client of Step Functions for the function of a name.
pub fn step_functions(function: &str) -> aws_sdk_sfn::Client {
    aws_sdk_sfn::Client::new(&config(function, "AWS_ENDPOINT_URL_SFN"))
}

/// A client of Auto Scaling for the function of a name.
pub fn auto_scaling(function: &str) -> aws_sdk_autoscaling::Client {
    aws_sdk_autoscaling::Client::new(&config(function, "AWS_ENDPOINT_URL_AUTO_SCALING"))
}

/// What the clients call with, encrypted by *ring*, which is smaller than the SDK's default.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::rustls(CryptoMode::Ring)).build_https()
}

/// How long an attempt and a call may take.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

/// CloudTrail shows the function's name in the user agent of its calls.
fn config(function: &str, endpoint: &str) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .region(env::var(REGION).ok().map(Region::new))
        .http_client(http_client())
        .timeout_config(timeouts());
    config.set_app_name(AppName::new(format!("ami-from-instance-{function}")).ok());
    config.set_endpoint_url(env::var(endpoint).or_else(|_| env::var(ENDPOINT)).ok());
    config.build()
}
