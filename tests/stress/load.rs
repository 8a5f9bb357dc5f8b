//! Two hundred images at once.

use std::{collections::BTreeMap, fs, sync::Arc, time::Instant};

use local_aws::{
    campaign::{self, Operation, Plan},
    deployment::{Deployment, Options},
};

use crate::BUSY;

const CREATES: u32 = 200;

/// Slower than other tests, so that what is tried is EC2's request limits and not this computer: it runs
/// the functions of an account.
const SPEED: f64 = 30.0;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_at_once_all_succeed_within_ec2s_request_limits() {
    let _busy = BUSY.lock().await;
    let options = Options { speed: SPEED, port: 0, ec2_port: 0, ec2_through: None, parameters: vec![] };
    let aws = Arc::new(Deployment::start(&options, &|step| eprintln!("{step}")).await.unwrap());
    let start = Instant::now();
    // Of many sizes, so that not all images end at the same moment.
    let plan = |number: u32| Plan::with("load", number.into(), Operation::Create, vec![]).of_gigabytes(1 + number);
    let report = campaign::run_plans(&aws, (0..CREATES).map(plan).collect(), CREATES).await.unwrap();
    println!("{report}");
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!(report.succeeded(), CREATES as usize, "{:#?}", report.causes);
    let functions = aws.functions();
    let mut of_one_program = BTreeMap::<_, usize>::new();
    for id in &functions {
        *of_one_program.entry(fs::read_link(format!("/proc/{id}/exe")).unwrap_or_default()).or_default() += 1;
    }
    assert!(of_one_program.values().all(|processes| *processes <= 64), "{of_one_program:?}");
    let memory: u64 = functions.iter().filter_map(|id| resident_kib(*id)).sum();
    println!(
        "{CREATES} creates in {:.0} s; {} function processes with {} MiB resident",
        start.elapsed().as_secs_f64(),
        functions.len(),
        memory / 1024,
    );
}

/// A process's resident memory.
fn resident_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}
