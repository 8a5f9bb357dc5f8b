//! DescribeImageAttribute and ModifyImageAttribute.

use super::{create::check_description, describe::write_devices};
use crate::{
    api_error::ApiError,
    clock::timestamp,
    query::Query,
    resources::grantee::{self, Sharing},
    world::World,
    xml::Xml,
};

pub(crate) fn describe_image_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let attribute = query.required("Attribute")?;
    query.finish()?;
    let now = world.now();
    let image = world.own_image(&id)?;
    let value = match attribute.as_str() {
        "description" => image.description.shown(now).clone(),
        "uefiData" => image.machine.uefi_data.clone(),
        "bootMode" => image.machine.boot_mode.clone(),
        "tpmSupport" => image.machine.tpm_support.clone(),
        "imdsSupport" => Some("v2.0".to_owned()),
        "sriovNetSupport" => Some("simple".to_owned()),
        "lastLaunchedTime" => image.last_launched.map(timestamp),
        "deregistrationProtection" => Some(image.protection.shown().to_owned()),
        "kernel" | "ramdisk" | "launchPermission" | "productCodes" | "blockDeviceMapping" => None,
        _ => {
            let problem = format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute.");
            return Err(ApiError::invalid_value(problem));
        }
    };
    let mut xml = Xml::default();
    xml.text("imageId", id);
    match attribute.as_str() {
        "blockDeviceMapping" => write_devices(&mut xml, image.shown_devices(now)),
        "launchPermission" => grantee::write(&mut xml, &attribute, &image.grantees),
        _ => xml.element(&attribute, |xml| xml.maybe("value", value)),
    }
    Ok(xml)
}

/// Changes the description, or who may launch the image. `Attribute` need not say which, and says it in any case.
pub(crate) fn modify_image_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let attribute = query.text("Attribute");
    let mut description = query.text("Value");
    match attribute.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None if description.is_some() => return Err(ApiError::missing("Attribute")),
        None | Some("description" | "launchpermission") => {}
        Some(_) => {
            let attribute = attribute.unwrap_or_default();
            let problem = format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute.");
            return Err(ApiError::invalid_value(problem));
        }
    }
    if let Some(mut member) = query.structure("Description") {
        description = member.text("Value");
        member.finish()?;
    }
    let sharing = Sharing::take(query, "LaunchPermission", "UserGroup")?;
    query.finish()?;
    if description.is_none() && sharing.is_none() {
        return Err(ApiError::new("InvalidParameterCombination", "No attributes specified."));
    }
    if description.is_some() && sharing.is_some() {
        return Err(ApiError::new("InvalidParameterCombination", "Fields for multiple attribute types specified."));
    }
    check_description(description.as_deref())?;
    let now = world.now();
    let shows_at = now + world.lags.change_shows;
    let image = world.own_image(&id)?;
    if let Some(description) = description {
        image.description.change(now, shows_at, Some(description).filter(|description| !description.is_empty()));
    }
    if let Some(sharing) = sharing {
        sharing.apply(&mut image.grantees);
    }
    Ok(Xml::done())
}
