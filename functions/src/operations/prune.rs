//! A prune: removes the images of a series that the request does not keep, one after the other, each by a delete.
//!
//! What goes is decided anew before each of them, from the images' own tags: what has come into use, was protected
//! or has gone meanwhile counts.

pub mod decide;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::{
    decide::too_many,
    read::{Certain, Series},
};
use super::{
    Operation, Rehearsing,
    delete::{self, Delete, IfInUse, Snapshots},
    rehearsal::Kept,
};
use crate::{
    app::App,
    error::Error,
    machine::{
        answer::{self, Status},
        call::{self, Step},
    },
    model::{ids::ImageId, retention::Retain},
};

/// How many images that stay are named, each with its reason; of more, only the reasons are counted.
const NAMED: usize = 100;
/// Seconds until the next look for an image that EC2 does not list yet.
const SHORTLY: u64 = 15;
/// For how long, in seconds, a new image may not be in EC2's list.
const LISTED_WITHIN: u64 = 10 * 60;
/// What a delete needs at the least, in seconds: a snapshot may be in use for a quarter of an hour. A prune that has less
/// left begins none.
pub(crate) const LEAST: u64 = 20 * 60;
/// A prune that has no more left ends, in seconds.
const SHORTEST: u64 = 2 * 60;
/// How many characters a reason may have: there may be many.
const LONGEST_REASON: usize = 300;

/// Removes images of a series.
#[derive(Debug)]
pub struct Prune;

/// What is pruned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arguments {
    /// The series; none for every series of the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
    /// What stays.
    pub retain: Retain,
    /// Whether a run prunes for the image that it has made: it succeeds all the same if that fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_create: bool,
}

/// What a prune knows between two calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// The images that are deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<String>,
    /// Those that could not be, each with the error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    /// Those that have come into use since it was decided, each with what uses it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    used: BTreeMap<String, String>,
    /// The one that is being deleted, and what its delete knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<(ImageId, delete::Memory)>,
}

/// What a prune gives.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The images that were deleted.
    pub pruned: Vec<String>,
    /// Those that were kept, each with its reason; at most a hundred.
    pub kept: Vec<Kept>,
    /// How many more were kept for each reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept_besides: BTreeMap<String, usize>,
    /// Those that could not be deleted, each with the error, or why nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune_failed: Vec<String>,
}

type Call = call::Call<Arguments, Memory>;
type Answer = answer::Answer<Memory, Output>;

impl Operation for Prune {
    const NAME: &'static str = "prune";
    const TIMEOUT: &'static str = "delete";
    type Arguments = Arguments;
    type Memory = Memory;
    type Output = Output;

    async fn begin(app: &App, mut call: Call) -> Result<Answer, Error> {
        if let Some((image_id, memory)) = call.memory.current.take() {
            if call.left() < SHORTEST {
                let why = format!("the delete of {image_id} has not come to its end: delete it by its id");
                return ended(call, Series::default(), Some(why));
            }
            if let Some(answer) = go_on(app, &mut call, image_id, memory).await? {
                return Ok(answer);
            }
        }
        let new = call.results.id.clone().filter(|_| call.arguments.after_create);
        let certain = new.as_ref().map_or(Certain::None, |new| Certain::Made(new.as_str()));
        let found = match read::series(app, &call.arguments, &call.memory, certain).await {
            // The image is made, and that nothing is pruned does not change it.
            Err(error) if call.arguments.after_create && !error.is_to_be_retried() => {
                return ended(call, Series::default(), Some(error.to_string()));
            }
            found => found?,
        };
        if let Some(new) = new.filter(|new| !found.has(new.as_str())) {
            if call.waited() < LISTED_WITHIN.min(call.timeout_seconds / 2) {
                return Ok(Answer::pending(SHORTLY, "EC2 does not list the new image yet", call.memory));
            }
            let why = format!("EC2 does not list the new image {new}, so nothing is pruned");
            return ended(call, found, Some(why));
        }
        let done = call.memory.deleted.len() + call.memory.failed.len();
        // The whole prune is refused, and not its rest.
        if let Some(why) = too_many(&call.arguments.retain, &found.decisions).filter(|_| done == 0) {
            return ended(call, found, Some(why));
        }
        let Some(next) = found.next().map(ImageId::from) else { return ended(call, found, None) };
        if done >= call.arguments.retain.max_per_run {
            let why =
                format!("{next} and what follows stay: {done} images have gone, as many as retain.maxPerRun allows");
            return ended(call, found, Some(why));
        }
        if call.left() < LEAST {
            let why = format!("{next} and what follows stay: the time left is too short for another delete");
            return ended(call, found, Some(why));
        }
        // Should the delete be cut off, nothing but the memory says which image's snapshots are to follow.
        let reason = format!("{next} is to go");
        call.memory.current = Some((next, delete::Memory::default()));
        Ok(Answer::pending(1, reason, call.memory))
    }

    async fn rehearse(app: &App, call: Call, mut rehearsing: Rehearsing<'_>) -> Result<(), Error> {
        let prune = &call.arguments;
        let certain = if prune.after_create { Certain::ToBeMade } else { Certain::None };
        let found = read::series(app, prune, &call.memory, certain).await?;
        if let Some(reason) = too_many(&prune.retain, &found.decisions) {
            let refusal = Error::PruneRefused { reason };
            if !prune.after_create {
                return Err(refusal);
            }
            let series = prune.series.clone().unwrap_or_default();
            rehearsing.given().would_keep.push(Kept { id: series, because: refusal.to_string() });
            return Ok(());
        }
        rehearsing.given().would_keep.extend(found.kept().into_iter().take(NAMED));
        for id in found.go() {
            let one = of_one(&call, ImageId::from(id), delete::Memory::default());
            match Delete::rehearse(app, one, rehearsing.again()).await {
                Err(error) if error.is_to_be_retried() => return Err(error),
                Err(error) => {
                    let (id, because) = (id.to_owned(), error.to_string());
                    rehearsing.given().would_keep.push(Kept { id, because });
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// A call of the delete of one image.
fn of_one(call: &Call, image_id: ImageId, memory: delete::Memory) -> call::Call<delete::Arguments, delete::Memory> {
    let is_new = memory == delete::Memory::default();
    call::Call {
        run: call.run.clone(),
        execution: call.execution.clone(),
        step: if is_new { Step::Begin } else { Step::Look },
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
async fn go_on(app: &App, call: &mut Call, image_id: ImageId, memory: delete::Memory) -> Result<Option<Answer>, Error> {
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
            _ => call.memory.deleted.push(image_id.to_string()),
        },
        Status::Failed => {
            let why = answer.error.map(|failure| failure.message).unwrap_or_default();
            call.memory.failed.insert(image_id.to_string(), cut(format!("{image_id}: {why}")));
        }
    }
    Ok(None)
}

fn cut(text: String) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

/// A reason without what it names.
fn kind(because: &str) -> String {
    let end = [": ", " by arn:"].iter().filter_map(|end| because.find(end)).min();
    because[..end.unwrap_or(because.len())].to_owned()
}

/// The prune is over; `refusal` is why not all of it was done.
fn ended(call: Call, found: Series, refusal: Option<String>) -> Result<Answer, Error> {
    let nothing_was_done = call.memory.deleted.is_empty() && call.memory.failed.is_empty();
    if let Some(reason) = refusal.clone().filter(|_| nothing_was_done && !call.arguments.after_create) {
        return Err(Error::PruneRefused { reason });
    }
    let failed: BTreeSet<_> = call.memory.failed.values().cloned().chain(refusal).collect();
    if !failed.is_empty() && !call.arguments.after_create {
        let leftovers = failed.into_iter().collect::<Vec<_>>().join("; ");
        return Err(Error::LeftoversRemain { leftovers });
    }
    let mut kept: Vec<_> = found.kept();
    kept.iter_mut().for_each(|one| one.because = cut(std::mem::take(&mut one.because)));
    let besides = kept.split_off(kept.len().min(NAMED));
    let mut kept_besides = BTreeMap::new();
    for Kept { because, .. } in besides {
        *kept_besides.entry(kind(&because)).or_default() += 1;
    }
    let prune_failed: Vec<_> = failed.into_iter().collect();
    if !prune_failed.is_empty() {
        tracing::error!(?prune_failed, "not all was pruned");
    }
    tracing::info!(pruned = ?call.memory.deleted, kept = ?found.kept(), "the series is pruned");
    let output = Output { pruned: call.memory.deleted.clone(), kept, kept_besides, prune_failed };
    Ok(Answer::succeeded(output, "nothing more is to go", call.memory))
}
