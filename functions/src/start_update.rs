//! Changes an image's tags, description and deprecation time, and looks whether EC2 shows it.
//!
//! It serves as its own next look: what EC2 shows already is not sent again.

use std::collections::BTreeSet;

use aws_sdk_ec2::{
    Client,
    types::{AttributeValue, Image, Snapshot, Tag},
};

use crate::{
    aws_error, check_status, ec2,
    error::Error,
    ids::ImageId,
    request::{Action, Deprecation, DeprecationTime, Request, Update},
    run::Run,
    settings::Settings,
    step::{Document, Status, Step},
    tags::{self, Tags},
};

/// Seconds until the next look.
const SHORTLY: u64 = 5;

/// Sends what EC2 does not show yet; available once nothing is missing.
pub async fn handle(client: &Client, settings: &Settings, mut document: Document) -> Result<Step, Error> {
    let update = match (Request::parse(&document.request, None)?.action, document.image_id.clone()) {
        (Action::Update(update), _) => update,
        // CreateImage takes no deprecation time: a create sets it afterwards.
        (Action::Create(create) | Action::Replace(create, _), Some(image_id)) => Update {
            image_id,
            description: None,
            deprecation_time: create.deprecation_time.map(Deprecation::At),
            tags: None,
        },
        _ => return Err(Error::invalid("action", "update, or an image of this run, is required here")),
    };
    let image_id = update.image_id.clone();
    document.image_id = Some(image_id.clone());
    let image = ec2::image(client, &image_id).await?;
    let image = image.ok_or_else(|| Error::ImageNotFound { image_id: image_id.to_string() })?;
    check_managed(&image, &image_id, settings)?;
    let missing = Missing::of(client, settings, &update, &image).await?;
    if missing.is_nothing() {
        tracing::info!("EC2 shows the new values");
        let mut step = document.step(Status::Available, 0);
        step.image = Some(check_status::attributes(client, settings, &image, &document.request).await?);
        return Ok(step);
    }
    missing.send(client, &image_id).await?;
    tracing::info!(?missing, "the changes are sent");
    Ok(document.step(Status::Pending, SHORTLY).because("EC2 does not show the new values yet"))
}

fn check_managed(image: &Image, image_id: &ImageId, settings: &Settings) -> Result<(), Error> {
    let managed = tags::run_of(image.tags()).is_some_and(|run| Run::new(run).is_of(&settings.lifecycle_machine_arn));
    if managed || settings.allow_unmanaged_images {
        return Ok(());
    }
    let remedy = "the deployment's parameter AllowUnmanagedImages is off".to_owned();
    Err(Error::ImageNotManaged { image_id: image_id.to_string(), remedy })
}

/// What EC2 does not show yet.
#[derive(Debug, Default)]
struct Missing {
    description: Option<String>,
    deprecation: Option<Deprecation>,
    /// Tags to put on, and the resources that lack one of them.
    tags: (Tags, Vec<String>),
    /// Tag keys to take off, and the resources that have one of them.
    keys: (BTreeSet<String>, Vec<String>),
}

impl Missing {
    async fn of(client: &Client, settings: &Settings, update: &Update, image: &Image) -> Result<Self, Error> {
        let mut missing = Self {
            description: update.description.clone().filter(|wanted| wanted != image.description().unwrap_or_default()),
            deprecation: update.deprecation_time.filter(|wanted| !shows(image, *wanted)),
            ..Self::default()
        };
        if let Some(own) = &update.tags {
            missing.tags.0 = tags::with_defaults(&settings.default_tags, own)?;
            missing.compare(image.image_id(), image.tags());
            for snapshot in &snapshots(client, image).await? {
                missing.compare(snapshot.snapshot_id(), snapshot.tags());
            }
        }
        Ok(missing)
    }

    fn compare(&mut self, id: Option<&str>, shown: &[Tag]) {
        let id = id.unwrap_or_default().to_owned();
        let shown: Tags = shown
            .iter()
            .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())))
            .filter(|(key, _)| !tags::is_reserved(key))
            .collect();
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

    fn is_nothing(&self) -> bool {
        self.description.is_none() && self.deprecation.is_none() && self.tags.1.is_empty() && self.keys.1.is_empty()
    }

    async fn send(&self, client: &Client, image_id: &ImageId) -> Result<(), Error> {
        let id = image_id.as_str();
        if !self.keys.1.is_empty() {
            // First off, then on: a resource has room for 50 tags.
            let keys = self.keys.0.iter().map(|key| Tag::builder().key(key).build()).collect();
            let request = client.delete_tags().set_resources(Some(self.keys.1.clone())).set_tags(Some(keys));
            request.send().await.map_err(|error| aws_error::unexpected("ec2:DeleteTags", &error))?;
        }
        if !self.tags.1.is_empty() {
            let tags = self.tags.0.iter().map(|(key, value)| ec2::tag(key, value)).collect();
            let request = client.create_tags().set_resources(Some(self.tags.1.clone())).set_tags(Some(tags));
            request.send().await.map_err(|error| aws_error::unexpected("ec2:CreateTags", &error))?;
        }
        if let Some(description) = &self.description {
            let value = AttributeValue::builder().value(description).build();
            let request = client.modify_image_attribute().image_id(id).description(value);
            request.send().await.map_err(|error| aws_error::unexpected("ec2:ModifyImageAttribute", &error))?;
        }
        match self.deprecation {
            Some(Deprecation::At(time)) => {
                let request = client.enable_image_deprecation().image_id(id).deprecate_at(time.to_date_time());
                request.send().await.map_err(|error| aws_error::unexpected("ec2:EnableImageDeprecation", &error))?;
            }
            Some(Deprecation::Never) => {
                let request = client.disable_image_deprecation().image_id(id);
                request.send().await.map_err(|error| aws_error::unexpected("ec2:DisableImageDeprecation", &error))?;
            }
            None => {}
        }
        Ok(())
    }
}

fn shows(image: &Image, wanted: Deprecation) -> bool {
    let shown = image.deprecation_time().filter(|text| !text.is_empty());
    match wanted {
        Deprecation::Never => shown.is_none(),
        Deprecation::At(time) => shown.and_then(DeprecationTime::parse) == Some(time),
    }
}

/// The snapshots the image refers to.
async fn snapshots(client: &Client, image: &Image) -> Result<Vec<Snapshot>, Error> {
    let ids: Vec<_> = ec2::snapshot_ids(image).map(str::to_owned).collect();
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let answer = client.describe_snapshots().set_snapshot_ids(Some(ids)).send().await;
    let answer = answer.map_err(|error| aws_error::unexpected("ec2:DescribeSnapshots", &error))?;
    Ok(answer.snapshots.unwrap_or_default())
}
