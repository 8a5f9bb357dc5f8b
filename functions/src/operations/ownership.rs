//! Whose image it is, and whether a run may change or delete it.

use aws_sdk_ec2::types::Image;

use super::{delete, protection};
use crate::{error::Error, settings::Machines};

/// What lets a run touch an image that no run made.
const NOT_ALLOWED: &str = "deploy the stack with AllowUnmanagedImages=true to let it change and delete such images";

/// Refuses an image that a run may not change.
pub(super) fn check_change(image: &Image, allow_unmanaged: bool, machines: &Machines) -> Result<(), Error> {
    check_owner(image, machines)?;
    if machines.made(image.tags()) || allow_unmanaged {
        return Ok(());
    }
    Err(not_managed(image, NOT_ALLOWED))
}

/// Refuses an image that a run may not delete, or that is protected, unless the run may disable the protection.
pub(crate) fn check_delete(
    image: &Image,
    delete: &delete::Arguments,
    disable_protection: bool,
    machines: &Machines,
) -> Result<(), Error> {
    check_owner(image, machines)?;
    if let Some(protection) = protection::of(image)
        && !disable_protection
    {
        let image_id = image.image_id().unwrap_or_default().to_owned();
        let reason = format!("deregistration protection is {protection}; a delete with disableProtection disables it");
        return Err(Error::ImageProtected { image_id, reason });
    }
    if machines.made(image.tags()) {
        return Ok(());
    }
    match (delete.manage_ebs_snapshots, delete.allow_unmanaged_images) {
        (Some(_), true) => Ok(()),
        (Some(_), false) => Err(not_managed(image, NOT_ALLOWED)),
        (None, _) => Err(not_managed(
            image,
            "manageEbsSnapshots must say whether its snapshots are deleted with it (true) or stay (false)",
        )),
    }
}

fn check_owner(image: &Image, machines: &Machines) -> Result<(), Error> {
    match image.owner_id() {
        Some(owner) if owner != machines.account() => {
            Err(not_managed(image, &format!("it belongs to the account {owner}, which alone can change it")))
        }
        _ => Ok(()),
    }
}

fn not_managed(image: &Image, remedy: &str) -> Error {
    Error::ImageNotManaged { image_id: image.image_id().unwrap_or_default().to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_another_account_is_nobodys_to_change_here() {
        let machines = Machines {
            lifecycle: "arn:aws:states:us-east-1:123456789012:stateMachine:ami-lifecycle".into(),
            operation: "arn:aws:states:us-east-1:123456789012:stateMachine:ami-operation".into(),
        };
        let owned_by = |owner: &str| Image::builder().image_id("ami-1").owner_id(owner).build();
        assert!(check_owner(&owned_by("123456789012"), &machines).is_ok());
        let refused = check_owner(&owned_by("999999999999"), &machines).err().map(|error| error.to_string());
        assert!(refused.is_some_and(|refused| refused.contains("999999999999")));
    }
}
