//! What `template.yaml` and the machines' files decide, read from them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use local_ec2::{ACCOUNT, REGION};
use local_step_functions::{Definition, substitute};

static TEMPLATE: LazyLock<String> = LazyLock::new(|| file("template.yaml"));
const MACHINES: [&str; 2] = ["state-machine/lifecycle.asl.json", "state-machine/operation.asl.json"];
/// Of the release before.
const BEFORE: [&str; 2] = ["tests/releases/0.2.0/lifecycle.asl.json", "tests/releases/0.2.0/operation.asl.json"];

/// A file of the repository, as it is now: who changes one compiles nothing.
fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a deployment has.
#[derive(Debug)]
pub(crate) struct Deployed {
    pub(crate) lifecycle_arn: String,
    /// What the ARNs of runs begin with.
    pub(crate) runs: String,
    pub(crate) operation_arn: String,
    pub(crate) lifecycle: Arc<Definition>,
    pub(crate) operation: Arc<Definition>,
    /// The two machines, as the release before had them.
    before: [Arc<Definition>; 2],
    /// Of each function.
    pub(crate) function_timeout: Duration,
    /// Which ends of a run start a rollback.
    pub(crate) rolled_back: Vec<String>,
    /// Which ends of an image wake.
    pub(crate) waking: Vec<String>,
    /// From one sweep to the next.
    pub(crate) sweep_every: Duration,
    /// What the sweep's schedule sends.
    pub(crate) sweep_input: String,
}

/// The deployment, the same for every run.
pub(crate) static DEPLOYED: LazyLock<Deployed> = LazyLock::new(|| {
    let machine = |name: &str| format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:ami-from-instance-{name}");
    let (lifecycle_arn, operation_arn) = (machine("lifecycle"), machine("operation"));
    let definition = |name: &str| match definition(&file(name), &operation_arn) {
        Ok(definition) => Arc::new(definition),
        Err(error) => panic!("{name} is refused: {error}"),
    };
    let [lifecycle, operation] = MACHINES.map(definition);
    Deployed {
        lifecycle,
        operation,
        before: BEFORE.map(definition),
        function_timeout: Duration::from_secs(number(after("Timeout: ", "Globals:"))),
        rolled_back: list(after("status: ", "RunEndedBadly:")),
        waking: list(after("State: ", "ImageEnded:")),
        sweep_every: rate(&parameter("SweepSchedule")),
        sweep_input: after("Input: ", "Sweep:\n").trim_matches('\'').to_owned(),
        runs: format!("{}:", lifecycle_arn.replacen(":stateMachine:", ":execution:", 1)),
        lifecycle_arn,
        operation_arn,
    }
});

impl Deployed {
    /// The machines, by their ARNs.
    pub(crate) fn machines(&self) -> [(&str, &Arc<Definition>); 2] {
        [(&self.lifecycle_arn, &self.lifecycle), (&self.operation_arn, &self.operation)]
    }

    /// The machines of the release before, by the same ARNs.
    pub(crate) fn machines_before(&self) -> [(&str, &Arc<Definition>); 2] {
        let [lifecycle, operation] = &self.before;
        [(&self.lifecycle_arn, lifecycle), (&self.operation_arn, operation)]
    }
}

/// The ARN of a run.
pub(crate) fn execution_arn(name: &str) -> String {
    format!("{}{name}", DEPLOYED.runs)
}

/// The default of a parameter.
pub(crate) fn parameter(name: &str) -> String {
    after("Default: ", &format!("\n  {name}:\n")).trim_matches(['"', '\'']).to_owned()
}

/// What the template says about a resource.
pub(crate) fn resource(name: &str) -> &'static str {
    let found = TEMPLATE.split_once(&format!("\n  {name}:\n")).map(|(_, rest)| rest);
    let rest = found.unwrap_or_else(|| panic!("the template has no {name}"));
    // The next resource stands as far to the right.
    let end = rest.match_indices("\n  ").find(|(at, _)| !rest[at + 3..].starts_with(' '));
    &rest[..end.map_or(rest.len(), |(at, _)| at)]
}

/// What the template says once, under an anchor, and uses again elsewhere.
pub(crate) fn shared(anchor: &str) -> &'static str {
    let found = TEMPLATE.split_once(&format!("- &{anchor}\n")).map(|(_, rest)| rest);
    let rest = found.unwrap_or_else(|| panic!("the template has no &{anchor}"));
    // The next item of the list, or whatever stands less to the right.
    let indent = rest.len() - rest.trim_start_matches(' ').len();
    let is_of_it = |line: &&str| line.len() - line.trim_start_matches(' ').len() >= indent;
    let length: usize = rest.split_inclusive('\n').take_while(is_of_it).map(str::len).sum();
    &rest[..length]
}

/// The value of a key, where it stands next after a heading.
fn after<'a>(key: &str, heading: &str) -> &'a str {
    let found = TEMPLATE.split_once(heading).and_then(|(_, rest)| rest.split_once(key));
    let line = found.and_then(|(_, rest)| rest.lines().next());
    line.unwrap_or_else(|| panic!("the template has no {key}after {heading}")).trim()
}

fn list(text: &str) -> Vec<String> {
    text.trim_matches(['[', ']']).split(',').map(|item| item.trim().to_owned()).collect()
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("the template has {text:?} where a number is expected"))
}

fn rate(text: &str) -> Duration {
    let rate = text.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).and_then(|rate| rate.split_once(' '));
    let (value, unit) = rate.unwrap_or_else(|| panic!("the template's schedule {text:?} is no rate"));
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => panic!("the template's schedule has the unit {unit:?}"),
    };
    Duration::from_secs(number(value) * seconds)
}

fn definition(text: &str, operation_arn: &str) -> Result<Definition, local_step_functions::DefinitionError> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let value = |name: &str| match name {
        "Partition" => "aws".to_owned(),
        "OperationMachineArn" => operation_arn.to_owned(),
        name => format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", name.trim_end_matches("Arn")),
    };
    let values: BTreeMap<_, _> = names.map(|name| (name.to_owned(), value(name))).collect();
    Definition::parse(&substitute(text, &values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_rules_and_numbers_are_found() {
        assert_eq!(DEPLOYED.function_timeout, Duration::from_secs(60));
        assert_eq!(DEPLOYED.rolled_back, ["ABORTED", "TIMED_OUT", "FAILED"]);
        assert_eq!(DEPLOYED.waking, ["available", "failed"]);
        assert_eq!(DEPLOYED.sweep_every, Duration::from_secs(3600));
        assert!(DEPLOYED.sweep_input.starts_with(r#"{"source": "ami-from-instance""#), "{}", DEPLOYED.sweep_input);
        assert_eq!(parameter("DeleteTimeout"), "90m");
    }
}
