//! From the text of a definition to its states.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Definition, DefinitionError, Kind, Next, State, choice, fields::Fields, task, variables};
use crate::{limits, template::Template};

pub(super) fn definition(text: &str) -> Result<Definition, DefinitionError> {
    let document: Value = serde_json::from_str(text).map_err(|error| DefinitionError::new("", error.to_string()))?;
    let mut fields = Fields::of(&document, "a state machine", "")?;
    fields.text("Comment")?;
    if fields.required_text("QueryLanguage")? != "JSONata" {
        return Err(fields.error("QueryLanguage", "must be JSONata"));
    }
    let start_at = fields.required_text("StartAt")?;
    let timeout_seconds = fields.whole("TimeoutSeconds", 1, limits::SECONDS)?;
    let Value::Object(described) = fields.required("States")? else {
        return Err(fields.error("States", "must be an object"));
    };
    let mut states = BTreeMap::new();
    for (name, value) in &described {
        if name.is_empty() || name.chars().count() > limits::NAME_CHARACTERS {
            return Err(DefinitionError::new(name, "a state's name must have 1 to 80 characters"));
        }
        states.insert(name.clone(), state(name, value)?);
    }
    fields.end()?;
    let definition = Definition { start_at, timeout_seconds, states };
    check_transitions(&definition)?;
    variables::check(&definition)?;
    Ok(definition)
}

fn state(name: &str, value: &Value) -> Result<State, DefinitionError> {
    let mut fields = Fields::of(value, "a state", name)?;
    fields.text("Comment")?;
    let kind = fields.required_text("Type")?;
    let (kind, next) = match kind.as_str() {
        "Task" => (Kind::Task(task::task(&mut fields)?), next(&mut fields)?),
        "Choice" => {
            let choice = choice::choice(&mut fields)?;
            // What Step Functions does where no rule matches is documented and measured differently.
            (Kind::Choice(choice), Next::State(fields.required_text("Default")?))
        }
        "Wait" => {
            let seconds = fields.seconds("Seconds", 0)?.ok_or_else(|| fields.error("Seconds", "is missing"))?;
            (Kind::Wait { seconds }, next(&mut fields)?)
        }
        "Pass" => (Kind::Pass, next(&mut fields)?),
        "Succeed" => (Kind::Succeed, Next::End),
        "Fail" => (fail(&mut fields)?, Next::End),
        other => return Err(fields.error("Type", format!("{other} is not supported"))),
    };
    let assign = match kind {
        Kind::Succeed | Kind::Fail { .. } => None,
        _ => assign(&mut fields)?,
    };
    let output = if matches!(kind, Kind::Fail { .. }) { None } else { fields.template("Output")? };
    fields.end()?;
    Ok(State { kind, assign, output, next })
}

fn next(fields: &mut Fields<'_>) -> Result<Next, DefinitionError> {
    match (fields.text("Next")?, fields.take("End")) {
        (Some(name), None) => Ok(Next::State(name)),
        (None, Some(Value::Bool(true))) => Ok(Next::End),
        _ => Err(fields.error("Next", "a state must have either Next or \"End\": true")),
    }
}

fn fail(fields: &mut Fields<'_>) -> Result<Kind, DefinitionError> {
    let error = fields.template("Error")?.ok_or_else(|| fields.error("Error", "is missing"))?;
    if let Template::Literal(Value::String(name)) = &error
        && name.starts_with("States.")
    {
        return Err(fields.error("Error", "names that begin with States. are reserved"));
    }
    let cause = fields.template("Cause")?;
    for (name, template) in [("Error", Some(&error)), ("Cause", cause.as_ref())] {
        if !matches!(template, None | Some(Template::Expression(_) | Template::Literal(Value::String(_)))) {
            return Err(fields.error(name, "must be a string"));
        }
    }
    Ok(Kind::Fail { error, cause })
}

/// The variables that are assigned: always an object.
pub(super) fn assign(fields: &mut Fields<'_>) -> Result<Option<Template>, DefinitionError> {
    let Some(template) = fields.template("Assign")? else { return Ok(None) };
    let Template::Object(variables) = &template else { return Err(fields.error("Assign", "must be an object")) };
    for (name, _) in variables {
        let characters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !characters || !starts || name.len() > limits::NAME_CHARACTERS || name == "states" {
            return Err(fields.error(&format!("Assign/{name}"), "is no name for a variable"));
        }
    }
    Ok(Some(template))
}

/// Each state that is named exists, and each that exists is reached.
fn check_transitions(definition: &Definition) -> Result<(), DefinitionError> {
    let mut reached = BTreeSet::new();
    let mut open = vec![("StartAt".to_owned(), definition.start_at.as_str())];
    while let Some((from, name)) = open.pop() {
        let Some(state) = definition.states.get(name) else {
            return Err(DefinitionError::new(from, format!("there is no state {name:?}")));
        };
        if !reached.insert(name) {
            continue;
        }
        open.extend(targets(state).into_iter().map(|target| (name.to_owned(), target)));
    }
    match definition.states.keys().find(|name| !reached.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(DefinitionError::new(name, "no transition leads to this state")),
    }
}

fn targets(state: &State) -> Vec<&str> {
    let mut targets: Vec<&str> = match &state.kind {
        Kind::Task(task) => task.catch.iter().map(|catcher| catcher.next.as_str()).collect(),
        Kind::Choice(choice) => choice.rules.iter().map(|rule| rule.next.as_str()).collect(),
        _ => Vec::new(),
    };
    if let Next::State(name) = &state.next {
        targets.push(name);
    }
    targets
}
