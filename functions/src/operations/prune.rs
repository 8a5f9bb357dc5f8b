//! A prune: deletes, disables or deprecates the images of a series that the request does not keep, one after the other.
//!
//! What goes is decided anew before each of them, from the images' own tags: what has come into use, was protected
//! or has gone meanwhile counts.

mod change;
pub mod decide;
mod one;
mod read;
mod report;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::report::Output;
use self::{
    decide::{Change, Does, too_many},
    one::{go_on, of_one},
    read::{Certain, Series},
    report::{NAMED, ended},
};
use super::{
    Operation, Rehearsing,
    delete::{self, Delete, in_bin::Stay},
    rehearsal::Kept,
};
use crate::{
    app::App,
    error::Error,
    machine::{answer, call},
    model::{ids::ImageId, retention::Retain},
};

/// Seconds until the next look for an image that EC2 does not list yet.
const SHORTLY: u64 = 15;
/// For how long, in seconds, a new image may not be in EC2's list.
const LISTED_WITHIN: u64 = 10 * 60;
/// What a delete needs at the least, in seconds: a snapshot may be in use for a quarter of an hour. A prune that has less
/// left begins none.
pub(crate) const LEAST: u64 = 20 * 60;
/// A prune that has no more left ends, in seconds.
const SHORTEST: u64 = 2 * 60;

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
    /// Those that are disabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disabled: Vec<String>,
    /// Those that are deprecated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deprecated: Vec<String>,
    /// Those that were disabled until they were deleted, and are enabled again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enabled: Vec<String>,
    /// Those of which that failed, each with the error.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    /// Those that have come into use since it was decided, each with what uses it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    used: BTreeMap<String, String>,
    /// The sizes of the volumes of those that are deleted or about to be, in GiB.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, u64>,
    /// Those that the Recycle Bin keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recycle_bin: Vec<Stay>,
    /// What keeps some of them from being restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    recycle_bin_problem: Option<String>,
    /// The one that is being deleted, and what its delete knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<(ImageId, delete::Memory)>,
    /// The one to which something else is being done, and what.
    #[serde(skip_serializing_if = "Option::is_none")]
    changing: Option<(ImageId, Change)>,
}

impl Memory {
    /// How many images are not as they were.
    fn done(&self) -> usize {
        self.deleted.len() + self.disabled.len() + self.deprecated.len() + self.failed.len()
    }
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
                return ended(app, call, Series::default(), Some(why));
            }
            if let Some(answer) = go_on(app, &mut call, image_id, memory).await? {
                return Ok(answer);
            }
        }
        if let Some((image_id, change)) = call.memory.changing.take()
            && let Some(answer) = change::go_on(app, &mut call, image_id, change).await?
        {
            return Ok(answer);
        }
        let new = call.results.id.clone().filter(|_| call.arguments.after_create);
        let certain = new.as_ref().map_or(Certain::None, |new| Certain::Made(new.as_str()));
        let found = match read::series(app, &call.arguments, &call.memory, certain).await {
            // The image is made, and that nothing is pruned does not change it.
            Err(error) if call.arguments.after_create && !error.is_to_be_retried() => {
                return ended(app, call, Series::default(), Some(error.to_string()));
            }
            found => found?,
        };
        if let Some(new) = new.filter(|new| !found.has(new.as_str())) {
            if call.waited() < LISTED_WITHIN.min(call.timeout_seconds / 2) {
                return Ok(Answer::pending(SHORTLY, "EC2 does not list the new image yet", call.memory));
            }
            let why = format!("EC2 does not list the new image {new}, so nothing is pruned");
            return ended(app, call, found, Some(why));
        }
        let done = call.memory.done();
        // The whole prune is refused, and not its rest.
        if let Some(why) = too_many(&call.arguments.retain, &found.decisions).filter(|_| done == 0) {
            return ended(app, call, found, Some(why));
        }
        let Some((next, does)) = found.steps().next() else { return ended(app, call, found, None) };
        let (next, is_to_stay) = (ImageId::from(next), does == Does::Changes(Change::Enable));
        if !is_to_stay && done >= call.arguments.retain.max_per_run {
            let why =
                format!("{next} and what follows stay: {done} images were taken, as many as retain.maxPerRun allows");
            return ended(app, call, found, Some(why));
        }
        if call.left() < LEAST {
            let why = format!("{next} and what follows stay: the time left is too short for another image");
            return ended(app, call, found, Some(why));
        }
        let reason = format!("{next} is {}", if is_to_stay { "to be enabled again" } else { "to go" });
        match does {
            // Should the delete be cut off, nothing but the memory says which image's snapshots are to follow.
            Does::Delete => {
                call.memory.sizes.insert(next.to_string(), found.size(&next));
                call.memory.current = Some((next, delete::Memory::default()));
            }
            Does::Changes(change) => call.memory.changing = Some((next, change)),
        }
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
        for (id, does) in found.steps() {
            let asked = match does {
                Does::Delete => {
                    let one = of_one(&call, ImageId::from(id), delete::Memory::default());
                    Delete::rehearse(app, one, rehearsing.again()).await
                }
                Does::Changes(change) => change::rehearse(app, id, change, rehearsing.again()).await,
            };
            match asked {
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
