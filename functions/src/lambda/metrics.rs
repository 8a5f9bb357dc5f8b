//! Metrics that CloudWatch does not have by itself, in its embedded metric format: a line of JSON
//! in the log, from which CloudWatch takes the metric.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const NAMESPACE: &str = "ami-from-instance";

/// How many runs a sweep found that left something; 0 ends an alarm.
pub(crate) fn sweep_found(lifecycle_machine_arn: &str, count: usize, now: SystemTime) -> String {
    line(lifecycle_machine_arn, &[("SweepFound", "Count", count as u64)], now).to_string()
}

/// What a prune has done: how many images, and the sizes of the volumes of those that it deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    pub(crate) deleted: usize,
    pub(crate) kept: usize,
    /// With what kept it from beginning or going on.
    pub(crate) failed: usize,
    /// In bytes. A snapshot takes less: it has only the blocks that were written, and shares those of others.
    pub(crate) freed: u64,
}

/// What a prune has done; `failed` at 0 ends an alarm.
pub(crate) fn pruned(lifecycle_machine_arn: &str, pruned: Pruned, now: SystemTime) -> String {
    let Pruned { deleted, kept, failed, freed } = pruned;
    let metrics = [
        ("ImagesPruned", "Count", deleted as u64),
        ("ImagesKept", "Count", kept as u64),
        ("PruneFailed", "Count", failed as u64),
        ("PrunedVolumeSize", "Bytes", freed),
    ];
    line(lifecycle_machine_arn, &metrics, now).to_string()
}

/// A line without level and timestamp counts as INFO, and a function whose log level is higher drops it
/// (Lambda Developer Guide, log-level filtering).
fn line(machine_arn: &str, metrics: &[(&str, &str, u64)], now: SystemTime) -> Value {
    let machine = machine_arn.rsplit(':').next().unwrap_or_default();
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut line = json!({
        "level": "ERROR",
        "timestamp": humantime::format_rfc3339_millis(now).to_string(),
        "message": "a metric, whatever the level of the log",
        "_aws": {
            "Timestamp": u64::try_from(millis).unwrap_or_default(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["Machine"]],
                "Metrics": metrics.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect::<Vec<_>>(),
            }],
        },
        "Machine": machine,
    });
    for (name, _, value) in metrics {
        line[*name] = (*value).into();
    }
    line
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
    fn a_prune_has_its_metrics_in_one_line() {
        let told = Pruned { deleted: 2, kept: 7, failed: 1, freed: 3 << 30 };
        let line: Value = serde_json::from_str(&pruned("arn", told, UNIX_EPOCH)).unwrap();
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        let values: Vec<_> = metrics.iter().map(|metric| line[metric["Name"].as_str().unwrap()].clone()).collect();
        assert_eq!(json!(values), json!([2, 7, 1, 3_221_225_472_u64]));
        assert_eq!(metrics[3], json!({"Name": "PrunedVolumeSize", "Unit": "Bytes"}));
    }

    #[test]
    fn a_metrics_line_passes_every_log_level() {
        let line = line("arn", &[("SweepFound", "Count", 0)], UNIX_EPOCH);
        assert_eq!((&line["level"], &line["timestamp"]), (&"ERROR".into(), &"1970-01-01T00:00:00.000Z".into()));
    }
}
