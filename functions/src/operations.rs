//! What a run's plan is made of: each operation is a room of its own, with its arguments, its memory, and
//! what begins it, looks at it and undoes it.
//!
//! The operation machine calls [`answer`], which finds the room by the operation's name. A new operation is
//! a module here and a line in [`OPERATIONS`].

pub mod adopt;
pub mod attributes;
pub mod availability;
pub mod complete;
pub mod create;
pub mod delete;
pub mod describe;
mod ended_run;
pub(crate) mod in_use;
pub mod instance_state;
pub(crate) mod ownership;
pub mod protection;
pub mod prune;
pub mod rehearsal;
mod removal;
pub mod restore;
pub mod rollback;
pub mod update;

use std::pin::Pin;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::{
    ended_run::EndedRun,
    rehearsal::{DryRun, Rehearsing},
    removal::Removal,
};
use crate::{
    app::App,
    error::Error,
    machine::{
        self,
        answer::{Answer, Status},
        call::{Call, Step},
    },
};

/// The wait, in seconds, that counts as the last one for a look that an event brought about.
const SHORTLY: u64 = 5;

/// One kind of operation.
#[expect(async_fn_in_trait, reason = "nobody else implements it, and a function answers one event at a time")]
pub trait Operation {
    /// Its name in a plan.
    const NAME: &'static str;
    /// The field of the request's `timeouts` that limits it.
    const TIMEOUT: &'static str = Self::NAME;
    /// Whether what it does is done to the image, and stays where a run keeps its image.
    const IS_OF_THE_IMAGE: bool = true;
    /// What the plan says about it.
    type Arguments: Serialize + DeserializeOwned;
    /// What one of its calls hands to the next.
    type Memory: Clone + Default + Serialize + DeserializeOwned;
    /// What it gives.
    type Output: Serialize;

    /// Begins it, or finds what an earlier attempt has begun.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from ever being done, and what is to be tried again.
    async fn begin(
        app: &App,
        call: Call<Self::Arguments, Self::Memory>,
    ) -> Result<Answer<Self::Memory, Self::Output>, Error>;

    /// Looks how far it is. Where beginning twice is harmless, it begins once more.
    ///
    /// # Errors
    ///
    /// As [`Operation::begin`].
    async fn look(
        app: &App,
        call: Call<Self::Arguments, Self::Memory>,
    ) -> Result<Answer<Self::Memory, Self::Output>, Error> {
        Self::begin(app, call).await
    }

    /// Says what it would do, and asks for every call that would change something whether it is allowed.
    ///
    /// # Errors
    ///
    /// What would keep it from ever being done, as far as can be seen before, and what is to be tried again.
    async fn rehearse(
        app: &App,
        call: Call<Self::Arguments, Self::Memory>,
        rehearsing: Rehearsing<'_>,
    ) -> Result<(), Error>;

    /// What a run fails with where the operation's timeout has ended it, while it waited for `reason`; `TimedOut` unless it
    /// says otherwise.
    fn timed_out(_arguments: &Self::Arguments, _reason: &str) -> Option<Error> {
        None
    }

    /// Undoes a step of what it did in a run that has ended, and is called until nothing is left; keeps
    /// everything unless an operation says otherwise.
    ///
    /// # Errors
    ///
    /// As [`Operation::begin`].
    async fn undo(_app: &App, _run: &EndedRun) -> Result<Undone, Error> {
        Ok(Undone::default())
    }
}

/// What a step of undoing an operation did.
#[derive(Debug, Default)]
pub struct Undone {
    /// What it found and removed.
    pub(crate) removal: Removal,
    /// For how long, in seconds, nothing must be found before nothing will come any more.
    pub(crate) settles_seconds: u64,
    /// Whether no other operation is undone until this one is.
    pub(crate) keeps_the_rest: bool,
    /// Whether what is left is another run's.
    pub(crate) of_others: bool,
}

type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

/// A room: the functions of an operation, whatever its types.
pub(crate) struct Room {
    name: &'static str,
    timeout: &'static str,
    pub(crate) is_of_the_image: bool,
    perform: for<'a> fn(&'a App, Value) -> Answering<'a, Value>,
    rehearse: for<'a> fn(&'a App, Value, Rehearsing<'a>) -> Answering<'a, ()>,
    timed_out: fn(&Value, &str) -> Option<Error>,
    pub(crate) undo: for<'a> fn(&'a App, &'a EndedRun) -> Answering<'a, Undone>,
}

impl Room {
    const fn of<O: Operation + 'static>() -> Self {
        Self {
            name: O::NAME,
            timeout: O::TIMEOUT,
            is_of_the_image: O::IS_OF_THE_IMAGE,
            perform: |app, call| Box::pin(perform::<O>(app, call)),
            rehearse: |app, call, rehearsing| {
                Box::pin(async move { O::rehearse(app, read::<O>(call)?, rehearsing).await })
            },
            timed_out: |arguments, reason| O::timed_out(&O::Arguments::deserialize(arguments).ok()?, reason),
            undo: |app, run| Box::pin(O::undo(app, run)),
        }
    }
}

/// Every operation, in the order of its effects in a run: what comes last is undone first. A stop is the exception:
/// the instance is to run again before anything else is undone.
pub(crate) static OPERATIONS: &[Room] = &[
    Room::of::<create::Create>(),
    Room::of::<complete::Complete>(),
    Room::of::<update::Update>(),
    Room::of::<availability::Disable>(),
    Room::of::<availability::Enable>(),
    Room::of::<restore::Restore>(),
    Room::of::<adopt::Adopt>(),
    Room::of::<delete::Delete>(),
    Room::of::<prune::Prune>(),
    Room::of::<rollback::Rollback>(),
    Room::of::<instance_state::start::Start>(),
    Room::of::<instance_state::stop::Stop>(),
];

/// The operations' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|room| room.name)
}

/// The field of the request's `timeouts` that limits an operation.
pub(crate) fn timeout_of(operation: &str) -> &str {
    OPERATIONS.iter().find(|room| room.name == operation).map_or(operation, |room| room.timeout)
}

/// The error of its own, if it has one, of an operation that its timeout has ended.
pub(crate) fn timed_out(operation: &str, arguments: &Value, reason: &str) -> Option<Error> {
    let room = OPERATIONS.iter().find(|room| room.name == operation)?;
    (room.timed_out)(arguments, reason)
}

/// Answers a call of the operation machine.
///
/// # Errors
///
/// Only what the machine is to retry; everything else is an answer.
pub async fn answer(app: &App, call: Value) -> Result<Value, Error> {
    let name = call.get("operation").and_then(Value::as_str).unwrap_or_default();
    let Some(room) = OPERATIONS.iter().find(|room| room.name == name) else {
        return Err(Error::invalid("operation", "must be an operation of the operation machine"));
    };
    match call.get("dryRun") {
        None => (room.perform)(app, call).await,
        Some(dry_run) => {
            let dry_run = DryRun::deserialize(dry_run)
                .map_err(|error| Error::invalid("dryRun", format!("must be what a plan has: {error}")))?;
            rehearsal::answer(app, room, call, dry_run).await
        }
    }
}

fn read<O: Operation>(call: Value) -> Result<Call<O::Arguments, O::Memory>, Error> {
    serde_json::from_value(call)
        .map_err(|error| Error::invalid("input", format!("must be a call of the operation machine: {error}")))
}

async fn perform<O: Operation>(app: &App, call: Value) -> Result<Value, Error> {
    let call = read::<O>(call)?;
    let (step, memory) = (call.step, call.memory.clone());
    let (waited, left) = (call.waited(), call.left());
    // An event that ended the wait most likely tells of the end.
    let last_wait = if call.woken { SHORTLY } else { call.wait_seconds };
    let answer = match step {
        // A rollback may have removed what this operation or those before it have made. A rollback itself may go on.
        _ if call.redriven && O::NAME != rollback::Rollback::NAME => {
            Err(Error::RunRedriven { run: call.run.arn().to_owned() })
        }
        Step::Begin => O::begin(app, call).await,
        Step::Look => O::look(app, call).await,
    };
    let mut answer = match answer {
        Ok(answer) => answer,
        // A look that AWS throttled has seen nothing. Longer waits are what it asks for.
        Err(error @ Error::Throttled { .. }) if step == Step::Look => {
            tracing::warn!(%error, "the look is throttled");
            Answer::pending(machine::after_throttle(last_wait), error.to_string(), memory)
        }
        Err(error) if error.is_to_be_retried() => return Err(error),
        Err(error) => Answer::failed(error, memory),
    };
    answer.waited_seconds = waited;
    if matches!(answer.status, Status::Pending | Status::NotStarted) {
        answer.wait_seconds = machine::within(answer.wait_seconds, left);
    }
    tracing::info!(status = ?answer.status, wait = answer.wait_seconds, reason = answer.reason, "the call is answered");
    serde_json::to_value(answer).map_err(|error| Error::invalid("answer", error.to_string()))
}
