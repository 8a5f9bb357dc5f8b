//! A Task: its attempts, its timeout, Retry and Catch.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Exit, Failure, Stop,
    visit::{Leaving, Visit},
};
use crate::{
    definition::{Next, Resource, TASK_FAILED, TIMEOUT, Task},
    execution::Status,
    executions::{ServiceError, Shared, Token},
    expression::Scope,
    history::Event,
    limits,
    tasks::{Call, Fault, TaskError},
};

impl Visit<'_> {
    pub(super) async fn task(&self, task: &Task) -> Result<Exit, Stop> {
        let mut retries_by_item = vec![0; task.retry.len()];
        let mut retries = 0;
        loop {
            let context = &mut self.context();
            context["State"]["RetryCount"] = retries.into();
            let failure = match self.attempt(task, context, retries).await {
                Ok(exit) => return Ok(exit),
                Err(Stop::Ended) => return Err(Stop::Ended),
                Err(Stop::Failed(failure)) => failure,
            };
            // The first item that names the error decides, even when its attempts are used up.
            let item =
                task.retry.iter().zip(&mut retries_by_item).find(|(item, _)| item.errors.include(&failure.error));
            if let Some((item, used)) = item
                && *used < item.max_attempts
            {
                let delay = item.delay_millis(*used, || self.run.shared.draw());
                *used += 1;
                retries += 1;
                tokio::time::sleep(Duration::from_millis(delay)).await;
                continue;
            }
            return self.catch(task, context, failure);
        }
    }

    fn catch(&self, task: &Task, context: &Value, failure: Failure) -> Result<Exit, Stop> {
        let caught = task.catch.iter().enumerate().find(|(_, catcher)| catcher.errors.include(&failure.error));
        let Some((index, catcher)) = caught else { return Err(failure.into()) };
        let mut error_output = json!({"Error": failure.error});
        if let Some(cause) = failure.cause {
            error_output["Cause"] = cause.into();
        }
        let error_output = Arc::new(error_output);
        let scope = Scope { error_output: Some(&error_output), ..self.scope(context) };
        let leaving = Leaving {
            prefix: format!("Catch[{index}]/"),
            assign: catcher.assign.as_ref(),
            output: catcher.output.as_ref(),
            next: Next::State(catcher.next.clone()),
        };
        self.leave(leaving, &scope, &error_output)
    }

    async fn attempt(&self, task: &Task, context: &mut Value, retries: u64) -> Result<Exit, Stop> {
        let token = task.resource.waits_for_token().then(|| Shared::issue_token(&self.run.shared));
        if let Some(token) = &token {
            context["Task"]["Token"] = token.text.as_str().into();
        }
        let result = {
            let scope = self.scope(context);
            let arguments = self.evaluate(&task.arguments, "Arguments", &scope)?;
            self.check_size(&arguments)?;
            let timeout = match &task.timeout_seconds {
                None => None,
                Some(seconds) => Some(self.seconds(seconds, "TimeoutSeconds", 1, &scope)?),
            };
            self.call(task.resource, arguments, timeout, token, retries).await?
        };
        let scope = Scope { result: Some(&result), ..self.scope(context) };
        self.leave(self.own_fields(), &scope, &result)
    }

    /// Makes the call, and records it.
    async fn call(
        &self,
        resource: Resource,
        arguments: Value,
        timeout: Option<u64>,
        token: Option<Token>,
        retries: u64,
    ) -> Result<Arc<Value>, Stop> {
        let (run, names) = (self.run, resource.names());
        run.record(Event::TaskScheduled {
            resource: names,
            region: run.machine.region.clone(),
            parameters: Arc::new(arguments.clone()),
            timeout_seconds: timeout,
        })?;
        run.record(Event::TaskStarted { resource: names })?;
        let call = Call {
            execution: run.execution.arn.clone(),
            machine: run.machine.arn.clone(),
            state: self.name.to_owned(),
            retries,
            resource,
            arguments,
        };
        let answer = self.answer(call, token);
        let answer = match timeout {
            None => answer.await,
            Some(seconds) => match tokio::time::timeout(Duration::from_secs(seconds), answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(self.timed_out(resource)),
            },
        };
        match answer {
            Ok(result) => {
                self.check_size(&result)?;
                let result = Arc::new(result);
                run.record(Event::TaskSucceeded { resource: names, output: Arc::clone(&result) })?;
                Ok(result)
            }
            Err(Stop::Failed(Failure { error, cause })) => {
                let cause = cause.map(|cause| limits::cut(cause, limits::CAUSE_CHARACTERS));
                run.record(Event::TaskFailed { resource: names, error: error.clone(), cause: cause.clone() })?;
                Err(Failure { error, cause }.into())
            }
            Err(Stop::Ended) => Err(Stop::Ended),
        }
    }

    fn timed_out(&self, resource: Resource) -> Stop {
        if let Err(ended) = self.run.record(Event::TaskTimedOut { resource: resource.names() }) {
            return ended.into();
        }
        if let Some(child) = self.run.shared.take_child(&self.run.execution.arn) {
            Shared::perhaps_stop(&self.run.shared, child);
        }
        Failure { error: TIMEOUT.to_owned(), cause: None }.into()
    }

    async fn answer(&self, call: Call, token: Option<Token>) -> Result<Value, Stop> {
        match call.resource {
            Resource::InvokeFunction => {
                let payload = self.perform(call).await?;
                Ok(json!({"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": 200}))
            }
            Resource::PutEvents => Ok(self.put_events(call).await?),
            Resource::PutEventsAndWait => {
                let names = call.resource.names();
                let response = self.put_events(call).await?;
                self.run.record(Event::TaskSubmitted { resource: names, output: Arc::new(response) })?;
                let Some(mut token) = token else { return Err(Failure::new(TASK_FAILED, "there is no token").into()) };
                match (&mut token.answer).await {
                    Ok(answer) => Ok(answer.map_err(Failure::from)?),
                    // Nobody drops the other end before the token.
                    Err(_) => Err(Stop::Ended),
                }
            }
            Resource::RunExecution => self.run_execution(call).await,
            Resource::DescribeExecution => self.describe_execution(call).await,
        }
    }

    /// Lets the outside do it. The work goes on even when nobody waits for it any more.
    async fn perform(&self, call: Call) -> Result<Value, Failure> {
        let work = tokio::spawn(self.run.shared.tasks.perform(call));
        match work.await {
            Ok(answer) => Ok(answer?),
            Err(error) => Err(Failure::new("TaskPanicked", error.to_string())),
        }
    }

    async fn put_events(&self, call: Call) -> Result<Value, Failure> {
        let response = self.perform(call).await?;
        if response["FailedEntryCount"].as_u64().is_none_or(|failed| failed > 0) {
            return Err(Failure::new("EventBridge.FailedEntry", response.to_string()));
        }
        Ok(response)
    }

    /// Starts an execution and waits until it has ended.
    async fn run_execution(&self, call: Call) -> Result<Value, Stop> {
        let (shared, names) = (&self.run.shared, call.resource.names());
        let fault = shared.tasks.fault(&call).await;
        if let Fault::Refused(error) = fault {
            return Err(Failure::from(error).into());
        }
        let text = |name: &str| call.arguments[name].as_str();
        let input = call.arguments.get("Input").map_or_else(|| "{}".to_owned(), Value::to_string);
        let started =
            Shared::start_execution(shared, text("StateMachineArn").unwrap_or_default(), text("Name"), &input);
        let started = started.map_err(|error| refused("StepFunctions", "AWSStepFunctions", &error))?;
        if let Fault::AnswerLost(error) = fault {
            return Err(Failure::from(error).into());
        }
        shared.set_child(&self.run.execution.arn, Some(&started.arn));
        let response = json!({"ExecutionArn": started.arn, "StartDate": started.start_millis});
        self.run.record(Event::TaskSubmitted { resource: names, output: Arc::new(response) })?;
        let ended = shared.wait_for_end(&started.arn).await;
        shared.set_child(&self.run.execution.arn, None);
        let ended = ended.map_err(|error| refused("StepFunctions", "AWSStepFunctions", &error))?;
        let mut document = ended.to_child_document();
        if ended.status != Status::Succeeded {
            return Err(Failure::new(TASK_FAILED, document.to_string()).into());
        }
        let output = ended.output.as_deref().and_then(|output| serde_json::from_str(output).ok());
        document["Output"] = output.unwrap_or_default();
        Ok(document)
    }

    async fn describe_execution(&self, call: Call) -> Result<Value, Stop> {
        let shared = &self.run.shared;
        match shared.tasks.fault(&call).await {
            Fault::Refused(error) | Fault::AnswerLost(error) => return Err(Failure::from(error).into()),
            Fault::None => {}
        }
        let arn = call.arguments["ExecutionArn"].as_str().unwrap_or_default();
        match shared.describe_execution(arn) {
            Ok(described) => Ok(described.to_sdk_document()),
            Err(error) => Err(refused("Sfn", "Sfn", &error).into()),
        }
    }
}

/// An error of the service as an integration reports it.
fn refused(prefix: &str, service: &str, error: &ServiceError) -> Failure {
    let code = error.code();
    let cause = format!("{error} (Service: {service}; Status Code: 400; Error Code: {code}; Proxy: null)");
    Failure::new(&format!("{prefix}.{code}Exception"), cause)
}

impl From<TaskError> for Failure {
    fn from(TaskError { error, cause }: TaskError) -> Self {
        Self { error, cause }
    }
}
