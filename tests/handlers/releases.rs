//! The releases before, as `tests/releases/` has them: what the functions were sent then is put to those of now,
//! which accept it and answer as then. So a deploy does no harm to the runs that are under way.
//!
//! A recording is played call by call on an EC2 whose time passes as it did then. Ids are other ones, and are
//! replaced in what was recorded as soon as an answer shows them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ami_from_instance::{
    app::App,
    error::{Error, Failure},
    events, operations, plan,
    settings::{Machines, Settings},
};
use local_aws::{
    prepare::root,
    release::{Call, Recording},
};
use local_ec2::Ec2;
use serde_json::{Value, json};

use crate::{app_with, ec2, settings, step_functions::that_answers};

/// The recordings of every release, by their paths.
fn recordings() -> Vec<(String, Recording)> {
    let mut recordings = vec![];
    for path in files(".json").into_iter().filter(|path| !path.ends_with(".asl.json")) {
        let text = fs::read_to_string(&path).unwrap();
        recordings.push((path, serde_json::from_str(&text).unwrap()));
    }
    recordings
}

fn files(end: &str) -> Vec<String> {
    let releases = fs::read_dir(root().join("tests/releases")).unwrap().map(|entry| entry.unwrap().path());
    let files = releases.filter(|path| path.is_dir()).flat_map(|release| fs::read_dir(release).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()).collect();
    files.retain(|path| path.ends_with(end));
    files.sort();
    files
}

/// The ids in a text, in their order.
fn ids(text: &str) -> Vec<&str> {
    let mut ids: Vec<_> = text.match_indices("ami-0").chain(text.match_indices("snap-0")).collect();
    ids.sort_unstable();
    let whole = |start: usize, prefix: usize| text.get(start..start + prefix + 16);
    ids.iter().filter_map(|(start, prefix)| whole(*start, prefix.len())).filter(is_id).collect()
}

fn is_id(id: &&str) -> bool {
    id.rsplit('-').next().is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// What the ids of then are now.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    /// Learns from an answer of then and the one of now.
    fn learn(&mut self, then: &Value, now: &Value) {
        match (then, now) {
            (Value::String(then), Value::String(now)) => {
                for (then, now) in ids(then).into_iter().zip(ids(now)) {
                    self.0.entry(then.to_owned()).or_insert_with(|| now.to_owned());
                }
            }
            (Value::Array(then), Value::Array(now)) => {
                then.iter().zip(now).for_each(|(then, now)| self.learn(then, now));
            }
            (Value::Object(then), Value::Object(now)) => {
                then.iter().filter_map(|(key, then)| Some((then, now.get(key)?))).for_each(|(then, now)| {
                    self.learn(then, now);
                });
            }
            _ => {}
        }
    }

    fn replaced(&self, value: &Value) -> Value {
        let text = self.0.iter().fold(value.to_string(), |text, (then, now)| text.replace(then, now));
        serde_json::from_str(&text).unwrap()
    }
}

/// Moves the times of executions to the last hour: the functions ask how long ago they were.
fn lately(value: &mut Value) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    match value {
        Value::Array(values) => values.iter_mut().for_each(lately),
        Value::Object(members) => {
            for (key, value) in members {
                match key.as_str() {
                    "startDate" => *value = json!(now - 3_600),
                    "stopDate" => *value = json!(now - 20),
                    _ => lately(value),
                }
            }
        }
        _ => {}
    }
}

/// The settings of the deployment that was recorded: the template's own.
fn deployment() -> Settings {
    let machine = |name: &str| format!("arn:aws:states:us-east-1:000000000000:stateMachine:ami-from-instance-{name}");
    let machines = Machines { lifecycle: machine("lifecycle"), operation: machine("operation") };
    let default_tags = Ok(BTreeMap::new());
    Settings { machines: Ok(machines), default_tags, ..settings() }
}

/// What the function answers now; a Step Functions answers it what it answered then.
async fn answer(ec2: &Ec2, call: &Call, ids: &Ids) -> Value {
    let known: Vec<_> = call.step_functions.iter().map(|one| ids.replaced(one)).collect();
    let asked = Mutex::new(BTreeMap::new());
    let step_functions = that_answers(move |action, input| {
        let about = |one: &Value| {
            ["executionArn", "stateMachineArn", "statusFilter"].map(|field| one[field].as_str().map(str::to_owned))
        };
        let is_it = |one: &&Value| one["action"] == action && about(&one["sent"]) == about(input);
        let mut asked = asked.lock().unwrap();
        let times = asked.entry((action.to_owned(), about(input))).or_insert(0);
        *times += 1;
        // Asked more often than then, it goes on with the last answer.
        match known.iter().filter(is_it).take(*times).last() {
            Some(known) => {
                let mut answered = known["answered"].clone();
                lately(&mut answered);
                (known["status"].as_u64().unwrap() as u16, answered)
            }
            None => (400, json!({"__type": "ExecutionDoesNotExist", "message": format!("{action}: {input}")})),
        }
    })
    .await;
    let app = App { step_functions, ..app_with(ec2, deployment()) };
    let sent = ids.replaced(&call.sent);
    let answered = match call.function.as_str() {
        "read-request" => plan::handle(&app, sent).await.map(|plan| json!(plan)),
        "wake" => events::wake::handle(&app, sent).await.map(|woken| json!(woken)),
        "start-rollback" => events::start_rollback(&app, sent).await,
        _ => operations::answer(&app, sent).await,
    };
    answered.unwrap_or_else(|error: Error| {
        assert!(!error.is_to_be_retried(), "{error}");
        json!({"status": "Failed", "error": Failure::from(error)})
    })
}

/// Where a value has what kind of thing; null goes for a thing of any kind.
fn kinds(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Null => BTreeSet::from([String::new()]),
        Value::Bool(_) => BTreeSet::from([" bool".to_owned()]),
        Value::Number(_) => BTreeSet::from([" number".to_owned()]),
        Value::String(_) => BTreeSet::from([" string".to_owned()]),
        Value::Array(values) => values.iter().flat_map(kinds).map(|kind| format!("/*{kind}")).collect(),
        Value::Object(members) => {
            let of_one = |(key, value): (&String, &Value)| {
                kinds(value).into_iter().map(move |kind| format!("/{key}{kind}")).collect::<Vec<_>>()
            };
            members.iter().flat_map(of_one).collect()
        }
    }
}

/// A plan, or its refusal, without what only people read.
fn without_texts(mut answer: Value) -> Value {
    for operation in answer["operations"].as_array_mut().into_iter().flatten() {
        operation["note"].take();
    }
    if let Some(message) = answer.pointer_mut("/error/message") {
        message.take();
    }
    answer
}

/// Whether a value has all that another one has, the same in each place; an object may have more.
fn has_all(value: &Value, other: &Value) -> bool {
    match (value, other) {
        (Value::Object(members), Value::Object(others)) => {
            others.iter().all(|(key, other)| members.get(key).is_some_and(|value| has_all(value, other)))
        }
        (Value::Array(values), Value::Array(others)) => {
            values.len() == others.len() && values.iter().zip(others).all(|(value, other)| has_all(value, other))
        }
        _ => value == other,
    }
}

/// What decides how a machine goes on.
fn decides(answer: &Value) -> [&Value; 4] {
    [&answer["status"], &answer["wake"], &answer["error"]["name"], &answer["woken"]]
}

#[tokio::test]
async fn the_functions_accept_what_the_releases_before_sent_and_answer_as_then() {
    let mut seen = BTreeSet::new();
    for (path, recording) in recordings() {
        let ec2 = ec2().await;
        ec2.add_image_of_id("ami-0fedcba9876543210", "golden", &[("Team", "platform")]);
        recording.before.set_up(&ec2);
        let mut ids = Ids::default();
        let mut at = 0.0;
        for (number, call) in recording.calls.iter().enumerate() {
            ec2.advance(Duration::from_secs_f64(call.at - at));
            at = call.at;
            let answered = answer(&ec2, call, &ids).await;
            ids.learn(&call.answered, &answered);
            let place = format!("{path}, call {number} ({}): {} now {answered}", call.function, call.answered);
            assert_eq!(decides(&answered), decides(&call.answered), "{place}");
            let (then, now) = (kinds(&call.answered), kinds(&answered));
            // What a memory has depends on what a look happened to see; the next calls show whether it is understood.
            let is_there =
                |kind: &&String| kind.starts_with("/memory/") || now.iter().any(|one| one.starts_with(kind.as_str()));
            let missing: Vec<_> = then.iter().filter(|kind| !is_there(kind)).collect();
            assert!(missing.is_empty(), "{place}: {missing:?}");
            if call.function == "read-request" {
                assert!(
                    has_all(&without_texts(answered.clone()), &without_texts(ids.replaced(&call.answered))),
                    "{place}"
                );
            }
            let operation = call.sent["operation"].as_str().unwrap_or(&call.function).to_owned();
            seen.insert((operation, answered["status"].as_str().unwrap_or_default().to_owned()));
        }
    }
    let seen: Vec<_> = seen.iter().map(|(what, status)| format!("{what} {status}").trim().to_owned()).collect();
    for expected in [
        "create Failed",
        "create NotStarted",
        "create Pending",
        "create Succeeded",
        "delete Pending",
        "delete Succeeded",
        "read-request",
        "read-request Failed",
        "rollback Pending",
        "rollback Succeeded",
        "start-rollback",
        "update Pending",
        "update Succeeded",
        "wake",
    ] {
        assert!(seen.iter().any(|one| one == expected), "no {expected} among {seen:?}");
    }
}

#[test]
fn the_template_has_every_function_that_a_machine_of_a_release_before_calls() {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let machines = files(".asl.json");
    assert!(machines.len() >= 2);
    for path in machines {
        let machine = fs::read_to_string(&path).unwrap();
        let substitutions = machine.split("${").skip(1).filter_map(|rest| rest.split('}').next());
        for arn in substitutions.filter(|one| *one != "Partition") {
            let resource = arn.strip_suffix("Arn").unwrap();
            assert!(template.contains(&format!("\n  {resource}:\n")), "{path}: {resource}");
        }
    }
}
