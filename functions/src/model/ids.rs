//! Ids as EC2 writes them: a prefix, a hyphen, and 8 or 17 hexadecimal digits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

fn check(field: &str, prefix: &str, text: &str) -> Result<String, Error> {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    let hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if matches!(digits.len(), 8 | 17) && hexadecimal {
        return Ok(text.to_owned());
    }
    let problem = format!("must be {prefix} and 8 or 17 hexadecimal digits, such as {prefix}0123456789abcdef0");
    Err(Error::invalid(field, problem))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes an id that a user wrote into `field`.
            pub fn parse(field: &str, text: &str) -> Result<Self, Error> {
                check(field, $prefix, text).map(Self)
            }

            /// The id as EC2 writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            /// Takes an id that EC2 gave.
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// An AMI's id.
    ImageId, "ami-"
}
id! {
    /// An instance's id.
    InstanceId, "i-"
}
id! {
    /// An EBS snapshot's id.
    SnapshotId, "snap-"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_eight_or_seventeen_hexadecimal_digits() {
        assert!(InstanceId::parse("sourceInstanceId", "i-0123456789abcdef0").is_ok());
        assert!(InstanceId::parse("sourceInstanceId", "i-01234567").is_ok());
        for wrong in ["", "i-", "i-012345678", "i-0123456789ABCDEF0", "ami-0123456789abcdef0", "i-0123456789abcdefg"] {
            let error = InstanceId::parse("sourceInstanceId", wrong).unwrap_err();
            assert_eq!(error.name(), "InvalidRequest", "{wrong}");
            assert!(error.to_string().starts_with("sourceInstanceId: must be i- and 8 or 17"), "{error}");
        }
    }
}
