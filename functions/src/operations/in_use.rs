//! Whether an image is in use: it stays then, unless the request says otherwise.

use std::collections::BTreeMap;

use crate::{
    app::App,
    aws::references,
    error::Error,
    model::ids::{ImageId, InstanceId},
};

/// How many of the ARNs are named.
const NAMED: usize = 10;

/// How the reason begins for which an image stays that may be in use.
const NOT_KNOWN: &str = "whether it is in use is not known";
/// Why an image stays that EC2 has listed and then does not know.
const UNKNOWN: &str = "whether it is in use is not known: EC2 knows no such image";

/// Why the image must not go; none if nothing uses it. What cannot be found out counts as use.
///
/// # Errors
///
/// What is to be tried again.
pub(crate) async fn why(app: &App, image_id: &ImageId, except: Option<&InstanceId>) -> Result<Option<String>, Error> {
    let why = why_each(app, std::slice::from_ref(image_id), except).await?.remove(image_id.as_str());
    Ok(why.filter(|why| why != UNKNOWN))
}

/// The same for several images, which EC2 has listed; those that nothing uses are left out.
///
/// # Errors
///
/// As [`why`].
pub(crate) async fn why_each(
    app: &App,
    image_ids: &[ImageId],
    except: Option<&InstanceId>,
) -> Result<BTreeMap<String, String>, Error> {
    match references::of(&app.ec2, &app.auto_scaling, image_ids, except).await {
        Ok(all) => Ok(all.into_iter().map(|(id, arns)| (id, used_by(&arns))).collect()),
        Err(error) if error.is_to_be_retried() => Err(error),
        Err(error) => {
            let why = format!("{NOT_KNOWN}: {error}");
            Ok(image_ids.iter().map(|id| (id.to_string(), why.clone())).collect())
        }
    }
}

/// Whether an image stays because nobody can say what uses it.
pub(crate) fn is_unknown(why: &str) -> bool {
    why.starts_with(NOT_KNOWN)
}

fn used_by(arns: &[String]) -> String {
    if arns.is_empty() { UNKNOWN.to_owned() } else { format!("it is in use by {}", named(arns)) }
}

/// The first ARNs, and how many more there are.
pub(crate) fn named(arns: &[String]) -> String {
    let first = arns[..arns.len().min(NAMED)].join(", ");
    match arns.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_ten_are_named() {
        let arns: Vec<_> = (0..12).map(|number| format!("arn:{number}")).collect();
        assert_eq!(named(&arns[..2]), "arn:0, arn:1");
        assert!(named(&arns).ends_with("arn:9 and 2 more"));
    }
}
