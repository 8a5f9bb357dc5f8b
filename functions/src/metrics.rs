//! Metrics that CloudWatch does not have by itself, in its embedded metric format: a line of JSON
//! in the log, from which CloudWatch takes the metric.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const NAMESPACE: &str = "ami-from-instance";

/// How many runs and snapshots a sweep found that are not as they should be; 0 ends an alarm.
pub(crate) fn sweep_found(lifecycle_machine_arn: &str, count: usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    println!("{}", line("SweepFound", lifecycle_machine_arn, count, now));
}

fn line(metric: &str, machine_arn: &str, value: usize, now_millis: u128) -> Value {
    let machine = machine_arn.rsplit(':').next().unwrap_or_default();
    json!({
        "_aws": {
            "Timestamp": u64::try_from(now_millis).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Machine"]],
                "Metrics": [{"Name": metric, "Unit": "Count"}],
            }],
        },
        "Machine": machine,
        metric: value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metrics_line_names_its_value_and_its_dimension() {
        let line = line("SweepFound", "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-lifecycle", 2, 1_800_000);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(line[metrics["Metrics"][0]["Name"].as_str().unwrap()], 2);
        assert_eq!(line[metrics["Dimensions"][0][0].as_str().unwrap()], "ami-lifecycle");
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000);
    }
}
