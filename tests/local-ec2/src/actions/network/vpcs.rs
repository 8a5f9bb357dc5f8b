//! DescribeVpcs and DescribeSubnets: of the default VPC, the only one.

use crate::{
    account::{ACCOUNT, ZONE},
    api_error::ApiError,
    filters::Filters,
    pages::Page,
    query::Query,
    resources::network::{SUBNET, VPC},
    tags::Tags,
    world::World,
    xml::Xml,
};

/// Of its one VPC or subnet, whether the request asks for it.
fn is_asked_for(
    query: &mut Query,
    parameter: &str,
    facts: &[(&str, &str)],
    code: &'static str,
) -> Result<bool, ApiError> {
    let ids = query.list(parameter);
    let filters = Filters::take(query, &facts.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
    Page::take(query, 5)?;
    query.finish()?;
    let own = facts.first().map_or("", |(_, id)| id);
    if let Some(unknown) = ids.iter().find(|id| *id != own) {
        return Err(ApiError::new(code, format!("The ID '{unknown}' does not exist")));
    }
    let values =
        |name: &str| facts.iter().filter(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()).collect();
    Ok(filters.admit(&Tags::new(), values))
}

pub(crate) fn describe_vpcs(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let facts = [
        ("vpc-id", VPC),
        ("cidr", "172.31.0.0/16"),
        ("is-default", "true"),
        ("isDefault", "true"),
        ("state", "available"),
    ];
    let asked = is_asked_for(query, "VpcId", &facts, "InvalidVpcID.NotFound")?;
    let mut xml = Xml::default();
    xml.list("vpcSet", asked.then_some(VPC), |xml, id| {
        xml.text("vpcId", id);
        xml.text("ownerId", ACCOUNT);
        xml.text("state", "available");
        xml.text("cidrBlock", "172.31.0.0/16");
        xml.text("isDefault", true);
    });
    Ok(xml)
}

pub(crate) fn describe_subnets(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let facts = [
        ("subnet-id", SUBNET),
        ("vpc-id", VPC),
        ("availability-zone", ZONE),
        ("default-for-az", "true"),
        ("state", "available"),
    ];
    let asked = is_asked_for(query, "SubnetId", &facts, "InvalidSubnetID.NotFound")?;
    let mut xml = Xml::default();
    xml.list("subnetSet", asked.then_some(SUBNET), |xml, id| {
        xml.text("subnetId", id);
        xml.text("vpcId", VPC);
        xml.text("state", "available");
        xml.text("cidrBlock", "172.31.0.0/20");
        xml.text("availabilityZone", ZONE);
        xml.text("availableIpAddressCount", 4091);
        xml.text("defaultForAz", true);
        xml.text("mapPublicIpOnLaunch", true);
    });
    Ok(xml)
}
