//! The end of a create whose instance was stopped for it: waits until the image is available.

use super::{
    Operation, Rehearsing,
    create::{self, Arguments, Memory, Output},
};
use crate::{
    app::App,
    error::Error,
    machine::{answer, call},
};

/// Waits for an image that a create has begun.
#[derive(Debug)]
pub struct Complete;

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

impl Operation for Complete {
    const NAME: &'static str = "complete";
    const TIMEOUT: &'static str = "create";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        if call.memory.image_id.is_none() {
            call.memory.image_id.clone_from(&call.results.id);
            call.memory.source_instance.clone_from(&call.results.source_instance);
        }
        create::look(app, call).await
    }

    /// It only waits.
    async fn rehearse(_app: &App, _call: Call, _rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        Ok(())
    }
}
