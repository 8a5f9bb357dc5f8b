//! The calls of an update: for a run they are sent, and for a dry run only asked about.

use aws_sdk_ec2::{
    Client,
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
    types::{AttributeValue, Tag},
};

use super::Change;
use crate::{
    aws::ec2,
    error::Error,
    model::deprecation::Deprecation,
    operations::{Rehearsing, protection::Protection},
};

/// The image that a dry run asks about.
pub(in crate::operations::update) enum Rehearsed<'a> {
    /// The one that would be changed.
    Itself(&'a str),
    /// One that stands for it, as it is not made yet.
    Another(&'a str),
    /// None.
    NotMade,
}

/// The calls, as far as there is something to send.
impl Change {
    pub(super) fn describes(&self, client: &Client, id: &str) -> Option<ModifyImageAttributeFluentBuilder> {
        let value = AttributeValue::builder().value(self.description.as_ref()?).build();
        Some(client.modify_image_attribute().image_id(id).description(value))
    }

    pub(super) fn deprecates(&self, client: &Client, id: &str) -> Option<EnableImageDeprecationFluentBuilder> {
        let Some(Deprecation::At(time)) = self.deprecation else { return None };
        Some(client.enable_image_deprecation().image_id(id).deprecate_at(time.to_date_time()))
    }

    pub(super) fn deprecates_no_more(&self, client: &Client, id: &str) -> Option<DisableImageDeprecationFluentBuilder> {
        let request = || client.disable_image_deprecation().image_id(id);
        matches!(self.deprecation, Some(Deprecation::Never)).then(request)
    }

    pub(super) fn untags(&self, client: &Client) -> Option<DeleteTagsFluentBuilder> {
        let keys = self.keys.0.iter().map(|key| Tag::builder().key(key).build()).collect();
        let request = || client.delete_tags().set_resources(Some(self.keys.1.clone())).set_tags(Some(keys));
        (!self.keys.1.is_empty()).then(request)
    }

    pub(super) fn tags(&self, client: &Client) -> Option<CreateTagsFluentBuilder> {
        let tags = self.tags.0.iter().map(|(key, value)| ec2::tag(key, value)).collect();
        let request = || client.create_tags().set_resources(Some(self.tags.1.clone())).set_tags(Some(tags));
        (!self.tags.1.is_empty()).then(request)
    }

    pub(super) fn unmarks(&self, client: &Client, id: &str) -> impl Iterator<Item = DetachImageWatermarkFluentBuilder> {
        self.watermarks.0.iter().map(move |key| client.detach_image_watermark().image_id(id).watermark_key(key))
    }

    pub(super) fn marks(&self, client: &Client, id: &str) -> impl Iterator<Item = AttachImageWatermarkFluentBuilder> {
        self.watermarks.1.iter().map(move |name| client.attach_image_watermark().image_id(id).watermark_name(name))
    }

    pub(super) fn protects_no_more(
        &self,
        client: &Client,
        id: &str,
    ) -> Option<DisableImageDeregistrationProtectionFluentBuilder> {
        let request = || client.disable_image_deregistration_protection().image_id(id);
        (self.protection == Some(Protection::Disabled)).then(request)
    }

    pub(super) fn enables_protection(
        &self,
        client: &Client,
        id: &str,
    ) -> Option<EnableImageDeregistrationProtectionFluentBuilder> {
        let protection = self.protection.filter(|protection| *protection != Protection::Disabled)?;
        let with_cooldown = protection == Protection::EnabledWithCooldown;
        Some(client.enable_image_deregistration_protection().image_id(id).with_cooldown(with_cooldown))
    }
}

impl Change {
    /// Asks for each of these calls whether it is allowed.
    pub(in crate::operations::update) async fn rehearse(
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
                        Rehearsed::Another(_) => rehearsing.about_another().ask($call, $on, request.send().await)?,
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
        if self.detaches_others && !matches!(image, Rehearsed::Itself(_)) {
            rehearsing.cannot_tell(
                "ec2:DetachImageWatermark",
                &[],
                "the image, and which watermarks it has, is not made yet",
            );
        }
        ask!("ec2:AttachImageWatermark", &[id], self.marks(client, id));
        ask!("ec2:DisableImageDeregistrationProtection", &[id], self.protects_no_more(client, id));
        ask!("ec2:EnableImageDeregistrationProtection", &[id], self.enables_protection(client, id));
        Ok(())
    }
}
