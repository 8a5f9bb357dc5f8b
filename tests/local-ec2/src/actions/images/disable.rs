//! DisableImage and EnableImage.

use aws_sdk_ec2::types::ImageState;

use crate::{api_error::ApiError, query::Query, world::World, xml::Xml};

pub(crate) fn disable_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    change(world, query, ImageState::Available, true)
}

pub(crate) fn enable_image(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    change(world, query, ImageState::Disabled, false)
}

/// Only an image in state `from` can be changed.
fn change(world: &mut World, query: &mut Query, from: ImageState, disabled: bool) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    query.finish()?;
    let now = world.now();
    let image = world.own_image(&id)?;
    let state = image.state(now);
    if state != from && image.disabled != disabled {
        let problem = format!("The image '{id}' is {state}, and must be {from}.");
        return Err(ApiError::new("IncorrectState", problem));
    }
    if state == from {
        image.disabled = disabled;
    }
    // EnableImage does not bring them back (EC2 User Guide, disable an AMI).
    if disabled {
        image.grantees.clear();
    }
    Ok(Xml::done())
}
