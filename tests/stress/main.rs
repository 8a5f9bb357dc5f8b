//! The whole application under faults, under load and amid deploys, each on a local AWS of its own.

#![expect(clippy::unwrap_used, reason = "a test may panic, and so may what it calls")]

mod campaign;
mod deploys;
mod load;
mod roles;

use std::sync::Arc;

use local_aws::{
    campaign::Report,
    deployment::{Deployment, Options},
};
use tokio::sync::Mutex;

/// One of those that keep the computer busy goes on at a time, beside the others.
static BUSY: Mutex<()> = Mutex::const_new(());

/// A local AWS as campaigns need it.
async fn for_campaigns() -> Arc<Deployment> {
    let options = Options { speed: 60.0, port: 0, ec2_port: 0, ec2_through: None, parameters: vec![] };
    local_aws::campaign::start(options, &|step| eprintln!("{step}")).await.unwrap()
}

fn assert_nothing_is_violated(report: &Report) {
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
}
