//! The state machines: whether they run what this clone has.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{add_all, check};
use crate::{
    aws::{Aws, STEP_FUNCTIONS, text},
    report::Report,
    stack::Stack,
};

const MACHINES: [(&str, &str); 3] =
    [("LifecycleMachine", "lifecycle"), ("OperationMachine", "operation"), ("CreateMachine", "create")];

pub(super) async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let checks = MACHINES.into_iter().map(|(name, file)| {
        let expected = "active, its failures logged with their data, and its definition that of this clone";
        check(format!("look/machine/{name}"), expected, async move {
            let arguments = json!({"stateMachineArn": stack.id(name)?});
            let machine = aws.call(STEP_FUNCTIONS, "DescribeStateMachine", arguments).await?;
            let problems = problems(&machine, &own(stack, file)?)?;
            Ok((problems.is_empty(), problems.join("; ")))
        })
    });
    add_all(report, checks).await;
}

/// The definition in this clone, with what the stack fills in.
fn own(stack: &Stack, file: &str) -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../state-machine/{file}.asl.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(serde_json::from_str(&filled(&text, |name| substitute(stack, name))?)?)
}

/// What a name of the template's DefinitionSubstitutions stands for.
fn substitute(stack: &Stack, name: &str) -> Result<String> {
    match name {
        "Partition" => Ok(stack.caller.partition().to_owned()),
        "MayPrune" => Ok(stack.parameters.get("CreatesMayPrune").cloned().unwrap_or_default()),
        name => {
            let resource = name.strip_suffix("Arn").with_context(|| format!("nothing is known of ${{{name}}}"))?;
            let id = stack.id(resource)?;
            let is_function = resource.ends_with("Function");
            Ok(if is_function { stack.arn("lambda", &format!("function:{id}")) } else { id.to_owned() })
        }
    }
}

/// A text with what its names in `${}` stand for.
fn filled(text: &str, substitute: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').context("a name does not end")?;
        whole += &substitute(name)?;
        whole += rest;
    }
    Ok(whole)
}

/// What is wrong with a machine.
fn problems(machine: &Value, own: &Value) -> Result<Vec<String>> {
    let mut problems = vec![];
    if text(&machine["status"]) != "ACTIVE" {
        problems.push(format!("its status is {}", text(&machine["status"])));
    }
    let logging = &machine["loggingConfiguration"];
    if !["ERROR", "ALL"].contains(&text(&logging["level"])) || logging["includeExecutionData"] != json!(true) {
        problems.push(
            "its failures are not logged with their data: the alarms for leftovers and timeouts need them".into(),
        );
    }
    let deployed: Value = serde_json::from_str(text(&machine["definition"])).context("its definition is no JSON")?;
    let different = different(own, &deployed, &mut String::new());
    if !different.is_empty() {
        let places: Vec<_> = different.into_iter().collect();
        problems.push(format!("its definition is not that of this clone: {}", places.join(", ")));
    }
    Ok(problems)
}

/// Where a definition differs from another one.
fn different(own: &Value, other: &Value, place: &mut String) -> BTreeSet<String> {
    match (own, other) {
        (Value::Object(own), Value::Object(other)) => {
            let names: BTreeSet<_> = own.keys().chain(other.keys()).collect();
            let inside = names.into_iter().flat_map(|name| {
                let mut place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                // Releases are told apart by it.
                let is_comment = place == "Comment";
                let of = |fields: &serde_json::Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                if is_comment { BTreeSet::new() } else { different(&of(own), &of(other), &mut place) }
            });
            inside.collect()
        }
        (Value::Array(own), Value::Array(other)) if own.len() == other.len() => {
            own.iter().zip(other).flat_map(|(own, other)| different(own, other, place)).collect()
        }
        (own, other) if own == other => BTreeSet::new(),
        _ => BTreeSet::from([place.clone()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_in_definition_is_the_same_and_another_one_is_not() -> Result<()> {
        let own = json!({"Comment": "x", "States": {"A": {"Resource": "arn:aws:x", "Next": "B", "List": [1]}}});
        let deployed = |next: &str, resource: &str| json!({"Comment": "y", "States": {"A": {"Resource": resource, "Next": next, "List": [1]}}});
        let places = |deployed| different(&own, &deployed, &mut String::new());
        assert!(places(deployed("B", "arn:aws:x")).is_empty());
        assert_eq!(
            places(deployed("C", "arn:aws:y")),
            ["States.A.Next", "States.A.Resource"].map(str::to_owned).into()
        );
        let machine = json!({
            "status": "DELETING", "definition": deployed("C", "arn:aws:x").to_string(),
            "loggingConfiguration": {"level": "OFF"},
        });
        assert_eq!(problems(&machine, &own)?.len(), 3);
        let name = |name: &str| Ok(format!("<{name}>"));
        assert_eq!(filled("a ${One} b ${Two}", name)?, "a <One> b <Two>");
        assert!(filled("a ${One", name).is_err());
        Ok(())
    }
}
