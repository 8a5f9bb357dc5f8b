//! GetEbsEncryptionByDefault: it is off.

use crate::{api_error::ApiError, query::Query, world::World, xml::Xml};

pub(crate) fn get_ebs_encryption_by_default(_: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    query.finish()?;
    let mut xml = Xml::default();
    xml.text("ebsEncryptionByDefault", false);
    Ok(xml)
}
