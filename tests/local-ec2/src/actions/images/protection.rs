//! EnableImageDeregistrationProtection and DisableImageDeregistrationProtection.

use std::time::Duration;

use crate::{api_error::ApiError, query::Query, resources::protection::Protection, world::World, xml::Xml};

const COOLDOWN: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn enable_image_deregistration_protection(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let with_cooldown = query.flag("WithCooldown")?.unwrap_or(false);
    query.finish()?;
    world.own_image(&id)?.protection = Protection::On { with_cooldown };
    Ok(Xml::done())
}

pub(crate) fn disable_image_deregistration_protection(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    query.finish()?;
    let now = world.now();
    let image = world.own_image(&id)?;
    image.protection = match image.protection {
        Protection::On { with_cooldown: true } => Protection::CoolingDown { until: now + COOLDOWN },
        Protection::On { with_cooldown: false } => Protection::Off,
        unchanged => unchanged,
    };
    Ok(Xml::done())
}
