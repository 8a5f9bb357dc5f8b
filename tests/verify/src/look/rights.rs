//! The roles: IAM itself says what each may do and what not, and who may take it.
//!
//! `rights.jsonl` has what the tests saw the functions and machines call, what AWS calls in their names, and what none
//! of them may ever call; `.ci/iam/rights.mjs` writes it. What a role is denied here no other policy can allow it: EC2
//! and Step Functions have no policies of resources. What it is allowed a policy of the organization can still
//! deny; the executions of the deeper proofs show that.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{add_all, check};
use crate::{
    aws::{Aws, IAM, Refusal, items, text},
    report::{Check, Report},
    stack::Stack,
};

const RIGHTS: &str = include_str!("../../rights.jsonl");
/// The deployment that the file is about.
const RECORDED: (&str, &str, &str) = ("ami-from-instance", "000000000000", "us-east-1");
/// Where the file says that it is about another Region.
const ELSEWHERE: &str = "eu-west-1";
/// IAM answers some of these a second.
const AT_ONCE: usize = 4;

#[derive(Clone, Debug, Deserialize)]
struct Right {
    allowed: bool,
    principal: String,
    action: String,
    resource: String,
    context: BTreeMap<String, Value>,
    given: BTreeMap<String, bool>,
    #[serde(default)]
    what: String,
}

/// A question to IAM: one role, one resource and one context, and some actions with what is expected.
#[derive(Clone, Debug)]
struct Question {
    principal: String,
    resource: String,
    context: Vec<Value>,
    actions: BTreeMap<String, (bool, String)>,
}

pub(super) async fn look(aws: &Aws, stack: &Stack, report: &Report<'_>) {
    let trusts = stack.of_kind("AWS::IAM::Role").map(|(name, id)| trust(aws, name, id));
    add_all(report, trusts).await;
    let mut of_principal: BTreeMap<String, Vec<Question>> = BTreeMap::new();
    for question in questions(stack) {
        of_principal.entry(question.principal.clone()).or_default().push(question);
    }
    for (principal, questions) in of_principal {
        report.add(role(aws, stack, &principal, questions).await);
    }
}

/// Who may take a role.
async fn trust(aws: &Aws, name: &str, id: &str) -> Check {
    let service = match name {
        name if name.ends_with("FunctionRole") => "lambda",
        name if name.ends_with("MachineRole") => "states",
        _ => "scheduler",
    };
    let expected = format!("{service}.amazonaws.com may take it, and nobody else");
    check(format!("look/trust/{name}"), &expected, async {
        let role = aws.call(IAM, "GetRole", json!({"RoleName": id})).await?;
        let document = decoded(text(&role["Role"]["AssumeRolePolicyDocument"]));
        let document: Value = serde_json::from_str(&document)?;
        let statements = one_or_many(&document["Statement"]);
        let is_right = |one: &&Value| {
            one["Effect"] == "Allow"
                && one_or_many(&one["Principal"]["Service"]).iter().all(|name| {
                    text(name).strip_suffix(".cn").unwrap_or(text(name)) == format!("{service}.amazonaws.com")
                })
                && one["Principal"].as_object().is_some_and(|kinds| kinds.len() == 1)
                && one_or_many(&one["Action"]).iter().any(|action| action == "sts:AssumeRole")
        };
        let right = statements.iter().filter(is_right).count();
        Ok((right == 1 && statements.len() == 1, document["Statement"].to_string()))
    })
    .await
}

pub(super) fn one_or_many(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

/// What stands for a percent sign and two digits.
fn decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &others[2..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Everything to ask about a stack with such parameters.
fn questions(stack: &Stack) -> Vec<Question> {
    let mut questions: BTreeMap<(String, String, String), Question> = BTreeMap::new();
    let is_on = |parameter: &String| {
        let value = stack.parameters.get(parameter).map(String::as_str);
        !["", "false"].contains(&value.unwrap_or_default())
    };
    for line in RIGHTS.lines() {
        let Ok(right) = serde_json::from_str::<Right>(line) else { continue };
        let Some(resource) = here(stack, &right.resource) else { continue };
        if right.given.iter().any(|(parameter, on)| is_on(parameter) != *on) {
            continue;
        }
        let context: Vec<_> = right.context.iter().map(|(key, value)| entry(stack, key, value)).collect();
        let key = (right.principal.clone(), resource.clone(), json!(context).to_string());
        let question = questions.entry(key).or_insert_with(|| Question {
            principal: right.principal.clone(),
            resource,
            context,
            actions: BTreeMap::new(),
        });
        question.actions.insert(right.action, (right.allowed, right.what));
    }
    questions.into_values().collect()
}

/// A resource of the recorded deployment in this one; none if the stack has nothing like it.
fn here(stack: &Stack, recorded: &str) -> Option<String> {
    let (name, account, region) = RECORDED;
    let mut arn = recorded.to_owned();
    for (logical, resource) in &stack.resources {
        let physical = resource.id.rsplit(['/', ':']).next().unwrap_or_default();
        let recorded = format!("{name}-{logical}");
        if let Some(start) = arn.strip_suffix(&recorded) {
            return Some(moved(stack, &format!("{start}{physical}"), account, region));
        }
    }
    // A key in another Region is none of this stack's.
    if recorded.contains(ELSEWHERE) && recorded.contains(":key/") {
        return Some(moved(stack, recorded, account, region));
    }
    for (key, parameter) in [(":key/of-the-user", "KmsKeyArn"), (":key/of-a-volume", "VolumeKmsKeyArns")] {
        if recorded.ends_with(key) {
            let first = stack.parameters.get(parameter)?.split(',').next().filter(|arn| !arn.is_empty())?;
            return Some(first.to_owned());
        }
    }
    for separator in [":", "/"] {
        let (from, to) = (format!("{separator}{name}-"), format!("{separator}{}-", stack.name));
        arn = arn.replace(&from, &to);
    }
    Some(moved(stack, &arn, account, region))
}

fn moved(stack: &Stack, text: &str, account: &str, region: &str) -> String {
    let elsewhere = if stack.region == ELSEWHERE { region } else { ELSEWHERE };
    let parts = text.split(ELSEWHERE).map(|part| part.replace(region, &stack.region));
    let text = parts.collect::<Vec<_>>().join(elsewhere).replace(account, &stack.caller.account);
    text.replace("arn:aws:", &format!("arn:{}:", stack.caller.partition()))
}

/// A context key, as IAM takes it.
fn entry(stack: &Stack, key: &str, value: &Value) -> Value {
    let (_, account, region) = RECORDED;
    let of = |value: &Value| match value {
        Value::String(text) if text.starts_with("arn:") => here(stack, text).unwrap_or_default(),
        Value::String(text) => moved(stack, text, account, region),
        other => other.to_string(),
    };
    let (kind, values) = match value {
        Value::Array(values) => ("stringList", values.iter().map(of).collect()),
        Value::String(text) if text == "true" || text == "false" => ("boolean", vec![text.clone()]),
        other => ("string", vec![of(other)]),
    };
    json!({"ContextKeyName": key, "ContextKeyType": kind, "ContextKeyValues": values})
}

/// Asks about one role.
async fn role(aws: &Aws, stack: &Stack, principal: &str, questions: Vec<Question>) -> Check {
    let count: usize = questions.iter().map(|question| question.actions.len()).sum();
    let allowed =
        questions.iter().flat_map(|question| question.actions.values()).filter(|(allowed, _)| *allowed).count();
    let expected = format!("{allowed} calls allowed and {} denied", count - allowed);
    check(format!("look/rights/{principal}"), &expected, async {
        let name = match principal {
            "ScheduleRole" | "Schedule" => "ScheduleRole".to_owned(),
            other => format!("{other}Role"),
        };
        let role = stack.role_arn(stack.id(&name)?);
        let answers = stream::iter(questions.iter().map(|question| ask(aws, &role, question)));
        let answers: Vec<Result<Vec<String>>> = answers.buffered(AT_ONCE).collect().await;
        let mut wrong = answers.into_iter().collect::<Result<Vec<_>>>()?.concat();
        wrong.sort();
        wrong.dedup();
        Ok((wrong.is_empty(), if wrong.is_empty() { expected.clone() } else { wrong.join("; ") }))
    })
    .await
}

/// What is otherwise than expected. An action that IAM's simulator does not know spoils no other one's answer.
async fn ask(aws: &Aws, role: &str, question: &Question) -> Result<Vec<String>> {
    let actions: Vec<&str> = question.actions.keys().map(String::as_str).collect();
    let mut decisions = match simulate(aws, role, question, &actions).await {
        Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code == "InvalidInput") => BTreeMap::new(),
        answer => answer?,
    };
    for action in actions {
        if !decisions.contains_key(action) {
            match simulate(aws, role, question, &[action]).await {
                Err(error) if Refusal::of(&error).is_some_and(|refusal| refusal.code == "InvalidInput") => {}
                answer => decisions.extend(answer.with_context(|| action.to_owned())?),
            }
        }
    }
    let is_wrong = |(action, (allowed, what)): (&String, &(bool, String))| {
        let verb = match decisions.get(action) {
            Some(is) if is == allowed => return None,
            Some(true) => "it may",
            Some(false) => "it may not",
            None => "IAM does not say whether it may",
        };
        let about = if what.is_empty() { String::new() } else { format!(" ({what})") };
        Some(format!("{verb} {action} on {}{about}", question.resource))
    };
    Ok(question.actions.iter().filter_map(is_wrong).collect())
}

/// Whether IAM allows some actions.
async fn simulate(aws: &Aws, role: &str, question: &Question, actions: &[&str]) -> Result<BTreeMap<String, bool>> {
    let arguments = json!({
        "PolicySourceArn": role, "ActionNames": actions, "MaxItems": 1000,
        "ResourceArns": [question.resource], "ContextEntries": question.context,
    });
    let answer = aws.call(IAM, "SimulatePrincipalPolicy", arguments).await?;
    let results = items(&answer["EvaluationResults"]).iter();
    Ok(results.map(|one| (text(&one["EvalActionName"]).to_owned(), text(&one["EvalDecision"]) == "allowed")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{Caller, Resource};

    fn stack() -> Stack {
        let function = Resource { kind: "AWS::Lambda::Function".into(), id: "s-WakeFunction-1".into() };
        Stack {
            name: "s".into(),
            status: String::new(),
            parameters: [("AllowUnmanagedImages".into(), "false".into())].into(),
            outputs: BTreeMap::new(),
            resources: [("WakeFunction".into(), function)].into(),
            caller: Caller { account: "111122223333".into(), arn: "arn:aws-cn:iam::111122223333:root".into() },
            region: "cn-north-1".into(),
        }
    }

    #[test]
    fn every_line_is_read_and_is_about_this_deployment() {
        for line in RIGHTS.lines() {
            assert!(serde_json::from_str::<Right>(line).is_ok(), "{line}");
        }
        let questions = questions(&stack());
        assert!(questions.len() > 200, "{}", questions.len());
        let questions: Vec<_> = questions.iter().filter(|one| !one.resource.contains(ELSEWHERE)).collect();
        let all = format!("{questions:?}");
        assert!(!all.contains("000000000000") && !all.contains("us-east-1"), "{all}");
        assert!(all.contains("execution:s-lifecycle:nightly"));
    }

    #[test]
    fn what_cloudformation_names_is_found_by_its_logical_id() {
        let arn = here(&stack(), "arn:aws:lambda:us-east-1:000000000000:function:ami-from-instance-WakeFunction");
        assert_eq!(arn.as_deref(), Some("arn:aws-cn:lambda:cn-north-1:111122223333:function:s-WakeFunction-1"));
        let mut there = stack();
        there.region = "eu-west-1".to_owned();
        let queue = here(&there, "arn:aws:sqs:eu-west-1:000000000000:q");
        assert_eq!(queue.as_deref(), Some("arn:aws-cn:sqs:us-east-1:111122223333:q"));
        assert_eq!(here(&stack(), "arn:aws:kms:us-east-1:000000000000:key/of-the-user"), None);
    }

    #[test]
    fn a_document_is_decoded() {
        assert_eq!(decoded("%7B%22a%22%3A1%7D %zz%"), "{\"a\":1} %zz%");
    }
}
