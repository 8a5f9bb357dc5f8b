//! DescribeRegions and DescribeAvailabilityZones: of the one Region there is.

use crate::{
    account::{REGION, ZONE},
    api_error::ApiError,
    filters::Filters,
    query::Query,
    tags::Tags,
    world::World,
    xml::Xml,
};

const OPT_IN: &str = "opt-in-not-required";

/// What a filter's name stands for, among these values.
fn value_of(values: &[(&str, String)], name: &str) -> Vec<String> {
    values.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone()).collect()
}

pub(crate) fn describe_regions(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let names = query.list("RegionName");
    query.flag("AllRegions")?;
    let values = [
        ("region-name", REGION.to_owned()),
        ("endpoint", format!("ec2.{REGION}.amazonaws.com")),
        ("opt-in-status", OPT_IN.to_owned()),
    ];
    let filters = Filters::take(query, &values.each_ref().map(|(name, _)| *name))?;
    query.finish()?;
    if let Some(unknown) = names.iter().find(|name| *name != REGION) {
        return Err(ApiError::invalid_value(format!("Invalid region: {unknown}")));
    }
    let admitted = filters.admit(&Tags::new(), |name| value_of(&values, name));
    let mut xml = Xml::default();
    xml.list("regionInfo", admitted.then_some(REGION), |xml, region| {
        xml.text("regionName", region);
        xml.text("regionEndpoint", format_args!("ec2.{region}.amazonaws.com"));
        xml.text("optInStatus", OPT_IN);
    });
    Ok(xml)
}

pub(crate) fn describe_availability_zones(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let names = query.list("ZoneName");
    let ids = query.list("ZoneId");
    query.flag("AllAvailabilityZones")?;
    let values = [
        ("group-name", format!("{REGION}-zg-1")),
        ("opt-in-status", OPT_IN.to_owned()),
        ("region-name", REGION.to_owned()),
        ("state", "available".to_owned()),
        ("zone-id", "use1-az1".to_owned()),
        ("zone-name", ZONE.to_owned()),
        ("zone-type", "availability-zone".to_owned()),
    ];
    let filters = Filters::take(query, &values.each_ref().map(|(name, _)| *name))?;
    query.finish()?;
    let unknown = names.iter().find(|name| *name != ZONE).or(ids.iter().find(|id| *id != "use1-az1"));
    if let Some(unknown) = unknown {
        return Err(ApiError::invalid_value(format!("Invalid availability zone: [{unknown}]")));
    }
    let admitted = filters.admit(&Tags::new(), |name| value_of(&values, name));
    let mut xml = Xml::default();
    xml.list("availabilityZoneInfo", admitted.then_some(ZONE), |xml, zone| {
        xml.text("optInStatus", OPT_IN);
        xml.element("messageSet", |_| ());
        xml.text("regionName", REGION);
        xml.text("zoneName", zone);
        xml.text("zoneId", "use1-az1");
        xml.text("groupName", format_args!("{REGION}-zg-1"));
        xml.text("networkBorderGroup", REGION);
        xml.text("zoneType", "availability-zone");
        xml.text("zoneState", "available");
    });
    Ok(xml)
}
