//! EnableImageDeprecation and DisableImageDeprecation.

use std::time::{Duration, SystemTime};

use crate::{api_error::ApiError, clock::between, query::Query, world::World, xml::Xml};

/// Ten years, with their leap days.
const FARTHEST: Duration = Duration::from_secs(3653 * 24 * 3600);

/// EC2 rounds to the nearest minute.
fn to_the_minute(time: SystemTime) -> SystemTime {
    let seconds = between(SystemTime::UNIX_EPOCH, time).as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs((seconds + 30) / 60 * 60)
}

pub(crate) fn enable_image_deprecation(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let text = query.required("DeprecateAt")?;
    query.finish()?;
    let Ok(deprecate_at) = humantime::parse_rfc3339(&text) else {
        return Err(ApiError::invalid_value(format!("Value ({text}) for parameter deprecateAt is invalid.")));
    };
    let now = world.now();
    world.own_image(&id)?;
    if deprecate_at < now || now + FARTHEST < deprecate_at {
        let problem = format!("The deprecation time {text} must be in the future and within 10 years.");
        return Err(ApiError::invalid_value(problem));
    }
    change(world, &id, Some(to_the_minute(deprecate_at)))
}

pub(crate) fn disable_image_deprecation(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    query.finish()?;
    change(world, &id, None)
}

fn change(world: &mut World, id: &str, deprecation: Option<SystemTime>) -> Result<Xml, ApiError> {
    let now = world.now();
    let shows_at = now + world.lags.change_shows;
    world.own_image(id)?.deprecation.change(now, shows_at, deprecation);
    Ok(Xml::done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecation_time_is_rounded_to_the_nearest_minute() {
        for (written, kept) in [(0, 0), (29, 0), (30, 60), (60, 60), (89, 60)] {
            let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(to_the_minute(at(written)), at(kept));
        }
    }
}
