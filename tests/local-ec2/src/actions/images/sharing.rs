//! ResetImageAttribute, and who may launch an image.

use crate::{
    account::ACCOUNT, api_error::ApiError, query::Query, resources::grantee::Grantee, resources::image::Image,
    world::World, xml::Xml,
};

/// Only the launch permissions can be reset.
pub(crate) fn reset_image_attribute(world: &mut World, query: &mut Query) -> Result<Xml, ApiError> {
    let id = query.required("ImageId")?;
    let attribute = query.required("Attribute")?;
    query.finish()?;
    if attribute != "launchPermission" {
        let problem = format!("Value ({attribute}) for parameter attribute is invalid. Unknown attribute.");
        return Err(ApiError::invalid_value(problem));
    }
    world.own_image(&id)?.grantees.clear();
    Ok(Xml::done())
}

/// Whether `user` has been given the image: an account, `self` for the caller's, or `all` for everybody.
pub(crate) fn is_given_to(image: &Image, user: &str) -> bool {
    match user {
        "all" => image.is_public(),
        "self" => image.grantees.contains(&Grantee::User(ACCOUNT.to_owned())),
        account => image.grantees.contains(&Grantee::User(account.to_owned())),
    }
}
