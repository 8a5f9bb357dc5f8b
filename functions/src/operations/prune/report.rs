//! What a prune says: what went, what stays and why, and what could not be deleted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Answer, Call, Memory, read::Series};
use crate::{
    app::App,
    error::Error,
    lambda::metrics::{self, Pruned},
    operations::{delete::in_bin::Stay, rehearsal::Kept},
};

/// How many images that stay are named, each with its reason; of more, only the reasons are counted.
pub(super) const NAMED: usize = 100;
/// How many characters a reason may have: there may be many.
const LONGEST_REASON: usize = 300;

/// What a prune gives.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The images that were deleted.
    pub pruned: Vec<String>,
    /// Those that were disabled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled: Vec<String>,
    /// Those that were deprecated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deprecated: Vec<String>,
    /// Those that were to be deleted, and are enabled again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enabled: Vec<String>,
    /// The deleted images that the Recycle Bin keeps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recycle_bin: Vec<Stay>,
    /// What keeps the first such of them from being restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recycle_bin_problem: Option<String>,
    /// Those that were kept, each with its reason; at most a hundred.
    pub kept: Vec<Kept>,
    /// How many more were kept for each reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kept_besides: BTreeMap<String, usize>,
    /// Those that could not be deleted, each with the error, or why nothing was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prune_failed: Vec<String>,
}

pub(super) fn cut(text: String) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

/// A reason without what it names.
fn kind(because: &str) -> String {
    let end = [": ", " by arn:"].iter().filter_map(|end| because.find(end)).min();
    because[..end.unwrap_or(because.len())].to_owned()
}

/// Tells CloudWatch.
fn measure(app: &App, memory: &Memory, found: &Series, is_refused: bool) -> Result<(), Error> {
    let sizes = memory.deleted.iter().filter_map(|id| memory.sizes.get(id));
    let pruned = Pruned {
        deleted: memory.deleted.len(),
        kept: found.kept().len(),
        failed: memory.failed.len() + usize::from(is_refused),
        freed: sizes.sum::<u64>() << 30,
    };
    (app.print)(&metrics::pruned(&app.settings.machines()?.lifecycle, pruned, (app.now)()));
    Ok(())
}

/// The prune is over; `refusal` is why not all of it was done.
pub(super) fn ended(app: &App, call: Call, found: Series, refusal: Option<String>) -> Result<Answer, Error> {
    measure(app, &call.memory, &found, refusal.is_some())?;
    let nothing_was_done = call.memory.done() == 0;
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
    let Memory { deleted, disabled, deprecated, enabled, recycle_bin, recycle_bin_problem, .. } = call.memory.clone();
    tracing::info!(pruned = ?deleted, ?disabled, ?deprecated, ?enabled, kept = ?found.kept(), "the series is pruned");
    let output = Output {
        pruned: deleted,
        disabled,
        deprecated,
        enabled,
        recycle_bin,
        recycle_bin_problem,
        kept,
        kept_besides,
        prune_failed,
    };
    Ok(Answer::succeeded(output, "nothing more is to go", call.memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_name_different_things_are_of_one_kind() {
        assert_eq!(kind("it is used by arn:aws:ec2:a"), "it is used");
        assert_eq!(kind("it is shared: with 111122223333 by arn:x"), "it is shared");
        assert_eq!(kind("it is less than a day old"), "it is less than a day old");
    }
}
