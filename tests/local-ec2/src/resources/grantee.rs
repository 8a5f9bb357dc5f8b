//! Whom an image or a snapshot is shared with.

use crate::{api_error::ApiError, query::Query, xml::Xml};

const EVERYBODY: &str = "all";

/// One whom something is shared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    Group(String),
    User(String),
    Organization(String),
    OrganizationalUnit(String),
}

impl Grantee {
    pub(crate) fn is_everybody(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// Takes `<name>.N`, structures with one member each.
    fn take_structures(query: &mut Query, name: &str) -> Result<Vec<Self>, ApiError> {
        let mut grantees = Vec::new();
        for mut item in query.structures(name) {
            grantees.extend(item.text("Group").map(Self::Group));
            grantees.extend(item.text("UserId").map(Self::User));
            grantees.extend(item.text("OrganizationArn").map(Self::Organization));
            grantees.extend(item.text("OrganizationalUnitArn").map(Self::OrganizationalUnit));
            item.finish()?;
        }
        Ok(grantees)
    }

    fn check(&self) -> Result<(), ApiError> {
        let is_account = |id: &str| id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_digit());
        let (value, item, is_valid) = match self {
            Self::Group(group) => (group, "group", group == EVERYBODY),
            Self::User(id) => (id, "userId", is_account(id)),
            Self::Organization(arn) => (arn, "organizationArn", arn.contains(":organization/o-")),
            Self::OrganizationalUnit(arn) => (arn, "organizationalUnitArn", arn.contains(":ou/o-")),
        };
        if is_valid {
            return Ok(());
        }
        let problem = format!("Invalid attribute item value \"{value}\" for {item} item type.");
        Err(ApiError::new("InvalidAMIAttributeItemValue", problem))
    }

    fn write(&self, xml: &mut Xml) {
        match self {
            Self::Group(group) => xml.text("group", group),
            Self::User(id) => xml.text("userId", id),
            Self::Organization(arn) => xml.text("organizationArn", arn),
            Self::OrganizationalUnit(arn) => xml.text("organizationalUnitArn", arn),
        }
    }
}

/// Writes the grantees as `name`.
pub(crate) fn write(xml: &mut Xml, name: &str, grantees: &[Grantee]) {
    xml.list(name, grantees, |xml, grantee| grantee.write(xml));
}

/// Who is to be added, and who is to be removed.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    add: Vec<Grantee>,
    remove: Vec<Grantee>,
}

impl Sharing {
    /// Takes the structure `name` with its members `Add` and `Remove`, and the lists of the older way, which
    /// `OperationType` adds or removes. `group` is what the list of groups is called.
    pub(crate) fn take(query: &mut Query, name: &str, group: &str) -> Result<Option<Self>, ApiError> {
        let mut sharing = Self::default();
        let structure = query.structure(name);
        let is_structured = structure.is_some();
        if let Some(mut both) = structure {
            sharing.add = Grantee::take_structures(&mut both, "Add")?;
            sharing.remove = Grantee::take_structures(&mut both, "Remove")?;
            both.finish()?;
        }
        let mut listed: Vec<_> = query.list(group).into_iter().map(Grantee::Group).collect();
        listed.extend(query.list("UserId").into_iter().map(Grantee::User));
        listed.extend(query.list("OrganizationArn").into_iter().map(Grantee::Organization));
        listed.extend(query.list("OrganizationalUnitArn").into_iter().map(Grantee::OrganizationalUnit));
        match query.text("OperationType").as_deref() {
            Some("remove") => sharing.remove.extend(listed),
            Some("add") => sharing.add.extend(listed),
            // Packer sends both ways at once.
            None if listed.is_empty() || is_structured => {}
            _ => return Err(ApiError::missing("OperationType")),
        }
        for grantee in sharing.add.iter().chain(&sharing.remove) {
            grantee.check()?;
        }
        Ok((!sharing.add.is_empty() || !sharing.remove.is_empty()).then_some(sharing))
    }

    /// Adds those who are not among the grantees yet, and removes those who are.
    pub(crate) fn apply(self, grantees: &mut Vec<Grantee>) {
        grantees.retain(|grantee| !self.remove.contains(grantee));
        grantees.extend(self.add);
        grantees.sort();
        grantees.dedup();
    }
}
