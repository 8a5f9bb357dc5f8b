//! Removing one image or snapshot, and what EC2's answer means.

use aws_sdk_ec2::{Client, types::Image};

use crate::{
    aws_error::{self, IMAGE_NOT_FOUND, IMAGE_UNAVAILABLE, SNAPSHOT_IN_USE, SNAPSHOT_NOT_FOUND},
    error::Error,
    step::{Document, Leftover, Status, Step},
};

/// For how long nothing may come off before what EC2 calls in use is taken as a leftover, in
/// seconds. A snapshot stays in use for a while after its image was deregistered.
const IN_USE_FOR_GOOD: u64 = 15 * 60;
/// Seconds until the next look.
const SHORTLY: u64 = 5;
/// The longest wait between looks that find only what is in use, in seconds.
const LONGEST_WAIT: u64 = 60;

/// What one look did.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// What was removed.
    pub(super) removed: Vec<String>,
    /// What EC2 may let go later.
    in_use: Vec<Leftover>,
    /// What EC2 will not let go.
    kept: Vec<Leftover>,
}

impl Removal {
    /// Keeps what may not be removed.
    pub(super) fn keep(&mut self, id: &str, why: impl Into<String>) {
        self.kept.push(Leftover { id: id.to_owned(), why: why.into() });
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
                tracing::info!(image_id = id, "the image is deregistered");
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
                tracing::info!(snapshot_id = id, "the snapshot is deleted");
                self.removed.push(id.to_owned());
                Ok(true)
            }
            Err(error) => match aws_error::code(&error) {
                Some(SNAPSHOT_NOT_FOUND) => Ok(true),
                Some(SNAPSHOT_IN_USE) => {
                    let why = error.into_service_error().meta().message().unwrap_or("it is in use").to_owned();
                    self.in_use.push(Leftover { id: id.to_owned(), why });
                    Ok(false)
                }
                _ => {
                    self.refused(id, aws_error::unexpected("ec2:DeleteSnapshot", &error))?;
                    Ok(false)
                }
            },
        }
    }

    /// Tells a refusal that stands from a call to be tried again.
    fn refused(&mut self, id: &str, error: Error) -> Result<(), Error> {
        match error {
            Error::CallRefused { .. } | Error::NotAuthorized { .. } | Error::QuotaExceeded { .. } => {
                self.keep(id, error.to_string());
                Ok(())
            }
            error => Err(error),
        }
    }

    /// The answer after a look that found something.
    pub(super) fn step(self, document: &Document) -> Step {
        let stuck = if self.removed.is_empty() { document.stuck_seconds + document.wait_seconds } else { 0 };
        let wait = if stuck == 0 { SHORTLY } else { (document.wait_seconds * 2).clamp(SHORTLY, LONGEST_WAIT) };
        let mut step = document.step(Status::Pending, wait).because("waiting until nothing of it is left");
        step.stuck_seconds = Some(stuck);
        let left = [self.kept, self.in_use.clone()].concat();
        // As long as something comes off or is only in use, the rest may come off too.
        let hopeless = self.removed.is_empty() && (self.in_use.is_empty() || stuck >= IN_USE_FOR_GOOD);
        if hopeless && !left.is_empty() {
            let leftovers: Vec<_> = left.iter().map(|one| format!("{} stays: {}", one.id, one.why)).collect();
            step = step.failed(Error::LeftoversRemain { leftovers: leftovers.join("; ") });
        }
        step.removed = Some(self.removed);
        step
    }
}

/// What protects the image from deregistration.
pub(super) fn protection(image: &Image) -> Option<&str> {
    image.deregistration_protection().filter(|protection| *protection != "disabled")
}
