//! The delete of one image, as a part of a prune.

use super::{Answer, Call, report::cut};
use crate::{
    app::App,
    error::Error,
    machine::{
        answer::Status,
        call::{self, Step},
    },
    model::ids::ImageId,
    operations::{
        Operation,
        delete::{self, Delete, IfInUse, Snapshots},
    },
};

/// A call of the delete of one image.
pub(super) fn of_one(
    call: &Call,
    image_id: ImageId,
    memory: delete::Memory,
) -> call::Call<delete::Arguments, delete::Memory> {
    let is_new = memory == delete::Memory::default();
    call::Call {
        run: call.run.clone(),
        execution: call.execution.clone(),
        step: if is_new { Step::Begin } else { Step::Look },
        redriven: call.redriven,
        timeout_seconds: call.timeout_seconds,
        arguments: delete::Arguments {
            image_id,
            manage_ebs_snapshots: None,
            allow_unmanaged_images: false,
            disable_protection: false,
            if_in_use: IfInUse::Keep,
            source_instance_id: None,
            snapshots: Snapshots::Delete,
        },
        results: call.results.clone(),
        waited_seconds: call.waited_seconds,
        wait_seconds: call.wait_seconds,
        woken: call.woken,
        memory,
    }
}

/// Takes the delete of one image a step further; none once it has ended.
pub(super) async fn go_on(
    app: &App,
    call: &mut Call,
    image_id: ImageId,
    memory: delete::Memory,
) -> Result<Option<Answer>, Error> {
    let answer = match Delete::begin(app, of_one(call, image_id.clone(), memory)).await {
        Ok(answer) => answer,
        Err(error) if error.is_to_be_retried() => return Err(error),
        Err(error) => {
            call.memory.failed.insert(image_id.to_string(), cut(format!("{image_id}: {error}")));
            return Ok(None);
        }
    };
    match answer.status {
        Status::Pending | Status::NotStarted => {
            let reason = format!("{image_id}: {}", answer.reason);
            call.memory.current = Some((image_id, answer.memory));
            return Ok(Some(Answer::pending(answer.wait_seconds, reason, call.memory.clone())));
        }
        Status::Succeeded => match answer.result {
            Some(delete::Output { kept_because: Some(why), .. }) => {
                call.memory.used.insert(image_id.to_string(), cut(why));
            }
            result => {
                call.memory.deleted.push(image_id.to_string());
                let in_bin = result.map(|output| output.in_bin).unwrap_or_default();
                // Of the snapshots there may be too many.
                call.memory
                    .recycle_bin
                    .extend(in_bin.recycle_bin.into_iter().filter(|one| one.id == *image_id.as_str()));
                call.memory.recycle_bin_problem = call.memory.recycle_bin_problem.take().or(in_bin.recycle_bin_problem);
            }
        },
        Status::Failed => {
            let why = answer.error.map(|failure| failure.message).unwrap_or_default();
            call.memory.failed.insert(image_id.to_string(), cut(format!("{image_id}: {why}")));
        }
    }
    Ok(None)
}
