//! What expressions read exists: variables that some state assigns, and the parts of `$states` that
//! Step Functions gives where the expression stands.

use std::collections::BTreeSet;

use super::{Definition, DefinitionError, Kind, State, Task};
use crate::{
    expression::{Expression, needs::Need},
    template::Template,
};

/// What of `$states` there is, beside its input and its context.
#[derive(Clone, Copy, Default)]
struct Given {
    result: bool,
    error_output: bool,
    retry_count: bool,
    token: bool,
}

type Place<'a> = (&'a Template, String, Given);

pub(super) fn check(definition: &Definition) -> Result<(), DefinitionError> {
    let places: Vec<Place<'_>> = definition.states.iter().flat_map(|(name, state)| places(name, state)).collect();
    let mut assigned = BTreeSet::new();
    for (template, location, _) in &places {
        if let Template::Object(variables) = template
            && location.ends_with("/Assign")
        {
            assigned.extend(variables.iter().map(|(name, _)| name.as_str()));
        }
    }
    for (template, location, given) in &places {
        for expression in template.expressions() {
            check_expression(expression, &assigned, *given).map_err(|what| {
                DefinitionError::new(location.as_str(), format!("{what} in {{% {} %}}", expression.source()))
            })?;
        }
    }
    Ok(())
}

/// All templates of a state, where they stand, and what they are given.
fn places<'a>(name: &str, state: &'a State) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    let mut add = |template: Option<&'a Template>, field: &str, given: Given| {
        places.extend(template.map(|template| (template, format!("{name}/{field}"), given)));
    };
    let mut leaving = Given::default();
    match &state.kind {
        Kind::Task(Task { resource, arguments, timeout_seconds, catch, .. }) => {
            let token = resource.waits_for_token();
            let calling = Given { token, retry_count: true, ..Given::default() };
            add(Some(arguments), "Arguments", calling);
            add(timeout_seconds.as_ref(), "TimeoutSeconds", calling);
            for (index, catcher) in catch.iter().enumerate() {
                let caught = Given { error_output: true, ..calling };
                add(catcher.output.as_ref(), &format!("Catch[{index}]/Output"), caught);
                add(catcher.assign.as_ref(), &format!("Catch[{index}]/Assign"), caught);
            }
            leaving = Given { result: true, ..calling };
        }
        Kind::Choice(choice) => {
            for (index, rule) in choice.rules.iter().enumerate() {
                add(Some(&rule.condition), &format!("Choices[{index}]/Condition"), leaving);
                add(rule.output.as_ref(), &format!("Choices[{index}]/Output"), leaving);
                add(rule.assign.as_ref(), &format!("Choices[{index}]/Assign"), leaving);
            }
        }
        Kind::Wait { seconds } => add(Some(seconds), "Seconds", leaving),
        Kind::Fail { error, cause } => {
            add(Some(error), "Error", leaving);
            add(cause.as_ref(), "Cause", leaving);
        }
        Kind::Pass | Kind::Succeed => {}
    }
    add(state.output.as_ref(), "Output", leaving);
    add(state.assign.as_ref(), "Assign", leaving);
    places
}

fn check_expression(expression: &Expression, assigned: &BTreeSet<&str>, given: Given) -> Result<(), String> {
    if let Some(name) = expression.bound().iter().find(|name| assigned.contains(name.as_str())) {
        return Err(format!("${name} hides a variable that is assigned"));
    }
    for (name, need) in expression.needs() {
        if name == "states" {
            check_states(need, given)?;
        } else if !assigned.contains(name.as_str()) {
            return Err(format!("no state assigns ${name}"));
        }
    }
    Ok(())
}

fn check_states(need: &Need, given: Given) -> Result<(), String> {
    for (part, need) in need.fields() {
        let there = match part.as_str() {
            "input" => true,
            "result" => given.result,
            "errorOutput" => given.error_output,
            "context" => {
                check_context(need, given)?;
                true
            }
            _ => false,
        };
        if !there {
            return Err(format!("there is no $states.{part} here"));
        }
    }
    Ok(())
}

fn check_context(need: &Need, given: Given) -> Result<(), String> {
    if need.is_whole() {
        return Err("$states.context must be read field by field".to_owned());
    }
    for (part, need) in need.fields() {
        if need.is_whole() {
            return Err(format!("$states.context.{part} must be read field by field"));
        }
        for (field, _) in need.fields() {
            let there = match (part.as_str(), field.as_str()) {
                ("Execution", "Id" | "Name" | "StartTime" | "Input" | "RedriveCount")
                | ("StateMachine", "Id" | "Name")
                | ("State", "Name" | "EnteredTime") => true,
                ("State", "RetryCount") => given.retry_count,
                ("Task", "Token") => given.token,
                _ => false,
            };
            if !there {
                return Err(format!("there is no $states.context.{part}.{field} here"));
            }
        }
    }
    Ok(())
}
