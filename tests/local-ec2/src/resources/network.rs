//! What an instance is reached with: key pairs and security groups, by their names. Nothing here is ever reached.

use std::collections::{BTreeMap, BTreeSet};

use crate::tags::Tags;

/// The VPC that is there from the beginning, the default one.
pub(crate) const VPC: &str = "vpc-0de7a017000000001";
/// Its subnet.
pub(crate) const SUBNET: &str = "subnet-0de7a017000000001";

/// A security group.
#[derive(Clone, Debug)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) tags: Tags,
}

/// All key pairs and security groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    pub(crate) key_pairs: BTreeSet<String>,
    pub(crate) groups: BTreeMap<String, SecurityGroup>,
}
