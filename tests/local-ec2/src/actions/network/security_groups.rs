//! CreateSecurityGroup, AuthorizeSecurityGroupIngress, DescribeSecurityGroups and DeleteSecurityGroup.

use crate::{
    account::ACCOUNT,
    api_error::ApiError,
    filters::Filters,
    pages::Page,
    query::Query,
    resources::network::{SecurityGroup, VPC},
    tags,
    world::World,
    xml::Xml,
};

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist"))
}

pub(crate) fn create_security_group(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let name = query.required("GroupName")?;
    let description = query.required("GroupDescription")?;
    // An empty one counts as none: Packer sends it.
    let vpc = query.text("VpcId").filter(|id| !id.is_empty()).unwrap_or_else(|| VPC.to_owned());
    let mut specifications = tags::take_specifications(query, &["security-group"])?;
    query.finish()?;
    if vpc != VPC {
        return Err(ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{vpc}' does not exist")));
    }
    if world.network.groups.values().any(|group| group.name == name) {
        let problem = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(ApiError::new("InvalidGroup.Duplicate", problem));
    }
    let id = world.ids.resource("sg");
    let tags = specifications.remove("security-group").unwrap_or_default();
    world.network.groups.insert(id.clone(), SecurityGroup { id: id.clone(), name, description, tags });
    let mut xml = Xml::done();
    xml.text("groupId", id);
    Ok(xml)
}

/// Takes any rule: nothing is let in.
pub(crate) fn authorize_security_group_ingress(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("GroupId")?;
    query.ignore(&["IpPermissions", "IpProtocol", "FromPort", "ToPort", "CidrIp"]);
    query.finish()?;
    if !world.network.groups.contains_key(&id) {
        return Err(not_found(&id));
    }
    Ok(Xml::done())
}

pub(crate) fn describe_security_groups(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let ids = query.list("GroupId");
    let names = query.list("GroupName");
    let filters = Filters::take(query, &["description", "group-id", "group-name", "owner-id", "vpc-id"])?;
    let page = Page::take(query, 5)?;
    query.finish()?;
    if let Some(unknown) = ids.iter().find(|id| !world.network.groups.contains_key(*id)) {
        return Err(not_found(unknown));
    }
    let rest = page
        .rest(&world.network.groups)
        .filter(|group| ids.is_empty() || ids.contains(&group.id))
        .filter(|group| names.is_empty() || names.contains(&group.name));
    let admits = |group: &&SecurityGroup| {
        filters.admit(&group.tags, |name| match name {
            "description" => vec![group.description.clone()],
            "group-id" => vec![group.id.clone()],
            "group-name" => vec![group.name.clone()],
            "owner-id" => vec![ACCOUNT.to_owned()],
            _ => vec![VPC.to_owned()],
        })
    };
    let (groups, next) = page.cut(rest, |group| group.id.clone(), admits);
    let mut xml = Xml::default();
    xml.list("securityGroupInfo", groups, |xml, group| {
        xml.text("ownerId", ACCOUNT);
        xml.text("groupId", &group.id);
        xml.text("groupName", &group.name);
        xml.text("groupDescription", &group.description);
        xml.text("vpcId", VPC);
        xml.element("ipPermissions", |_| ());
        tags::write(xml, &group.tags);
    });
    xml.maybe("nextToken", next);
    Ok(xml)
}

pub(crate) fn delete_security_group(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("GroupId")?;
    query.finish()?;
    world.network.groups.remove(&id).map(|_| Xml::done()).ok_or_else(|| not_found(&id))
}
