//! The plan of a replace: a fresh image, and the old one gone.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::Image;

use super::{
    Planned,
    planner::Planner,
    request::{Create, Delete},
};
use crate::{
    aws::ec2,
    error::Error,
    model::ids::SnapshotId,
    operations::{
        Operation,
        create::{self, source_instance},
        delete::{self, IfInUse, Snapshots},
        in_use,
        instance_state::stop::Stop,
        ownership, protection,
    },
};

impl Planner<'_> {
    /// The new image is made first, so that there is always one. Where both have the same name, which
    /// is unique in a Region, the old one has to be deregistered first; its snapshots stay until the new
    /// image is available. Everything that can be checked is checked before.
    pub(super) async fn replace(&self, create: &Create, delete: &Delete) -> Result<Vec<Planned>, Error> {
        let (ec2, settings) = (&self.app.ec2, &self.app.settings);
        let Some(old) = ec2::image(ec2, &delete.image_id).await? else {
            return Err(Error::ImageNotFound { image_id: delete.image_id.to_string() });
        };
        // A cooldown outlasts every run.
        let disables = delete.disable_protection && !protection::has_cooldown(&old);
        ownership::check_delete(&old, &self.delete_arguments(delete), disables, settings.machines()?)?;
        self.check_watermarks(create).await?;
        let instance = ec2::instance(ec2, &create.source_instance_id).await?;
        let is_of_the_same_name = old.name() == Some(create.name.as_str());
        self.check_use(create, delete, is_of_the_same_name).await?;
        let arguments = self.create_arguments(create).await?;
        source_instance::check(&arguments, instance.as_ref())?;
        if is_of_the_same_name {
            let arguments = create::Arguments { replaced_image_id: Some(delete.image_id.clone()), ..arguments };
            let replaced = self.replaced(create, delete);
            return self.of_the_same_name(replaced, &old, self.create(create, arguments)?);
        }
        self.check_name(create).await?;
        let made = self.create(create, arguments)?;
        let still_there = format!("{} still exists", delete.image_id);
        let made = made.into_iter().map(|planned| planned.note(&still_there));
        let new_one_exists = format!("the delete of {} is not done, and the new image stays", delete.image_id);
        // What begins to use the old image meanwhile keeps it, and not the new one from being the run's result.
        let mut replaced = self.replaced(create, delete);
        if replaced.if_in_use == IfInUse::Fail {
            replaced.if_in_use = IfInUse::Keep;
        }
        let delete = Planned::new::<delete::Delete>(self.timeouts.delete, &replaced)?;
        Ok(made.chain([delete.keeping_the_image().note(&new_one_exists)]).collect())
    }

    fn replaced(&self, create: &Create, delete: &Delete) -> delete::Arguments {
        let source_instance_id = Some(create.source_instance_id.clone());
        delete::Arguments { source_instance_id, ..self.delete_arguments(delete) }
    }

    /// Refuses to replace an image that something uses, unless the request keeps it then. Two images cannot have one
    /// name.
    async fn check_use(&self, create: &Create, delete: &Delete, is_of_the_same_name: bool) -> Result<(), Error> {
        if !delete.unless_in_use || delete.keep_previous && !is_of_the_same_name {
            return Ok(());
        }
        let image_id = &delete.image_id;
        match in_use::why(self.app, image_id, Some(&create.source_instance_id)).await? {
            Some(reason) => Err(Error::ImageInUse { image_id: image_id.to_string(), reason }),
            None => Ok(()),
        }
    }

    fn of_the_same_name(
        &self,
        arguments: delete::Arguments,
        old: &Image,
        made: Vec<Planned>,
    ) -> Result<Vec<Planned>, Error> {
        let id = arguments.image_id.clone();
        let snapshot_ids: BTreeSet<_> = ec2::snapshot_ids(old).map(SnapshotId::from).collect();
        let kept = snapshot_ids.iter().map(SnapshotId::as_str).collect::<Vec<_>>().join(", ");
        let note = format!(
            "{id} was deregistered before, its snapshots are kept: {kept}; aws ec2 register-image makes an image of them \
             again"
        );
        let deregister = delete::Arguments { snapshots: Snapshots::Keep, ..arguments.clone() };
        let first = Planned::new::<delete::Delete>(self.timeouts.delete, &deregister)?
            .note(&format!("{id} may still exist; its snapshots are kept: {kept}"));
        // Nothing is lost while the instance is only being stopped.
        let (stop, made): (Vec<_>, Vec<_>) = made.into_iter().partition(|planned| planned.operation == Stop::NAME);
        let stop = stop.into_iter().map(|planned| planned.note(&format!("{id} still exists")));
        let made = made.into_iter().map(|planned| planned.note(&note));
        let mut operations: Vec<_> = stop.chain([first]).chain(made).collect();
        if arguments.snapshots == Snapshots::Delete {
            let follow = delete::Arguments { snapshots: Snapshots::DeleteAfterwards(snapshot_ids), ..arguments };
            let follow = Planned::new::<delete::Delete>(self.timeouts.delete, &follow)?;
            let note = format!("the new image stays, and of {id} these snapshots may be left: {kept}");
            operations.push(follow.keeping_the_image().note(&note));
        }
        Ok(operations)
    }
}
