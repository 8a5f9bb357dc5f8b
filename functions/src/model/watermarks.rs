//! Watermarks: the marks that owners put on images, such as that one is approved. CreateImage hands on those of the
//! image that the instance was launched from.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// How many an image may have (EC2 User Guide, AMI watermarks).
pub const MAX_WATERMARKS: usize = 5;

/// Which watermarks an image is to have, and no other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Watermarks {
    /// The keys, `<account>:<name>`, of those that it keeps.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub keep: BTreeSet<String>,
    /// The names of those that this account puts on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub attach: BTreeSet<String>,
}

impl Watermarks {
    /// A key that is to be kept and is not shown: it may be a typo, and nobody else can put it on again.
    pub fn missing<'a>(&'a self, shown: &[String]) -> Option<&'a String> {
        self.keep.iter().find(|key| !shown.contains(key))
    }

    /// The keys of the shown ones that are to go.
    pub fn detached<'a>(&'a self, shown: &'a [String], account: &'a str) -> impl Iterator<Item = &'a String> {
        shown.iter().filter(move |key| {
            let is_attached = self.attach.iter().any(|name| **key == self::key(account, name));
            !self.keep.contains(*key) && !is_attached
        })
    }

    /// The names of those that are not shown and are to be put on.
    pub fn attached<'a>(&'a self, shown: &'a [String], account: &'a str) -> impl Iterator<Item = &'a String> {
        self.attach.iter().filter(move |name| !shown.contains(&key(account, name)))
    }
}

fn key(account: &str, name: &str) -> String {
    format!("{account}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_kept_nor_attached_goes() {
        let set = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let wanted = Watermarks { keep: set(&["1:approved"]), attach: set(&["nightly", "tested"]) };
        let shown = ["1:approved", "1:old", "2:nightly"].map(str::to_owned);
        assert_eq!(wanted.detached(&shown, "2").collect::<Vec<_>>(), ["1:old"]);
        assert_eq!(wanted.attached(&shown, "2").collect::<Vec<_>>(), ["tested"]);
    }
}
