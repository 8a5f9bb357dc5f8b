//! AttachImageWatermark and DetachImageWatermark.

use crate::{account::ACCOUNT, api_error::ApiError, query::Query, world::World, xml::Xml};

/// How many an image may have.
const MOST: usize = 5;

pub(crate) fn attach_image_watermark(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let (id, name) = (query.required("ImageId")?, query.required("WatermarkName")?);
    query.finish()?;
    let watermarks = &mut world.own_image(&id)?.machine.watermarks;
    let key = format!("{ACCOUNT}:{name}");
    if !watermarks.contains(&key) {
        if watermarks.len() >= MOST {
            let problem = format!("The image {id} has {MOST} watermarks.");
            return Err(ApiError::new("ResourceLimitExceeded", problem));
        }
        watermarks.push(key.clone());
    }
    let mut xml = Xml::default();
    xml.text("watermarkKey", key);
    Ok(xml)
}

/// Detaching one that is not there succeeds.
pub(crate) fn detach_image_watermark(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let (id, key) = (query.required("ImageId")?, query.required("WatermarkKey")?);
    query.finish()?;
    world.own_image(&id)?.machine.watermarks.retain(|shown| *shown != key);
    Ok(Xml::done())
}
