//! Protection from deregistration.

use std::time::{Duration, SystemTime};

use crate::{api_error::ApiError, query::Query, world::World, xml::Xml};

const COOLDOWN: Duration = Duration::from_secs(24 * 3600);

/// Whether an image is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    Off,
    On {
        /// Whether it protects for another day after it is switched off.
        with_cooldown: bool,
    },
    CoolingDown {
        until: SystemTime,
    },
}

impl Protection {
    pub(crate) fn forbids(self, now: SystemTime) -> bool {
        match self {
            Self::Off => false,
            Self::On { .. } => true,
            Self::CoolingDown { until } => now < until,
        }
    }

    /// The value of `deregistrationProtection`.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Off | Self::CoolingDown { .. } => "disabled",
            Self::On { with_cooldown: false } => "enabled-without-cooldown",
            Self::On { with_cooldown: true } => "enabled-with-cooldown",
        }
    }
}

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
