//! Step Functions for tests: runs the project's own state machines in one process and in virtual time.
//!
//! An [`Engine`] holds machines and executions and has the actions of the service. Each execution is a
//! task of tokio's current runtime. With a current-thread runtime whose clock is paused, nothing in it
//! depends on real time, on threads or on the order of hashes: the same seed gives the same histories,
//! byte for byte.
//!
//! What lies outside is the caller's: [`Tasks`] performs calls of functions and of the event bus, and says
//! what goes wrong with the calls that the engine answers itself. [`Settings::on_status_change`] takes the
//! events about executions, once each and at once; whoever delivers them may delay, double or lose them.
//!
//! A definition with a state, a field or a function that the interpreter does not know is refused when
//! it is loaded; see [`Definition`].

mod clock;
mod definition;
mod definition_error;
mod execution;
mod executions;
mod expression;
mod history;
mod interpreter;
mod limits;
mod machine;
mod service;
mod substitution;
mod tasks;
mod template;

pub use self::{
    clock::{Clock, iso8601},
    definition::Definition,
    definition_error::DefinitionError,
    execution::{Execution, Status, StatusChange},
    executions::{ServiceError, Settings},
    expression::{Evaluation, Recorder},
    history::HistoryEvent,
    limits::{CAUSE_CHARACTERS, HISTORY_EVENTS, NAME_KEPT_MILLIS, PAYLOAD_BYTES},
    service::{Engine, Page},
    substitution::substitute,
    tasks::{BoxFuture, Call, Fault, Resource, TaskError, Tasks},
};
