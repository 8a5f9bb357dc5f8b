//! DescribeImageAttribute and ModifyImageAttribute.

use super::{create::check_description, describe::write_devices};
use crate::{api_error::ApiError, clock::timestamp, query::Query, world::World, xml::Xml};

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
    if attribute == "blockDeviceMapping" {
        write_devices(&mut xml, image.shown_devices(now));
    } else {
        xml.element(&attribute, |xml| xml.maybe("value", value));
    }
    Ok(xml)
}

/// Changes the description, which is the only attribute to be changed here.
pub(crate) fn modify_image_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let attribute = query.text("Attribute");
    let description = match attribute.as_deref() {
        None => match query.structure("Description") {
            Some(mut description) => {
                let value = description.text("Value");
                description.finish()?;
                value
            }
            None => None,
        },
        Some("description") => query.text("Value"),
        Some(attribute) => {
            let problem = format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute.");
            return Err(ApiError::invalid_value(problem));
        }
    };
    query.finish()?;
    let Some(description) = description else {
        return Err(ApiError::new("InvalidParameterCombination", "No attributes specified."));
    };
    check_description(Some(&description))?;
    let now = world.now();
    let shows_at = now + world.lags.change_shows;
    let description = Some(description).filter(|description| !description.is_empty());
    world.own_image(&id)?.description.change(now, shows_at, description);
    Ok(Xml::done())
}
