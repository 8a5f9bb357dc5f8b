//! LockSnapshot and UnlockSnapshot.

use std::time::Duration;

use crate::{api_error::ApiError, clock::timestamp, query::Query, resources::lock::Lock, world::World, xml::Xml};

const HOUR: Duration = Duration::from_secs(3600);
/// The longest lock is about a hundred years.
const MOST_DAYS: u32 = 36_500;
const MOST_COOL_OFF_HOURS: u32 = 72;

pub(crate) fn lock_snapshot(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    let mode = query.required("LockMode")?;
    let days = query.number::<u32>("LockDuration")?.filter(|days| (1..=MOST_DAYS).contains(days));
    let expiration = query.text("ExpirationDate").and_then(|date| humantime::parse_rfc3339(&date).ok());
    let cool_off = query.number::<u32>("CoolOffPeriod")?.filter(|hours| (1..=MOST_COOL_OFF_HOURS).contains(hours));
    query.finish()?;
    let now = world.now();
    let stays_from = (mode == "compliance").then(|| now + HOUR * cool_off.unwrap_or(0));
    let lock = match (days, expiration) {
        (Some(days), None) => Lock { stays_from, ..Lock::new(now, days) },
        (None, Some(expires)) if now < expires => Lock { created: now, expires, stays_from },
        _ => {
            let problem = "Either a lock duration in days or an expiration date in the future is required.";
            return Err(ApiError::new("InvalidParameterCombination", problem));
        }
    };
    let state = match (mode.as_str(), cool_off) {
        ("governance", None) => "governance",
        ("compliance", None) => "compliance",
        ("compliance", Some(_)) => "compliance-cooloff",
        _ => return Err(ApiError::invalid_value(format!("Value ({mode}) for parameter LockMode is invalid."))),
    };
    world.snapshot(&id)?.lock = Some(lock.clone());
    let mut xml = Xml::default();
    xml.text("snapshotId", id);
    xml.text("lockState", state);
    xml.maybe("lockDuration", days);
    xml.maybe("coolOffPeriod", cool_off);
    xml.maybe("coolOffPeriodExpiresOn", cool_off.map(|hours| timestamp(now + HOUR * hours)));
    xml.text("lockCreatedOn", timestamp(lock.created));
    xml.text("lockDurationStartTime", timestamp(lock.created));
    xml.text("lockExpiresOn", timestamp(lock.expires));
    Ok(xml)
}

/// EC2 does not document the code of a refusal; this one is a guess.
pub(crate) fn unlock_snapshot(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    query.finish()?;
    let now = world.now();
    let snapshot = world.snapshot(&id)?;
    let lock = snapshot.lock.as_ref().filter(|lock| now < lock.expires);
    if lock.is_none_or(|lock| lock.stays_from.is_some_and(|from| from <= now)) {
        let problem = format!("{id} is not locked, or its lock cannot be taken off");
        return Err(ApiError::new("IncorrectState", problem));
    }
    snapshot.lock = None;
    let mut xml = Xml::default();
    xml.text("snapshotId", id);
    Ok(xml)
}
