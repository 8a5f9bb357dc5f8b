//! Metrics that CloudWatch does not have by itself, in its embedded metric format: a line of JSON
//! in the log, from which CloudWatch takes the metric.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const NAMESPACE: &str = "ami-from-instance";

/// How many runs a sweep found that left something; 0 ends an alarm.
pub(crate) fn sweep_found(lifecycle_machine_arn: &str, count: usize, now: SystemTime) -> String {
    line("SweepFound", lifecycle_machine_arn, count, now).to_string()
}

/// A line without level and timestamp counts as INFO, and a function whose log level is higher drops it
/// (Lambda Developer Guide, log-level filtering).
fn line(metric: &str, machine_arn: &str, value: usize, now: SystemTime) -> Value {
    let machine = machine_arn.rsplit(':').next().unwrap_or_default();
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    json!({
        "level": "ERROR",
        "timestamp": humantime::format_rfc3339_millis(now).to_string(),
        "message": "a metric, whatever the level of the log",
        "_aws": {
            "Timestamp": u64::try_from(millis).unwrap_or_default(),
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_metrics_line_names_its_value_and_its_dimension() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800);
        let machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:ami-lifecycle";
        let line: Value = serde_json::from_str(&sweep_found(machine, 2, now)).unwrap();
        let metrics = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(line[metrics["Metrics"][0]["Name"].as_str().unwrap()], 2);
        assert_eq!(line[metrics["Dimensions"][0][0].as_str().unwrap()], "ami-lifecycle");
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000);
    }

    #[test]
    fn a_metrics_line_passes_every_log_level() {
        let line = line("SweepFound", "arn", 0, UNIX_EPOCH);
        assert_eq!((&line["level"], &line["timestamp"]), (&"ERROR".into(), &"1970-01-01T00:00:00.000Z".into()));
    }
}
