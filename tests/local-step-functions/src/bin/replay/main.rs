//! Replays executions that another Step Functions has run, each with the answers that its Tasks got there: the
//! interpreter enters the same states with the same inputs, makes the same calls, and ends in the same way.
//!
//! usage: replay [--cases FILE] FILE...
//!
//! With --cases, a file gets what each state does, for another engine to be compared with.
//!
//! A line of a file is an execution: `executionArn`, `name`, `stateMachineArn`, `status`, `input`, `output`, `error`,
//! `cause`, `definition`, and its `events` as GetExecutionHistory gives them.

mod cases;
mod outside;
mod recorded;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::ExitCode,
    sync::Arc,
};

use local_step_functions::{Clock, Definition, Engine, HistoryEvent, Page, ServiceError, Settings};
use serde_json::{Value, json};

use self::{
    cases::Cases,
    outside::Outside,
    recorded::{Executions, Recorded},
    steps::{Step, end, steps},
};

/// As few as there may be, so that nobody replays nothing.
const FEWEST: usize = 100;

fn main() -> ExitCode {
    let mut executions = Executions::new();
    let mut files: Vec<_> = env::args().skip(1).collect();
    let into = match files.first().map(String::as_str) {
        Some("--cases") => files.drain(..2).next_back(),
        _ => None,
    };
    let mut cases = Cases::default();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let read = text.lines().map(|line| Recorded::read(line).unwrap_or_else(|error| panic!("{file}: {error}")));
        executions.extend(read.map(|one| (one.arn.clone(), Arc::new(one))));
    }
    let executions = Arc::new(executions);
    let mut wrong = vec![];
    let mut too_deep = 0;
    let mut never_entered = BTreeMap::new();
    for one in executions.values() {
        // The interpreter reads JSON of 127 levels, as the functions do, which then name the fault.
        if serde_json::from_str::<Value>(&one.input).is_err() {
            too_deep += 1;
            continue;
        }
        let definition = Definition::parse(&one.definition).unwrap_or_else(|error| panic!("{}: {error}", one.machine));
        let names = || definition.state_names().map(str::to_owned).collect::<BTreeSet<_>>();
        let left = never_entered.entry(&one.machine).or_insert_with(names);
        left.retain(|state| one.states().all(|entered| entered != state));
        let difference = difference(one, &executions, definition, &mut cases);
        wrong.extend(difference.map(|difference| format!("{}: {difference}", one.arn)));
    }
    let never = never_entered.iter().filter(|(_, states)| !states.is_empty());
    wrong.extend(never.map(|(machine, states)| format!("{machine}: no execution has entered {states:?}")));
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    if let Some(into) = into {
        fs::write(&into, cases.lines()).unwrap_or_else(|error| panic!("{into}: {error}"));
    }
    let (count, machines) = (executions.len(), never_entered.len());
    let wrong_count = wrong.len();
    println!("{count} executions of {machines} machines, {too_deep} of them nested too deeply, {wrong_count} wrong");
    if wrong.is_empty() && count >= FEWEST + too_deep { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// In milliseconds since 1970, with as many digits as today's.
const NOW_MILLIS: i64 = 1_800_000_000_000;

/// Runs an execution again, and says what is otherwise, if anything is.
fn difference(
    one: &Arc<Recorded>,
    executions: &Arc<Executions>,
    definition: Definition,
    cases: &mut Cases,
) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let again = match runtime.map(|runtime| runtime.block_on(run_again(one, executions, definition))) {
        Ok(Ok(again)) => again,
        Ok(Err(error)) => return Some(error.to_string()),
        Err(error) => return Some(error.to_string()),
    };
    cases.add(&again.described, &again.events);
    for (number, step) in one.steps.iter().enumerate() {
        let now = again.steps.get(number);
        if now != Some(step) {
            return Some(format!("step {number} was\n    {step:?}\n  and is\n    {now:?}"));
        }
    }
    // One that was stopped goes on here until it would make the next call.
    let is_stopped = !["SUCCEEDED", "FAILED"].contains(&one.status.as_str());
    let more = &again.steps[one.steps.len()..];
    let is_alike = is_stopped || (more.is_empty() && again.status == one.status && again.end == one.end);
    let was = format!("it ended {} with {}", one.status, one.end);
    (!is_alike).then(|| format!("{was}\n  and ends {} with {}, after {more:?}", again.status, again.end))
}

/// What an execution does now.
struct Again {
    steps: Vec<Step>,
    status: String,
    end: Value,
    described: Value,
    events: Vec<Value>,
}

async fn run_again(
    one: &Arc<Recorded>,
    executions: &Arc<Executions>,
    definition: Definition,
) -> Result<Again, ServiceError> {
    let outside = Outside::new(Arc::clone(one), Arc::clone(executions));
    let engine = Engine::new(Settings::new(1, Clock::starting_at(NOW_MILLIS)), outside.clone());
    outside.works_for(Some(engine.clone()));
    engine.create_state_machine(&one.machine, definition)?;
    let machines: BTreeSet<_> = executions.values().map(|other| &other.machine).collect();
    for machine in machines.into_iter().filter(|machine| **machine != one.machine) {
        engine.create_state_machine(machine, child())?;
    }
    let started = engine.start_execution(&one.machine, Some(&one.name), &one.input)?;
    let ended = engine.wait_for_end(&started.arn).await?;
    let (mut events, mut next) = (vec![], None);
    loop {
        let Page { items, next_token } = engine.get_execution_history(&one.arn, false, Some(1000), next.as_deref())?;
        events.extend(items.iter().map(HistoryEvent::to_json));
        next = next_token;
        if next.is_none() {
            break;
        }
    }
    outside.works_for(None);
    let described = ended.to_json();
    let (steps, end) = (steps(&events), end(&described));
    Ok(Again { steps, status: ended.status.to_string(), end, described, events })
}

/// Stands for the machine of a child, which is replayed by itself: each execution ends as that child did.
fn child() -> Definition {
    let answered = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "the child", "Payload": {}},
        "Output": "{% $states.result.Payload %}",
        "End": true,
    });
    let machine = json!({"QueryLanguage": "JSONata", "StartAt": "End", "States": {"End": answered}});
    Definition::parse(&machine.to_string()).unwrap_or_else(|error| panic!("{error}"))
}
