//! A state machine's definition: the part of Amazon States Language, with JSONata, that this crate knows.
//!
//! | state | its own fields |
//! |---|---|
//! | Task | Resource, Arguments, TimeoutSeconds, Retry, Catch, Assign, Output, Next, End |
//! | Choice | Choices (Condition, Assign, Output, Next), Default, Assign, Output |
//! | Wait | Seconds, Assign, Output, Next, End |
//! | Pass | Assign, Output, Next, End |
//! | Succeed | Output |
//! | Fail | Error, Cause |
//!
//! and of a machine: Comment, QueryLanguage, StartAt, TimeoutSeconds, States. Everything else is refused.

mod choice;
mod fields;
mod parse;
mod retry;
mod task;
mod variables;

use std::collections::BTreeMap;

pub use self::task::Resource;
pub(crate) use self::{
    choice::Choice,
    retry::{Catcher, DATA_LIMIT_EXCEEDED, QUERY_EVALUATION_ERROR, Retrier, TASK_FAILED, TIMEOUT},
    task::Task,
};
use crate::{definition_error::DefinitionError, template::Template};

/// A definition that has been loaded: every state and field in it is one that the interpreter runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub(crate) start_at: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) states: BTreeMap<String, State>,
}

impl Definition {
    /// Reads a definition, in JSON, without placeholders.
    ///
    /// # Errors
    ///
    /// A definition with anything that Step Functions refuses or this crate does not know.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        parse::definition(text)
    }

    /// The names of its states.
    pub fn state_names(&self) -> impl Iterator<Item = &str> {
        self.states.keys().map(String::as_str)
    }

    /// The names of its Tasks, and what each calls.
    pub fn tasks(&self) -> impl Iterator<Item = (&str, Resource)> {
        self.states.iter().filter_map(|(name, state)| match &state.kind {
            Kind::Task(task) => Some((name.as_str(), task.resource)),
            _ => None,
        })
    }
}

/// A state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// An object. Of a Choice: for its default.
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
    /// Of a Choice: its default.
    pub(crate) next: Next,
}

/// Where a state leads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    State(String),
    End,
}

/// What a state does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Task(Task),
    Choice(Choice),
    Wait { seconds: Template },
    Pass,
    Succeed,
    Fail { error: Template, cause: Option<Template> },
}

impl Kind {
    /// The state's type, as it stands in the definition and in the names of events.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Task(_) => "Task",
            Self::Choice(_) => "Choice",
            Self::Wait { .. } => "Wait",
            Self::Pass => "Pass",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
        }
    }
}
