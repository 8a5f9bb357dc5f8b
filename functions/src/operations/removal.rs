//! Removing images and snapshots, a look at a time, and what EC2's answers mean.

use aws_sdk_ec2::{Client, types::Image};
use serde::{Deserialize, Serialize};

use super::protection;
use crate::{
    aws::ec2,
    aws::error_codes::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_IN_USE, SNAPSHOT_NOT_FOUND},
    error::Error,
};

/// For how long, in seconds, what EC2 calls in use may stay before it is a leftover. A snapshot stays in
/// use for a while after its image was deregistered. An instance that starts, or that EC2 has no place for, has as long.
const IN_USE: u64 = 15 * 60;
/// The same for what EC2 refuses for a reason of its own, which may pass.
const REFUSED: u64 = 60;
/// The same for what nothing but a person can change.
const FOR_GOOD: u64 = 0;
/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// The longest wait between looks that find no less than before, in seconds.
const LONGEST_WAIT: u64 = 60;

/// How many characters of a reason are kept, so that every leftover's id has room in a cause.
const LONGEST_REASON: usize = 300;

/// Something that could not be removed, and why.
#[derive(Debug)]
struct Leftover {
    /// Its id, and why it stays.
    text: String,
    /// For how long it may stay before it is given up, in seconds.
    patience: u64,
}

/// What one look found and undid.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    found: usize,
    removed: usize,
    left: Vec<Leftover>,
}

/// What a look tells the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Progress {
    /// How many things the look found; none before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<usize>,
    /// For how long no look has found less, in seconds.
    stuck_seconds: u64,
}

/// Where a removal stands after a look.
#[derive(Debug, PartialEq)]
pub(crate) enum Standing {
    /// The look found nothing.
    NothingLeft,
    /// Look again after so many seconds, for a reason.
    LookAgain(u64, String),
    /// Nothing more can be removed; each leftover with its id and the reason.
    Stuck(String),
}

impl Removal {
    /// Counts what this look found and has not tried to remove.
    pub(crate) fn found(&mut self, count: usize) {
        self.found += count;
    }

    /// Counts something that this look found and has undone.
    pub(crate) fn done(&mut self) {
        self.found += 1;
        self.removed += 1;
    }

    /// Adds what the same look found elsewhere.
    pub(crate) fn extend(&mut self, other: Self) {
        self.found += other.found;
        self.removed += other.removed;
        self.left.extend(other.left);
    }

    /// Counts an instance that does not run yet; `may_come` is whether it may without anybody's doing.
    pub(crate) fn stopped(&mut self, id: &str, why: impl Into<String>, may_come: bool) {
        self.found += 1;
        self.push(format!("{id} does not run again"), why, if may_come { IN_USE } else { REFUSED });
    }

    /// Keeps what may not be removed.
    pub(crate) fn keep(&mut self, id: &str, why: impl Into<String>) {
        self.found += 1;
        self.leave(id, why, FOR_GOOD);
    }

    /// Keeps what EC2 may show otherwise in a moment, such as with the tag that says whose it is.
    pub(crate) fn keep_for_a_while(&mut self, id: &str, why: impl Into<String>) {
        self.found += 1;
        self.leave(id, why, REFUSED);
    }

    fn leave(&mut self, id: &str, why: impl Into<String>, patience: u64) {
        self.push(format!("{id} stays"), why, patience);
    }

    fn push(&mut self, what: String, why: impl Into<String>, patience: u64) {
        let why: String = why.into().chars().take(LONGEST_REASON).collect();
        self.left.push(Leftover { text: format!("{what}: {why}"), patience });
    }

    /// Deregisters an image; says whether it is gone.
    pub(crate) async fn image(&mut self, client: &Client, image: &Image) -> Result<bool, Error> {
        let id = image.image_id().unwrap_or_default();
        if let Some(protection) = protection::of(image) {
            self.keep(id, protection::keeps(protection));
            return Ok(false);
        }
        self.found += 1;
        match client.deregister_image().image_id(id).send().await {
            Ok(_) => {
                tracing::info!(imageId = id, "the image is deregistered");
                self.removed += 1;
                Ok(true)
            }
            Err(error) if matches!(error_codes::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(true),
            Err(error) => {
                let error = error_codes::unexpected("ec2:DeregisterImage", &error);
                match protection::deletable_from(image) {
                    Some(from) if matches!(error, Error::CallRefused { .. }) => {
                        let from = ec2::shown(from);
                        self.leave(
                            id,
                            format!("its protection was disabled, and EC2 lets it go from {from} on"),
                            REFUSED,
                        );
                    }
                    _ => self.refused(id, error)?,
                }
                Ok(false)
            }
        }
    }

    /// Disables the protection of an image that is to go; the next look deregisters it.
    pub(crate) async fn protection(&mut self, client: &Client, image: &Image, now: i64) -> Result<(), Error> {
        self.found += 1;
        match protection::disable(client, image, now).await {
            Ok(()) => self.removed += 1,
            Err(error) => self.refused(image.image_id().unwrap_or_default(), error)?,
        }
        Ok(())
    }

    /// Deletes a snapshot; says whether it is gone.
    pub(crate) async fn snapshot(&mut self, client: &Client, id: &str) -> Result<bool, Error> {
        self.found += 1;
        match client.delete_snapshot().snapshot_id(id).send().await {
            Ok(_) => {
                tracing::info!(snapshotId = id, "the snapshot is deleted");
                self.removed += 1;
                Ok(true)
            }
            Err(error) => match error_codes::code(&error) {
                Some(SNAPSHOT_NOT_FOUND) => Ok(true),
                Some(SNAPSHOT_IN_USE) => {
                    let error = error.into_service_error();
                    let words = error.meta().message().unwrap_or("it is in use");
                    self.leave(id, format!("{words}; that image may be in the Recycle Bin"), IN_USE);
                    Ok(false)
                }
                _ => {
                    self.refused(id, error_codes::unexpected("ec2:DeleteSnapshot", &error))?;
                    Ok(false)
                }
            },
        }
    }

    /// Tells a refusal from a call to be tried again.
    fn refused(&mut self, id: &str, error: Error) -> Result<(), Error> {
        let patience = match &error {
            Error::CallRefused { .. } => REFUSED,
            Error::NotAuthorized { .. } | Error::QuotaExceeded { .. } => FOR_GOOD,
            _ => return Err(error),
        };
        self.leave(id, error.to_string(), patience);
        Ok(())
    }

    /// Where the removal stands; `waited` is how many seconds were waited since the look that `progress` is
    /// of. EC2 may go on showing what it has accepted to remove, so that only finding less is progress.
    pub(crate) fn standing(self, progress: &mut Progress, waited: u64) -> Standing {
        if self.found == 0 {
            return Standing::NothingLeft;
        }
        let is_less = progress.found.is_none_or(|before| self.found < before);
        let stuck_seconds = if is_less { 0 } else { progress.stuck_seconds + waited };
        *progress = Progress { found: Some(self.found), stuck_seconds };
        let leftovers: Vec<_> = self.left.iter().map(|one| one.text.as_str()).collect();
        let leftovers = leftovers.join("; ");
        if self.removed == 0 && !self.left.is_empty() && self.left.iter().all(|one| one.patience <= stuck_seconds) {
            return Standing::Stuck(leftovers);
        }
        let wait = if is_less { SHORTLY } else { (waited * 2).clamp(SHORTLY, LONGEST_WAIT) };
        let reason = if leftovers.is_empty() { "EC2 still shows what is removed".to_owned() } else { leftovers };
        Standing::LookAgain(wait, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(id: &str, patience: u64) -> Removal {
        let mut removal = Removal { found: 1, ..Removal::default() };
        removal.leave(id, "for a reason", patience);
        removal
    }

    #[test]
    fn what_only_a_person_can_change_is_given_up_at_once_and_what_may_pass_after_a_while() {
        let stuck = Standing::Stuck("snap-1 stays: for a reason".to_owned());
        assert_eq!(left("snap-1", FOR_GOOD).standing(&mut Progress::default(), 0), stuck);
        let mut progress = Progress::default();
        let mut waited = 0;
        let mut looks = 0;
        while let Standing::LookAgain(wait, _) = left("snap-1", REFUSED).standing(&mut progress, waited) {
            (waited, looks) = (wait, looks + 1);
        }
        assert!((REFUSED..2 * REFUSED).contains(&progress.stuck_seconds) && looks > 2, "{progress:?}");
    }

    #[test]
    fn what_shows_no_tag_is_found_and_named_after_a_while() {
        let mut removal = Removal::default();
        removal.keep_for_a_while("snap-1", "it has no tag");
        let mut progress = Progress { found: Some(1), stuck_seconds: REFUSED };
        assert_eq!(removal.standing(&mut progress, 1), Standing::Stuck("snap-1 stays: it has no tag".to_owned()));
    }

    #[test]
    fn what_is_found_elsewhere_counts_with_the_rest() {
        let mut all = left("snap-1", FOR_GOOD);
        all.extend(left("snap-2", REFUSED));
        let mut done = Removal::default();
        done.done();
        all.extend(done);
        assert_eq!((all.found, all.removed, all.left.len()), (3, 1, 2));
        // What is undone brings another look.
        assert!(matches!(all.standing(&mut Progress::default(), 0), Standing::LookAgain(SHORTLY, _)));
    }

    #[test]
    fn a_look_that_finds_less_is_progress() {
        let mut progress = Progress { found: Some(2), stuck_seconds: 600 };
        assert!(matches!(left("snap-1", REFUSED).standing(&mut progress, 60), Standing::LookAgain(SHORTLY, _)));
        assert_eq!(progress.stuck_seconds, 0);
    }
}
