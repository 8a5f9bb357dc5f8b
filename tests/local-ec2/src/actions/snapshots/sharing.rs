//! DescribeSnapshotAttribute, ModifySnapshotAttribute and ResetSnapshotAttribute: whom a snapshot is shared with.

use crate::{
    api_error::ApiError,
    query::Query,
    resources::grantee::{self, Sharing},
    world::World,
    xml::Xml,
};

const PERMISSION: &str = "createVolumePermission";

fn unknown(attribute: &str) -> ApiError {
    ApiError::invalid_value(format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute."))
}

pub(crate) fn describe_snapshot_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    let attribute = query.required("Attribute")?;
    query.finish()?;
    let snapshot = world.snapshot(&id)?;
    let mut xml = Xml::default();
    xml.text("snapshotId", id);
    match attribute.as_str() {
        PERMISSION => grantee::write(&mut xml, PERMISSION, &snapshot.grantees),
        "productCodes" => xml.element("productCodes", |_| ()),
        attribute => return Err(unknown(attribute)),
    }
    Ok(xml)
}

pub(crate) fn modify_snapshot_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    if let Some(attribute) = query.text("Attribute").filter(|attribute| attribute != PERMISSION) {
        return Err(unknown(&attribute));
    }
    let sharing = Sharing::take(query, "CreateVolumePermission", "UserGroup")?;
    query.finish()?;
    let Some(sharing) = sharing else {
        return Err(ApiError::new("InvalidParameterCombination", "No attributes specified."));
    };
    sharing.apply(&mut world.snapshot(&id)?.grantees);
    Ok(Xml::done())
}

pub(crate) fn reset_snapshot_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("SnapshotId")?;
    let attribute = query.required("Attribute")?;
    query.finish()?;
    if attribute != PERMISSION {
        return Err(unknown(&attribute));
    }
    world.snapshot(&id)?.grantees.clear();
    Ok(Xml::done())
}
