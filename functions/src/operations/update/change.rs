//! What of an update EC2 does not show, and what is sent for it.

pub(super) mod calls;

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::{Image, Tag},
};

use super::Arguments;
use crate::{
    app::App,
    aws::{ec2, error_codes},
    error::Error,
    model::{
        deprecation::{Deprecation, DeprecationTime},
        ids::{ImageId, SnapshotId},
        tags::{self, Tags},
    },
    operations::protection::Protection,
};

const DESCRIPTION: &str = "description";
const DEPRECATION_TIME: &str = "deprecationTime";
const TAGS: &str = "tags";
const WATERMARKS: &str = "watermarks";
const PROTECTION: &str = "deregistrationProtection";

/// The request's fields that an update sets.
pub(super) fn fields_of(update: &Arguments) -> Vec<&'static str> {
    let fields = [
        (DESCRIPTION, update.description.is_some()),
        (DEPRECATION_TIME, update.deprecation.is_some()),
        (TAGS, update.tags.is_some()),
        (WATERMARKS, update.watermarks.is_some()),
        (PROTECTION, update.deregistration_protection.is_some()),
    ];
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(field, _)| field).collect()
}

/// What EC2 does not show.
#[derive(Debug, Default)]
pub(super) struct Change {
    description: Option<String>,
    deprecation: Option<Deprecation>,
    protection: Option<Protection>,
    /// Tags to put on, and the resources that lack one of them.
    tags: (Tags, Vec<String>),
    /// Tag keys to take off, and the resources that have one of them.
    keys: (BTreeSet<String>, Vec<String>),
    /// The keys of watermarks to take off, and the names of those to put on.
    watermarks: (Vec<String>, Vec<String>),
    /// Whether those of a new image that are not named would go.
    detaches_others: bool,
}

impl Change {
    /// All that an update of a new image sends.
    pub(super) fn of_a_new_image(update: &Arguments) -> Self {
        let attached = update.watermarks.iter().flat_map(|wanted| wanted.attach.clone()).collect();
        Self {
            deprecation: update.deprecation,
            protection: update.deregistration_protection,
            watermarks: (vec![], attached),
            detaches_others: update.watermarks.is_some(),
            ..Self::default()
        }
    }

    /// What the image and its snapshots do not show of an update.
    pub(super) async fn missing(app: &App, update: &Arguments, image: &Image) -> Result<Self, Error> {
        let mut missing = Self {
            description: update.description.clone().filter(|wanted| wanted != image.description().unwrap_or_default()),
            deprecation: update.deprecation.filter(|wanted| !shows(image, *wanted)),
            protection: update.deregistration_protection.filter(|wanted| {
                wanted.as_str() != image.deregistration_protection().unwrap_or(Protection::Disabled.as_str())
            }),
            ..Self::default()
        };
        if let Some(tags) = &update.tags {
            missing.tags.0 = tags.clone();
            missing.compare(image.image_id(), image.tags());
            let ids: Vec<_> = ec2::snapshot_ids(image).map(SnapshotId::from).collect();
            for snapshot in &ec2::snapshots(&app.ec2, &ids).await? {
                missing.compare(snapshot.snapshot_id(), snapshot.tags());
            }
        }
        if let Some(watermarks) = &update.watermarks {
            let account = app.settings.machines()?.account();
            let shown = watermarks_of(image);
            if let Some(key) = watermarks.missing(&shown) {
                return Err(no_watermark(image.image_id(), key, &shown));
            }
            missing.watermarks.0 = watermarks.detached(&shown, account).cloned().collect();
            missing.watermarks.1 = watermarks.attached(&shown, account).cloned().collect();
        }
        Ok(missing)
    }

    fn compare(&mut self, id: Option<&str>, shown: &[Tag]) {
        let id = id.unwrap_or_default().to_owned();
        let mut shown = tags::shown_by_ec2(shown);
        shown.retain(|key, _| !tags::is_reserved(key));
        let wanted = &self.tags.0;
        let extra: Vec<_> = shown.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        if !extra.is_empty() {
            self.keys.0.extend(extra);
            self.keys.1.push(id.clone());
        }
        if wanted.iter().any(|(key, value)| shown.get(key) != Some(value)) {
            self.tags.1.push(id);
        }
    }

    /// The request's fields that are to be sent.
    pub(super) fn fields(&self) -> Vec<&'static str> {
        let fields = [
            (DESCRIPTION, self.description.is_some()),
            (DEPRECATION_TIME, self.deprecation.is_some()),
            (TAGS, !self.tags.1.is_empty() || !self.keys.1.is_empty()),
            (WATERMARKS, !self.watermarks.0.is_empty() || !self.watermarks.1.is_empty()),
            (PROTECTION, self.protection.is_some()),
        ];
        fields.into_iter().filter(|(_, is_missing)| *is_missing).map(|(field, _)| field).collect()
    }

    /// Leaves out the fields that EC2 has shown before: somebody else has changed them since.
    pub(super) fn leave_out(&mut self, shown: &BTreeSet<String>) {
        if shown.contains(DESCRIPTION) {
            self.description = None;
        }
        if shown.contains(DEPRECATION_TIME) {
            self.deprecation = None;
        }
        if shown.contains(TAGS) {
            (self.tags.1, self.keys.1) = (vec![], vec![]);
        }
        if shown.contains(WATERMARKS) {
            self.watermarks = (vec![], vec![]);
        }
        if shown.contains(PROTECTION) {
            self.protection = None;
        }
    }

    /// Whether it protects the image from deregistration.
    pub(super) fn protects(&self) -> bool {
        self.protection.is_some_and(|protection| protection != Protection::Disabled)
    }

    /// Sends it, and notes the fields that are sent. What EC2 may refuse for its value goes first, then the tags; the
    /// protection comes last, as a rollback cannot remove an image that has it.
    pub(super) async fn send(
        &self,
        client: &Client,
        image_id: &ImageId,
        sent: &mut Vec<&'static str>,
    ) -> Result<(), Error> {
        let id = image_id.as_str();
        if let Some(request) = self.describes(client, id) {
            request.send().await.map_err(|error| refused("ec2:ModifyImageAttribute", image_id, &error))?;
            sent.push(DESCRIPTION);
        }
        if let Some(request) = self.deprecates(client, id) {
            request.send().await.map_err(|error| refused("ec2:EnableImageDeprecation", image_id, &error))?;
        }
        if let Some(request) = self.deprecates_no_more(client, id) {
            request.send().await.map_err(|error| refused("ec2:DisableImageDeprecation", image_id, &error))?;
        }
        sent.extend(self.deprecation.map(|_| DEPRECATION_TIME));
        // First off, then on: a resource has room for 50 tags.
        if let Some(request) = self.untags(client) {
            unless_a_snapshot_has_gone("ec2:DeleteTags", image_id, request.send().await.map(drop))?;
        }
        if let Some(request) = self.tags(client) {
            unless_a_snapshot_has_gone("ec2:CreateTags", image_id, request.send().await.map(drop))?;
        }
        for request in self.unmarks(client, id) {
            request.send().await.map_err(|error| refused("ec2:DetachImageWatermark", image_id, &error))?;
        }
        for (name, request) in self.watermarks.1.iter().zip(self.marks(client, id)) {
            let answer = request.send().await.map_err(|error| refused("ec2:AttachImageWatermark", image_id, &error));
            // Whether EC2 takes a second one of a name is not known: an earlier attempt's may be there by now.
            if let Err(error) = answer {
                let image = ec2::image(client, image_id).await?;
                let shown = image.as_ref().map(watermarks_of).unwrap_or_default();
                if !shown.iter().any(|key| key.ends_with(&format!(":{name}"))) {
                    return Err(error);
                }
            }
        }
        if let Some(request) = self.protects_no_more(client, id) {
            let answer = request.send().await;
            answer.map_err(|error| refused("ec2:DisableImageDeregistrationProtection", image_id, &error))?;
        }
        if let Some(request) = self.enables_protection(client, id) {
            let answer = request.send().await;
            answer.map_err(|error| refused("ec2:EnableImageDeregistrationProtection", image_id, &error))?;
        }
        Ok(())
    }
}

/// The keys of the image's watermarks.
pub(crate) fn watermarks_of(image: &Image) -> Vec<String> {
    image.image_watermarks().iter().filter_map(|one| one.watermark_key().map(str::to_owned)).collect()
}

/// The refusal of a watermark that is to be kept and is not there.
pub(crate) fn no_watermark(image_id: Option<&str>, key: &str, shown: &[String]) -> Error {
    let there = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
    let image_id = image_id.unwrap_or_default();
    Error::invalid(
        "watermarks.keep",
        format!("must have watermarks that are there: {image_id} has {there}, and not {key}"),
    )
}

/// The error of a call that changes the image; one that a delete has removed meanwhile is not found.
fn refused<E>(action: &'static str, image_id: &ImageId, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error_codes::code(error) {
        Some(error_codes::IMAGE_NOT_FOUND | error_codes::IMAGE_UNAVAILABLE) => {
            Error::ImageNotFound { image_id: image_id.to_string() }
        }
        _ => error_codes::unexpected(action, error),
    }
}

/// The error of a call that tags. One of a snapshot that somebody deletes meanwhile has tagged nothing: the next
/// look finds out what is left, and sends it again.
fn unless_a_snapshot_has_gone<E>(
    action: &'static str,
    image_id: &ImageId,
    answer: Result<(), SdkError<E, HttpResponse>>,
) -> Result<(), Error>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Err(error) if error_codes::code(&error) != Some(error_codes::SNAPSHOT_NOT_FOUND) => {
            Err(refused(action, image_id, &error))
        }
        _ => Ok(()),
    }
}

fn shows(image: &Image, wanted: Deprecation) -> bool {
    let shown = image.deprecation_time().filter(|text| !text.is_empty());
    match wanted {
        Deprecation::Never => shown.is_none(),
        Deprecation::At(time) => shown.and_then(DeprecationTime::parse) == Some(time),
    }
}
