//! The proof in an AWS account, on the local AWS: it passes where all is well, finds what is not, and leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

mod iam;
mod recycle_bin;
mod sabotage;
mod whole;

use std::{collections::BTreeMap, process::Command};

use local_aws::{
    deployment::{Deployment, Options, STACK},
    ministack::ACCOUNT,
    prepare::root,
};
use serde_json::Value;

const SPEED: f64 = 60.0;

async fn deploy() -> Deployment {
    let parameters = vec!["NotificationEmail=ops@example.com".to_owned()];
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, ec2_through: None, parameters };
    Deployment::start(&options, &|step| eprintln!("{step}")).await.unwrap()
}

/// `cargo verify` on a local AWS, with a folder for its report.
fn verify(aws: &Deployment, report: &str, arguments: &[&str]) -> Command {
    verify_at(SPEED, aws, report, arguments)
}

/// The same, for a time that runs so many times faster than real.
fn verify_at(speed: f64, aws: &Deployment, report: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(root().join("target/debug/verify"));
    command
        .args(["--stack", STACK, "--account", ACCOUNT, "--yes", "--speed", &speed.to_string()])
        .arg("--report")
        .arg(folder(report))
        .args(arguments)
        .envs(aws.environment());
    command
}

fn folder(report: &str) -> std::path::PathBuf {
    root().join("target/verify-tests").join(report)
}

/// The report that was written: its checks' verdicts, with what each saw.
fn checks(report: &str) -> BTreeMap<String, (String, String)> {
    let text = std::fs::read_to_string(folder(report).join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let of = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter();
    checks.map(|check| (of(check, "id"), (of(check, "verdict"), of(check, "saw")))).collect()
}
