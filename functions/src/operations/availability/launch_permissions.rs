//! Who may launch an image, in EC2's form and as a tag's text.

use std::{collections::BTreeSet, fmt};

use aws_sdk_ec2::types::{LaunchPermission, PermissionGroup, Tag};

use crate::{aws::ec2, model::tags::MAX_VALUE};

/// The tag of a disabled image with the launch permissions that it had.
pub(super) const TAG: &str = "ami-from-instance:launch-permissions";

/// Accounts, ARNs of organizations and organizational units, and `all` for everybody.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LaunchPermissions(BTreeSet<String>);

impl LaunchPermissions {
    pub(super) fn from_ec2(permissions: &[LaunchPermission]) -> Self {
        let of_one = |one: &LaunchPermission| {
            let group = one.group().map(PermissionGroup::as_str);
            group.or(one.user_id()).or(one.organization_arn()).or(one.organizational_unit_arn()).map(str::to_owned)
        };
        Self(permissions.iter().filter_map(of_one).collect())
    }

    /// Reads what [`LaunchPermissions::tag`] wrote.
    pub(super) fn from_tag(value: &str) -> Self {
        Self(value.split(' ').filter(|one| !one.is_empty()).map(str::to_owned).collect())
    }

    /// The tag that keeps them; none if they are too many for one.
    pub(super) fn tag(&self) -> Option<Tag> {
        let value = self.to_string();
        (value.len() <= MAX_VALUE).then(|| ec2::tag(TAG, &value))
    }

    pub(super) fn for_ec2(&self) -> Vec<LaunchPermission> {
        let of_one = |one: &String| {
            let permission = LaunchPermission::builder();
            let permission = match one.as_str() {
                "all" => permission.group(PermissionGroup::All),
                arn if arn.contains(":organization/") => permission.organization_arn(arn),
                arn if arn.contains(":ou/") => permission.organizational_unit_arn(arn),
                account => permission.user_id(account),
            };
            permission.build()
        };
        self.0.iter().map(of_one).collect()
    }

    /// Those that others have not.
    pub(super) fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LaunchPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_every_kind_of_permission() {
        let text = "111122223333 all arn:aws:organizations::1:organization/o-1 arn:aws:organizations::1:ou/o-1/ou-2";
        let permissions = LaunchPermissions::from_tag(text);
        assert_eq!(permissions.tag().unwrap().value(), Some(text));
        assert_eq!(LaunchPermissions::from_ec2(&permissions.for_ec2()), permissions);
    }

    #[test]
    fn more_than_a_tag_has_room_for_is_not_kept() {
        let of = |count: u64| LaunchPermissions((0..count).map(|n| format!("{n:012}")).collect());
        assert!(of(19).tag().is_some() && of(20).tag().is_none());
    }
}
