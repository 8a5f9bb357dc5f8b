//! What of an update EC2 does not show, and the calls that change it.

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        attach_image_watermark::builders::AttachImageWatermarkFluentBuilder,
        create_tags::builders::CreateTagsFluentBuilder, delete_tags::builders::DeleteTagsFluentBuilder,
        detach_image_watermark::builders::DetachImageWatermarkFluentBuilder,
        disable_image_deprecation::builders::DisableImageDeprecationFluentBuilder,
        disable_image_deregistration_protection::builders::DisableImageDeregistrationProtectionFluentBuilder,
        enable_image_deprecation::builders::EnableImageDeprecationFluentBuilder,
        enable_image_deregistration_protection::builders::EnableImageDeregistrationProtectionFluentBuilder,
        modify_image_attribute::builders::ModifyImageAttributeFluentBuilder,
    },
    types::{AttributeValue, Image, Tag},
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
    operations::{Rehearsing, protection::Protection},
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

/// The image that a dry run asks about.
pub(super) enum Rehearsed<'a> {
    /// The one that would be changed.
    Itself(&'a str),
    /// One that stands for it, as it is not made yet.
    Another(&'a str),
    /// None.
    NotMade,
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
}

impl Change {
    /// All that an update of a new image sends.
    pub(super) fn of_a_new_image(update: &Arguments) -> Self {
        let attached = update.watermarks.iter().flat_map(|wanted| wanted.attach.clone()).collect();
        let (deprecation, protection) = (update.deprecation, update.deregistration_protection);
        Self { deprecation, protection, watermarks: (vec![], attached), ..Self::default() }
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
            let shown = image.image_watermarks().iter().filter_map(|one| one.watermark_key());
            let shown: Vec<_> = shown.map(str::to_owned).collect();
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
        for request in self.marks(client, id) {
            request.send().await.map_err(|error| refused("ec2:AttachImageWatermark", image_id, &error))?;
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

    /// Asks for each of these calls whether it is allowed.
    pub(super) async fn rehearse(
        &self,
        client: &Client,
        image: &Rehearsed<'_>,
        rehearsing: &mut Rehearsing<'_>,
    ) -> Result<(), Error> {
        let id = match image {
            Rehearsed::Itself(id) | Rehearsed::Another(id) => id,
            Rehearsed::NotMade => "",
        };
        macro_rules! ask {
            ($call:literal, $on:expr, $request:expr) => {
                for request in $request.into_iter() {
                    let request = request.dry_run(true);
                    match image {
                        Rehearsed::Itself(_) => rehearsing.ask($call, $on, request.send().await)?,
                        Rehearsed::Another(_) => rehearsing.ask_about_another($call, $on, request.send().await)?,
                        Rehearsed::NotMade => rehearsing.cannot_tell($call, &[], "the image is not made yet"),
                    }
                }
            };
        }
        let untagged: Vec<_> = self.keys.1.iter().map(String::as_str).collect();
        let tagged: Vec<_> = self.tags.1.iter().map(String::as_str).collect();
        ask!("ec2:ModifyImageAttribute", &[id], self.describes(client, id));
        ask!("ec2:EnableImageDeprecation", &[id], self.deprecates(client, id));
        ask!("ec2:DisableImageDeprecation", &[id], self.deprecates_no_more(client, id));
        ask!("ec2:DeleteTags", &untagged, self.untags(client));
        ask!("ec2:CreateTags", &tagged, self.tags(client));
        ask!("ec2:DetachImageWatermark", &[id], self.unmarks(client, id));
        ask!("ec2:AttachImageWatermark", &[id], self.marks(client, id));
        ask!("ec2:DisableImageDeregistrationProtection", &[id], self.protects_no_more(client, id));
        ask!("ec2:EnableImageDeregistrationProtection", &[id], self.enables_protection(client, id));
        Ok(())
    }
}

/// The calls, as far as there is something to send.
impl Change {
    fn describes(&self, client: &Client, id: &str) -> Option<ModifyImageAttributeFluentBuilder> {
        let value = AttributeValue::builder().value(self.description.as_ref()?).build();
        Some(client.modify_image_attribute().image_id(id).description(value))
    }

    fn deprecates(&self, client: &Client, id: &str) -> Option<EnableImageDeprecationFluentBuilder> {
        let Some(Deprecation::At(time)) = self.deprecation else { return None };
        Some(client.enable_image_deprecation().image_id(id).deprecate_at(time.to_date_time()))
    }

    fn deprecates_no_more(&self, client: &Client, id: &str) -> Option<DisableImageDeprecationFluentBuilder> {
        let request = || client.disable_image_deprecation().image_id(id);
        matches!(self.deprecation, Some(Deprecation::Never)).then(request)
    }

    fn untags(&self, client: &Client) -> Option<DeleteTagsFluentBuilder> {
        let keys = self.keys.0.iter().map(|key| Tag::builder().key(key).build()).collect();
        let request = || client.delete_tags().set_resources(Some(self.keys.1.clone())).set_tags(Some(keys));
        (!self.keys.1.is_empty()).then(request)
    }

    fn tags(&self, client: &Client) -> Option<CreateTagsFluentBuilder> {
        let tags = self.tags.0.iter().map(|(key, value)| ec2::tag(key, value)).collect();
        let request = || client.create_tags().set_resources(Some(self.tags.1.clone())).set_tags(Some(tags));
        (!self.tags.1.is_empty()).then(request)
    }

    fn unmarks(&self, client: &Client, id: &str) -> impl Iterator<Item = DetachImageWatermarkFluentBuilder> {
        self.watermarks.0.iter().map(move |key| client.detach_image_watermark().image_id(id).watermark_key(key))
    }

    fn marks(&self, client: &Client, id: &str) -> impl Iterator<Item = AttachImageWatermarkFluentBuilder> {
        self.watermarks.1.iter().map(move |name| client.attach_image_watermark().image_id(id).watermark_name(name))
    }

    fn protects_no_more(&self, client: &Client, id: &str) -> Option<DisableImageDeregistrationProtectionFluentBuilder> {
        let request = || client.disable_image_deregistration_protection().image_id(id);
        (self.protection == Some(Protection::Disabled)).then(request)
    }

    fn enables_protection(
        &self,
        client: &Client,
        id: &str,
    ) -> Option<EnableImageDeregistrationProtectionFluentBuilder> {
        let protection = self.protection.filter(|protection| *protection != Protection::Disabled)?;
        let with_cooldown = protection == Protection::EnabledWithCooldown;
        Some(client.enable_image_deregistration_protection().image_id(id).with_cooldown(with_cooldown))
    }
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
