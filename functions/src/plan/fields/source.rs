//! The fields of a create that say what it takes over from its source instance, and for how long it is good.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Fields, is_name};
use crate::{
    error::{Error, shown},
    model::{
        block_devices::BlockDeviceMapping,
        days,
        tags::{self, MAX_VALUE, Tags},
        watermarks::{MAX_WATERMARKS, Watermarks},
    },
    plan::{
        request::StopInstance,
        source::{CopyTags, Volumes},
    },
};

impl Fields {
    /// Which tags are copied: true for all, or patterns of their keys.
    pub(in crate::plan) fn copy_tags(&mut self) -> Result<Option<CopyTags>, Error> {
        let members = match self.given("copyTags") {
            None | Some(Value::Bool(false)) => return Ok(None),
            Some(Value::Bool(true)) => return Ok(Some(CopyTags::default())),
            Some(Value::Object(members)) => members,
            Some(_) => {
                let problem = "must be true, false or an object, such as {\"include\": [\"Cost*\"]}";
                return Err(Error::invalid("copyTags", problem));
            }
        };
        only("copyTags", &members, &["include", "exclude"])?;
        let patterns = |name: &str| match members.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => patterns(&format!("copyTags.{name}"), value).map(Some),
        };
        let all = CopyTags::default();
        let include = patterns("include")?.unwrap_or(all.include);
        Ok(Some(CopyTags { include, exclude: patterns("exclude")?.unwrap_or(all.exclude) }))
    }

    /// Which volumes the image has, and whether they go with their instance.
    pub(in crate::plan) fn volumes(&mut self) -> Result<Volumes, Error> {
        let field = "excludeDataVolumeTags";
        Ok(Volumes {
            mappings: self.mappings()?,
            exclude_data_volumes: self.flag("excludeDataVolumes")?.unwrap_or_default(),
            exclude_data_volume_tags: match self.given(field) {
                None => Tags::new(),
                Some(value) => tags::parse(field, &value)?,
            },
        })
    }

    fn mappings(&mut self) -> Result<Vec<BlockDeviceMapping>, Error> {
        let field = "blockDeviceMappings";
        let given = match self.given(field) {
            None => return Ok(vec![]),
            Some(Value::Array(given)) => given,
            Some(_) => return Err(Error::invalid(field, "must be a list, such as [{\"deviceName\": …}]")),
        };
        let mut mappings: Vec<BlockDeviceMapping> = vec![];
        for (position, value) in given.iter().enumerate() {
            let field = format!("{field}[{position}]");
            let mapping = mapping(&field, value)?;
            if mappings.iter().any(|other| other.device_name == mapping.device_name) {
                return Err(Error::invalid(format!("{field}.deviceName"), "must not be in the list twice"));
            }
            mappings.push(mapping);
        }
        Ok(mappings)
    }

    /// Whether the instance is stopped for its image, and how.
    pub(in crate::plan) fn stop_instance(&mut self) -> Result<Option<StopInstance>, Error> {
        let stops = self.flag("stopInstance")?.unwrap_or_default();
        let field = "acceptInstanceStoreLoss";
        let accepts = self.flag(field)?;
        if accepts.is_some() && !stops {
            return Err(Error::invalid(field, "must only be given beside \"stopInstance\": true"));
        }
        Ok(stops.then_some(StopInstance { accept_instance_store_loss: accepts.unwrap_or_default() }))
    }

    /// The images among which this one counts.
    pub(in crate::plan) fn series(&mut self) -> Result<Option<String>, Error> {
        let problem = || format!("must be a string of 1 to {MAX_VALUE} characters, without a control character");
        match self.given("series") {
            None => Ok(None),
            Some(Value::String(series))
                if (1..=MAX_VALUE).contains(&series.chars().count()) && !series.chars().any(char::is_control) =>
            {
                Ok(Some(series))
            }
            Some(_) => Err(Error::invalid("series", problem())),
        }
    }

    /// Which watermarks the image is to have; none where the request leaves them as they are.
    pub(in crate::plan) fn watermarks(&mut self) -> Result<Option<Watermarks>, Error> {
        let field = "watermarks";
        let members = match self.given(field) {
            None => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(_) => {
                let problem = "must be an object, such as {\"keep\": [\"111122223333:approved\"], \"attach\": []}";
                return Err(Error::invalid(field, problem));
            }
        };
        only(field, &members, &["keep", "attach"])?;
        let list = |name: &str, is_right: fn(&str) -> bool, what: &str| {
            let field = format!("watermarks.{name}");
            let problem = || Error::invalid(&field, format!("must be a list of {what}"));
            let values = match members.get(name).filter(|value| !value.is_null()) {
                None => return Ok(BTreeSet::new()),
                Some(Value::Array(values)) => values,
                Some(_) => return Err(problem()),
            };
            let text = |value: &Value| value.as_str().filter(|text| is_right(text)).map(str::to_owned);
            values.iter().map(|value| text(value).ok_or_else(problem)).collect()
        };
        let keep = list("keep", is_watermark_key, "keys, such as \"111122223333:approved\"")?;
        let attach = list("attach", is_name, "names of 3 to 128 letters, digits and ()[] ./-'@_")?;
        if keep.len() + attach.len() > MAX_WATERMARKS {
            return Err(Error::invalid(field, format!("must be at most {MAX_WATERMARKS}, which an image may have")));
        }
        Ok(Some(Watermarks { keep, attach }))
    }

    /// How many days after the run's start the image is deprecated.
    pub(in crate::plan) fn deprecate_after(&mut self) -> Result<Option<i64>, Error> {
        self.given("deprecateAfter").map(|value| days::parse("deprecateAfter", &value)).transpose()
    }
}

/// Whether it is `<account>:<name>`.
fn is_watermark_key(text: &str) -> bool {
    let is_account = |account: &str| account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit());
    text.split_once(':').is_some_and(|(account, name)| is_account(account) && is_name(name))
}

fn mapping(field: &str, value: &Value) -> Result<BlockDeviceMapping, Error> {
    let one_of_two = "must have either \"noDevice\": true or \"ebs\": {\"deleteOnTermination\": true or false}";
    let Value::Object(members) = value else {
        return Err(Error::invalid(
            field,
            "must be an object, such as {\"deviceName\": \"/dev/sdf\", \"noDevice\": true}",
        ));
    };
    only(field, members, &["deviceName", "noDevice", "ebs"])?;
    let Some(Value::String(device_name)) = members.get("deviceName") else {
        return Err(Error::invalid(format!("{field}.deviceName"), "must be the name of a device of the instance"));
    };
    let no_device = match members.get("noDevice") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(Error::invalid(format!("{field}.noDevice"), "must be true or false")),
    };
    let delete_on_termination = match members.get("ebs") {
        None | Some(Value::Null) => None,
        Some(Value::Object(ebs)) => {
            let field = format!("{field}.ebs");
            only(&field, ebs, &["deleteOnTermination"])?;
            match ebs.get("deleteOnTermination") {
                Some(Value::Bool(flag)) => Some(*flag),
                _ => return Err(Error::invalid(format!("{field}.deleteOnTermination"), "must be true or false")),
            }
        }
        Some(_) => return Err(Error::invalid(format!("{field}.ebs"), "must be an object")),
    };
    if no_device == delete_on_termination.is_some() {
        return Err(Error::invalid(field, one_of_two));
    }
    Ok(BlockDeviceMapping { device_name: device_name.clone(), no_device, delete_on_termination })
}

fn patterns(field: &str, value: &Value) -> Result<Vec<String>, Error> {
    let texts = value.as_array().map(|list| list.iter().map(|one| one.as_str().map(str::to_owned)));
    match texts.and_then(Iterator::collect::<Option<Vec<String>>>) {
        Some(texts) if !texts.is_empty() && texts.iter().all(|text| !text.is_empty()) => Ok(texts),
        _ => Err(Error::invalid(field, "must be a list of patterns of tag keys, such as [\"Cost*\"]")),
    }
}

/// Refuses a member that the object does not have.
pub(super) fn only(field: &str, members: &Map<String, Value>, known: &[&str]) -> Result<(), Error> {
    let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let problem = format!("is no field of it, which has {}", known.join(", "));
    Err(Error::invalid(format!("{field}.{}", shown(unknown)), problem))
}
