//! One visit of a state, and what all types of states have in common.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

use super::{Exit, Failure, Run, Stop};
use crate::{
    definition::{Choice, DATA_LIMIT_EXCEEDED, Kind, Next, QUERY_EVALUATION_ERROR, State},
    expression::Scope,
    history::Event,
    limits,
    template::{EvaluationError, Template, wrong_type},
};

/// A visit of a state.
pub(super) struct Visit<'a> {
    pub(super) run: &'a Run,
    pub(super) state: &'a State,
    pub(super) name: &'a str,
    /// The id of the event with which it began.
    pub(super) entered: u64,
    pub(super) entered_time: String,
    pub(super) input: &'a Arc<Value>,
    pub(super) variables: &'a BTreeMap<String, Value>,
}

/// Where the fields stand that decide with what a state is left.
pub(super) struct Leaving<'a> {
    /// Such as `Catch[0]/`; empty for the state's own.
    pub(super) prefix: String,
    pub(super) assign: Option<&'a Template>,
    pub(super) output: Option<&'a Template>,
    pub(super) next: Next,
}

impl Visit<'_> {
    /// Does what the state does.
    pub(super) async fn pass_through(&self) -> Result<Exit, Stop> {
        let context = self.context();
        let scope = self.scope(&context);
        match &self.state.kind {
            Kind::Task(task) => return self.task(task).await,
            Kind::Choice(choice) => return self.choose(choice, &scope),
            Kind::Wait { seconds } => {
                let seconds = self.seconds(seconds, "Seconds", 0, &scope)?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            Kind::Pass | Kind::Succeed => {}
            Kind::Fail { error, cause } => {
                let error = self.text(error, "Error", &scope)?;
                let cause = cause.as_ref().map(|cause| self.text(cause, "Cause", &scope)).transpose()?;
                return Err(Failure { error, cause }.into());
            }
        }
        self.leave(self.own_fields(), &scope, self.input)
    }

    /// The state's own Assign and Output.
    pub(super) fn own_fields(&self) -> Leaving<'_> {
        Leaving {
            prefix: String::new(),
            assign: self.state.assign.as_ref(),
            output: self.state.output.as_ref(),
            next: self.state.next.clone(),
        }
    }

    fn choose(&self, choice: &Choice, scope: &Scope<'_>) -> Result<Exit, Stop> {
        for (index, rule) in choice.rules.iter().enumerate() {
            let location = format!("Choices[{index}]/Condition");
            match self.evaluate(&rule.condition, &location, scope)? {
                Value::Bool(false) => {}
                Value::Bool(true) => {
                    let leaving = Leaving {
                        prefix: format!("Choices[{index}]/"),
                        assign: rule.assign.as_ref(),
                        output: rule.output.as_ref(),
                        next: Next::State(rule.next.clone()),
                    };
                    return self.leave(leaving, scope, self.input);
                }
                other => {
                    return Err(self.failed_evaluation(wrong_type(&rule.condition, &location, "boolean", &other))?);
                }
            }
        }
        self.leave(self.own_fields(), scope, self.input)
    }

    /// Evaluates Assign and Output. Both see the variables as they were before.
    pub(super) fn leave(&self, leaving: Leaving<'_>, scope: &Scope<'_>, default: &Arc<Value>) -> Result<Exit, Stop> {
        let Leaving { prefix, assign, output, next } = leaving;
        let assigned = match assign {
            None => Vec::new(),
            Some(assign) => match self.evaluate(assign, &format!("{prefix}Assign"), scope)? {
                Value::Object(variables) => variables.into_iter().collect(),
                _ => Vec::new(),
            },
        };
        let output = match output {
            None => Arc::clone(default),
            Some(output) => {
                let output = self.evaluate(output, &format!("{prefix}Output"), scope)?;
                self.check_size(&output)?;
                Arc::new(output)
            }
        };
        for (_, value) in &assigned {
            self.check_size(value)?;
        }
        Ok(Exit { output, assigned, next })
    }

    pub(super) fn check_size(&self, document: &Value) -> Result<(), Failure> {
        if limits::too_large(document) {
            let what = "a document is larger than the maximum number of bytes service limit";
            return Err(Failure::new(DATA_LIMIT_EXCEEDED, format!("{}{what}.", self.subject())));
        }
        Ok(())
    }

    /// How Step Functions begins a cause of its own.
    pub(super) fn subject(&self) -> String {
        format!(
            "An error occurred while executing the state '{}' (entered at the event id #{}). ",
            self.name, self.entered
        )
    }

    pub(super) fn evaluate(&self, template: &Template, location: &str, scope: &Scope<'_>) -> Result<Value, Stop> {
        let recorder = self.run.shared.settings.on_evaluation.as_ref();
        match template.evaluate(location, scope, recorder) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed_evaluation(error)?),
        }
    }

    /// Records an evaluation that failed.
    pub(super) fn failed_evaluation(&self, error: EvaluationError) -> Result<Stop, Stop> {
        let EvaluationError { location, message } = error;
        let cause = limits::cut(format!("{}{message}", self.subject()), limits::CAUSE_CHARACTERS);
        let event = Event::EvaluationFailed {
            state: self.name.to_owned(),
            error: QUERY_EVALUATION_ERROR,
            cause: cause.clone(),
            location,
        };
        self.run.record(event)?;
        Ok(Failure::new(QUERY_EVALUATION_ERROR, cause).into())
    }

    pub(super) fn text(&self, template: &Template, location: &str, scope: &Scope<'_>) -> Result<String, Stop> {
        match self.evaluate(template, location, scope)? {
            Value::String(text) => Ok(text),
            other => Err(self.failed_evaluation(wrong_type(template, location, "string", &other))?),
        }
    }

    /// A whole number of seconds.
    pub(super) fn seconds(
        &self,
        template: &Template,
        location: &str,
        least: u64,
        scope: &Scope<'_>,
    ) -> Result<u64, Stop> {
        let value = self.evaluate(template, location, scope)?;
        match value.as_u64().filter(|seconds| (least..=limits::SECONDS).contains(seconds)) {
            Some(seconds) => Ok(seconds),
            None => Err(self.failed_evaluation(wrong_type(template, location, "number", &value))?),
        }
    }

    /// `$states.context` in this state.
    pub(super) fn context(&self) -> Value {
        let mut context = self.run.context();
        context["State"]["Name"] = self.name.into();
        context["State"]["EnteredTime"] = self.entered_time.as_str().into();
        context
    }

    pub(super) fn scope<'s>(&'s self, context: &'s Value) -> Scope<'s> {
        Scope { input: self.input, result: None, error_output: None, context, variables: self.variables }
    }
}
