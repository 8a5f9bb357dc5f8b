//! The operations of each action, with their arguments.

use super::{
    Planned,
    request::{Action, Create, Delete, Deprecates, Update},
    source,
};
use crate::{
    app::App,
    aws::ec2,
    error::Error,
    model::{
        deprecation::{Deprecation, DeprecationTime},
        ids::ImageId,
        retention::Retain,
        run::Run,
        tags::{self, Tags},
        timeouts::Timeouts,
    },
    operations::{
        Operation, adopt, availability, complete, create,
        delete::{self, IfInUse},
        instance_state::{self, start, stop},
        protection::Protection,
        prune,
        rehearsal::DryRun,
        restore, rollback,
        update::{self, change},
    },
};

/// What a plan is made with, besides the request.
pub(super) struct Planner<'a> {
    pub(super) app: &'a App,
    pub(super) run: &'a Run,
    pub(super) start_time: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) timeouts: Timeouts,
    pub(super) default_tags: &'a Tags,
}

impl Planner<'_> {
    /// The operations of an action.
    pub(super) async fn operations(&self, action: &Action) -> Result<Vec<Planned>, Error> {
        match action {
            Action::Create(create) => {
                self.check_name(create).await?;
                self.check_watermarks(create).await?;
                let arguments = self.create_arguments(create).await?;
                let prune = create.retain.as_ref().map(|retain| self.prune(arguments.series.clone(), retain, true));
                let mut made = self.create(create, arguments)?;
                made.extend(prune.transpose()?);
                Ok(made)
            }
            Action::Update(update) => Ok(vec![self.update(update)?]),
            Action::Disable(image_id) => Ok(vec![self.availability::<availability::Disable>(image_id)?]),
            Action::Enable(image_id) => Ok(vec![self.availability::<availability::Enable>(image_id)?]),
            Action::Restore(image_id) => Ok(vec![self.availability::<restore::Restore>(image_id)?]),
            Action::Adopt(image_id, series) => Ok(vec![self.adopt(image_id, series.as_deref()).await?]),
            Action::Prune(series, retain) => Ok(vec![self.prune(series.clone(), retain, false)?]),
            Action::Delete(delete) => Ok(vec![self.delete(delete)?]),
            Action::Replace(create, delete) => self.replace(create, delete).await,
        }
    }

    /// The same operations, none of which changes anything. Where they would make an image, its removal is asked for too.
    pub(super) fn dry(&self, mut operations: Vec<Planned>) -> Result<Vec<Planned>, Error> {
        if operations.iter().any(|planned| planned.operation == create::Create::NAME) {
            let rollback = rollback::Arguments::default();
            operations.push(Planned::new::<rollback::Rollback>(self.timeouts.rollback(), &rollback)?);
        }
        let last = operations.len().saturating_sub(1);
        for (at, planned) in operations.iter_mut().enumerate() {
            planned.dry_run = Some(if at == last { DryRun::Concludes } else { DryRun::Continues });
            planned.rehearsed = planned.arguments.take();
            planned.note.clear();
            planned.keeps_image = false;
        }
        Ok(operations)
    }

    /// No instance is stopped for an image whose name is taken.
    pub(super) async fn check_name(&self, create: &Create) -> Result<(), Error> {
        if create.stop.is_none() {
            return Ok(());
        }
        match ec2::image_named(&self.app.ec2, &create.name).await? {
            Some(image) => {
                let holder = image.image_id().unwrap_or_default().to_owned();
                Err(Error::NameTaken { name: create.name.clone(), holder })
            }
            None => Ok(()),
        }
    }

    /// An image has the watermarks of the image that its instance was launched from. Where EC2 shows that one no more,
    /// the update finds out.
    pub(super) async fn check_watermarks(&self, create: &Create) -> Result<(), Error> {
        let Some(watermarks) = create.watermarks.as_ref().filter(|watermarks| !watermarks.keep.is_empty()) else {
            return Ok(());
        };
        let instance = ec2::instance(&self.app.ec2, &create.source_instance_id).await?;
        let Some(image_id) = instance.as_ref().and_then(|instance| instance.image_id()) else { return Ok(()) };
        let Some(source) = ec2::image(&self.app.ec2, &ImageId::from(image_id)).await? else { return Ok(()) };
        let shown = change::watermarks_of(&source);
        match watermarks.missing(&shown) {
            Some(key) => Err(change::no_watermark(Some(image_id), key, &shown)),
            None => Ok(()),
        }
    }

    /// CreateImage takes no deprecation time, no watermarks and no protection: an update sets them.
    pub(super) fn create(&self, create: &Create, arguments: create::Arguments) -> Result<Vec<Planned>, Error> {
        let mut made = self.made(create, &arguments)?;
        let deprecation = self.deprecation_time(create)?.map(Deprecation::At);
        // A new image has none.
        let protection = create.deregistration_protection.filter(|protection| *protection != Protection::Disabled);
        let watermarks = create.watermarks.clone();
        if deprecation.is_none() && protection.is_none() && watermarks.is_none() {
            return Ok(made);
        }
        let update = update::Arguments {
            deprecation,
            deregistration_protection: protection,
            watermarks,
            ..update::Arguments::default()
        };
        made.push(Planned::new::<update::Update>(self.timeouts.update, &update)?);
        Ok(made)
    }

    /// An instance that is stopped for its image is started as soon as every snapshot exists, and not when the image
    /// is available.
    fn made(&self, create: &Create, arguments: &create::Arguments) -> Result<Vec<Planned>, Error> {
        let limit = self.timeouts.create;
        let create_image = Planned::new::<create::Create>(limit, arguments)?;
        if create.stop.is_none() {
            return Ok(vec![create_image]);
        }
        let source_instance_id = create.source_instance_id.clone();
        let instance = instance_state::Arguments { source_instance_id };
        let complete = create::Arguments { of_stopped_instance: false, ..arguments.clone() };
        Ok(vec![
            Planned::new::<stop::Stop>(limit, &instance)?,
            create_image,
            Planned::new::<start::Start>(limit, &instance)?,
            Planned::new::<complete::Complete>(limit, &complete)?,
        ])
    }

    pub(super) async fn create_arguments(&self, create: &Create) -> Result<create::Arguments, Error> {
        let source = source::read(self.app, create).await?;
        Ok(create::Arguments {
            name: create.name.clone(),
            source_instance_id: create.source_instance_id.clone(),
            snapshot_without_reboot: create.snapshot_without_reboot,
            description: create.description.clone(),
            tags: tags::merged(self.default_tags, source.tags.as_ref(), &create.tags)?,
            copied_tags: source.tags.map(|tags| tags.into_keys().collect()),
            block_device_mappings: source.mappings,
            devices: source.devices,
            series: Some(create.series.clone().unwrap_or_else(|| create.source_instance_id.to_string())),
            run_started: self.start_time.to_owned(),
            of_stopped_instance: create.stop.is_some(),
            replaced_image_id: None,
        })
    }

    fn deprecation_time(&self, create: &Create) -> Result<Option<DeprecationTime>, Error> {
        let (field, time) = match create.deprecation {
            None => return Ok(None),
            Some(Deprecates::At(time)) => ("deprecationTime", time),
            Some(Deprecates::After(seconds)) => {
                let started = ec2::time(Some(self.start_time)).map_or(self.now, |time| time.secs());
                ("deprecateAfter", DeprecationTime::from_seconds(started.saturating_add(seconds)))
            }
        };
        self.check_deprecation_time(field, time)?;
        Ok(Some(time))
    }

    /// EC2 refuses a deprecation time in the past, and a create may take as long as its timeout before it
    /// is set: an image is not to be lost to that.
    fn check_deprecation_time(&self, field: &str, time: DeprecationTime) -> Result<(), Error> {
        let longest = i64::try_from(self.timeouts.create + self.timeouts.update).unwrap_or(i64::MAX);
        if time.seconds() >= self.now.saturating_add(longest) {
            return Ok(());
        }
        let problem = format!("must be later than the timeouts of create and update together, {longest} seconds");
        Err(Error::invalid(field, problem))
    }

    fn update(&self, update: &Update) -> Result<Planned, Error> {
        let tags = update.tags.as_ref().map(|own| tags::merged(self.default_tags, None, own)).transpose()?;
        let arguments = update::Arguments {
            image_id: Some(update.image_id.clone()),
            description: update.description.clone(),
            deprecation: update.deprecation,
            tags,
            deregistration_protection: update.deregistration_protection,
            watermarks: update.watermarks.clone(),
            allow_unmanaged_images: self.app.settings.allow_unmanaged_images,
        };
        Planned::new::<update::Update>(self.timeouts.update, &arguments)
    }

    fn availability<O>(&self, image_id: &ImageId) -> Result<Planned, Error>
    where
        O: Operation<Arguments = availability::Arguments>,
    {
        let allow_unmanaged_images = self.app.settings.allow_unmanaged_images;
        let arguments = availability::Arguments { image_id: image_id.clone(), allow_unmanaged_images };
        Planned::new::<O>(self.timeouts.update, &arguments)
    }

    /// An image that has a series stays in it.
    async fn adopt(&self, image_id: &ImageId, series: Option<&str>) -> Result<Planned, Error> {
        let Some(image) = ec2::image(&self.app.ec2, image_id).await? else {
            return Err(Error::ImageNotFound { image_id: image_id.to_string() });
        };
        adopt::untagged(self.app, self.run, &image, self.start_time).await?;
        let shown = tags::series_of(image.tags());
        let series = match (series, shown, image.source_instance_id()) {
            (Some(wanted), Some(shown), _) if wanted != shown => {
                let problem = format!("must be {shown} or left out: {image_id} is in that series");
                return Err(Error::invalid("series", problem));
            }
            (_, Some(_), _) => None,
            (Some(series), None, _) | (None, None, Some(series)) => Some(series.to_owned()),
            (None, None, None) => {
                let problem = format!("must be given: EC2 does not show which instance {image_id} was made of");
                return Err(Error::invalid("series", problem));
            }
        };
        let run_started = self.start_time.to_owned();
        let arguments = adopt::Arguments { image_id: image_id.clone(), series, run_started };
        Planned::new::<adopt::Adopt>(self.timeouts.update, &arguments)
    }

    /// The images of a series that are not kept go only when the new image is certain, and it stays whatever comes.
    fn prune(&self, series: Option<String>, retain: &Retain, after_create: bool) -> Result<Planned, Error> {
        if self.timeouts.delete < prune::LEAST {
            let problem = format!("must be at least {} minutes where images are pruned", prune::LEAST / 60);
            return Err(Error::invalid("timeouts.delete", problem));
        }
        let arguments = prune::Arguments { series, retain: retain.clone(), after_create };
        let planned = Planned::new::<prune::Prune>(self.timeouts.delete, &arguments)?;
        Ok(if after_create { planned.keeping_the_image().note("the new image stays") } else { planned })
    }

    pub(super) fn delete(&self, delete: &Delete) -> Result<Planned, Error> {
        Planned::new::<delete::Delete>(self.timeouts.delete, &self.delete_arguments(delete))
    }

    pub(super) fn delete_arguments(&self, delete: &Delete) -> delete::Arguments {
        let keeps = delete.manage_ebs_snapshots == Some(false);
        delete::Arguments {
            image_id: delete.image_id.clone(),
            manage_ebs_snapshots: delete.manage_ebs_snapshots,
            allow_unmanaged_images: self.app.settings.allow_unmanaged_images,
            disable_protection: delete.disable_protection,
            if_in_use: if delete.unless_in_use { IfInUse::Fail } else { IfInUse::Delete },
            source_instance_id: None,
            snapshots: if keeps { delete::Snapshots::Keep } else { delete::Snapshots::Delete },
        }
    }
}
