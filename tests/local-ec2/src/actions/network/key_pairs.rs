//! CreateKeyPair and DeleteKeyPair. The keys open nothing.

use crate::{api_error::ApiError, query::Query, world::World, xml::Xml};

pub(crate) fn create_key_pair(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let name = query.required("KeyName")?;
    query.ignore(&["KeyType", "KeyFormat", "TagSpecification"]);
    query.finish()?;
    if !world.network.key_pairs.insert(name.clone()) {
        let problem = format!("The keypair '{name}' already exists.");
        return Err(ApiError::new("InvalidKeyPair.Duplicate", problem));
    }
    let mut xml = Xml::default();
    xml.text("keyName", name);
    xml.text("keyFingerprint", "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00");
    xml.text("keyMaterial", "nothing is opened by this");
    xml.text("keyPairId", world.ids.resource("key"));
    Ok(xml)
}

/// Deleting one that is not there succeeds.
pub(crate) fn delete_key_pair(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let name = query.required("KeyName")?;
    query.finish()?;
    world.network.key_pairs.remove(&name);
    Ok(Xml::done())
}
