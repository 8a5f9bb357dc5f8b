//! Removing one image or snapshot, and what EC2's answer means.

use aws_sdk_ec2::{Client, types::Image};

use crate::{
    aws_error::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_IN_USE, SNAPSHOT_NOT_FOUND},
    error::Error,
    step::{Document, Status, Step},
};

/// For how long, in seconds, what EC2 calls in use may stay before it is taken as a leftover. A
/// snapshot stays in use for a while after its image was deregistered.
const IN_USE: u64 = 15 * 60;
/// The same for what EC2 refuses for a reason of its own, which may pass.
const REFUSED: u64 = 60;
/// The same for what nothing but a person can change.
const FOR_GOOD: u64 = 0;
/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// The longest wait between looks that find no less than before, in seconds.
const LONGEST_WAIT: u64 = 60;

/// Something that could not be removed, and why.
#[derive(Debug)]
struct Leftover {
    id: String,
    why: String,
    /// For how long it may stay before it is given up, in seconds.
    patience: u64,
}

/// What one look did.
#[derive(Debug, Default)]
pub(super) struct Removal {
    removed: Vec<String>,
    left: Vec<Leftover>,
}

impl Removal {
    /// Keeps what may not be removed.
    pub(super) fn keep(&mut self, id: &str, why: impl Into<String>) {
        self.leave(id, why, FOR_GOOD);
    }

    fn leave(&mut self, id: &str, why: impl Into<String>, patience: u64) {
        self.left.push(Leftover { id: id.to_owned(), why: why.into(), patience });
    }

    /// Deregisters an image; says whether it is gone.
    pub(super) async fn image(&mut self, client: &Client, image: &Image) -> Result<bool, Error> {
        let id = image.image_id().unwrap_or_default();
        if let Some(protection) = protection(image) {
            self.keep(id, format!("deregistration protection is {protection}"));
            return Ok(false);
        }
        match client.deregister_image().image_id(id).send().await {
            Ok(_) => {
                tracing::info!(imageId = id, "the image is deregistered");
                self.removed.push(id.to_owned());
                Ok(true)
            }
            Err(error) if matches!(aws_error::code(&error), Some(IMAGE_NOT_FOUND | IMAGE_UNAVAILABLE)) => Ok(true),
            Err(error) => {
                self.refused(id, aws_error::unexpected("ec2:DeregisterImage", &error))?;
                Ok(false)
            }
        }
    }

    /// Deletes a snapshot; says whether it is gone.
    pub(super) async fn snapshot(&mut self, client: &Client, id: &str) -> Result<bool, Error> {
        match client.delete_snapshot().snapshot_id(id).send().await {
            Ok(_) => {
                tracing::info!(snapshotId = id, "the snapshot is deleted");
                self.removed.push(id.to_owned());
                Ok(true)
            }
            Err(error) => match aws_error::code(&error) {
                Some(SNAPSHOT_NOT_FOUND) => Ok(true),
                Some(SNAPSHOT_IN_USE) => {
                    self.leave(id, error.into_service_error().meta().message().unwrap_or("it is in use"), IN_USE);
                    Ok(false)
                }
                _ => {
                    self.refused(id, aws_error::unexpected("ec2:DeleteSnapshot", &error))?;
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

    /// The answer after a look that found so many things. EC2 may go on showing what it has
    /// accepted to remove, so that only finding less counts as progress.
    pub(super) fn step(self, document: &Document, found: usize) -> Step {
        let progress = document.found.is_none_or(|before| found < before);
        let stuck = if progress { 0 } else { document.stuck_seconds + document.wait_seconds };
        let wait = if progress { SHORTLY } else { (document.wait_seconds * 2).clamp(SHORTLY, LONGEST_WAIT) };
        let mut step = document.step(Status::Pending, wait).because("waiting until nothing of it is left");
        let hopeless = self.removed.is_empty() && self.left.iter().all(|one| one.patience <= stuck);
        if hopeless && !self.left.is_empty() {
            let leftovers: Vec<_> = self.left.iter().map(|one| format!("{} stays: {}", one.id, one.why)).collect();
            step = step.failed(Error::LeftoversRemain { leftovers: leftovers.join("; ") });
        }
        step.found = Some(found);
        step.stuck_seconds = Some(stuck);
        step.removed = Some(self.removed);
        step
    }
}

/// What protects the image from deregistration.
pub(super) fn protection(image: &Image) -> Option<&str> {
    image.deregistration_protection().filter(|protection| *protection != "disabled")
}
