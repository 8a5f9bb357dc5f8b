//! A user's request, the input of the lifecycle machine.
//!
//! It is read by hand, field by field, so that every error names its field and what it must be, and so that
//! an update can tell an absent field from a null one. Elsewhere null is as good as absent.

use serde_json::Value;

use super::{
    fields::Fields,
    source::{CopyTags, Volumes},
};
use crate::{
    error::Error,
    model::{
        deprecation::{Deprecation, DeprecationTime},
        ids::{ImageId, InstanceId},
        retention::Retain,
        tags::Tags,
        timeouts::RequestedTimeouts,
        watermarks::Watermarks,
    },
    operations::protection::Protection,
};

/// What a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// How long it may take, where the user says so.
    pub timeouts: RequestedTimeouts,
    /// Whether it is only to say what it would do.
    pub dry_run: bool,
}

/// The actions with their arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make an image.
    Create(Create),
    /// Change an image.
    Update(Update),
    /// Keep an image from being launched.
    Disable(ImageId),
    /// Let it be launched again.
    Enable(ImageId),
    /// Bring an image back from the Recycle Bin.
    Restore(ImageId),
    /// Take over an image that no run made, for a series.
    Adopt(ImageId, Option<String>),
    /// Remove the images of a series, or of all, that are not kept.
    Prune(Option<String>, Retain),
    /// Remove an image and its snapshots.
    Delete(Delete),
    /// Make an image and remove an older one.
    Replace(Create, Delete),
}

/// What an image is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// The image's name, unique in the Region.
    pub name: String,
    /// The instance it is made from.
    pub source_instance_id: InstanceId,
    /// Whether the instance goes on running, with a crash-consistent image.
    pub snapshot_without_reboot: bool,
    /// Whether the instance is stopped for it, and how.
    pub stop: Option<StopInstance>,
    /// The image's description; empty for none.
    pub description: String,
    /// When the image is to be deprecated.
    pub deprecation: Option<Deprecates>,
    /// Its deregistration protection.
    pub deregistration_protection: Option<Protection>,
    /// The user's tags.
    pub tags: Tags,
    /// Which of the instance's tags it has besides; none for none of them.
    pub copy_tags: Option<CopyTags>,
    /// Which of the instance's volumes it has.
    pub volumes: Volumes,
    /// Which watermarks it is to have; none for those that EC2 hands on.
    pub watermarks: Option<Watermarks>,
    /// Among which images it counts; none for those of the instance.
    pub series: Option<String>,
    /// What stays of that series; none where nothing is pruned.
    pub retain: Option<Retain>,
}

/// How an instance is stopped for its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopInstance {
    /// Whether the data of its instance store volumes may be lost.
    pub accept_instance_store_loss: bool,
}

/// When a new image is deprecated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deprecates {
    /// At a time.
    At(DeprecationTime),
    /// So many seconds after the run's start.
    After(i64),
}

/// What changes about an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Update {
    /// The image.
    pub image_id: ImageId,
    /// Its new description; empty to remove it.
    pub description: Option<String>,
    /// Its new deprecation time.
    pub deprecation: Option<Deprecation>,
    /// All the user's tags it is to have.
    pub tags: Option<Tags>,
    /// Its new deregistration protection.
    pub deregistration_protection: Option<Protection>,
    /// All the watermarks it is to have.
    pub watermarks: Option<Watermarks>,
}

/// Which image goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// The image.
    pub image_id: ImageId,
    /// Whether its snapshots go with it; must be said of an image that no run made.
    pub manage_ebs_snapshots: Option<bool>,
    /// Whether its deregistration protection is disabled for it.
    pub disable_protection: bool,
    /// Whether it stays where something names it.
    pub unless_in_use: bool,
    /// Whether a replace makes its image all the same then.
    pub keep_previous: bool,
}

impl Request {
    /// Checks the whole input; `now` is seconds since 1970, for the deprecation time.
    ///
    /// # Errors
    ///
    /// `InvalidRequest`, naming the first field that is not what it must be.
    pub fn parse(input: &Value, now: i64) -> Result<Self, Error> {
        let mut fields = Fields::of(input)?;
        let action = fields.text_or("action", "create");
        let request = match action.as_str() {
            "create" => {
                let create = read_create(&mut fields, now)?;
                Action::Create(Create { retain: fields.retain()?, ..create })
            }
            "update" => Action::Update(read_update(&mut fields, now)?),
            "disable" => Action::Disable(fields.image_id()?),
            "enable" => Action::Enable(fields.image_id()?),
            "restore" => Action::Restore(fields.image_id()?),
            "adopt" => Action::Adopt(fields.image_id()?, fields.series()?),
            "prune" => read_prune(&mut fields)?,
            "delete" => Action::Delete(read_delete(&mut fields)?),
            "replace" => {
                let delete = read_replaced(&mut fields)?;
                Action::Replace(read_create(&mut fields, now)?, delete)
            }
            _ => {
                let problem = "must be create, update, disable, enable, restore, adopt, prune, delete or replace";
                return Err(Error::invalid("action", problem));
            }
        };
        let timeouts = fields.timeouts()?;
        let dry_run = fields.flag("dryRun")?.unwrap_or_default();
        fields.nothing_else(&action)?;
        Ok(Self { action: request, timeouts, dry_run })
    }
}

fn read_create(fields: &mut Fields, now: i64) -> Result<Create, Error> {
    let (name, source_instance_id) = (fields.name()?, fields.instance_id()?);
    let without_reboot = fields.flag("snapshotWithoutReboot")?;
    let stop = fields.stop_instance()?;
    if stop.is_some() && without_reboot == Some(true) {
        return Err(Error::invalid("snapshotWithoutReboot", "must not be true beside \"stopInstance\": true"));
    }
    Ok(Create {
        name,
        source_instance_id,
        // A stopped instance is not rebooted, nor one that somebody starts meanwhile.
        snapshot_without_reboot: without_reboot.unwrap_or(stop.is_some()),
        stop,
        description: fields.description()?.unwrap_or_default(),
        deprecation: read_deprecates(fields, now)?,
        deregistration_protection: fields.deregistration_protection()?,
        tags: fields.tags()?.unwrap_or_default(),
        copy_tags: fields.copy_tags()?,
        volumes: fields.volumes()?,
        watermarks: fields.watermarks()?,
        series: fields.series()?,
        retain: None,
    })
}

fn read_deprecates(fields: &mut Fields, now: i64) -> Result<Option<Deprecates>, Error> {
    match (fields.deprecation(now)?, fields.deprecate_after()?) {
        (Some(Deprecation::At(_)), Some(_)) => {
            Err(Error::invalid("deprecateAfter", "must not be given beside deprecationTime"))
        }
        (Some(Deprecation::At(time)), None) => Ok(Some(Deprecates::At(time))),
        (_, after) => Ok(after.map(Deprecates::After)),
    }
}

fn read_update(fields: &mut Fields, now: i64) -> Result<Update, Error> {
    let update = Update {
        image_id: fields.image_id()?,
        description: fields.description()?,
        deprecation: fields.deprecation(now)?,
        tags: fields.tags()?,
        deregistration_protection: fields.deregistration_protection()?,
        watermarks: fields.watermarks()?,
    };
    let nothing = Update { image_id: update.image_id.clone(), ..Update::default() };
    if update == nothing {
        let fields = "description, deprecationTime, tags, deregistrationProtection, watermarks";
        return Err(Error::invalid(fields, "at least one must be given"));
    }
    Ok(update)
}

fn read_prune(fields: &mut Fields) -> Result<Action, Error> {
    let (series, all) = (fields.series()?, fields.flag("allSeries")?.unwrap_or_default());
    if series.is_some() == all {
        return Err(Error::invalid("series", "must be given, or \"allSeries\": true, and not both"));
    }
    match fields.retain()? {
        Some(retain) => Ok(Action::Prune(series, retain)),
        None => Err(Error::invalid("retain", "must be given: what stays of the series")),
    }
}

fn read_delete(fields: &mut Fields) -> Result<Delete, Error> {
    let manage_ebs_snapshots = fields.flag("manageEbsSnapshots")?;
    let disable_protection = fields.flag("disableProtection")?.unwrap_or_default();
    let unless_in_use = fields.flag("unlessInUse")?.unwrap_or(true);
    let image_id = fields.image_id()?;
    Ok(Delete { image_id, manage_ebs_snapshots, disable_protection, unless_in_use, keep_previous: false })
}

fn read_replaced(fields: &mut Fields) -> Result<Delete, Error> {
    let keep_previous = fields.flag("keepPrevious")?.unwrap_or_default();
    let delete = read_delete(fields)?;
    if keep_previous && !delete.unless_in_use {
        return Err(Error::invalid("keepPrevious", "must not be true beside \"unlessInUse\": false"));
    }
    Ok(Delete { keep_previous, ..delete })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn refusal(input: Value) -> String {
        Request::parse(&input, NOW).unwrap_err().to_string()
    }

    fn create(extra: Value) -> Value {
        let mut input = json!({"name": "web-1", "sourceInstanceId": "i-0123456789abcdef0"});
        if let (Some(input), Value::Object(extra)) = (input.as_object_mut(), extra) {
            input.extend(extra);
        }
        input
    }

    #[test]
    fn a_name_and_an_instance_are_enough() {
        let request = Request::parse(&create(json!({})), NOW).unwrap();
        assert_eq!(request.timeouts, RequestedTimeouts::default());
        let Action::Create(create) = request.action else { panic!("{request:?}") };
        assert!(!create.snapshot_without_reboot);
        assert_eq!((create.description.as_str(), create.deprecation, create.tags), ("", None, Tags::new()));
    }

    #[test]
    fn each_wrong_field_is_refused_by_its_name() {
        for (input, start) in [
            (json!([]), "input: must be an object"),
            (json!({}), "name: must be given"),
            (json!({"name": "web"}), "sourceInstanceId: must be given"),
            (create(json!({"name": 1})), "name: must be a string"),
            (create(json!({"name": "ab"})), "name: must have 3 to 128"),
            (create(json!({"name": "web!"})), "name: must have 3 to 128 letters, digits and ()[] ./-'@_; web! has '!'"),
            (create(json!({"name": "n".repeat(129)})), "name: must have 3 to 128"),
            (create(json!({"sourceInstanceId": "ami-0123456789abcdef0"})), "sourceInstanceId: must be i-"),
            (create(json!({"snapshotWithoutReboot": "true"})), "snapshotWithoutReboot: must be true or false"),
            (
                create(json!({"snapshotWithoutReboots": true})),
                "snapshotWithoutReboots: is no field of create, which has action, name",
            ),
            (create(json!({"imageId": "ami-0123456789abcdef0"})), "imageId: is no field"),
            (create(json!({"": 1})), "\"\": is no field"),
            (create(json!({"description": "d".repeat(256)})), "description: must be a string of at most 255"),
            (create(json!({"deprecationTime": "tomorrow"})), "deprecationTime: must be a time"),
            (create(json!({"deprecationTime": "2020-01-01T00:00:00Z"})), "deprecationTime: must be a time"),
            (create(json!({"deprecationTime": "2099-01-01T00:00:00Z"})), "deprecationTime: must be a time"),
            (create(json!({"timeouts": {"destroy": "1h"}})), "timeouts.destroy: is no field"),
            (create(json!({"timeouts": {"create": "1 fortnight"}})), "timeouts.create: must be from one minute"),
            (create(json!({"action": "destroy"})), "action: must be create, update, disable"),
            (create(json!({"action": 1})), "action: must be create, update, disable"),
            (create(json!({"description": "café"})), "description: must be a string of at most 255 printable ASCII"),
            (json!({"action": "update"}), "imageId: must be given"),
            (
                json!({"action": "update", "imageId": "ami-0123456789abcdef0"}),
                "description, deprecationTime, tags, deregistrationProtection, watermarks: at least one",
            ),
            (json!({"action": "delete", "imageId": "snap-0123456789abcdef0"}), "imageId: must be ami-"),
        ] {
            let error = refusal(input);
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn every_character_ec2_allows_in_a_name_is_allowed() {
        for name in ["abc", "a()[] ./-'@_Z9", &"n".repeat(128)] {
            assert!(Request::parse(&create(json!({"name": name})), NOW).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_update_tells_absent_from_null() {
        let update = |extra: Value| {
            let mut input = json!({"action": "update", "imageId": "ami-0123456789abcdef0", "tags": {}});
            if let (Some(input), Value::Object(extra)) = (input.as_object_mut(), extra) {
                input.extend(extra);
            }
            match Request::parse(&input, NOW).unwrap().action {
                Action::Update(update) => update,
                other => panic!("{other:?}"),
            }
        };
        let absent = update(json!({}));
        assert_eq!((absent.description, absent.deprecation), (None, None));
        let null = update(json!({"description": null, "deprecationTime": null}));
        assert_eq!((null.description, null.deprecation), (Some(String::new()), Some(Deprecation::Never)));
    }

    #[test]
    fn null_is_as_good_as_absent_where_an_update_does_not_tell_them_apart() {
        let nulls = json!({"action": null, "snapshotWithoutReboot": null, "description": null, "deprecationTime": null,
            "tags": null, "timeouts": null});
        let [with_nulls, without] =
            [create(nulls), create(json!({}))].map(|input| Request::parse(&input, NOW).unwrap());
        assert_eq!(with_nulls, without);
    }

    #[test]
    fn what_step_functions_and_editors_put_into_an_input_is_passed_over() {
        let extra = json!({"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn", "$schema": "request.schema.json"});
        assert!(Request::parse(&create(extra), NOW).is_ok());
    }
}
