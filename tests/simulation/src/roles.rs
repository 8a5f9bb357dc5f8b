//! What the roles of the template allow, by action. Conditions and resources are not looked at: the checks of
//! the roles themselves do that.

use std::sync::LazyLock;

use crate::template;

/// The functions, without the end of their names in the template.
pub(crate) const FUNCTIONS: [&str; 9] = [
    "ReadRequest",
    "InstanceState",
    "StartCreate",
    "CheckStatus",
    "Wake",
    "StartUpdate",
    "Adopt",
    "Cleanup",
    "StartRollback",
];

/// Every function with every action that its role allows.
static CALLS: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let calls_of = |function| {
        statements(function, "Function").flat_map(move |one| actions(one).map(move |action| (function, action)))
    };
    let mut calls: Vec<_> = FUNCTIONS.into_iter().flat_map(calls_of).collect();
    calls.sort_unstable();
    calls.dedup();
    calls
});

/// The statements of each machine.
static MACHINES: LazyLock<[(&str, Vec<&str>); 2]> =
    LazyLock::new(|| ["LifecycleMachine", "OperationMachine"].map(|name| (name, statements(name, "").collect())));

/// Every function with every action that it may call, such as `DescribeImages`.
pub(crate) fn calls() -> &'static [(&'static str, &'static str)] {
    &CALLS
}

/// Whether a function may call an action.
pub(crate) fn allow(function: &str, action: &str) -> bool {
    CALLS.contains(&(function, action))
}

/// Whether a machine may call an action, such as `lambda:InvokeFunction`, on something that the template names so.
pub(crate) fn allow_machine(machine: &str, action: &str, on: &str) -> bool {
    let statements = MACHINES.iter().find(|(name, _)| *name == machine).map(|(_, statements)| statements);
    statements.into_iter().flatten().any(|statement| statement.contains(action) && statement.contains(on))
}

/// The statements of a resource's policies that allow something. A permission to tag while making something is
/// none to call CreateTags, and one for what EC2 calls in the caller's name none to call it.
fn statements(name: &'static str, kind: &str) -> impl Iterator<Item = &'static str> {
    let policies = template::resource(&format!("{name}{kind}"));
    let shared = policies.split("- *").skip(1).filter_map(|rest| rest.split('\n').next()).map(template::shared);
    let own = policies.split("Sid: ").skip(1);
    own.chain(shared).filter(|one| is_a_call(one))
}

fn is_a_call(statement: &str) -> bool {
    statement.contains("Effect: Allow")
        && !["ec2:CreateAction", "aws:CalledVia", "kms:GrantIsForAWSResource"].iter().any(|key| statement.contains(key))
}

/// The actions of a statement, without their service.
fn actions(statement: &'static str) -> impl Iterator<Item = &'static str> {
    let actions = statement.split_once("Action:").map_or("", |(_, rest)| rest);
    let actions = actions.split("Resource:").next().unwrap_or_default();
    let words = actions.split(|end: char| end.is_whitespace() || "[],".contains(end));
    words.filter_map(|word| word.split_once(':')).map(|(_, action)| action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_template_allows_is_allowed_and_nothing_else() {
        assert!(allow("Cleanup", "DeregisterImage") && allow("Cleanup", "StopExecution"));
        assert!(allow("StartUpdate", "DisableImageDeprecation"));
        for function in ["ReadRequest", "Cleanup"] {
            assert!(allow(function, "DescribeImageReferences") && !allow(function, "DescribeLaunchTemplates"));
        }
        assert!(allow("StartCreate", "CreateImage") && !allow("StartCreate", "CreateTags"));
        assert!(!allow("CheckStatus", "DeregisterImage") && !allow("StartRollback", "DescribeSnapshotAttribute"));
        assert!(FUNCTIONS.iter().all(|function| calls().iter().any(|(name, _)| name == function)));
        assert!(allow_machine("LifecycleMachine", "lambda:InvokeFunction", "ReadRequestFunction.Arn"));
        assert!(!allow_machine("OperationMachine", "lambda:InvokeFunction", "ReadRequestFunction.Arn"));
        assert!(allow_machine("OperationMachine", "events:PutEvents", ""));
    }
}
